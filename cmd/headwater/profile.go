package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

func newProfile(a *app) *cobra.Command {
	req := &headwaterv1.GetProfileRequest{}
	cmd := &cobra.Command{
		Use: "profile NODE", Short: "Show what columns of a run, a view, a dataset or the reads of a day are like", Args: takes(1, 1, "NODE"),
		Long: `Shows what the columns of rows are like: how many values are missing, how many different ones there are, how they are distributed,
and how complete columns are by time and by group. A NODE is one of

  run:VIEW@VERSION/SEQ            what a run made
  view:NAME[@VERSION]             what a view holds now, read for it
  dataset:ID, dataset:NAME@VERSION
  baseline:NAME[@VERSION]         what somebody named
  reads:SERVICE@VERSION/YYYY-MM-DD  what was served on a day in UTC, of a service with a log of its reads

With --against each column is shown beside that of another one, its histogram on the edges of that one's: what lies outside of these is in the first or the last bar. What tells of values is for who may read
all of the rows; from others it is withheld.`,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, args []string) error {
			req.Node = args[0]
			r, err := c.Quality.GetProfile(cmd.Context(), req)
			if err != nil {
				return err
			}
			return a.printDocument(r, profileSections(r.GetProfile(), r.GetAgainst())...)
		}),
	}
	cmd.Flags().StringVar(&req.Against, "against", "", "another NODE to show beside it")
	return cmd
}

// profileSections is a profile, beside another one unless that is nil.
func profileSections(p, against *headwaterv1.Profile) []section {
	var head table
	head.add("profile", p.GetNode(), counted(p.GetRows(), "row"), p.GetWithheld())
	if against != nil {
		head.add("against", against.GetNode(), counted(against.GetRows(), "row"), against.GetWithheld())
	}
	columns := table{header: []string{"COLUMN", "TYPE", "NULL#", "NAN#", "EMPTY#", "DISTINCT#", "MIN", "MEDIAN", "MAX", "MEAN", "STDDEV", "DISTRIBUTION", "MOST FREQUENT"}}
	for _, c := range p.GetColumns() {
		other := columnOf(against, c.GetName())
		// What lies outside of the other one's is in the first or the last bar, unless that has but one value.
		low, high := rangeOf(other.GetValues())
		if !(low < high) {
			low, high = rangeOf(c.GetValues(), other.GetValues())
		}
		columns.add(columnCells(c, p.GetRows(), low, high)...)
		if other != nil {
			cells := columnCells(other, against.GetRows(), low, high)
			cells[0] = "└ against"
			columns.add(cells...)
		}
	}
	for _, c := range against.GetColumns() {
		if columnOf(p, c.GetName()) == nil {
			low, high := rangeOf(c.GetValues())
			cells := columnCells(c, against.GetRows(), low, high)
			cells[0] += " (against only)"
			columns.add(cells...)
		}
	}
	sections := []section{{table: head}, {title: "Columns", table: columns}}
	for _, of := range []*headwaterv1.Profile{p, against} {
		sections = append(sections, completenessSections(of)...)
	}
	return sections
}

func columnOf(p *headwaterv1.Profile, name string) *headwaterv1.ColumnProfile {
	i := slices.IndexFunc(p.GetColumns(), func(c *headwaterv1.ColumnProfile) bool { return c.GetName() == name })
	if i < 0 {
		return nil
	}
	return p.GetColumns()[i]
}

func columnCells(c *headwaterv1.ColumnProfile, rows int64, low, high float64) []string {
	distinct := strconv.FormatInt(c.GetDistinct(), 10)
	if !c.GetDistinctExact() {
		distinct = "~" + distinct
	}
	infinite := ""
	if n := c.GetPositiveInfinities() + c.GetNegativeInfinities(); n > 0 {
		infinite = " (" + number(n) + " infinite)"
	}
	kind := c.GetTypeName()
	if c.GetKey() {
		kind = "key"
	}
	cells := []string{c.GetName(), kind, percentOf(c.GetNulls(), rows), percentOf(c.GetNans(), rows), percentOf(c.GetEmpty(), rows), distinct, "", "", "", "", "", "", ""}
	v := c.GetValues()
	if v == nil {
		return cells
	}
	cells[6], cells[8] = boundText(v.GetMin()), boundText(v.GetMax())+infinite
	for _, q := range v.GetQuantiles() {
		if q.GetQ() == 0.5 {
			cells[7] = shortNumber(q.GetValue())
		}
	}
	if v.Mean != nil {
		cells[9] = shortNumber(v.GetMean())
	}
	if v.StandardDeviation != nil {
		cells[10] = shortNumber(v.GetStandardDeviation())
	}
	switch {
	case v.TrueShare != nil:
		cells[11] = fmt.Sprintf("%.1f %% true", 100*v.GetTrueShare())
	case len(v.GetHistogram()) > 0:
		cells[11] = bars(spread(v.GetHistogram(), low, high))
	case v.GetLengths() != nil:
		l := v.GetLengths()
		cells[11] = fmt.Sprintf("lengths %d to %d, mean %s", l.GetMin(), l.GetMax(), shortNumber(l.GetMean()))
	}
	var top []string
	for _, f := range v.GetTop()[:min(len(v.GetTop()), 3)] {
		// What is there once is not frequent.
		if f.GetRows() < 2 {
			break
		}
		about := ""
		if !v.GetTopExact() {
			about = "~"
		}
		top = append(top, fmt.Sprintf("%s %s%s", boundText(f.GetValue()), about, percentOf(f.GetRows(), rows)))
	}
	cells[12] = strings.Join(top, ", ")
	return cells
}

func percentOf(n, of int64) string {
	switch {
	case n == 0:
		return ""
	case n == of:
		return "100 %"
	}
	share := 100 * float64(n) / float64(of)
	switch {
	case share < 0.1:
		return "<0.1 %"
	case share > 99.9:
		return ">99.9 %"
	}
	return fmt.Sprintf("%.1f %%", share)
}

func shortNumber(f float64) string { return strconv.FormatFloat(f, 'g', 6, 64) }

// edgeOf is a bound of a bin as a number.
func edgeOf(v *headwaterv1.Value) float64 {
	switch v := v.GetKind().(type) {
	case *headwaterv1.Value_Float64Value:
		return v.Float64Value
	case *headwaterv1.Value_TimestampValue:
		return float64(v.TimestampValue.AsTime().UnixMicro())
	}
	return 0
}

// rangeOf is from the least to the greatest number of histograms.
func rangeOf(all ...*headwaterv1.ValueProfile) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, v := range all {
		if h := v.GetHistogram(); len(h) > 0 {
			low, high = min(low, edgeOf(h[0].GetFrom())), max(high, edgeOf(h[len(h)-1].GetTo()))
		}
	}
	return low, high
}

// barCount is how many bars there are.
const barCount = 20

// spread puts the rows of bins into bars of equal width from low to high: where a bin lies in several, by how much of it does.
func spread(bins []*headwaterv1.HistogramBin, low, high float64) []float64 {
	heights := make([]float64, barCount)
	width := (high/2 - low/2) / barCount * 2
	place := func(f float64) int {
		if !(width > 0) {
			return 0
		}
		return int(min(max((f-low)/width, 0), barCount-1))
	}
	for _, b := range bins {
		from, to, rows := edgeOf(b.GetFrom()), edgeOf(b.GetTo()), float64(b.GetRows())
		first, last := place(from), place(to)
		if first == last || to <= from {
			heights[first] += rows
			continue
		}
		for i := first; i <= last; i++ {
			left, right := max(from, low+float64(i)*width), min(to, low+float64(i+1)*width)
			if right > left {
				heights[i] += rows * ((right - left) / (to - from))
			}
		}
	}
	return heights
}

var blocks = []rune("▁▂▃▄▅▆▇█")

// bars draws heights. What is nothing is a blank, and what is little is not.
func bars(heights []float64) string {
	most := slices.Max(heights)
	var b strings.Builder
	for _, h := range heights {
		if h <= 0 || !(most > 0) {
			b.WriteRune(' ')
			continue
		}
		b.WriteRune(blocks[min(int(h/most*float64(len(blocks))), len(blocks)-1)])
	}
	return "▏" + b.String() + "▕"
}

// completenessSections are of columns that are not whole.
func completenessSections(p *headwaterv1.Profile) []section {
	steps := p.GetByTime()
	if len(steps) == 0 {
		return nil
	}
	first, last := steps[0].GetFrom().AsTime(), steps[len(steps)-1].GetTo().AsTime()
	byTime := table{header: []string{"COLUMN", "THERE#", "BY TIME", "LEAST", "IN THE " + strings.ToUpper(p.GetTimeStep()) + " OF"}}
	rows := make([]float64, len(steps))
	for i, s := range steps {
		rows[i] = float64(s.GetRows())
	}
	byTime.add("rows", "", bars(inBars(steps, func(s *headwaterv1.TimeCompleteness) (float64, float64) { return float64(s.GetRows()), 1 }, false)), "", "")
	for i, c := range p.GetColumns() {
		there := p.GetRows() - c.GetNulls() - c.GetNans()
		if there == p.GetRows() {
			continue
		}
		share := func(s *headwaterv1.TimeCompleteness) float64 {
			return float64(s.GetPresent()[i]) / float64(s.GetRows())
		}
		least := slices.MinFunc(steps, func(a, b *headwaterv1.TimeCompleteness) int {
			switch x, y := share(a), share(b); {
			case x < y:
				return -1
			case x > y:
				return 1
			}
			return 0
		})
		byTime.add(c.GetName(), orZero(percentOf(there, p.GetRows())), bars(inBars(steps, func(s *headwaterv1.TimeCompleteness) (float64, float64) {
			return float64(s.GetPresent()[i]), float64(s.GetRows())
		}, true)), orZero(percentOf(least.GetPresent()[i], least.GetRows())), least.GetFrom().AsTime().Format(time.DateOnly))
	}
	title := fmt.Sprintf("Completeness of %s, from %s to %s", p.GetNode(), first.Format(time.DateOnly), last.Format(time.DateOnly))
	sections := []section{{title: title, table: byTime}}
	for _, g := range p.GetByGroup() {
		groups := table{header: []string{strings.ToUpper(g.GetColumn()), "ROWS#"}}
		var incomplete []int
		for i, c := range p.GetColumns() {
			if c.GetNulls()+c.GetNans() > 0 && c.GetName() != g.GetColumn() {
				groups.header, incomplete = append(groups.header, c.GetName()+" THERE#"), append(incomplete, i)
			}
		}
		if len(incomplete) == 0 {
			continue
		}
		for _, one := range g.GetGroups()[:min(len(g.GetGroups()), 10)] {
			value := "NULL"
			if one.GetValue() != nil {
				value = boundText(one.GetValue())
			}
			cells := []string{value, number(one.GetRows())}
			for _, i := range incomplete {
				cells = append(cells, orZero(percentOf(one.GetPresent()[i], one.GetRows())))
			}
			groups.add(cells...)
		}
		sections = append(sections, section{title: "Completeness of " + p.GetNode() + " by " + g.GetColumn(), table: groups})
	}
	return sections
}

func orZero(percent string) string {
	if percent == "" {
		return "0 %"
	}
	return percent
}

// inBars is what steps of time add up to in bars of equal width: parts, or, where shares are asked for, parts of wholes on a scale on which 1 is full.
func inBars(steps []*headwaterv1.TimeCompleteness, of func(*headwaterv1.TimeCompleteness) (part, whole float64), shares bool) []float64 {
	first, last := steps[0].GetFrom().AsTime(), steps[len(steps)-1].GetTo().AsTime()
	// In seconds, since durations hold no more than centuries.
	width := float64(last.Unix()-first.Unix()) / barCount
	parts, wholes := make([]float64, barCount), make([]float64, barCount)
	for _, s := range steps {
		at := min(int(float64(s.GetFrom().AsTime().Unix()-first.Unix())/width), barCount-1)
		part, whole := of(s)
		parts[at], wholes[at] = parts[at]+part, wholes[at]+whole
	}
	if shares {
		for i := range parts {
			if wholes[i] > 0 {
				parts[i] /= wholes[i]
			}
		}
	}
	return parts
}
