package dataset

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/internal/fault"
)

// CheckKept refuses a dataset of which only the manifest is left.
func (m *Manifest) CheckKept() error {
	if m.State != Deleted {
		return nil
	}
	at, why := "", ""
	if m.DeletedAt != nil {
		at = " at " + m.DeletedAt.UTC().Format(time.RFC3339)
	}
	if m.DeleteReason != "" {
		why = ": " + m.DeleteReason
	}
	return fault.New(fault.NotFound, "dataset %s (%s) was deleted by %s%s%s; only its manifest is left: build it again from its spine, "+
		"which gives another dataset", m.ID, m.Ref(), m.DeletedBy, at, why)
}

// Delete deletes the spine of a dataset and what was kept of its result, and protects no longer the history that it reads. record
// is called in the same transaction. It returns the manifest that is left.
func (b *Builder) Delete(ctx context.Context, id, principal, reason string, record func(context.Context, pgx.Tx, *Manifest) error) (*Manifest, error) {
	var m *Manifest
	err := pgx.BeginFunc(ctx, b.pool, func(tx pgx.Tx) error {
		var now time.Time
		err := tx.QueryRow(ctx, `SELECT manifest, clock_timestamp() FROM headwater.dataset WHERE id = $1 FOR UPDATE`, id).Scan(&m, &now)
		if errors.Is(err, pgx.ErrNoRows) {
			return Missing(id)
		}
		if err != nil {
			return err
		}
		if err := m.CheckKept(); err != nil {
			return err
		}
		now = now.UTC()
		m.State, m.DeletedAt, m.DeletedBy, m.DeleteReason = Deleted, &now, principal, reason
		for _, sql := range []string{
			`DELETE FROM headwater.dataset_spine WHERE dataset_id = $1`,
			`DELETE FROM headwater.dataset_view WHERE dataset_id = $1`,
		} {
			if _, err := tx.Exec(ctx, sql, id); err != nil {
				return err
			}
		}
		// What this version does not know of the manifest stays.
		_, err = tx.Exec(ctx, `UPDATE headwater.dataset SET state = $2, manifest = manifest || jsonb_build_object('state', $2::text,
			'deleted_at', $3::text, 'deleted_by', $4::text, 'delete_reason', $5::text) WHERE id = $1`,
			id, Deleted, now.Format(time.RFC3339Nano), principal, reason)
		if err != nil {
			return err
		}
		return record(ctx, tx, m)
	})
	if err != nil {
		return nil, err
	}
	// A file that cannot be removed is never sent, and looked for again.
	if err := b.kept.Drop(id); err != nil {
		b.kept.config.Log.WarnContext(ctx, "the result of a deleted dataset is not removed yet", "dataset", id, "error", err)
	}
	return m, nil
}
