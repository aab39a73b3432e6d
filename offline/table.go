package offline

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
)

// CreateSource makes the landing table of a source, or changes it so that it fits a new version: columns may be added,
// and are NULL in the rows that are there; feature.Source.SuccessionProblems has refused all else. old is nil for a new
// source. A source whose rows others keep needs none.
func CreateSource(ctx context.Context, tx pgx.Tx, old, src *feature.SourceVersion) error {
	if src.Postgres != nil {
		return nil
	}
	if old != nil {
		return alterLanding(ctx, tx, old, src)
	}
	_, err := tx.Exec(ctx, `INSERT INTO headwater.landing (source) VALUES ($1)`, src.Name)
	if err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString("_load bigint NOT NULL, _row bigint NOT NULL")
	for _, c := range src.Columns {
		fmt.Fprintf(&b, ", %s %s", quote(c.Name), columnType(c.Type))
		if c.Name == src.EventTime {
			b.WriteString(" NOT NULL")
		}
	}
	err = database.CreateTable(ctx, tx, database.Table{
		Kind: database.Landing, Schema: landingSchema, Name: src.Name, Columns: b.String(),
	})
	if err != nil {
		return err
	}
	// Runs read spans of event time; loads come mostly in its order, which is all that BRIN needs.
	_, err = tx.Exec(ctx, fmt.Sprintf("CREATE INDEX ON %s USING brin (%s, _load)",
		quote(landingSchema, src.Name), quote(src.EventTime)))
	if err != nil {
		return err
	}
	return indexKey(ctx, tx, src)
}

// indexKey makes an index by the source's unique key: a run finds with it the rows that a few new ones supersede, without a pass
// over all that are live.
func indexKey(ctx context.Context, tx pgx.Tx, src *feature.SourceVersion) error {
	if len(src.UniqueKey) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, fmt.Sprintf("CREATE INDEX ON %s (%s)", quote(landingSchema, src.Name), keyHash(src)))
	return err
}

func alterLanding(ctx context.Context, tx pgx.Tx, old, src *feature.SourceVersion) error {
	for _, c := range src.Columns {
		if old.Column(c.Name) == nil {
			_, err := tx.Exec(ctx, fmt.Sprintf("ALTER TABLE %s ADD COLUMN %s %s",
				quote(landingSchema, src.Name), quote(c.Name), columnType(c.Type)))
			if err != nil {
				return err
			}
		}
	}
	if slices.Equal(old.UniqueKey, src.UniqueKey) {
		return nil
	}
	return indexKey(ctx, tx, src)
}

// historyTable is the name of a view version's history table, quoted.
func historyTable(v *feature.ViewVersion) string { return quote(historySchema, historyName(v)) }

// historyName is unique: a view's name ends where the last `_v` and digits begin.
func historyName(v *feature.ViewVersion) string { return fmt.Sprintf("%s_v%d", v.Name, v.Version) }

const (
	// historyKey has the sequence last: whoever looks for an entity's newest rows finds them side by side.
	historyKey = "PRIMARY KEY (entity_key, event_time, available_at, seq_from)"
	// historyTimes is an index for runs of a part of the time: rows come mostly in its order, which is all that BRIN needs, and
	// it costs next to nothing.
	historyTimes = "USING brin (event_time)"
)

// CreateHistory makes the history table of a view version, empty.
func CreateHistory(ctx context.Context, tx pgx.Tx, v *feature.ViewVersion) error {
	err := database.CreateTable(ctx, tx, database.Table{
		Kind: database.History, Schema: historySchema, Name: historyName(v), Columns: historyShape(v, "") + ", " + historyKey,
		DistributionColumn: "entity_key",
	})
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, fmt.Sprintf("CREATE INDEX ON %s %s", historyTable(v), historyTimes))
	return err
}

// historyShape is the columns of a history table. seq is the default of the sequence that rows begin at, or empty.
func historyShape(v *feature.ViewVersion, seq string) string {
	var b strings.Builder
	if seq != "" {
		seq = " DEFAULT " + seq
	}
	fmt.Fprintf(&b, `entity_key text COLLATE "C" NOT NULL, event_time timestamptz NOT NULL, available_at timestamptz NOT NULL,
		seq_from bigint NOT NULL%s, seq_to bigint NOT NULL DEFAULT %d`, seq, int64(SeqLive))
	for _, c := range v.Stored() {
		fmt.Fprintf(&b, ", %s %s", quote(c.Name), columnType(c.Type))
	}
	b.WriteString(", CHECK (seq_from < seq_to)")
	return b.String()
}

// historyColumns is the columns that a run writes of each row, in the order of the staging table.
func historyColumns(v *feature.ViewVersion) []string {
	columns := []string{"entity_key", eventTimeColumn, availableAtColumn}
	for _, c := range v.Stored() {
		columns = append(columns, c.Name)
	}
	return columns
}

func quoteAll(prefix string, names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = prefix + quote(n)
	}
	return strings.Join(quoted, ", ")
}
