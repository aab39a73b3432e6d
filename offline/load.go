package offline

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
)

// Load is one file or batch of rows in a landing table, or the retraction of one: an appended fact.
type Load struct {
	// ID is unique over all sources.
	ID     int64
	Source string
	// Number is 1, 2, 3 … per source, in commit order.
	Number int64
	// Replaces is the id of the load that this one ended, 0 for none. With RetractReason set it is a retraction.
	Replaces      int64
	RetractReason string
	// EndedBy is the id of the load or retraction that ended this one, 0 while it is live.
	EndedBy int64
	// EndedByRetraction tells which of the two EndedBy is.
	EndedByRetraction bool
	EndedReason       string
	FileName          string
	FileSize          int64
	// FileSHA256 is that of the file the client read; zero for a retraction.
	FileSHA256 feature.Digest
	Rows       int64
	// EventTimeMin and EventTimeMax are those of its rows, nil for a retraction.
	EventTimeMin, EventTimeMax *time.Time
	Principal                  string
	CommittedAt                time.Time
	// IgnoredColumns are those of the file that the source does not have, and that were left out.
	IgnoredColumns []string
}

// LoadRequest is what is known of a load before its rows.
type LoadRequest struct {
	Source     *feature.SourceVersion
	FileName   string
	FileSize   int64
	FileSHA256 feature.Digest
	// Replaces is the id of the load that this one ends, or 0.
	Replaces  int64
	Principal string
	// IgnoredColumns are those of the file that are left out.
	IgnoredColumns []string
}

// AppendLoad puts rows into a landing table as one load: all of them or none. Each row holds a value per column of the
// source, in its order, and is used only until the next. An error of rows is returned as it is. The same file is taken
// once, unless it replaces the load that holds it. db is a pool, or a connection where rows are slow to come.
func AppendLoad(ctx context.Context, db beginner, req LoadRequest, rows iter.Seq2[[]feature.Value, error]) (*Load, error) {
	var load *Load
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		var id int64
		err := tx.QueryRow(ctx, `SELECT nextval(pg_get_serial_sequence('headwater.load', 'id'))`).Scan(&id)
		if err != nil {
			return err
		}
		count, first, last, err := copyLanding(ctx, tx.Conn(), req.Source, id, req.FileName, rows)
		if err != nil {
			return err
		}
		if count == 0 {
			return fault.New(fault.InvalidRows,
				"%s: found no rows, expected at least one; to withdraw a load without putting another in its place, "+
					"use `headwater loads retract`", req.FileName)
		}
		// The lock on the landing row makes numbers follow commit order, and checks below stay true until commit.
		number, err := nextLoadNumber(ctx, tx, req.Source.Name)
		if err != nil {
			return err
		}
		if err := checkReplaces(ctx, tx, req); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			INSERT INTO headwater.load (id, source, number, ends, file_name, file_size, file_sha256, rows,
				event_time_min, event_time_max, principal, ignored_columns, committed_at)
			VALUES ($1, $2, $3, nullif($4::bigint, 0), $5, $6, $7, $8, $9, $10, $11, coalesce($12::text[], '{}'), clock_timestamp())`,
			id, req.Source.Name, number, req.Replaces, req.FileName, req.FileSize, req.FileSHA256[:], count,
			first.Time(), last.Time(), req.Principal, req.IgnoredColumns)
		if err != nil {
			return err
		}
		load, err = GetLoad(ctx, tx, id)
		return err
	})
	return load, err
}

// beginner is a pool or a connection.
type beginner interface {
	Begin(ctx context.Context) (pgx.Tx, error)
}

func nextLoadNumber(ctx context.Context, tx pgx.Tx, source string) (number int64, err error) {
	err = tx.QueryRow(ctx, `
		UPDATE headwater.landing SET last_number = last_number + 1 WHERE source = $1 RETURNING last_number`,
		source).Scan(&number)
	return number, err
}

func checkReplaces(ctx context.Context, tx pgx.Tx, req LoadRequest) error {
	if req.Replaces != 0 {
		old, err := GetLoad(ctx, tx, req.Replaces)
		if err != nil {
			return err
		}
		if err := checkEnds(old, req.Source.Name); err != nil {
			return err
		}
	}
	var same int64
	err := tx.QueryRow(ctx, `
		SELECT l.id FROM headwater.load l
		WHERE l.source = $1 AND l.file_sha256 = $2 AND l.retract_reason IS NULL AND l.id <> $3
			AND NOT EXISTS (SELECT 1 FROM headwater.load e WHERE e.ends = l.id)
		LIMIT 1`, req.Source.Name, req.FileSHA256[:], req.Replaces).Scan(&same)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return fault.New(fault.AlreadyExists,
		"%s: a file with the same SHA-256 is in source %s already, as load %d; its rows would count twice. "+
			"To load it again all the same, replace that load: --replaces %d", req.FileName, req.Source.Name, same, same)
}

func checkEnds(old *Load, source string) error {
	switch {
	case old.Source != source:
		return fault.New(fault.InvalidArgument, "load %d is one of source %s, not of %s; see `headwater loads list %s`",
			old.ID, old.Source, source, source)
	case old.RetractReason != "":
		return fault.New(fault.FailedPrecondition, "load %d is a retraction, which cannot be replaced or retracted", old.ID)
	case old.EndedBy != 0:
		how := "replaced"
		if old.EndedByRetraction {
			how = "retracted"
		}
		return fault.New(fault.FailedPrecondition, "load %d was %s already, by load %d; see `headwater loads list %s`",
			old.ID, how, old.EndedBy, source)
	}
	return nil
}

// RetractLoad withdraws a load: an appended fact that takes a number of its own. Returns the load that was retracted.
func RetractLoad(ctx context.Context, pool *pgxpool.Pool, id int64, reason, principal string) (*Load, error) {
	var load *Load
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		old, err := GetLoad(ctx, tx, id)
		if err != nil {
			return err
		}
		number, err := nextLoadNumber(ctx, tx, old.Source)
		if err != nil {
			return err
		}
		// Read again under the lock.
		if old, err = GetLoad(ctx, tx, id); err != nil {
			return err
		}
		if err := checkEnds(old, old.Source); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			INSERT INTO headwater.load (source, number, ends, retract_reason, file_name, file_size, file_sha256, rows,
				principal, committed_at)
			VALUES ($1, $2, $3, $4, '', 0, '', 0, $5, clock_timestamp())`,
			old.Source, number, id, reason, principal)
		if err != nil {
			return err
		}
		load, err = GetLoad(ctx, tx, id)
		return err
	})
	return load, err
}

const selectLoad = `
	SELECT l.id, l.source, l.number, coalesce(l.ends, 0), coalesce(l.retract_reason, ''),
		coalesce(e.id, 0), e.retract_reason IS NOT NULL, coalesce(e.retract_reason, ''),
		l.file_name, l.file_size, l.file_sha256, l.rows, l.event_time_min, l.event_time_max, l.principal, l.committed_at,
		l.ignored_columns
	FROM headwater.load l LEFT JOIN headwater.load e ON e.ends = l.id`

func scanLoad(row pgx.CollectableRow) (*Load, error) {
	var l Load
	var sum []byte
	err := row.Scan(&l.ID, &l.Source, &l.Number, &l.Replaces, &l.RetractReason, &l.EndedBy, &l.EndedByRetraction,
		&l.EndedReason, &l.FileName, &l.FileSize, &sum, &l.Rows, &l.EventTimeMin, &l.EventTimeMax, &l.Principal,
		&l.CommittedAt, &l.IgnoredColumns)
	copy(l.FileSHA256[:], sum)
	return &l, err
}

// GetLoad reads one load, or a NOT_FOUND fault.
func GetLoad(ctx context.Context, q database.Querier, id int64) (*Load, error) {
	rows, err := q.Query(ctx, selectLoad+` WHERE l.id = $1`, id)
	if err != nil {
		return nil, err
	}
	load, err := pgx.CollectExactlyOneRow(rows, scanLoad)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, fault.New(fault.NotFound, "there is no load %d; `headwater loads list SOURCE` shows those there are", id)
	}
	return load, err
}

// ListLoads reads the loads and retractions of a source, by number.
func ListLoads(ctx context.Context, q database.Querier, source string) ([]*Load, error) {
	rows, err := q.Query(ctx, selectLoad+` WHERE l.source = $1 ORDER BY l.number`, source)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanLoad)
}

// copyLanding streams rows into the landing table under the load's id.
func copyLanding(ctx context.Context, conn *pgx.Conn, src *feature.SourceVersion, id int64, file string,
	rows iter.Seq2[[]feature.Value, error],
) (count int64, first, last feature.Time, err error) {
	columns := []string{"_load", "_row"}
	eventTime := -1
	for i, c := range src.Columns {
		columns = append(columns, c.Name)
		if c.Name == src.EventTime {
			eventTime = i
		}
	}
	err = copyIn(ctx, conn, quote(landingSchema, src.Name), columns, func(e *copyEncoder) error {
		for row, err := range rows {
			if err != nil {
				return err
			}
			if err := checkLandingRow(src, row, eventTime); err != nil {
				return fault.New(fault.InvalidRows, "%s: row %d: %v", file, count+1, err)
			}
			at := row[eventTime].Timestamp()
			if count == 0 || at < first {
				first = at
			}
			if count == 0 || at > last {
				last = at
			}
			count++
			e.beginRow(len(columns))
			e.int64(id)
			e.int64(count)
			for _, v := range row {
				e.value(v)
			}
		}
		return nil
	})
	return count, first, last, err
}

func checkLandingRow(src *feature.SourceVersion, row []feature.Value, eventTime int) error {
	if len(row) != len(src.Columns) {
		return fmt.Errorf("found %d values, expected %d", len(row), len(src.Columns))
	}
	for i, v := range row {
		c := &src.Columns[i]
		if i == eventTime && v.IsNull() {
			return fmt.Errorf("column %s is the event time of source %s: found NULL, expected a timestamp; nothing was loaded, "+
				"give the row a time or leave it out", c.Name, src.Name)
		}
		if v.IsNull() && slices.Contains(src.UniqueKey, c.Name) {
			return fmt.Errorf("column %s is in the unique key of source %s: found NULL, expected a value: without one the row cannot be told "+
				"from others; nothing was loaded, give the row a value or leave it out", c.Name, src.Name)
		}
		if !v.IsNull() && v.Type() != c.Type {
			return fmt.Errorf("column %s: found a %s, expected a %s", c.Name, v.Type(), c.Type)
		}
		if err := checkContent(v); err != nil {
			return fmt.Errorf("column %s: %w", c.Name, err)
		}
	}
	return nil
}

// checkContent refuses what no column holds, in a list too.
func checkContent(v feature.Value) error {
	switch v.Type().Kind() {
	case feature.TypeTimestamp:
		return checkTime(v.Timestamp())
	case feature.TypeString:
		return feature.CheckText(v.Str())
	case feature.TypeList:
		for i, e := range v.Elements() {
			if err := checkContent(e); err != nil {
				return inElement(i, err)
			}
		}
	}
	return nil
}
