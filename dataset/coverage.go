package dataset

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/read"
)

// PartialCoverage is rows of a spine of times that no run of a view covered, which were allowed.
type PartialCoverage struct {
	View    string `json:"view"`
	Version int    `json:"version"`
	Rows    int64  `json:"rows"`
	// First and Last are their times.
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
}

// coverage is where the views of a plan stand at a position, each version once.
type coverage struct {
	position int64
	views    []*viewCoverage
}

type viewCoverage struct {
	version *feature.ViewVersion
	at      offline.ViewAt
	// unread is from when on loads have rows that no run read, nil for none: what looked at all that there was did not see those.
	unread *feature.Time
	// keys are the positions in the spine of the key columns of each instance of the view in the plan.
	keys [][]int
	// rows that are not covered, with the first and the last of their times.
	rows        int64
	first, last feature.Time
}

// coverageAt reads where the views of a plan stand. A view without a run is refused unless that is allowed. Where the position is
// now's, so that whatever is there should be in, loads that no run read yet count too.
func (b *Builder) coverageAt(ctx context.Context, plan *read.Plan, position int64, now, allowPartial bool) (*coverage, error) {
	c := &coverage{position: position}
	var never []string
	for i := range plan.Views {
		v := plan.Views[i].Version
		if c.of(v) != nil {
			continue
		}
		at, err := offline.At(ctx, b.pool, v.ID, position)
		if err != nil {
			return nil, err
		}
		if at.Seq == 0 {
			never = append(never, fmt.Sprintf("view %s: no run of it was published by position %d, so every value would be missing; "+
				"run `headwater materialize %s --wait` first", v.Ref(), position, v.Ref()))
		}
		view := &viewCoverage{version: v, at: at}
		if now && view.looked() {
			if view.unread, err = offline.Unread(ctx, b.pool, v, at.Seq); err != nil {
				return nil, err
			}
		}
		c.views = append(c.views, view)
	}
	if len(never) > 0 && !allowPartial {
		return nil, fault.New(fault.NotMaterialized, "%s", strings.Join(never, "\n"))
	}
	return c, nil
}

func (c *coverage) of(v *feature.ViewVersion) *viewCoverage {
	for _, view := range c.views {
		if view.version == v {
			return view
		}
	}
	return nil
}

// look counts the rows of a spine that are not covered: of those without a whole key no value can be missing for that.
func (c *coverage) look(spine *spool, plan *read.Plan, timestamp string) error {
	open := slices.DeleteFunc(slices.Clone(c.views), func(v *viewCoverage) bool {
		return spine.rows == 0 || v.coversAll(spine.first, spine.last)
	})
	if len(open) == 0 {
		return nil
	}
	position := func(name string) int {
		return slices.IndexFunc(spine.columns, func(c feature.Column) bool { return c.Name == name })
	}
	for i := range plan.Views {
		var keys []int
		for _, name := range plan.Views[i].KeyColumns {
			keys = append(keys, position(name))
		}
		v := c.of(plan.Views[i].Version)
		v.keys = append(v.keys, keys)
	}
	column := position(timestamp)
	for row, err := range spine.rowsOf() {
		if err != nil {
			return err
		}
		at := row[column].Timestamp()
		for _, v := range open {
			if !v.covers(at) && v.asks(row) {
				v.add(at)
			}
		}
	}
	return nil
}

// covers reports whether the runs computed all that a row of a time may see of the view.
func (v *viewCoverage) covers(at feature.Time) bool {
	if v.at.Seq == 0 {
		return false
	}
	if a := v.version.Aggregation; a != nil {
		// The value of the grid point before it is not known, and the one before that may be another. What was covered begins
		// behind its start: the value there is of the run before.
		point := at.Floor(a.Hop)
		return point <= v.at.Covered.Hull().Start || v.at.Covered.Contains(point-1)
	}
	return v.looked() && at <= *v.at.Looked && !v.isUnread(at) || v.at.Covered.Contains(at.Add(-v.version.RunGrain()))
}

// looked reports whether a run looked at all that there was. Of windows it does not matter: they are covered as far as they are
// computed.
func (v *viewCoverage) looked() bool { return v.version.Aggregation == nil && v.at.Looked != nil }

// isUnread reports whether a row of a time may want rows of a load that no run read.
func (v *viewCoverage) isUnread(at feature.Time) bool { return v.unread != nil && at >= *v.unread }

// coversAll reports whether it is known of all times from first to last that they are covered.
func (v *viewCoverage) coversAll(first, last feature.Time) bool {
	switch {
	case v.looked() && last <= *v.at.Looked && !v.isUnread(last):
		return true
	case len(v.at.Covered) != 1:
		return false
	case v.version.Aggregation != nil:
		return v.covers(first) && v.covers(last)
	}
	grain := v.version.RunGrain()
	return v.at.Covered.Contains(first.Add(-grain)) && v.at.Covered.Contains(last.Add(-grain))
}

// asks reports whether a row has a whole key of the view.
func (v *viewCoverage) asks(row []feature.Value) bool {
	return slices.ContainsFunc(v.keys, func(keys []int) bool {
		return !slices.ContainsFunc(keys, func(k int) bool { return row[k].IsNull() })
	})
}

func (v *viewCoverage) add(at feature.Time) {
	if v.rows == 0 {
		v.first, v.last = at, at
	}
	v.rows++
	v.first, v.last = min(v.first, at), max(v.last, at)
}

// partial is what is not covered, by view.
func (c *coverage) partial() []PartialCoverage {
	var list []PartialCoverage
	for _, v := range c.views {
		if v.rows > 0 {
			list = append(list, PartialCoverage{
				View: v.version.Name, Version: v.version.Version, Rows: v.rows, First: v.first.Calendar(), Last: v.last.Calendar(),
			})
		}
	}
	return list
}

// refusal is the fault of a spine with rows that are not covered, or nil.
func (c *coverage) refusal(rows int64, now feature.Time) error {
	var lines []string
	for _, v := range c.views {
		if v.rows > 0 {
			lines = append(lines, fmt.Sprintf("view %s: %d of the spine's %d rows, from %s to %s, are of times that its runs published by position %d do "+
				"not cover; they cover %s; %s", v.version.Ref(), v.rows, rows, v.first, v.last, c.position, v.covered(), v.remedy(now)))
		}
	}
	if lines == nil {
		return nil
	}
	return fault.New(fault.NotMaterialized, "%s\nor leave these rows out, or allow them: --allow-partial", strings.Join(lines, "\n"))
}

// covered says what the runs cover.
func (v *viewCoverage) covered() string {
	const most = 3
	var parts []string
	spans := v.at.Covered
	if v.looked() {
		part := fmt.Sprintf("all that there was on %s", *v.at.Looked)
		if v.unread != nil {
			part += fmt.Sprintf(", which did not hold the loads that came since, with event times from %s on", *v.unread)
		}
		parts = append(parts, part)
		spans = spans.Minus(offline.NewSpans(offline.Span{Start: math.MinInt64, End: *v.at.Looked}))
	}
	for _, s := range spans[:min(len(spans), most)] {
		parts = append(parts, fmt.Sprintf("[%s, %s)", s.Start, s.End))
	}
	if more := len(spans) - most; more > 0 {
		parts = append(parts, fmt.Sprintf("%d more intervals", more))
	}
	if parts == nil {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}

// remedy is what covers the rows.
func (v *viewCoverage) remedy(now feature.Time) string {
	if v.first > now {
		return "no run covers times that are still to come"
	}
	bounds, ref := "", v.version.Ref()
	last := min(v.last, now)
	switch grain := v.version.RunGrain(); {
	case v.version.Aggregation != nil:
		bounds = fmt.Sprintf(" --to %s", last.Floor(grain))
	case !v.looked() && grain == 0:
		bounds = fmt.Sprintf(" --from %s --to %s", v.first, last+1)
	case !v.looked():
		bounds = fmt.Sprintf(" --from %s --to %s", v.first.Add(-grain).Floor(grain), (last.Add(-grain) + 1).Ceil(grain))
	}
	text := fmt.Sprintf("run `headwater materialize %s%s --wait`", ref, bounds)
	if v.last > now {
		text += ", which does not cover times that are still to come"
	}
	return text
}
