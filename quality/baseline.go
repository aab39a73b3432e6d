package quality

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/quality/profile"
)

// Baseline is a profile that somebody named, for what is held to it.
type Baseline struct {
	ID      int64
	Name    string
	Version int
	// Subject is what is held to it: `view:NAME@VERSION`, `service:NAME@VERSION` or `model:NAME@VERSION`.
	Subject string
	// Node is what it was made of: `run:VIEW@VERSION/SEQ` or `dataset:ID`.
	Node string
	// Run is the id of that run, and Dataset that of the dataset; one of them is zero.
	Run     int64
	Dataset string
	Reason  string
	Rows    int64
	SetAt   time.Time
	SetBy   string
	// EndedAt is when another was set in its place, or it was removed. nil: it holds.
	EndedAt *time.Time
	EndedBy string
	// Replaced are the baselines, `NAME@VERSION of SUBJECT`, that ended when this one was set, in what SetBaseline makes.
	Replaced []string
	// Erased is when an erasure took the profile away.
	Erased *time.Time
	packed []byte
}

// Ref is `NAME@VERSION`.
func (b *Baseline) Ref() string { return fmt.Sprintf("%s@%d", b.Name, b.Version) }

// Profile is what it holds things to, nil where an erasure took it away.
func (b *Baseline) Profile() (*profile.Profile, error) {
	if b.packed == nil {
		return nil, nil
	}
	return UnpackProfile(b.packed)
}

const selectBaseline = `SELECT id, name, version, subject, node, coalesce(run_id, 0), coalesce(dataset_id, ''), reason, rows, set_at, set_by, ended_at,
	coalesce(ended_by, ''), erased_at, profile FROM headwater.baseline `

func baselines(ctx context.Context, q database.Querier, sql string, args ...any) ([]*Baseline, error) {
	rows, err := q.Query(ctx, selectBaseline+sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (*Baseline, error) {
		var b Baseline
		return &b, row.Scan(&b.ID, &b.Name, &b.Version, &b.Subject, &b.Node, &b.Run, &b.Dataset, &b.Reason, &b.Rows, &b.SetAt, &b.SetBy, &b.EndedAt,
			&b.EndedBy, &b.Erased, &b.packed)
	})
}

// SetBaseline makes a baseline of the profile that is kept of its run or dataset, in the place of the one that the subject has, and of the one that has its name for another version of the same.
// b says what and of what; the rest is filled in.
func SetBaseline(ctx context.Context, tx pgx.Tx, b *Baseline) error {
	// Baselines are set one after the other: names and subjects have one each.
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('headwater.baseline', 0))`); err != nil {
		return err
	}
	// Before the baselines that it may be in, as an erasure does, which then finds this one too.
	column, id := "run_id", any(b.Run)
	if b.Dataset != "" {
		column, id = "dataset_id", b.Dataset
	}
	if _, err := tx.Exec(ctx, `SELECT FROM headwater.profile WHERE `+column+` = $1 FOR SHARE`, id); err != nil {
		return err
	}
	kept, err := keptProfile(ctx, tx, column, id)
	if err != nil {
		return err
	}
	if kept == nil || kept.Profile == nil {
		return fault.New(fault.FailedPrecondition, "baseline %s: found that the profile of %s was erased meanwhile, expected one that is kept: set it to another run or dataset", b.Name, b.Node)
	}
	p := kept.Profile
	var other string
	err = tx.QueryRow(ctx, `SELECT subject FROM headwater.baseline WHERE name = $1 AND ended_at IS NULL AND regexp_replace(subject, '@.*', '') <> regexp_replace($2, '@.*', '')`,
		b.Name, b.Subject).Scan(&other)
	if err == nil {
		return &TakenError{Name: b.Name, Other: other, Subject: b.Subject}
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	rows, err := tx.Query(ctx, `UPDATE headwater.baseline SET ended_at = clock_timestamp(), ended_by = $3 WHERE (name = $1 OR subject = $2) AND ended_at IS NULL
		RETURNING name || '@' || version || ' of ' || subject`, b.Name, b.Subject, b.SetBy)
	if err != nil {
		return err
	}
	if b.Replaced, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
		return err
	}
	if b.packed, err = PackProfile(p); err != nil {
		return err
	}
	digest := p.Digest()
	b.Rows = p.Rows()
	return tx.QueryRow(ctx, `
		INSERT INTO headwater.baseline (name, version, subject, run_id, dataset_id, node, reason, rows, digest, profile, set_at, set_by)
		SELECT $1, coalesce(max(version), 0) + 1, $2, nullif($3, 0), nullif($4, ''), $5, $6, $7, $8, $9, clock_timestamp(), $10
		FROM headwater.baseline WHERE name = $1 RETURNING id, version, set_at`,
		b.Name, b.Subject, b.Run, b.Dataset, b.Node, b.Reason, b.Rows, digest[:], b.packed, b.SetBy).Scan(&b.ID, &b.Version, &b.SetAt)
}

// TakenError is of a name that is of a baseline for something else.
type TakenError struct{ Name, Other, Subject string }

func (e *TakenError) Error() string { return "baseline " + e.Name + " is for " + e.Other }

// Fault is for who may know of what it is for; from others that is withheld.
func (e *TakenError) Fault(known bool) error {
	if !known {
		return fault.New(fault.FailedPrecondition, "baseline %s: found the name taken, expected one that is free or of %s: choose another name", e.Name, e.Subject)
	}
	return fault.New(fault.FailedPrecondition, "baseline %s: found it set for %s, expected a name that is free or of %s: choose another name, or `headwater baseline remove %[1]s`",
		e.Name, e.Other, e.Subject)
}

// RemoveBaseline ends one that holds.
func RemoveBaseline(ctx context.Context, tx pgx.Tx, b *Baseline, by string) error {
	tag, err := tx.Exec(ctx, `UPDATE headwater.baseline SET ended_at = clock_timestamp(), ended_by = $2 WHERE id = $1 AND ended_at IS NULL`, b.ID, by)
	if err == nil && tag.RowsAffected() == 0 {
		err = fault.New(fault.FailedPrecondition, "baseline %s: found it replaced or removed, expected one that holds; `headwater baseline list` shows those", b.Ref())
	}
	return err
}

// NoSuchBaseline is the error of a name that none has.
func NoSuchBaseline(name string) error {
	return fault.New(fault.NotFound, "there is no baseline %s; `headwater baseline list` shows those there are", name)
}

// Baselines are those that hold, by name.
func Baselines(ctx context.Context, q database.Querier) ([]*Baseline, error) {
	return baselines(ctx, q, `WHERE ended_at IS NULL ORDER BY name`)
}

// BaselineHistory is all that had a name, the newest first, of one version only unless that is 0.
func BaselineHistory(ctx context.Context, q database.Querier, name string, version int) ([]*Baseline, error) {
	return baselines(ctx, q, `WHERE name = $1 AND ($2 = 0 OR version = $2) ORDER BY version DESC`, name, version)
}

// BaselineOf is the one that a subject is held to, nil where there is none.
func BaselineOf(ctx context.Context, q database.Querier, subject string) (*Baseline, error) {
	list, err := baselines(ctx, q, `WHERE subject = $1 AND ended_at IS NULL`, subject)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return list[0], nil
}

// eraseBaselines takes away the profiles of baselines that were made of a run or a dataset.
func eraseBaselines(ctx context.Context, tx pgx.Tx, column string, id any) error {
	_, err := tx.Exec(ctx, `UPDATE headwater.baseline SET profile = NULL, erased_at = clock_timestamp() WHERE `+column+` = $1 AND profile IS NOT NULL`, id)
	return err
}

// DescribesDataset reports whether a profile or a baseline tells what a dataset is like.
func DescribesDataset(ctx context.Context, q database.Querier, dataset string) (there bool, err error) {
	err = q.QueryRow(ctx, `SELECT EXISTS (SELECT FROM headwater.profile WHERE dataset_id = $1 AND profile IS NOT NULL)
		OR EXISTS (SELECT FROM headwater.baseline WHERE dataset_id = $1 AND profile IS NOT NULL)`, dataset).Scan(&there)
	return there, err
}
