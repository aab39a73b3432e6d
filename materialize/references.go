package materialize

import (
	"context"
	"fmt"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/quality"
)

// Rows are held to `references` when they are read, and to what the other source holds then. That it changes has no run read them
// again: a run that follows what is new says what is left to do.

// referencesMoved warns of rows that would fare another way if they were read again, because of what became of the sources in which
// their values are expected to be since consumed, up to which the run before followed them.
func (r *Run) referencesMoved(ctx context.Context, q database.Querier, t *offline.Transform, consumed *offline.Marks) error {
	if t.Plan.Kind != offline.Incremental || consumed == nil {
		return nil
	}
	changes := map[string]*offline.Referring{}
	look := func(list []feature.Expectation, subject string) error {
		for i := range list {
			e := &list[i]
			if e.References == nil {
				continue
			}
			name := e.References.Source
			if changes[name] == nil {
				c, err := offline.ReferencedSince(ctx, q, name, consumed.References[name], t.Plan.Marks.References[name])
				if err != nil {
					return err
				}
				changes[name] = c
			}
			if err := r.referenceMoved(ctx, q, t.View, e, subject, changes[name]); err != nil {
				return err
			}
		}
		return nil
	}
	for _, in := range t.Inputs {
		if err := look(in.Source.Expectations, quality.SourceSubject(in.Source.Name)); err != nil {
			return err
		}
	}
	return look(t.View.Expectations, quality.Output)
}

func (r *Run) referenceMoved(ctx context.Context, q database.Querier, view *feature.ViewVersion, e *feature.Expectation, subject string,
	c *offline.Referring) error {
	if c.Newest > 0 && e.OnFailure == feature.QuarantineRow {
		n, err := quality.Waiting(ctx, q, r.ViewID, r.Seq, subject, e.Name, c.Source, c.Newest)
		if err != nil {
			return err
		}
		if n > 0 {
			r.Warnings = append(r.Warnings, fmt.Sprintf("%s: %d rows that were set aside by %s were not tried again since source %s got load %d, which may "+
				"have what they refer to: headwater quarantine replay --view %s", subject, n, e.Name, c.Source, c.NewestID, view.Ref()))
		}
	}
	_, columns := e.Pairs()
	gone, err := c.Gone(ctx, q, columns)
	if err != nil || gone == 0 {
		return err
	}
	r.Warnings = append(r.Warnings, fmt.Sprintf("%s: %d values that %s looks for are not in source %s any more, since loads of it were replaced or "+
		"retracted after the run before; rows that refer to them and were let in stay until they are read again: headwater materialize %s --full",
		subject, gone, e.Name, c.Source, view.Name))
	return nil
}
