package lineage

import (
	"context"
	"fmt"
)

// maxKnown bounds how many published sequences are kept in memory.
const maxKnown = 1_000_000

// lost is online values that do not resolve, of a view version, 0 for none, in one way.
type lost struct {
	view      int64
	why, want string
}

// online holds the online values of an entity to the runs that wrote them, and to those that they were loaded at. counts are told of them.
func (k *checker) online(ctx context.Context, views []checkedView, counts map[int64]*Checked) error {
	if k.Online == nil {
		return nil
	}
	of := map[int64]*checkedView{}
	for i := range views {
		of[views[i].ID] = &views[i]
	}
	values := map[lost]int64{}
	var order []lost
	var more int64
	lose := func(l lost) {
		if values[l] == 0 {
			if len(order) == maxOrphans {
				more++
				return
			}
			order = append(order, l)
		}
		values[l]++
	}
	err := k.Online(ctx, views[0].Entity, func(rows []OnlineRow) error {
		asked := map[int64][]int64{}
		for _, r := range rows {
			for _, seq := range []int64{r.Seq, r.Run} {
				if of[r.View] != nil && r.Broken == nil && !k.published[r.View][seq] {
					asked[r.View] = append(asked[r.View], seq)
				}
			}
		}
		missing, err := k.unpublished(ctx, asked)
		if err != nil {
			return err
		}
		for _, r := range rows {
			v := of[r.View]
			if v == nil {
				if k.Views == nil {
					lose(lost{0, fmt.Sprintf("of field %.40q, which is no view version's", r.Field), "the id of a view version of the entity"})
				}
				continue
			}
			counts[v.ID].Online++
			switch {
			case r.Broken != nil:
				lose(lost{v.ID, "that cannot be read: " + r.Broken.Error(), "rows of a published run"})
			case missing[place{v.ID, r.Run}]:
				lose(lost{v.ID, fmt.Sprintf("of sequence %d, which is no published run's", r.Run), fmt.Sprintf("a published run %s/%d", v.ref(), r.Run)})
			case missing[place{v.ID, r.Seq}]:
				lose(lost{v.ID, fmt.Sprintf("loaded as of sequence %d, which is no published run's", r.Seq), fmt.Sprintf("a published run %s/%d", v.ref(), r.Seq)})
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, l := range order {
		node, now := "entity "+views[0].Entity, &k.all
		if v := of[l.view]; v != nil {
			node, now = v.node(), counts[v.ID]
		}
		now.Orphans++
		if err := k.Found(Orphan{node, count(values[l], "online value") + " " + l.why, l.want}); err != nil {
			return err
		}
	}
	if more == 0 {
		return nil
	}
	k.all.Orphans++
	return k.Found(Orphan{"entity " + views[0].Entity, fmt.Sprintf("%s that do not resolve, in other ways than the %d before this", count(more, "online value"), maxOrphans), "none"})
}

// place is a sequence of a view version.
type place struct{ view, seq int64 }

// unpublished is which of the sequences that are asked for, by view version, are no published run's.
func (k *checker) unpublished(ctx context.Context, asked map[int64][]int64) (map[place]bool, error) {
	missing := map[place]bool{}
	for view, seqs := range asked {
		type row struct{ Seq int64 }
		found, err := collect[row](ctx, k.q, `
			SELECT p.seq FROM headwater.publish_log p JOIN headwater.run r ON r.id = p.run_id AND r.state = 'published' WHERE p.view_id = $1 AND p.seq = ANY ($2)`, view, seqs)
		if err != nil {
			return nil, err
		}
		if k.known += len(found); k.known > maxKnown {
			clear(k.published)
			k.known = len(found)
		}
		if k.published[view] == nil {
			k.published[view] = map[int64]bool{}
		}
		for _, r := range found {
			k.published[view][r.Seq] = true
		}
		for _, seq := range seqs {
			if !k.published[view][seq] {
				missing[place{view, seq}] = true
			}
		}
	}
	return missing, nil
}
