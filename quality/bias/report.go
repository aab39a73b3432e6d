package bias

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

const (
	// SmallShare is below which part of the rows a group is set apart: of one so small no ratio says much (29 CFR 1607.4 D, 1607.11).
	SmallShare = 0.02
	// FourFifths is below which part of the greatest rate another one is taken to be an adverse impact (29 CFR 1607.4 D).
	FourFifths = 0.8
	// Significance is up to which corrected chance a difference is taken to be more than chance.
	Significance = 0.05
	// minKnown is of how many rows of a group an outcome has to be known for its rate to be judged.
	minKnown = 30
)

// Value is one of an attribute.
type Value struct {
	Text string `json:"text,omitempty"`
	Null bool   `json:"null,omitempty"`
	// Other: one that no row has, of what was set aside.
	Other bool `json:"other,omitempty"`
}

func (v Value) String() string {
	switch {
	case v.Null:
		return "NULL"
	case v.Other:
		return "any other"
	}
	return v.Text
}

// last orders what is none of the values of rows, and what is not known, behind these.
func (v Value) last() int {
	switch {
	case v.Null:
		return 2
	case v.Other:
		return 1
	}
	return 0
}

// Verdict is what the rates of a set of groups come to.
type Verdict string

const (
	// BelowFourFifths: the rate of a group is below four fifths of another's.
	BelowFourFifths Verdict = "BELOW_FOUR_FIFTHS"
	// AtLeastFourFifths: that of none is, and there is enough data to tell.
	AtLeastFourFifths Verdict = "AT_LEAST_FOUR_FIFTHS"
	NotEnoughData     Verdict = "NOT_ENOUGH_DATA"
)

// Why a group is set apart: it is shown, and judged by nothing.
const (
	ApartSmall   = "SMALL"
	ApartUnknown = "UNKNOWN"
)

// Report is how outcomes differ between groups.
type Report struct {
	Rows int64 `json:"rows"`
	// LeftOut are rows of the spine that a rule left out, SetAside those that were quarantined before any was made.
	LeftOut  int64 `json:"left_out"`
	SetAside int64 `json:"set_aside"`
	// Groupings are by each attribute, and by sets of them.
	Groupings []Grouping `json:"groupings"`
	// Proxies are by attribute and column, those that go together most first.
	Proxies []Proxy `json:"proxies"`
}

// Grouping is the groups that a set of attributes makes.
type Grouping struct {
	By     []string `json:"by"`
	Groups []Group  `json:"groups"`
	// Label and Prediction sum up the rates of both; of what there is no prediction, it is nil.
	Label      *Summary `json:"label"`
	Prediction *Summary `json:"prediction,omitempty"`
	// Missing are columns of which values are missing, NULL or NaN, by group.
	Missing []Missing `json:"missing,omitempty"`
}

// Group is the rows that have some values of the attributes.
type Group struct {
	Values []Value `json:"values"`
	Rows   int64   `json:"rows"`
	// Share is that of all rows.
	Share float64 `json:"share"`
	// Apart is why it is judged by nothing. Empty: it is judged.
	Apart      string `json:"apart,omitempty"`
	Label      *Rate  `json:"label"`
	Prediction *Rate  `json:"prediction,omitempty"`
	// Errors are those of predictions.
	Errors   *Errors `json:"errors,omitempty"`
	LeftOut  int64   `json:"left_out"`
	SetAside int64   `json:"set_aside"`
}

func (g *Group) name() string {
	var list []string
	for _, v := range g.Values {
		list = append(list, v.String())
	}
	return strings.Join(list, ", ")
}

// Rate is how often an outcome is favourable.
type Rate struct {
	// Known are the rows of which the outcome is known, Missing the others.
	Known      int64 `json:"known"`
	Favourable int64 `json:"favourable"`
	Missing    int64 `json:"missing"`
	// Rate is nil where none is known.
	Rate      *float64 `json:"rate,omitempty"`
	Reference bool     `json:"reference,omitempty"`
	// ImpactRatio is the rate divided by the reference's, ParityDifference the rate less that. nil of what cannot be told.
	ImpactRatio      *float64 `json:"impact_ratio,omitempty"`
	ParityDifference *float64 `json:"parity_difference,omitempty"`
	// Test is that by which it differs from the reference, with the chance of a difference as great, as it is and corrected. Empty of the reference, of groups that are apart and of those with few known outcomes.
	Test      string   `json:"test,omitempty"`
	P         *float64 `json:"p,omitempty"`
	PAdjusted *float64 `json:"p_adjusted,omitempty"`
	// Stratified compares it with the reference within strata. nil: nothing is stratified by, or no stratum can tell.
	Stratified *Stratified `json:"stratified,omitempty"`
}

// Errors are how predictions and labels go together, of rows that have both.
type Errors struct {
	TruePositive  int64 `json:"true_positive"`
	FalsePositive int64 `json:"false_positive"`
	FalseNegative int64 `json:"false_negative"`
	TrueNegative  int64 `json:"true_negative"`
	// TruePositiveRate is the share of what is favourable that is predicted so, FalsePositiveRate that of what is not. nil: there is no such row.
	TruePositiveRate  *float64 `json:"true_positive_rate,omitempty"`
	FalsePositiveRate *float64 `json:"false_positive_rate,omitempty"`
	// EqualOpportunity is the true positive rate less that of the predictions' reference; EqualizedOdds is the greater of the differences of both rates, without its sign.
	EqualOpportunity *float64 `json:"equal_opportunity_difference,omitempty"`
	EqualizedOdds    *float64 `json:"equalized_odds_difference,omitempty"`
	// AUC is the chance that what is favourable has a greater prediction than what is not, ties as half; it may be off by AUCOff.
	AUC    *float64 `json:"auc,omitempty"`
	AUCOff float64  `json:"auc_off"`
}

// Summary is over the groups that are not apart, and of which enough outcomes are known.
type Summary struct {
	Verdict Verdict `json:"verdict"`
	// Reason says why, for people.
	Reason string `json:"reason"`
	// LeastRatio is the least rate divided by the greatest. nil: there are no two groups with known outcomes, or no outcome is favourable.
	LeastRatio *float64 `json:"least_ratio,omitempty"`
	// Significant: a group differs from the reference by more than chance.
	Significant bool `json:"significant"`
	// ParityDifference is the greatest rate less the least.
	ParityDifference *float64 `json:"parity_difference,omitempty"`
	// EqualOpportunity is the greatest true positive rate less the least; EqualizedOdds the greater of that and the same of false positive rates. Of predictions only; nil where
	// fewer than two groups have such a rate.
	EqualOpportunity *float64 `json:"equal_opportunity_difference,omitempty"`
	EqualizedOdds    *float64 `json:"equalized_odds_difference,omitempty"`
}

// Missing is a column and in how many rows of each group, in their order, its value is missing.
type Missing struct {
	Column string  `json:"column"`
	Rows   []int64 `json:"rows"`
}

// Proxy is how far a column goes together with an attribute. Rows in which the attribute is NULL do not count; where the column's is, that is a value.
type Proxy struct {
	Attribute string `json:"attribute"`
	Column    string `json:"column"`
	// CramersV is over the column's values, or ten parts of numbers; CramersVCorrected is without what chance adds.
	CramersV          float64 `json:"cramers_v"`
	CramersVCorrected float64 `json:"cramers_v_corrected"`
	// Information is the mutual information in nats, InformationShare the share of the attribute's entropy that it is.
	Information      float64 `json:"mutual_information_nats"`
	InformationShare float64 `json:"mutual_information_share"`
	// AUC tells a group, Group, from all others by the column, the one that it tells best. nil of what has no order.
	// It may be off by AUCOff.
	AUC    *float64 `json:"auc,omitempty"`
	AUCOff float64  `json:"auc_off,omitempty"`
	Group  *Value   `json:"group,omitempty"`
	// Exact: values are told apart as they are.
	Exact bool `json:"exact"`
}

// Report is what the rows come to.
func (c *Collector) Report() (*Report, error) {
	r := &Report{Rows: c.rows}
	for _, n := range c.leftOut {
		r.LeftOut += n
	}
	setAside := map[int32]int64{}
	for t, n := range c.setAside {
		r.SetAside += n
		for i, vs := range c.attributes {
			t[i] = vs.placeOf(t[i])
		}
		g, ok := c.tuples[t]
		if !ok {
			g = int32(len(c.groups))
			c.tuples[t], c.groups = g, append(c.groups, t)
		}
		setAside[g] += n
	}
	scores := []step(nil)
	if c.scores != nil {
		scores = c.scores.steps()
	}
	for _, set := range c.sets() {
		g, err := c.grouping(set, scores, setAside)
		if err != nil {
			return nil, err
		}
		r.Groupings = append(r.Groupings, *g)
	}
	for i := range c.attributes {
		r.Proxies = append(r.Proxies, c.proxies(i)...)
	}
	return r, nil
}

// sets are those of attributes that groups are made by, as positions: each, then where it is asked for those of two and more.
func (c *Collector) sets() [][]int {
	n := len(c.attributes)
	var sets [][]int
	for mask := 1; mask < 1<<n; mask++ {
		var set []int
		for i := range n {
			if mask>>i&1 == 1 {
				set = append(set, i)
			}
		}
		if len(set) == 1 || c.q.Intersections {
			sets = append(sets, set)
		}
	}
	slices.SortStableFunc(sets, func(a, b []int) int { return cmp.Or(cmp.Compare(len(a), len(b)), slices.Compare(a, b)) })
	return sets
}

// gathered are the rows of a group of a grouping.
type gathered struct {
	all cell
	// strata are by stratum.
	strata map[int32]*cell
}

func (c *Collector) grouping(set []int, scores []step, setAside map[int32]int64) (*Grouping, error) {
	out := &Grouping{}
	for _, i := range set {
		out.By = append(out.By, c.attributes[i].column)
	}
	// of is the place of each collected group among those of the set.
	of := make([]int, len(c.groups))
	index := map[tuple]int{}
	var tuples []tuple
	project := func(t tuple) (p tuple) {
		for _, i := range set {
			p[i] = t[i]
		}
		return p
	}
	for _, t := range c.groups {
		if p := project(t); !hasKey(index, p) {
			index[p] = 0
			tuples = append(tuples, p)
		}
	}
	valuesOf := func(t tuple) (list []Value) {
		for _, i := range set {
			list = append(list, c.attributes[i].list[t[i]])
		}
		return list
	}
	slices.SortFunc(tuples, func(a, b tuple) int {
		return slices.CompareFunc(valuesOf(a), valuesOf(b), func(v, w Value) int {
			return cmp.Or(cmp.Compare(v.last(), w.last()), cmp.Compare(v.Text, w.Text))
		})
	})
	for i, t := range tuples {
		index[t] = i
	}
	for g, t := range c.groups {
		of[g] = index[project(t)]
	}
	rows := make([]gathered, len(tuples))
	for key, found := range c.cells {
		into := &rows[of[key.group]]
		if into.strata == nil {
			into.strata = map[int32]*cell{}
		}
		if into.strata[key.stratum] == nil {
			into.strata[key.stratum] = &cell{}
		}
		for l := range found {
			for p, n := range found[l] {
				into.all[l][p] += n
				into.strata[key.stratum][l][p] += n
			}
		}
	}
	out.Groups = make([]Group, len(tuples))
	for i, t := range tuples {
		g := &out.Groups[i]
		g.Values = valuesOf(t)
		for _, by := range rows[i].all {
			for _, n := range by {
				g.Rows += n
			}
		}
		if c.rows > 0 {
			g.Share = float64(g.Rows) / float64(c.rows)
		}
		switch {
		case slices.ContainsFunc(g.Values, func(v Value) bool { return v.Null }):
			g.Apart = ApartUnknown
		case g.Share < SmallShare:
			g.Apart = ApartSmall
		}
	}
	for g, n := range c.leftOut {
		out.Groups[of[g]].LeftOut += n
	}
	for g, n := range setAside {
		out.Groups[of[g]].SetAside += n
	}
	ref, err := c.reference(set, out, rows)
	if err != nil {
		return nil, err
	}
	out.Label = c.rate(out, rows, ref, func(g *Group) **Rate { return &g.Label }, func(of *cell) (n [outcomes]int64) {
		for l, by := range of {
			for _, rows := range by {
				n[l] += rows
			}
		}
		return n
	})
	if c.q.Prediction != "" {
		out.Prediction = c.rate(out, rows, ref, func(g *Group) **Rate { return &g.Prediction }, func(of *cell) (n [outcomes]int64) {
			for _, by := range of {
				for p, rows := range by {
					n[p] += rows
				}
			}
			return n
		})
		c.errors(out, rows, of, scores)
	}
	c.missing(out, of)
	return out, nil
}

func hasKey(m map[tuple]int, t tuple) bool {
	_, ok := m[t]
	return ok
}

// UnknownReference is a group that is to be the reference, of which no outcome is known.
type UnknownReference struct {
	Attribute, Value string
	// Rows: there are some with that value.
	Rows  bool
	Label string
	There []string
}

func (e *UnknownReference) Error() string {
	what := "row with that value"
	if e.Rows {
		what += " of which " + e.Label + " is known"
	}
	return fmt.Sprintf("reference %s=%s: found no %s, expected one of %s", e.Attribute, e.Value, what, strings.Join(e.There, ", "))
}

// reference is what the groups of a grouping are compared with.
type reference struct {
	// named: a group was asked for, by all attributes.
	named bool
	// at is its place, -1 where it has no rows.
	at int
}

// reference is the group that was asked for.
func (c *Collector) reference(set []int, of *Grouping, rows []gathered) (reference, error) {
	for _, i := range set {
		if _, ok := c.q.References[c.attributes[i].column]; !ok {
			return reference{at: -1}, nil
		}
	}
	ref := reference{named: true, at: -1}
	for at := range of.Groups {
		same := true
		for k, i := range set {
			v := of.Groups[at].Values[k]
			same = same && v.last() == 0 && v.Text == c.q.References[c.attributes[i].column]
		}
		if same {
			ref.at = at
		}
	}
	known := func(at int) (n int64) {
		for l, by := range rows[at].all {
			for _, rows := range by {
				if outcome(l) != missing {
					n += rows
				}
			}
		}
		return n
	}
	if len(set) > 1 || ref.at >= 0 && known(ref.at) > 0 {
		// Of several attributes nobody may have all that were named, of which each is there.
		return ref, nil
	}
	name := c.attributes[set[0]].column
	err := &UnknownReference{Attribute: name, Value: c.q.References[name], Label: c.q.Label, Rows: ref.at >= 0 && of.Groups[ref.at].Rows > 0}
	for at := range of.Groups {
		if v := of.Groups[at].Values[0]; !v.Null && known(at) > 0 {
			err.There = append(err.There, v.Text)
		}
	}
	if len(err.There) == 0 {
		// What is known of nobody is told by the verdict.
		return ref, nil
	}
	return ref, err
}

// rate fills in the rates of one of both outcomes, and sums them up.
func (c *Collector) rate(out *Grouping, rows []gathered, ref reference, of func(*Group) **Rate, counts func(*cell) [outcomes]int64) *Summary {
	for i := range out.Groups {
		n := counts(&rows[i].all)
		r := &Rate{Known: n[favourable] + n[unfavourable], Favourable: n[favourable], Missing: n[missing]}
		r.Rate = ratio(r.Favourable, r.Known)
		*of(&out.Groups[i]) = r
	}
	at := ref.at
	if ref.named && at >= 0 && (*of(&out.Groups[at])).Rate == nil {
		at = -1
	}
	if !ref.named {
		for i := range out.Groups {
			if r := *of(&out.Groups[i]); judged(&out.Groups[i], r) && (at < 0 || *r.Rate > *(*of(&out.Groups[at])).Rate) {
				at = i
			}
		}
	}
	if at >= 0 {
		c.compare(out, rows, at, ref.named, of, counts)
	}
	s := sumUp(out, of)
	if ref.named && at < 0 {
		s.Reason += "; no outcome of the reference that was named is known, so nothing is compared with it"
	}
	return s
}

// judged reports whether anything is said of a group's rate: it is not apart, and enough outcomes are known.
func judged(g *Group, r *Rate) bool { return g.Apart == "" && r.Known >= minKnown }

// compare holds each group to the reference. One that was not named is the greatest of all, so that the chances are those of some among all pairs.
func (c *Collector) compare(out *Grouping, rows []gathered, reference int, named bool, of func(*Group) **Rate, counts func(*cell) [outcomes]int64) {
	ref := *of(&out.Groups[reference])
	ref.Reference = true
	var tested []*Rate
	var chances, stratified []float64
	var within []*Stratified
	for i := range out.Groups {
		r := *of(&out.Groups[i])
		if r.Rate == nil {
			continue
		}
		difference := *r.Rate - *ref.Rate
		r.ParityDifference = &difference
		if *ref.Rate > 0 {
			impact := *r.Rate / *ref.Rate
			r.ImpactRatio = &impact
		}
		if i == reference || !judged(&out.Groups[i], r) {
			continue
		}
		p, test := Difference(r.Favourable, r.Known, ref.Favourable, ref.Known)
		r.Test, r.P = test, &p
		tested, chances = append(tested, r), append(chances, p)
		if c.q.Stratum == "" {
			continue
		}
		if r.Stratified = CochranMantelHaenszel(c.strataOf(&rows[i], &rows[reference], counts)); r.Stratified != nil {
			within, stratified = append(within, r.Stratified), append(stratified, r.Stratified.P)
		}
	}
	pairs := func(n int) int {
		if named {
			return n
		}
		return n * (n + 1) / 2
	}
	for k, p := range Holm(chances, pairs(len(chances))) {
		tested[k].PAdjusted = &p
	}
	// Pairs without a stratum that can tell could have had one.
	for k, p := range Holm(stratified, pairs(len(chances))) {
		within[k].PAdjusted = p
	}
}

// strataOf are the strata of two groups, in the order of the strata's values, so that sums over them are of one order. Rows whose stratum is not known are in none.
func (c *Collector) strataOf(a, b *gathered, counts func(*cell) [outcomes]int64) (list []Fourfold) {
	order := slices.Sorted(maps.Keys(a.strata))
	slices.SortFunc(order, func(x, y int32) int { return cmp.Compare(c.strata.list[x].Text, c.strata.list[y].Text) })
	for _, s := range order {
		if b.strata[s] == nil || c.strata.list[s].Null {
			continue
		}
		n, m := counts(a.strata[s]), counts(b.strata[s])
		list = append(list, Fourfold{Good1: n[favourable], Bad1: n[unfavourable], Good2: m[favourable], Bad2: m[unfavourable]})
	}
	return list
}

func sumUp(out *Grouping, of func(*Group) **Rate) *Summary {
	s := &Summary{}
	least, most, few, n := -1, -1, -1, 0
	for i := range out.Groups {
		r := *of(&out.Groups[i])
		if out.Groups[i].Apart == "" && (few < 0 || r.Known < (*of(&out.Groups[few])).Known) {
			few = i
		}
		if !judged(&out.Groups[i], r) {
			continue
		}
		n++
		if least < 0 || *r.Rate < *(*of(&out.Groups[least])).Rate {
			least = i
		}
		if most < 0 || *r.Rate > *(*of(&out.Groups[most])).Rate {
			most = i
		}
		s.Significant = s.Significant || r.PAdjusted != nil && *r.PAdjusted <= Significance
	}
	tooFew := ""
	if few >= 0 {
		if known := (*of(&out.Groups[few])).Known; known < minKnown {
			tooFew = fmt.Sprintf("the outcome of %s is known of %d rows, expected at least %d", out.Groups[few].name(), known, minKnown)
		}
	}
	if n < 2 {
		s.Verdict, s.Reason = NotEnoughData, fmt.Sprintf("there are no two groups to compare that are known, have %d known outcomes and at least 2 %% of the rows", minKnown)
		if tooFew != "" {
			s.Reason += ": " + tooFew
		}
		return s
	}
	low, high := *(*of(&out.Groups[least])).Rate, *(*of(&out.Groups[most])).Rate
	difference := high - low
	s.ParityDifference = &difference
	if high == 0 {
		s.Verdict, s.Reason = NotEnoughData, "no outcome is favourable"
		return s
	}
	impact := low / high
	s.LeastRatio = &impact
	switch {
	case impact < FourFifths:
		s.Verdict, s.Reason = BelowFourFifths, fmt.Sprintf("the rate of %s is %s of that of %s, expected at least %v", out.Groups[least].name(), floored(impact), out.Groups[most].name(), FourFifths)
	case tooFew != "":
		s.Verdict, s.Reason = NotEnoughData, tooFew
	default:
		s.Verdict, s.Reason = AtLeastFourFifths, fmt.Sprintf("the least rate, of %s, is %s of the greatest, of %s", out.Groups[least].name(), floored(impact), out.Groups[most].name())
	}
	return s
}

// floored is a ratio with three digits that never looks like more than it is: 0.79996 is no 0.8.
func floored(f float64) string { return fmt.Sprintf("%.3f", math.Floor(f*1000)/1000) }

func ratio(part, of int64) *float64 {
	if of == 0 {
		return nil
	}
	f := float64(part) / float64(of)
	return &f
}

// errors fills in how predictions and labels go together.
func (c *Collector) errors(out *Grouping, rows []gathered, of []int, scores []step) {
	reference := -1
	for i := range out.Groups {
		g, n := &out.Groups[i], &rows[i].all
		e := &Errors{
			TruePositive: n[favourable][favourable], FalseNegative: n[favourable][unfavourable], FalsePositive: n[unfavourable][favourable], TrueNegative: n[unfavourable][unfavourable],
		}
		e.TruePositiveRate = ratio(e.TruePositive, e.TruePositive+e.FalseNegative)
		e.FalsePositiveRate = ratio(e.FalsePositive, e.FalsePositive+e.TrueNegative)
		if c.scores == nil {
			// Of two values half of the ties go either way.
			if e.TruePositiveRate != nil && e.FalsePositiveRate != nil {
				auc := (1 + *e.TruePositiveRate - *e.FalsePositiveRate) / 2
				e.AUC = &auc
			}
		} else if auc, off, ok := c.scores.auc(scores, func(group int32) int {
			if of[group/2] != i {
				return -1
			}
			return int(group % 2)
		}); ok {
			e.AUC, e.AUCOff = &auc, off
		}
		g.Errors = e
		if g.Prediction.Reference {
			reference = i
		}
	}
	var truth, falsehood spread
	var without []string
	for i := range out.Groups {
		e := out.Groups[i].Errors
		if reference >= 0 {
			ref := out.Groups[reference].Errors
			e.EqualOpportunity = minus(e.TruePositiveRate, ref.TruePositiveRate)
			if d := minus(e.FalsePositiveRate, ref.FalsePositiveRate); d != nil && e.EqualOpportunity != nil {
				odds := max(math.Abs(*d), math.Abs(*e.EqualOpportunity))
				e.EqualizedOdds = &odds
			}
		}
		if g := &out.Groups[i]; judged(g, g.Label) && judged(g, g.Prediction) {
			truth.add(e.TruePositiveRate)
			falsehood.add(e.FalsePositiveRate)
			if e.TruePositiveRate == nil {
				without = append(without, "no favourable outcome of "+g.name()+" has a prediction, so it has no true positive rate")
			}
			if e.FalsePositiveRate == nil {
				without = append(without, "no unfavourable outcome of "+g.name()+" has a prediction, so it has no false positive rate")
			}
		}
	}
	out.Prediction.Reason = strings.Join(append([]string{out.Prediction.Reason}, without...), "; ")
	out.Prediction.EqualOpportunity = truth.width()
	if d := falsehood.width(); d != nil && out.Prediction.EqualOpportunity != nil {
		odds := max(*d, *out.Prediction.EqualOpportunity)
		out.Prediction.EqualizedOdds = &odds
	}
}

// spread is from the least to the greatest of what is there.
type spread struct {
	low, high float64
	n         int
}

func (s *spread) add(f *float64) {
	switch {
	case f == nil:
		return
	case s.n == 0:
		s.low, s.high = *f, *f
	default:
		s.low, s.high = min(s.low, *f), max(s.high, *f)
	}
	s.n++
}

// width is nil of fewer than two: one differs from nothing.
func (s *spread) width() *float64 {
	if s.n < 2 {
		return nil
	}
	w := s.high - s.low
	return &w
}

func minus(a, b *float64) *float64 {
	if a == nil || b == nil {
		return nil
	}
	d := *a - *b
	return &d
}

// missing fills in columns with values that are missing.
func (c *Collector) missing(out *Grouping, of []int) {
	for _, col := range c.columns {
		if len(col.nulls) == 0 && len(col.nans) == 0 {
			continue
		}
		m := Missing{Column: col.name, Rows: make([]int64, len(out.Groups))}
		for _, counts := range []map[int32]int64{col.nulls, col.nans} {
			for group, n := range counts {
				m.Rows[of[group]] += n
			}
		}
		out.Missing = append(out.Missing, m)
	}
}

// proxies are how far columns go together with an attribute.
func (c *Collector) proxies(attribute int) []Proxy {
	vs := c.attributes[attribute]
	// Values are taken in their order, so that sums are of one order.
	order := make([]int, len(vs.list))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, k int) int { return cmp.Compare(vs.list[i].Text, vs.list[k].Text) })
	place, places := make([]int, len(order)), make([]int, len(order))
	for at, i := range order {
		place[i], places[i] = at, at
		if vs.list[i].Null {
			places[i] = -1
		}
	}
	rows := make([]int64, len(order))
	for key, found := range c.cells {
		for _, by := range found {
			for _, n := range by {
				rows[place[c.groups[key.group][attribute]]] += n
			}
		}
	}
	var list []Proxy
	for _, col := range c.columns {
		var steps []step
		if col.numbers != nil {
			steps = col.numbers[attribute].steps()
		}
		p := Proxy{Attribute: vs.column, Column: col.name, Exact: col.exact(attribute)}
		p.CramersV, p.CramersVCorrected, p.Information, p.InformationShare = Association(col.table(steps, attribute, places, c.groups))
		if col.numbers != nil {
			for at, i := range order {
				if vs.list[i].Null || c.rows == 0 || float64(rows[at])/float64(c.rows) < SmallShare {
					continue
				}
				auc, off, ok := col.numbers[attribute].auc(steps, func(of int32) int {
					switch places[of] {
					case -1:
						return -1
					case at:
						return 1
					}
					return 0
				})
				if ok && (p.AUC == nil || math.Abs(auc-0.5) > math.Abs(*p.AUC-0.5)) {
					value := vs.list[i]
					p.AUC, p.AUCOff, p.Group = &auc, off, &value
				}
			}
		}
		list = append(list, p)
	}
	slices.SortStableFunc(list, func(a, b Proxy) int {
		return cmp.Or(cmp.Compare(b.CramersVCorrected, a.CramersVCorrected), cmp.Compare(b.CramersV, a.CramersV))
	})
	return list
}
