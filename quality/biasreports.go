package quality

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/quality/bias"
)

// BiasReport is what was found of a dataset's content.
type BiasReport struct {
	ID string
	// Dataset is the dataset's id, and Digest that of the content, hex.
	Dataset, Digest string
	Question        BiasQuestion
	// Findings is nil where an erasure took it away, at Erased, and in lists.
	Findings  *BiasFindings
	Erased    *time.Time
	Principal string
	At        time.Time
	// Verdicts are those on the label, by each set of attributes, where reports on a content are asked for.
	Verdicts []bias.Verdict
}

// Verdict is the gravest of the verdicts.
func (r *BiasReport) Verdict() bias.Verdict {
	for _, v := range []bias.Verdict{bias.BelowFourFifths, bias.NotEnoughData} {
		if slices.Contains(r.Verdicts, v) {
			return v
		}
	}
	return bias.AtLeastFourFifths
}

// BiasQuestion is what was asked, as it was: columns by the names that were given.
type BiasQuestion struct {
	Label         string            `json:"label"`
	Favourable    string            `json:"favourable"`
	By            []string          `json:"by"`
	Intersections bool              `json:"intersections,omitempty"`
	Prediction    string            `json:"prediction,omitempty"`
	Threshold     *float64          `json:"threshold,omitempty"`
	Stratify      string            `json:"stratify,omitempty"`
	References    map[string]string `json:"references,omitempty"`
	// Views are those, by name, of which columns were read beside the dataset.
	Views []string `json:"views,omitempty"`
}

// BiasFindings is what was found.
type BiasFindings struct {
	bias.Report
	// SpineSetAside are rows of sources that were quarantined when the spine was read.
	SpineSetAside int64 `json:"spine_set_aside"`
	// SetAsideOf is of what rows were set aside that are counted. SetAsideWithheld: whoever asked might not know them, and none is counted.
	SetAsideOf       []BiasSetAside `json:"set_aside_of,omitempty"`
	SetAsideWithheld bool           `json:"set_aside_withheld,omitempty"`
}

// BiasSetAside is a subject of a view, by its name.
type BiasSetAside struct {
	View    string `json:"view"`
	Subject string `json:"subject"`
}

// WithoutSetAside is what was found, but for the rows that were set aside, and the groups that only these have.
func (f *BiasFindings) WithoutSetAside() *BiasFindings {
	out := *f
	out.SetAside, out.SetAsideOf, out.SetAsideWithheld = 0, nil, true
	out.Groupings = slices.Clone(out.Groupings)
	for i := range out.Groupings {
		g := &out.Groupings[i]
		groups := g.Groups
		missing := slices.Clone(g.Missing)
		g.Groups, g.Missing = nil, missing
		for k := range missing {
			missing[k].Rows = nil
		}
		for k, of := range groups {
			if of.Rows == 0 && of.LeftOut == 0 {
				continue
			}
			of.SetAside = 0
			g.Groups = append(g.Groups, of)
			for n := range missing {
				missing[n].Rows = append(missing[n].Rows, f.Groupings[i].Missing[n].Rows[k])
			}
		}
	}
	return &out
}

// KeepBiasReport keeps a report, and gives it its id and time.
func KeepBiasReport(ctx context.Context, q database.Querier, r *BiasReport) error {
	r.ID = "br_" + strings.ToLower(rand.Text())
	return q.QueryRow(ctx, `INSERT INTO headwater.bias_report (id, dataset_id, digest, question, findings, principal) VALUES ($1, $2, $3, $4, $5, $6) RETURNING created_at`,
		r.ID, r.Dataset, r.Digest, &r.Question, r.Findings, r.Principal).Scan(&r.At)
}

const biasColumns = `id, dataset_id, digest, question, principal, created_at, erased_at`

func scanBias(row pgx.CollectableRow) (*BiasReport, error) {
	r := &BiasReport{}
	return r, row.Scan(&r.ID, &r.Dataset, &r.Digest, &r.Question, &r.Principal, &r.At, &r.Erased)
}

// FindBiasReport is a report by its id, nil where there is none.
func FindBiasReport(ctx context.Context, q database.Querier, id string) (*BiasReport, error) {
	r := &BiasReport{}
	err := q.QueryRow(ctx, `SELECT `+biasColumns+`, findings FROM headwater.bias_report WHERE id = $1`, id).
		Scan(&r.ID, &r.Dataset, &r.Digest, &r.Question, &r.Principal, &r.At, &r.Erased, &r.Findings)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return r, err
}

// BiasKey is where a page of reports ends.
type BiasKey struct {
	At time.Time
	ID string
}

// BiasReports are up to limit of those of datasets, by their ids, the newest first, without what they found: those behind a key, from the first on for nil.
func BiasReports(ctx context.Context, q database.Querier, datasets []string, behind *BiasKey, limit int) ([]*BiasReport, error) {
	if behind == nil {
		behind = &BiasKey{}
	}
	rows, err := q.Query(ctx, `SELECT `+biasColumns+` FROM headwater.bias_report WHERE dataset_id = ANY ($1) AND ($3 = '' OR (created_at, id) < ($2, $3))
		ORDER BY created_at DESC, id DESC LIMIT $4`, datasets, behind.At, behind.ID, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanBias)
}

// BiasReportsOn are those on a content, by its digest, the newest first, with no more of what they found than their verdicts. Those that an erasure took away are none.
func BiasReportsOn(ctx context.Context, q database.Querier, digest string) ([]*BiasReport, error) {
	rows, err := q.Query(ctx, `SELECT `+biasColumns+`, jsonb_path_query_array(findings, '$.groupings[*].label.verdict') FROM headwater.bias_report
		WHERE digest = $1 AND findings IS NOT NULL ORDER BY created_at DESC, id DESC`, digest)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (*BiasReport, error) {
		r := &BiasReport{}
		return r, row.Scan(&r.ID, &r.Dataset, &r.Digest, &r.Question, &r.Principal, &r.At, &r.Erased, &r.Verdicts)
	})
}

// EraseBiasReports takes away what was found of a dataset, of which an erasure took rows.
func EraseBiasReports(ctx context.Context, tx pgx.Tx, dataset string) error {
	_, err := tx.Exec(ctx, `UPDATE headwater.bias_report SET findings = NULL, erased_at = clock_timestamp() WHERE dataset_id = $1 AND findings IS NOT NULL`, dataset)
	return err
}

// SetAsideBy counts the rows that are quarantined of a view version at a sequence by subject and the values of columns, as texts, nil for none: of rows of sources and of output alike,
// where they have a column of that name.
func SetAsideBy(ctx context.Context, q database.Querier, view, seq int64, columns []string, each func(subject string, values []*string, rows int64) error) error {
	rows, err := q.Query(ctx, `
		SELECT q.subject, array(SELECT q.row ->> c.name FROM unnest($3::text[]) WITH ORDINALITY AS c (name, n) ORDER BY n) AS found, count(*)
		FROM headwater.quarantined_row q WHERE q.view_id = $1 AND q.seq_from <= $2 AND $2 < q.seq_to GROUP BY 1, 2 ORDER BY 1`, view, seq, columns)
	if err != nil {
		return err
	}
	var subject string
	var values []*string
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&subject, &values, &n}, func() error { return each(subject, values, n) })
	return err
}
