package materialize

import (
	"context"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/offline"
)

// left is the digest of what erasures left of what the run produced, and whether it is known; without any, that of what it produced.
func (r *Run) left() (d feature.Digest, known bool) {
	if n := len(r.Erasures); n > 0 {
		return r.Erasures[n-1].New, r.Erasures[n-1].Known
	}
	return r.Digest, true
}

func loadsOf(r *Run) (ids []int64) {
	for _, in := range r.Inputs {
		for _, l := range in.Loads {
			ids = append(ids, l.ID)
		}
	}
	return ids
}

// erased judges a run that erasures touched, and of which the history has what they left, as far as that is known.
func (v *Verification) erased(ctx context.Context, t *offline.Transform, again *offline.Recomputed) error {
	expected, known := v.Run.left()
	rows := int64(0)
	for _, e := range v.Run.Erasures {
		rows += e.Rows
	}
	v.Verdict = Erased
	switch {
	case !known:
		v.detail("what is left of what the run produced is not known, since rows of its history were collected before: it cannot be compared any more")
		return nil
	case again.Digest == expected && rows == 0:
		// Nothing of what it made is gone, and what is gone of what it read made no difference.
		v.Verdict, v.Details = Same, nil
		return nil
	case again.Digest == expected:
		v.detail("%d of the rows that the run produced were erased; the others are what its inputs give, and in the history", rows)
		return nil
	}
	changed, err := t.ChangedLoads(ctx)
	if err != nil {
		return err
	}
	if v.compareLoads(changed); v.Verdict == SourceChanged {
		return nil
	}
	v.detail("the history has what is left of what the run produced; computed again it would be %d rows with another digest, for rows that it read were erased, "+
		"and what they had gone into stays as it was published", again.Rows)
	return nil
}
