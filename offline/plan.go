package offline

import (
	"context"
	"slices"
	"time"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/window"
)

// ScopeKind is how it was decided what a run computes.
type ScopeKind string

const (
	// Incremental is what no run covered yet, and what changed at the sources since.
	Incremental ScopeKind = "incremental"
	// Interval is what was asked for.
	Interval ScopeKind = "interval"
	// Full is all that there is to read, and all that earlier runs covered.
	Full ScopeKind = "full"
)

// Marks say up to where a run considers what it reads.
type Marks struct {
	// Sources is the newest load or retraction of each landing source, by its name.
	Sources map[string]int64 `json:"sources,omitempty"`
	// Views is the last published sequence of each view version that is read, by its id.
	Views map[int64]int64 `json:"views,omitempty"`
	// Changes is the greatest change value of each table of others that has a change column.
	Changes map[string]ChangeMark `json:"changes,omitempty"`
	// References is the newest load or retraction of each source in which values are expected to be, by its name.
	References map[string]int64 `json:"references,omitempty"`
}

// ChangeMark is a value of a change column: microseconds since 1970 for a timestamp.
type ChangeMark struct {
	Column string `json:"column"`
	Value  int64  `json:"value"`
}

// Plan is what a run computes, and up to where it considers what it reads for that. It is fixed when the run begins and kept
// with it: all reading is as of the plan, so that another attempt, and whoever computes the run again, sees the rows that
// the run saw. Only tables of others have no past.
type Plan struct {
	Kind ScopeKind `json:"kind"`
	// Owned is what the run computes, as event times less grain. Empty when nothing is new.
	Owned Spans `json:"owned"`
	// Covered is what earlier runs covered, and After the last of their sequences that was published.
	Covered Spans `json:"covered"`
	After   int64 `json:"after"`
	Marks   Marks `json:"marks"`
	// Now is when the run's snapshot was taken.
	Now feature.Time `json:"now"`
}

// Nothing reports whether there is nothing to compute.
func (p *Plan) Nothing() bool { return len(p.Owned) == 0 }

// Consumed is the marks up to which everything that the covered spans could see is in the history once the run is published,
// given those before it, which may be nil. A run of an interval leaves them, unless it computed all that was covered.
func (p *Plan) Consumed(before *Marks) *Marks {
	if p.Kind == Interval && len(p.Covered.Minus(p.Owned)) > 0 {
		return before
	}
	return &p.Marks
}

// Scope is what a run is asked to do.
type Scope struct {
	View *feature.ViewVersion
	// Kind is empty for Full, or for Interval with From or To.
	Kind ScopeKind
	// From and To bound the event times less grain, [From, To). nil: as far as there is anything to read, and at least as far
	// as earlier runs did, so that what was withdrawn at the source is withdrawn here. Both are cut down to multiples of
	// the grain: a group that is not finished is not computed.
	From, To *feature.Time
	// Covered is what earlier runs covered, After the last of their sequences that was published, 0 for none.
	Covered Spans
	After   int64
	// Consumed is up to where everything that Covered could see is in the history. nil: nothing.
	Consumed *Marks
	// Plan is that of an earlier attempt, or of a run that is computed again. nil: a plan is made of the others.
	Plan *Plan
	// AnyFunctions computes also where functions of users are others than those that the view's version means.
	AnyFunctions bool
	// Bounds is what the SQL may take.
	Bounds Bounds
	// Databases are those that sources may name.
	Databases *Databases
	// Kept is what a run that is computed again kept of tables of others: that is read in their place.
	Kept KeptRun
	// Validate is called with each source when it is known which of its rows are duplicates. nil: every row counts.
	Validate Validate
	// Screen makes the screen of a part of the output. nil: every row is written.
	Screen func() *Screen
	// Observe makes the observer of a part of the output. nil: nobody looks at it.
	Observe func() *Observer
}

func (s *Scope) kind() ScopeKind {
	switch {
	case s.Kind != "":
		return s.Kind
	case s.From != nil || s.To != nil:
		return Interval
	}
	return Full
}

// openInputs finds what there is to read, as of the plan's marks if there are any, and notes marks that are missing. reach is
// the event times, less grain, that it can show something of.
func (t *Transform) openInputs(ctx context.Context, scope *Scope) (reach Span, err error) {
	marks := &t.Plan.Marks
	// What is empty is not kept.
	if marks.Sources == nil {
		marks.Sources = map[string]int64{}
	}
	if marks.Views == nil {
		marks.Views = map[int64]int64{}
	}
	if marks.Changes == nil {
		marks.Changes = map[string]ChangeMark{}
	}
	for _, src := range t.View.SourceVersions {
		in, span, err := t.openInput(ctx, src)
		if err != nil {
			return Span{}, err
		}
		t.Inputs = append(t.Inputs, in)
		reach = reach.Union(span)
	}
	for _, view := range t.View.ViewVersions {
		in, err := openViewInput(ctx, t.tx, t.View, view, marks.Views[view.ID])
		if err != nil {
			return Span{}, err
		}
		marks.Views[view.ID] = in.Seq
		t.ViewInputs = append(t.ViewInputs, in)
		reach = reach.Union(in.reach(t.View))
	}
	return reach, t.openReferences(ctx)
}

// plan works out the plan of a run from what it is asked to do.
func (t *Transform) plan(ctx context.Context, scope *Scope) error {
	t.Plan = Plan{Kind: scope.kind(), Covered: scope.Covered, After: scope.After}
	var now time.Time
	if err := t.tx.QueryRow(ctx, `SELECT now()`).Scan(&now); err != nil {
		return err
	}
	t.Plan.Now = feature.TimeOf(now)
	reach, err := t.openInputs(ctx, scope)
	if err != nil {
		return err
	}
	if reach, err = t.ownedReach(scope, reach); err != nil {
		return err
	}
	switch t.Plan.Kind {
	case Interval:
		err = t.ownInterval(scope, reach)
	case Full:
		t.Plan.Owned = NewSpans(reach).Union(scope.Covered)
	default:
		err = t.ownChanged(ctx, scope, reach)
	}
	if err != nil {
		return err
	}
	if t.windows != nil {
		t.reachWindows(scope)
	}
	t.Plan.Owned = t.Plan.Owned.apart(t.readsBefore(), maxSpans)
	return nil
}

// maxSpans is how many spans a run computes apart from each other. Those that are nearest to each other are computed as one,
// with what lies between, until they are no more.
const maxSpans = 64

// apart merges spans that lie less than gap from each other, and then the nearest until they are at most most.
func (s Spans) apart(gap time.Duration, most int) Spans {
	merged := slices.Clone(s)
	merge := func(i int) {
		merged[i].End = merged[i+1].End
		merged = slices.Delete(merged, i+1, i+2)
	}
	for i := 0; i+1 < len(merged); {
		if merged[i].End.Add(gap) > merged[i+1].Start {
			merge(i)
			continue
		}
		i++
	}
	for len(merged) > most {
		nearest := 0
		for i := range len(merged) - 1 {
			if merged[i+1].Start-merged[i].End < merged[nearest+1].Start-merged[nearest].End {
				nearest = i
			}
		}
		merge(nearest)
	}
	return merged
}

// shift is s moved by d.
func (s Spans) shift(d time.Duration) Spans {
	moved := make(Spans, len(s))
	for i, a := range s {
		moved[i] = Span{Start: a.Start.Add(d), End: a.End.Add(d)}
	}
	return moved
}

// ownedReach is what a run over everything there is to read computes, given the event times of it.
func (t *Transform) ownedReach(scope *Scope, reach Span) (Span, error) {
	grain := t.View.RunGrain()
	switch {
	case reach.IsEmpty():
	case t.windows != nil:
		// From the first row's point to that at which the last row has left every window.
		reach = Span{Start: reach.Start.Ceil(grain).Add(-grain), End: (reach.End - 1).Add(t.windows.Longest).Ceil(grain)}
	default:
		reach = Span{Start: reach.Start.Floor(grain), End: reach.End.Ceil(grain)}
	}
	empty := reach.IsEmpty()
	if grain > 0 {
		reach.End = min(reach.End, t.Plan.Now.Floor(grain))
	}
	if t.Plan.Kind == Interval || len(scope.Covered) > 0 || !reach.IsEmpty() {
		return reach, nil
	}
	switch lacking := t.lacking(); {
	case empty && len(lacking) > 0:
		l := lacking[0]
		return reach, fault.New(fault.FailedPrecondition, "view %s: every row of the live loads of its sources came without an event time, or without a "+
			"part of its key, and no run covered anything yet: of load %d of source %s, %d rows were set aside and %d left out; send it again, corrected: "+
			"headwater ingest %s FILE --replaces %d", t.View.Ref(), l.ID, l.Source, l.Quarantined, l.Dropped, l.Source, l.ID)
	case t.windows != nil:
		return reach, fault.New(fault.FailedPrecondition, "view %s: no row of its source's live loads is of the past, and no run covered anything "+
			"yet; send rows first: headwater ingest %s FILE", t.View.Ref(), t.View.SourceVersions[0].Name)
	case !empty:
		return reach, t.noGroup(reach)
	}
	if sources := t.View.SourceVersions; len(sources) > 0 && sources[0].Postgres != nil {
		src := sources[0]
		return reach, fault.New(fault.FailedPrecondition, "view %s: source %s has no rows, and no run covered anything yet; "+
			"wait until there are rows in %s", t.View.Ref(), src.Name, src.Postgres)
	}
	return reach, fault.New(fault.FailedPrecondition, "view %s: no load of its sources is live, and no run covered anything yet; "+
		"send rows first: headwater ingest SOURCE FILE", t.View.Ref())
}

func (t *Transform) noGroup(s Span) error {
	what := "finished group of %s"
	if t.windows != nil {
		what = "step of %s that has passed"
	}
	return fault.New(fault.InvalidArgument, "view %s: the interval [%s, %s) holds no "+what+"; ask for a later end",
		t.View.Ref(), s.Start, s.End, t.View.RunGrain())
}

// nothingThere refuses an interval of which one bound is missing, and the other lies beyond all there is to read and all that was covered.
func (t *Transform) nothingThere(scope *Scope, all Span) error {
	ref := t.View.Ref()
	switch {
	case all.IsEmpty():
		return fault.New(fault.InvalidArgument, "view %s: found nothing to read, and no run covered anything yet, expected both ends of the interval then; "+
			"give --from and --to, or wait until there are rows", ref)
	case scope.From != nil:
		return fault.New(fault.InvalidArgument, "view %s: found --from %s without --to, expected it before %s, where all that there is to read and all that "+
			"earlier runs covered ends; ask for an earlier start, or give --to, too", ref, *scope.From, all.End)
	}
	return fault.New(fault.InvalidArgument, "view %s: found --to %s without --from, expected it after %s, where all that there is to read and all that "+
		"earlier runs covered begins; ask for a later end, or give --from, too", ref, *scope.To, all.Start)
}

// ownInterval is the interval that was asked for. A bound that is missing is as far as there is anything to read, and as
// earlier runs covered.
func (t *Transform) ownInterval(scope *Scope, reach Span) error {
	grain := t.View.RunGrain()
	owned := reach.Union(scope.Covered.Hull())
	if scope.From != nil {
		owned.Start = scope.From.Floor(grain)
	}
	if scope.To != nil {
		owned.End = scope.To.Floor(grain)
		if grain > 0 {
			owned.End = min(owned.End, t.Plan.Now.Floor(grain))
		}
	}
	all := reach.Union(scope.Covered.Hull())
	switch {
	case scope.To == nil && (all.IsEmpty() || owned.Start >= all.End), scope.From == nil && !all.IsEmpty() && *scope.To <= all.Start:
		return t.nothingThere(scope, all)
	case grain > 0 && owned.Start >= t.Plan.Now.Floor(grain):
		return fault.New(fault.InvalidArgument, "view %s: found an interval that begins at %s, expected one that begins before %s: groups of %s that end after "+
			"now are not finished; ask for an earlier start", t.View.Ref(), owned.Start, t.Plan.Now.Floor(grain), grain)
	case owned.IsEmpty():
		return fault.New(fault.InvalidArgument, "view %s: found an interval in which no multiple of its grain, %s, is followed by another: cut down to such, it is "+
			"[%s, %s), expected a longer one; ask for an earlier start, or a later end", t.View.Ref(), grain, owned.Start, owned.End)
	}
	t.Plan.Owned = NewSpans(owned)
	return nil
}

// reachWindows makes the spans of a run of windows meet what was covered: coverage has no gaps, since a value holds until the
// next row. Where it begins each entity has a row, so that a run that begins before it writes its old beginning anew. What
// a row changes, it changes until it leaves the windows: a run of an interval may find any change, and so goes on to the
// end of what was covered; an incremental one knows what changed.
func (t *Transform) reachWindows(scope *Scope) {
	covered := scope.Covered.Hull()
	if t.Plan.Nothing() || covered.IsEmpty() {
		return
	}
	if t.Plan.Kind != Incremental {
		all := t.Plan.Owned.Hull()
		t.Plan.Owned = NewSpans(Span{Start: min(all.Start, covered.End), End: max(all.End, covered.End)})
		return
	}
	first := t.Plan.Owned[0].Start
	if first < covered.Start {
		t.Plan.Owned = t.Plan.Owned.Union(NewSpans(Span{Start: first, End: covered.Start.Add(t.View.Aggregation.Hop)}))
	}
}

// begins reports whether nothing before a span of a run of windows is kept.
func (p *Plan) begins(s Span) bool {
	return !slices.ContainsFunc(p.Covered, func(c Span) bool { return c.Start < s.Start && s.Start <= c.End })
}

// readsBefore is how far before a span the rows lie that it is made of.
func (t *Transform) readsBefore() time.Duration {
	if t.windows != nil {
		return t.windows.Longest
	}
	return t.View.Lookback
}

// reads is the event times of the rows that are read for a span.
func (t *Transform) reads(s Span) Span {
	if t.windows != nil {
		after, last := t.windows.Reads(window.Range{Start: s.Start, End: s.End})
		return Span{Start: after + 1, End: last + 1}
	}
	return Span{Start: s.Start.Add(-t.View.Lookback), End: s.End}
}

// Reads is the event times of the rows that are read for all spans of the plan. Those of two spans lie apart.
func (t *Transform) Reads() Spans {
	reads := make([]Span, len(t.Plan.Owned))
	for i, s := range t.Plan.Owned {
		reads[i] = t.reads(s)
	}
	return NewSpans(reads...)
}
