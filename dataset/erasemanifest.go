package dataset

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/quality"
	"github.com/headwaterhq/headwater/retention"
)

const (
	// PlaceSummary is what an erasure calls the least and greatest values in manifests of datasets that are deleted.
	PlaceSummary = "summary"
	// placeText and textsOfManifests are what it calls texts in manifests that somebody chose.
	placeText        = "text"
	textsOfManifests = "texts in manifests"
)

// EraseManifests takes out of manifests what erasing rows leaves: the key, where a query for a spine, a purpose or a reason has it, and the
// least and greatest values of columns of datasets that were deleted, whose rows nobody has any more to tell whether they were the entity's.
// reads reports whether a deleted dataset may have had rows of it. It follows Erase. With erasure empty it only says what it would. done is
// called before each commit.
func (b *Builder) EraseManifests(ctx context.Context, erasure string, t *retention.Trace, reads func(*Manifest) bool, done func() error) ([]retention.Erased, error) {
	list, err := List(ctx, b.pool, "")
	if err != nil {
		return nil, err
	}
	texts := retention.Erased{Place: placeText, Name: textsOfManifests}
	var all []retention.Erased
	for _, m := range list {
		deleted := m.State == Deleted && reads(m)
		named, bounds := m.redact(t), int64(0)
		described := false
		if deleted {
			bounds = m.dropBounds()
			var err error
			if described, err = quality.DescribesDataset(ctx, b.pool, m.ID); err != nil {
				return nil, err
			}
		}
		if !named && bounds == 0 && !described {
			continue
		}
		one := []retention.Erased{}
		if named {
			texts.Rows++
			one = append(one, retention.Erased{Place: texts.Place, Name: texts.Name, Rows: 1})
		}
		if bounds > 0 {
			summary := retention.Erased{Place: PlaceSummary, Name: m.ID, Rows: bounds}
			all, one = append(all, summary), append(one, summary)
		}
		if erasure == "" {
			continue
		}
		err := pgx.BeginFunc(ctx, b.pool, func(tx pgx.Tx) error {
			var now Manifest
			if err := tx.QueryRow(ctx, `SELECT manifest FROM headwater.dataset WHERE id = $1 FOR UPDATE`, m.ID).Scan(&now); err != nil {
				return err
			}
			now.redact(t)
			if deleted {
				now.dropBounds()
				if err := errors.Join(quality.EraseDatasetProfile(ctx, tx, m.ID), quality.EraseBiasReports(ctx, tx, m.ID)); err != nil {
					return err
				}
			}
			if _, err := tx.Exec(ctx, `UPDATE headwater.dataset SET manifest = $2 WHERE id = $1`, m.ID, &now); err != nil {
				return err
			}
			if err := retention.Record(ctx, tx, erasure, one...); err != nil {
				return err
			}
			return done()
		})
		if err != nil {
			return nil, err
		}
	}
	if texts.Rows > 0 {
		all = append(all, texts)
	}
	return all, nil
}

// redact takes the key of a trace out of the texts that somebody chose, and reports whether it was in any.
func (m *Manifest) redact(t *retention.Trace) (named bool) {
	chosen := []*string{&m.Purpose, &m.DeleteReason}
	if m.SpineOrigin != nil {
		chosen = append(chosen, &m.SpineOrigin.SQL)
	}
	for i := range m.Erasures {
		chosen = append(chosen, &m.Erasures[i].Reason)
	}
	for _, text := range chosen {
		redacted, changed := t.Redact(*text)
		*text, named = redacted, named || changed
	}
	return named
}

// dropBounds takes the least and greatest values away, and returns of how many columns there were some.
func (m *Manifest) dropBounds() (columns int64) {
	for i := range m.Columns {
		if s := m.Columns[i].Summary; s != nil && (s.Min != nil || s.Max != nil) {
			s.Min, s.Max = nil, nil
			columns++
		}
	}
	return columns
}
