package performance

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func near(t *testing.T, what string, found, want, within float64) {
	t.Helper()
	if math.IsNaN(found) || math.Abs(found-want) > within {
		t.Errorf("%s: found %v, expected %v", what, found, want)
	}
}

// The cases of R. G. Newcombe, Two-sided confidence intervals for the single proportion, Statistics in Medicine 17 (1998), table I, method 3.
func TestSharesHaveWilsonsInterval(t *testing.T) {
	for _, c := range []struct {
		k, n      int64
		low, high float64
	}{{81, 263, 0.2553, 0.3662}, {15, 148, 0.0624, 0.1605}, {0, 20, 0, 0.1611}, {1, 29, 0.0061, 0.1718}} {
		s := Share(c.k, c.n)
		near(t, fmt.Sprintf("low of %d of %d", c.k, c.n), s.Low, c.low, 5e-5)
		near(t, fmt.Sprintf("high of %d of %d", c.k, c.n), s.High, c.high, 5e-5)
	}
	if Share(0, 0) != nil || Mean(nil) != nil || AUC([]float64{1, 2}, []bool{true, true}) != nil {
		t.Error("found a measure of nothing")
	}
}

// The examples in the documentation of scikit-learn: accuracy_score, roc_auc_score, log_loss, brier_score_loss, mean_absolute_error and mean_squared_error.
func TestMeasuresAgreeWithPublishedExamples(t *testing.T) {
	binary := Model{Positive: "spam", Scored: true}
	of := func(m Model, actual []string, scores []float64) *Measures {
		var list []Example
		for i := range actual {
			list = append(list, Example{Actual: actual[i], Score: scores[i]})
		}
		return m.Measure(int64(2*len(list)), list)
	}
	near(t, "AUC", of(binary, []string{"ham", "ham", "spam", "spam"}, []float64{0.1, 0.4, 0.35, 0.8}).AUC.Value, 0.75, 1e-12)
	m := of(binary, []string{"spam", "ham", "ham", "spam"}, []float64{0.9, 0.1, 0.2, 0.65})
	near(t, "log loss", m.LogLoss.Value, 0.21616, 5e-6)
	near(t, "coverage", m.Coverage.Value, 0.5, 0)
	near(t, "Brier", of(binary, []string{"ham", "spam", "spam", "ham"}, []float64{0.1, 0.9, 0.8, 0.3}).Brier.Value, 0.0375, 1e-12)

	classes := Model{Positive: "1"}
	var list []Example
	for i, actual := range []string{"0", "1", "1", "0", "1", "0"} {
		list = append(list, Example{Predicted: []string{"0", "1", "0", "0", "1", "1"}[i], Actual: actual, Score: math.NaN()})
	}
	m = classes.Measure(6, list)
	near(t, "accuracy", m.Accuracy.Value, 4.0/6, 1e-12)
	near(t, "precision", m.Precision.Value, 2.0/3, 1e-12)
	near(t, "recall", m.Recall.Value, 2.0/3, 1e-12)
	if m.AUC != nil || m.Brier != nil || m.MAE != nil {
		t.Errorf("found %v, %v and %v without scores", m.AUC, m.Brier, m.MAE)
	}
	if m = (Model{}).Measure(6, list); m.Precision != nil || m.Accuracy == nil {
		t.Errorf("found precision %v without a positive class", m.Precision)
	}

	list = nil
	for i, found := range []float64{3, -0.5, 2, 7} {
		list = append(list, Example{Found: found, Value: []float64{2.5, 0, 2, 8}[i]})
	}
	m = Model{Task: Regression}.Measure(4, list)
	near(t, "MAE", m.MAE.Value, 0.5, 1e-12)
	near(t, "RMSE", m.RMSE.Value, math.Sqrt(0.375), 1e-12)
	near(t, "bias", m.Bias.Value, 0.25, 1e-12)
	if m.Accuracy != nil || m.Loss.Value != m.MAE.Value || !(m.RMSE.Low < m.RMSE.Value && m.RMSE.Value < m.RMSE.High) {
		t.Errorf("found %v", m)
	}
}

// DeLong's variance by its definition, pair by pair.
func TestAUCByMidranksIsThatByPairs(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		var scores []float64
		var positive []bool
		for range 40 {
			scores, positive = append(scores, math.Round(r.Float64()*10)/10), append(positive, r.IntN(3) == 0)
		}
		psi := func(x, y float64) float64 {
			switch {
			case x > y:
				return 1
			case x == y:
				return 0.5
			}
			return 0
		}
		var v10, v01 []float64
		for i, p := range positive {
			var sum, n float64
			for j, q := range positive {
				if p != q {
					n++
					if p {
						sum += psi(scores[i], scores[j])
					} else {
						sum += psi(scores[j], scores[i])
					}
				}
			}
			if p {
				v10 = append(v10, sum/n)
			} else {
				v01 = append(v01, sum/n)
			}
		}
		auc, s10 := moments(v10)
		_, s01 := moments(v01)
		found := AUC(scores, positive)
		near(t, "AUC", found.Value, auc, 1e-12)
		near(t, "its low end", found.Low, max(0, auc-z95*math.Sqrt(s10/float64(len(v10))+s01/float64(len(v01)))), 1e-12)
	}
}

// The fifteen chances of Benjamini and Hochberg's own paper, of which four are rejected at 0.05.
func TestFalseDiscoveriesAreBounded(t *testing.T) {
	p := []float64{0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000}
	shuffled := slices.Clone(p)
	rand.New(rand.NewPCG(3, 4)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	var rejected []float64
	for i, q := range BenjaminiHochberg(shuffled) {
		if q <= 0.05 {
			rejected = append(rejected, shuffled[i])
		}
	}
	slices.Sort(rejected)
	if !slices.Equal(rejected, p[:4]) {
		t.Errorf("found %v rejected, expected the first four", rejected)
	}
	q := BenjaminiHochberg(p)
	near(t, "the fourth", q[3], 0.0095*15/4, 1e-12)
	near(t, "the fifth, which is no more than what follows", q[4], 0.0201*15/5, 1e-12)
}

// The admissions to Berkeley in 1973 by sex and department (P. J. Bickel and others, 1975), of which R's mantelhaen.test without correction has M² = 1.5246.
func TestExcessIsTheTestOfCochranMantelHaenszel(t *testing.T) {
	var points []Point
	var in []int
	for span, d := range [][4]int{{512, 313, 89, 19}, {353, 207, 17, 8}, {120, 205, 202, 391}, {138, 279, 131, 244}, {53, 138, 94, 299}, {22, 351, 24, 317}} {
		for k, n := range d {
			for range n {
				if k < 2 {
					in = append(in, len(points))
				}
				points = append(points, Point{Span: int64(span), Loss: float64(k % 2)})
			}
		}
	}
	e := ExcessOf(points, in)
	z := e.Value / e.SE
	near(t, "M²", z*z, 1.5246, 5e-5)
	if e.In != 2691 || e.Out != 1835 {
		t.Errorf("found %d and %d", e.In, e.Out)
	}
	// A span without a rest tells nothing.
	alone := ExcessOf(append(points, Point{Span: 99, Loss: 1}, Point{Span: 99, Loss: 1}), append(in, len(points), len(points)+1))
	if alone != e {
		t.Errorf("found %v, expected %v", alone, e)
	}
}

// planted is a model's predictions of days: each of an entity, of a load and of one of two runs a day.
type planted struct {
	random        *rand.Rand
	before, since Period
	loads         map[string]*Slice
}

// add predicts a day of a hundred each. wrong says by how much the score of the k-th is off, and flipped whether its outcome is.
func (p *planted) add(to *Period, day int64, wrong func(k int) float64, flipped func(k int) bool) {
	for k := range 100 {
		chance := 0.1 + 0.6*float64(k%2)
		actual := p.random.Float64() < chance
		if flipped(k) {
			actual = !actual
		}
		score := min(1, max(0, chance+wrong(k)))
		e := Example{Score: score, Actual: fmt.Sprint(actual)}
		m := Model{Positive: "true", Scored: true}
		if to == &p.since {
			name := fmt.Sprintf("load %d of day %d", k/20, day)
			if p.loads[name] == nil {
				p.loads[name] = &Slice{Kind: OfLoad, Name: name}
			}
			p.loads[name].In = append(p.loads[name].In, len(to.Points))
		}
		to.Points, to.Examples = append(to.Points, Point{Span: day, Loss: m.Loss(e)}), append(to.Examples, e)
	}
}

func plant(seed uint64, wrong func(day int64, k int) float64, flipped func(day int64, k int) bool) *Attribution {
	p := &planted{random: rand.New(rand.NewPCG(seed, 7)), loads: map[string]*Slice{}}
	for day := range int64(20) {
		to := &p.before
		if day >= 10 {
			to = &p.since
		}
		p.add(to, day, func(k int) float64 { return wrong(day, k) }, func(k int) bool { return flipped(day, k) })
	}
	var list []Slice
	for _, s := range p.loads {
		list = append(list, *s)
	}
	slices.SortFunc(list, func(a, b Slice) int { return strings.Compare(a.Name, b.Name) })
	return Model{Positive: "true", Scored: true}.Attribute(p.before, p.since, list)
}

func TestVerdicts(t *testing.T) {
	never := func(int64, int) bool { return false }
	right := func(int64, int) float64 { return 0 }
	// Of forty seeds a verdict is allowed to be another by chance in few.
	count := func(do func(seed uint64) *Attribution, is func(*Attribution) bool) (n int) {
		for seed := range uint64(40) {
			if is(do(seed)) {
				n++
			}
		}
		return n
	}
	bad := func(seed uint64) *Attribution {
		return plant(seed, func(day int64, k int) float64 {
			if day == 14 && k/20 == 3 {
				return 0.8 - 1.6*float64(k%2)
			}
			return 0
		}, never)
	}
	if n := count(bad, func(a *Attribution) bool {
		return a.Verdict == UpstreamSuspect && a.Suspect.Name == "load 3 of day 14" && a.Slices[0].Name == a.Suspect.Name
	}); n < 39 {
		t.Errorf("the bad load was named in %d of 40", n)
	}
	decayed := func(seed uint64) *Attribution {
		return plant(seed, func(day int64, k int) float64 {
			if day < 10 {
				return 0
			}
			return 0.25 - 0.5*float64(k%2)
		}, never)
	}
	if n := count(decayed, func(a *Attribution) bool { return a.Verdict == UniformDecay && a.Suspect == nil }); n < 37 {
		t.Errorf("a decay of all blamed none in %d of 40", n)
	}
	if n := count(func(seed uint64) *Attribution { return plant(seed, right, never) }, func(a *Attribution) bool { return a.Verdict == NoDecay }); n < 37 {
		t.Errorf("nothing was found where nothing is in %d of 40", n)
	}
	shifted := func(seed uint64) *Attribution {
		return plant(seed, right, func(day int64, k int) bool { return day >= 10 && k%4 == 0 })
	}
	if n := count(shifted, func(a *Attribution) bool {
		return a.Verdict == LabelIssue && strings.Contains(a.Reason, "outcomes moved")
	}); n < 39 {
		t.Errorf("shifted labels were told in %d of 40", n)
	}
	upside := func(seed uint64) *Attribution {
		return plant(seed, right, func(day int64, _ int) bool { return day >= 10 })
	}
	if n := count(upside, func(a *Attribution) bool { return a.Verdict == LabelIssue && strings.Contains(a.Reason, "upside down") }); n < 39 {
		t.Errorf("labels that were turned over were told in %d of 40", n)
	}

	few := Model{Positive: "true"}.Attribute(Period{}, Period{Points: make([]Point, 49), Examples: make([]Example, 49)}, nil)
	if few.Verdict != InsufficientLabels || few.Reason != "49 outcomes of predictions since are known, and at least 50 are needed" {
		t.Errorf("found %v", few)
	}
	first := Model{}.Attribute(Period{}, Period{Points: make([]Point, 60), Examples: make([]Example, 60)}, nil)
	if first.Verdict != InsufficientLabels || !strings.HasPrefix(first.Reason, "no load, run or source stands out, and 0 outcomes of before are known") {
		t.Errorf("found %v", first)
	}
}

// A slice that was always harder is not blamed for being so.
func TestWhatIsUsualIsNotBlamed(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	var points [2][]Point
	var hard [2][]int
	for p := range points {
		for i := range 600 {
			loss := r.Float64()
			if i%3 == 0 {
				loss++
				hard[p] = append(hard[p], i)
			}
			points[p] = append(points[p], Point{Span: int64(i / 100), Loss: loss})
		}
	}
	found := judge(points[0], points[1], []Slice{{Kind: OfSource, Name: "always", In: hard[1], Before: hard[0]}, {Kind: OfSource, Name: "new", In: hard[1]}})
	if found[0].Name != "new" || !found[0].StandsOut() || found[1].StandsOut() || math.Abs(found[1].Usual-1) > 0.2 {
		t.Errorf("found %+v", found)
	}
}

func TestRegressionLabelsThatMoved(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 9))
	period := func(shift float64) (p Period) {
		m := Model{Task: Regression}
		for i := range 500 {
			v := r.NormFloat64()
			e := Example{Value: v, Found: v + r.NormFloat64()/10 + shift}
			p.Points, p.Examples = append(p.Points, Point{Span: int64(i / 100), Loss: m.Loss(e)}), append(p.Examples, e)
		}
		return p
	}
	if a := (Model{Task: Regression}).Attribute(period(0), period(1), nil); a.Verdict != LabelIssue {
		t.Errorf("found %s: %s", a.Verdict, a.Reason)
	}
	if a := (Model{Task: Regression}).Attribute(period(0), period(0), nil); a.Verdict != NoDecay {
		t.Errorf("found %s: %s", a.Verdict, a.Reason)
	}
}

// Of slices that stand out alike, what can be replaced is named first.
func TestLoadsAreNamedBeforeRuns(t *testing.T) {
	var points []Point
	var in []int
	for i := range 200 {
		loss := float64(i%7) / 10
		if i%5 == 0 {
			loss += 0.5
			in = append(in, i)
		}
		points = append(points, Point{Span: int64(i / 50), Loss: loss})
	}
	var names []string
	for _, j := range judge(nil, points, []Slice{
		{Kind: OfFeature, Name: "feature", In: in}, {Kind: OfSource, Name: "source", In: in}, {Kind: OfRun, Name: "run", In: in}, {Kind: OfLoad, Name: "load", In: in},
		{Kind: OfLoad, Name: "few", In: in[:9]}, {Kind: OfLoad, Name: "more", In: append(slices.Clone(in), 1, 2, 3, 4, 6)},
	}) {
		names = append(names, j.Name)
		if j.StandsOut() != (j.Name != "few") || j.Tested == (j.Name == "few") {
			t.Errorf("found %+v", j)
		}
	}
	if found := strings.Join(names, " "); found != "load run source feature more few" {
		t.Errorf("found the order %s", found)
	}
}

// nullWorld is predictions of a model that is calibrated, of entities that are not equally hard.
func nullWorld(r *rand.Rand, hours, entities, loads int) (before, since Period, list []Slice) {
	m := Model{Positive: "true", Scored: true}
	chance := make([]float64, entities)
	for g := range chance {
		chance[g] = r.Float64()
	}
	of := r.Perm(entities)
	list = make([]Slice, loads)
	for hour := range 2 * hours {
		to := &before
		if hour >= hours {
			to = &since
		}
		for g := range entities {
			e := Example{Score: chance[g], Actual: fmt.Sprint(r.Float64() < chance[g])}
			if hour >= hours {
				s := &list[of[g]*loads/entities]
				s.Kind, s.Name = OfLoad, fmt.Sprintf("load %d", of[g]*loads/entities)
				s.In = append(s.In, len(to.Points))
			}
			to.Points, to.Examples = append(to.Points, Point{Span: int64(hour), Loss: m.Loss(e), Entities: []int32{int32(g)}}), append(to.Examples, e)
		}
	}
	return before, since, list
}

// blamed is in which share of worlds a slice stands out.
func blamed(worlds int, of func(r *rand.Rand) []Judged) float64 {
	n := 0
	for world := range worlds {
		if slices.ContainsFunc(of(rand.New(rand.NewPCG(uint64(world), 21))), func(j Judged) bool { return j.StandsOut() }) {
			n++
		}
	}
	return float64(n) / float64(worlds)
}

// Predictions of one entity are no independent observations, with what was before and without.
func TestEntitiesThatAreHarderBlameNoLoad(t *testing.T) {
	for _, c := range []struct{ hours, entities, loads int }{{14, 40, 4}, {14, 400, 20}, {3, 40, 4}} {
		for _, known := range []bool{true, false} {
			share := blamed(120, func(r *rand.Rand) []Judged {
				before, since, list := nullWorld(r, c.hours, c.entities, c.loads)
				if !known {
					before.Points = nil
				}
				return judge(before.Points, since.Points, list)
			})
			t.Logf("%v, before is known: %v: %.3f", c, known, share)
			if share > 0.1 {
				t.Errorf("%v, before is known: %v: a load is blamed in %.3f of worlds in which none is bad", c, known, share)
			}
		}
	}
	// A load that is bad is found all the same, and surer by what was before.
	for _, known := range []bool{true, false} {
		share := blamed(100, func(r *rand.Rand) []Judged {
			before, since, list := nullWorld(r, 14, 40, 4)
			for _, i := range list[2].In {
				since.Points[i].Loss += 0.15
			}
			if !known {
				before.Points = nil
			}
			found := judge(before.Points, since.Points, list)
			if found[0].Name != "load 2" {
				return nil
			}
			return found
		})
		t.Logf("before is known: %v: %.2f", known, share)
		if share < 0.9 {
			t.Errorf("before is known: %v: the bad load is found in %.2f of worlds", known, share)
		}
	}
	// Of one or few entities nothing tells a load from what they are.
	before, since, list := nullWorld(rand.New(rand.NewPCG(1, 1)), 14, 40, 10)
	if found := judge(before.Points, since.Points, list); found[0].Tested {
		t.Errorf("found %+v tested, of four entities", found[0])
	}
}

// Rare losses have no normal tail.
func TestRareLossesBlameNothing(t *testing.T) {
	for _, c := range []struct {
		rate               float64
		slices, size, days int
	}{{0.01, 200, 12, 3}, {0.01, 40, 250, 3}, {0.02, 100, 50, 6}, {0.97, 20, 100, 3}} {
		tested := 0
		share := blamed(40, func(r *rand.Rand) []Judged {
			var points []Point
			list := make([]Slice, c.slices)
			for day := range c.days {
				for i := range max(1000, c.slices*c.size) {
					loss := 0.0
					if r.Float64() < c.rate {
						loss = 1
					}
					if s := i % 1000000 / c.size; s < c.slices && day*c.slices/c.days <= s && s < (day+1)*c.slices/c.days || s < c.slices && c.size >= 50 {
						list[s].Name = fmt.Sprint(s)
						list[s].In = append(list[s].In, len(points))
					}
					points = append(points, Point{Span: int64(day), Loss: loss})
				}
			}
			found := judge(nil, points, list)
			for _, j := range found {
				if j.Tested {
					tested++
				}
			}
			return found
		})
		t.Logf("%v: %.3f, %d tested", c, share, tested)
		if share > 0.1 {
			t.Errorf("%v: a slice is blamed in %.3f of worlds in which none is bad", c, share)
		}
		if (tested == 0) != (c.size == 12) {
			t.Errorf("%v: found %d slices tested", c, tested)
		}
	}
}

// Losses that are all equal differ by rounding.
func TestRoundingBlamesNothing(t *testing.T) {
	for _, loss := range []float64{0.1, 0.3 * 0.3, 1e6 / 3} {
		var p Period
		var in []int
		for i := range 1000 {
			if i%7 == 0 {
				in = append(in, i)
			}
			p.Points, p.Examples = append(p.Points, Point{Span: int64(i / 30), Loss: loss}), append(p.Examples, Example{Value: 1, Found: 1 + loss})
		}
		before := Period{Points: p.Points[:501], Examples: p.Examples[:501]}
		if a := (Model{Task: Regression}).Attribute(before, p, []Slice{{Kind: OfLoad, Name: "load", In: in}}); a.Verdict != NoDecay || a.Slices[0].P != 1 {
			t.Errorf("found %s: %s, %+v", a.Verdict, a.Reason, a.Slices[0].Excess)
		}
	}
}

// The quantiles of tables, and the chance of counts of Poisson's distribution.
func TestTails(t *testing.T) {
	for _, c := range []struct {
		t       float64
		freedom int
		want    float64
	}{{6.3138, 1, 0.05}, {2.9200, 2, 0.05}, {2.2622, 9, 0.025}, {2.7638, 10, 0.01}, {3.1737, 100, 0.001}} {
		near(t, fmt.Sprint(c), aboveT(c.t, c.freedom), c.want, c.want/1000)
	}
	// Thirteen or more where five are expected, and twenty-five where twelve are.
	near(t, "13 of 5", above(straight(7.5/math.Sqrt(5), 1/math.Sqrt(5))), 0.002019, 0.0005)
	near(t, "25 of 12", above(straight(12.5/math.Sqrt(12), 1/math.Sqrt(12))), 0.000716, 0.0002)
}

// Outcomes of one kind that come later are no issue of labels, a few that scores tell upside down are chance, and what stands out is named beside an issue.
func TestLabelsAreDoubtedOfEnough(t *testing.T) {
	m := Model{Positive: "true", Scored: true}
	period := func(n int, actual func(i int) bool, score func(i int) float64) (p Period) {
		for i := range n {
			e := Example{Score: score(i), Actual: fmt.Sprint(actual(i))}
			p.Points, p.Examples = append(p.Points, Point{Span: int64(i / 50), Loss: m.Loss(e)}), append(p.Examples, e)
		}
		return p
	}
	flat := func(i int) float64 { return 0.4 + float64(i%10)/50 }
	before := period(400, func(i int) bool { return i%10 >= 5 }, flat)
	before.Predictions = 420
	since := period(200, func(i int) bool { return i%10 == 9 }, flat)
	if a := m.Attribute(before, since, nil); a.Verdict != LabelIssue || !strings.HasPrefix(a.Reason, "outcomes moved") {
		t.Errorf("found %s: %s", a.Verdict, a.Reason)
	}
	since.Predictions = 400
	if a := m.Attribute(before, since, nil); a.Verdict != InsufficientLabels || !strings.HasSuffix(a.Reason, "but 50% of outcomes since are known against 95% before: those that come later may be of other kinds") {
		t.Errorf("found %s: %s", a.Verdict, a.Reason)
	}
	// Two of a class are scored lowest, among outcomes that are as rare before.
	rare := func(below bool) func(int) bool {
		return func(i int) bool { return i%100 == map[bool]int{true: 0, false: 99}[below] }
	}
	ordered := func(i int) float64 { return float64(i%100) / 100 }
	if a := m.Attribute(period(1500, rare(false), ordered), period(200, rare(true), ordered), nil); a.Verdict == LabelIssue {
		t.Errorf("found %s: %s", a.Verdict, a.Reason)
	}
	if a := m.Attribute(period(1500, rare(false), ordered), period(1500, rare(true), ordered), nil); a.Verdict != LabelIssue || !strings.Contains(a.Reason, "upside down") {
		t.Errorf("found %s: %s", a.Verdict, a.Reason)
	}
	since.Predictions = 200
	var in []int
	for i := range since.Points {
		if i%3 == 0 {
			in = append(in, i)
			since.Points[i].Loss += 0.5
		}
	}
	if a := m.Attribute(before, since, []Slice{{Kind: OfLoad, Name: "load", In: in}}); a.Verdict != LabelIssue || a.Suspect == nil || a.Suspect.Name != "load" {
		t.Errorf("found %s: %s, %v", a.Verdict, a.Reason, a.Suspect)
	}
}
