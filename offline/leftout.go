package offline

import (
	"context"
	"fmt"
	"slices"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
)

// A source's rules leave rows out that are no duplicates: those that came too late, and those that withdraw what their key
// stood for. Rows that lacked what tells where they belong were set aside when they came, and are only counted.

// The reasons for rows that rules of the source leave out.
const (
	reasonLate    = "allowed_lateness"
	reasonDeleted = "delete_marker"
)

// late is the condition of rows that arrived too late, by what they say of themselves. One of unknown arrival is not late.
func late(src *feature.SourceVersion) string {
	return fmt.Sprintf("(%s > %s + interval '%d microseconds')", arrival(src), quote(src.EventTime), src.AllowedLateness.Microseconds())
}

// marked is the condition of rows that withdraw what their key stood for.
func marked(src *feature.SourceVersion) string { return quote(src.DeleteMarker) }

// leaveOutByRules counts the rows that the source's rules leave out of those that are no duplicates, and leaves them out of
// what the transform reads. A row that is late is that first.
func (in *Input) leaveOutByRules(ctx context.Context, t *Transform, read Spans) error {
	src := in.Source
	isLate, isMarked := "false", "false"
	var shown []string
	if src.AllowedLateness != 0 {
		isLate = late(src)
		shown = append(shown, isLate+" IS NOT TRUE")
	}
	if src.DeleteMarker != "" {
		isMarked = marked(src)
		shown = append(shown, isMarked+" IS NOT TRUE")
	}
	if len(shown) == 0 {
		return nil
	}
	var tooLate, deleted int64
	err := t.tx.QueryRow(ctx, fmt.Sprintf("SELECT count(*) FILTER (WHERE %s), count(*) FILTER (WHERE (%s) IS NOT TRUE AND %s) FROM %s AS %s WHERE %s",
		isLate, isLate, isMarked, in.table, quote(src.Name), in.Considered(read))).Scan(&tooLate, &deleted)
	if pg := lasting(err); pg != nil && src.ArrivalExpression != "" {
		return fault.New(fault.RunRefused, "%s: source %s: its arrival_time failed on the rows that are read: %s; let it cope with such rows "+
			"(NULLIF, CASE), or replace the load that brought them", t.reader(), src.Name, fault.Data(pg.Message)).Because(err)
	}
	if err != nil {
		return err
	}
	in.TooLate = reasons(reasonLate, tooLate)
	in.Deleted = reasons(reasonDeleted, deleted)
	in.counts = append(in.counts, shown...)
	return nil
}

// reasons is one reason, or none for no rows.
func reasons(reason string, rows int64) []Reason {
	if rows == 0 {
		return nil
	}
	return []Reason{{Reason: reason, Rows: rows}}
}

// CountSetAside counts the rows that were set aside or left out when they came, for lack of what tells where they belong. They
// lie in no interval. A run counts those of a load that is live as of its plan when it reads all other rows of the load, when the
// load is new to it, as far as it goes on from the last, and when it computes all there is. Read does it; a run that has
// nothing to compute calls it in place of Read.
func (t *Transform) CountSetAside() {
	read := t.Reads()
	for _, in := range t.Inputs {
		in.Quarantined, in.LeftOutAtLoad, in.setAside = nil, nil, nil
		for _, l := range in.lacking() {
			isNew := t.Plan.Kind != Interval && l.Number > t.since(in.Source.Name)
			whole := !l.span().IsEmpty() && len(NewSpans(l.span()).Minus(read)) == 0
			if t.Plan.Kind != Full && !isNew && !whole {
				continue
			}
			if l.Quarantined > 0 {
				in.setAside = append(in.setAside, l.ID)
			}
			for _, r := range l.Reasons {
				to := &in.LeftOutAtLoad
				if r.Bucket == "quarantined" {
					to = &in.Quarantined
				}
				addReason(to, Reason{Reason: r.Reason, Rows: r.Rows})
			}
		}
	}
}

// since is the newest load of a source that earlier runs have taken up everything of.
func (t *Transform) since(source string) int64 {
	if t.consumed == nil {
		return 0
	}
	return t.consumed.Sources[source]
}

// lacking is the loads, live as of the plan, with rows that were set aside or left out when they came.
func (in *Input) lacking() []*Load {
	ended := map[int64]bool{}
	for _, l := range in.loads {
		ended[l.Replaces] = true
	}
	var lacking []*Load
	for _, l := range in.loads {
		if l.Quarantined+l.Dropped > 0 && !ended[l.ID] {
			lacking = append(lacking, l)
		}
	}
	return lacking
}

// lacking is Input.lacking of all sources.
func (t *Transform) lacking() (loads []*Load) {
	for _, in := range t.Inputs {
		loads = append(loads, in.lacking()...)
	}
	return loads
}

// addReason adds rows to a reason of a list.
func addReason(list *[]Reason, r Reason) {
	i := slices.IndexFunc(*list, func(other Reason) bool { return other.Reason == r.Reason })
	if i < 0 {
		*list = append(*list, r)
		return
	}
	(*list)[i].Rows += r.Rows
}

// SetAsideLoads is the loads of which CountSetAside counted rows that were set aside: table headwater.load_set_aside has them.
func (in *Input) SetAsideLoads() []int64 { return in.setAside }

// CameAside is how many rows CountSetAside counted that were set aside, and CameLeftOut that were left out.
func (in *Input) CameAside() int64   { return rowsOf(in.Quarantined) }
func (in *Input) CameLeftOut() int64 { return rowsOf(in.LeftOutAtLoad) }

// SetAside is how many rows CountSetAside counted.
func (in *Input) SetAside() int64 { return rowsOf(in.Quarantined) + rowsOf(in.LeftOutAtLoad) }

func rowsOf(list []Reason) (n int64) {
	for _, r := range list {
		n += r.Rows
	}
	return n
}

// ByRules is what the rules of the sources leave out of what was read, besides duplicates and expectations: by the bucket of the
// ledger.
func (t *Transform) ByRules() (quarantined, dropped, tooLate []Reason) {
	for _, in := range t.Inputs {
		for _, r := range in.Quarantined {
			addReason(&quarantined, r)
		}
		for _, r := range slices.Concat(in.LeftOutAtLoad, in.Deleted) {
			addReason(&dropped, r)
		}
		for _, r := range in.TooLate {
			addReason(&tooLate, r)
		}
	}
	return quarantined, dropped, tooLate
}
