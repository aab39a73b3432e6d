package bias

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/headwaterhq/headwater/feature"
)

func near(t *testing.T, what string, found, want, off float64) {
	t.Helper()
	if !(math.Abs(found-want) <= off) {
		t.Errorf("%s: found %v, expected %v", what, found, want)
	}
}

func must(t *testing.T, what string, f *float64) float64 {
	t.Helper()
	if f == nil {
		t.Fatalf("%s: found none", what)
	}
	return *f
}

// counted is rows that are alike.
type counted struct {
	attributes        []string
	label, prediction string
	stratum           string
	n                 int
}

func reportOf(t *testing.T, q Question, rows []counted) *Report {
	t.Helper()
	c, err := New(q, feature.String("yes"))
	if err != nil {
		t.Fatal(err)
	}
	text := func(s string) feature.Value {
		if s == "" {
			return feature.Null()
		}
		return feature.String(s)
	}
	for _, of := range rows {
		row := &Row{Label: text(of.label), Prediction: text(of.prediction), Stratum: text(of.stratum)}
		for _, a := range of.attributes {
			row.Attributes = append(row.Attributes, text(a))
		}
		for range of.n {
			if err := c.Add(row); err != nil {
				t.Fatal(err)
			}
		}
	}
	r, err := c.Report()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func groupOf(t *testing.T, g *Grouping, values ...string) *Group {
	t.Helper()
	for i := range g.Groups {
		var shown []string
		for _, v := range g.Groups[i].Values {
			shown = append(shown, v.String())
		}
		if strings.Join(shown, ",") == strings.Join(values, ",") {
			return &g.Groups[i]
		}
	}
	t.Fatalf("found no group %v", values)
	return nil
}

// ProPublica's COMPAS scores as Aequitas's example has them: 3,696 people of whom 2,174 were predicted to offend again, and 2,454 of whom 854 were. The rates of errors are those of J. Larson, S. Mattu,
// L. Kirchner, J. Angwin, How We Analyzed the COMPAS Recidivism Algorithm (2016): 44.85 and 23.45 % false positives, 27.99 and 47.72 % false negatives.
func TestCOMPAS(t *testing.T) {
	r := reportOf(t, Question{Attributes: []string{"race"}, Label: "two_year", Favourable: "yes", Prediction: "high", References: map[string]string{"race": "Caucasian"}}, []counted{
		{[]string{"African-American"}, "yes", "yes", "", 1369}, {[]string{"African-American"}, "yes", "no", "", 532},
		{[]string{"African-American"}, "no", "yes", "", 805}, {[]string{"African-American"}, "no", "no", "", 990},
		{[]string{"Caucasian"}, "yes", "yes", "", 505}, {[]string{"Caucasian"}, "yes", "no", "", 461},
		{[]string{"Caucasian"}, "no", "yes", "", 349}, {[]string{"Caucasian"}, "no", "no", "", 1139},
	})
	g := &r.Groupings[0]
	black, white := groupOf(t, g, "African-American"), groupOf(t, g, "Caucasian")
	near(t, "predicted", must(t, "rate", black.Prediction.Rate), 0.588203, 5e-7)
	near(t, "predicted", must(t, "rate", white.Prediction.Rate), 0.348003, 5e-7)
	near(t, "impact ratio", must(t, "ratio", black.Prediction.ImpactRatio), 2174./3696/(854./2454), 1e-15)
	near(t, "false positives", must(t, "rate", black.Errors.FalsePositiveRate), 0.4485, 5e-5)
	near(t, "false positives", must(t, "rate", white.Errors.FalsePositiveRate), 0.2345, 5e-5)
	near(t, "false negatives", 1-must(t, "rate", black.Errors.TruePositiveRate), 0.2799, 5e-5)
	near(t, "false negatives", 1-must(t, "rate", white.Errors.TruePositiveRate), 0.4772, 5e-5)
	near(t, "equal opportunity", must(t, "difference", black.Errors.EqualOpportunity), 1369./1901-505./966, 1e-15)
	near(t, "equalized odds", must(t, "difference", black.Errors.EqualizedOdds), 805./1795-349./1488, 1e-15)
	near(t, "equalized odds of all", must(t, "difference", g.Prediction.EqualizedOdds), 805./1795-349./1488, 1e-15)
	if g.Prediction.Verdict != BelowFourFifths || !g.Prediction.Significant {
		t.Errorf("found %+v, expected what is below four fifths and no chance", g.Prediction)
	}
	if !white.Prediction.Reference || white.Prediction.Test != "" {
		t.Errorf("found %+v, expected the reference", white.Prediction)
	}
}

// AIF360's test of the Adult data: 21,779 of whom 15,119 are favoured, and 10,762 of whom 9,585 are.
func TestAdult(t *testing.T) {
	r := reportOf(t, Question{Attributes: []string{"sex"}, Label: "income", References: map[string]string{"sex": "a"}}, []counted{
		{[]string{"a"}, "yes", "", "", 15119}, {[]string{"a"}, "no", "", "", 21779 - 15119}, {[]string{"b"}, "yes", "", "", 9585}, {[]string{"b"}, "no", "", "", 10762 - 9585},
	})
	b := groupOf(t, &r.Groupings[0], "b")
	near(t, "impact ratio", must(t, "ratio", b.Label.ImpactRatio), 1.283, 5e-4)
	near(t, "parity difference", must(t, "difference", b.Label.ParityDifference), 0.196433, 5e-7)
	near(t, "least ratio", must(t, "ratio", r.Groupings[0].Label.LeastRatio), 15119./21779/(9585./10762), 1e-15)
	if r.Groupings[0].Label.Verdict != BelowFourFifths {
		t.Errorf("found %+v, expected what is below four fifths, whichever the reference is", r.Groupings[0].Label)
	}
}

// berkeley are the admissions of P. Bickel, E. Hammel, J. O'Connell (1975), R's UCBAdmissions: men and women, admitted and rejected, by department.
var berkeley = []Fourfold{{512, 313, 89, 19}, {353, 207, 17, 8}, {120, 205, 202, 391}, {138, 279, 131, 244}, {53, 138, 94, 299}, {22, 351, 24, 317}}

// What the paradox of Berkeley comes to: women are admitted less often in all, and not less often in the departments.
func TestBerkeley(t *testing.T) {
	var rows []counted
	for i, d := range berkeley {
		dept := string(rune('A' + i))
		rows = append(rows, counted{[]string{"Male"}, "yes", "", dept, int(d.Good1)}, counted{[]string{"Male"}, "no", "", dept, int(d.Bad1)},
			counted{[]string{"Female"}, "yes", "", dept, int(d.Good2)}, counted{[]string{"Female"}, "no", "", dept, int(d.Bad2)})
	}
	r := reportOf(t, Question{Attributes: []string{"sex"}, Label: "admitted", Stratum: "department"}, rows)
	women := groupOf(t, &r.Groupings[0], "Female").Label
	// 1,198 of 2,691 men and 557 of 1,835 women; R's chisq.test without correction of the table: X-squared = 92.205.
	near(t, "rate of women", must(t, "rate", women.Rate), 557./1835, 1e-15)
	z, _ := TwoProportions(557, 1835, 1198, 2691)
	near(t, "chi-square", z*z, 92.205, 5e-4)
	if women.Test != TwoProportion || *women.P > 1e-20 || r.Groupings[0].Label.Verdict != BelowFourFifths {
		t.Errorf("found %+v, expected an impact beyond chance", women)
	}
	// R's mantelhaen.test(UCBAdmissions), of which the odds ratio is that of men.
	s := women.Stratified
	if s == nil {
		t.Fatal("found no test within departments")
	}
	near(t, "statistic", s.Statistic, 1.4269, 5e-5)
	near(t, "chance", s.P, 0.2323, 5e-5)
	near(t, "odds ratio", 1/must(t, "ratio", s.OddsRatio), 0.9046968, 5e-8)
	near(t, "its bound", 1/must(t, "ratio", s.High), 0.7719074, 5e-8)
	near(t, "its bound", 1/must(t, "ratio", s.Low), 1.0603298, 5e-8)
	if s.Strata != 6 {
		t.Errorf("found %d strata, expected 6", s.Strata)
	}
}

// Tests as others have published them.
func TestPublishedTests(t *testing.T) {
	// R's example of fisher.test: A. Agresti (1990), p. 61, Fisher's tea. Two-sided it is twice 0.2429, since the table is symmetric.
	near(t, "tea", Fisher(3, 1, 1, 3), 2*(17./70), 1e-12)
	// R's example of fisher.test: R. Fisher (1962, 1970), convictions of like-sex twins of criminals, two-sided.
	near(t, "twins", Fisher(2, 10, 15, 3), 0.0005367, 5e-8)
	// R's example of mantelhaen.test: A. Agresti (1990), pp. 231-237, penicillin and rabbits: p = 0.047.
	rabbits := CochranMantelHaenszel([]Fourfold{{0, 6, 0, 5}, {3, 3, 0, 6}, {6, 0, 2, 4}, {5, 1, 6, 0}, {2, 0, 5, 0}})
	near(t, "rabbits", rabbits.P, 0.047, 5e-4)
	if rabbits.Strata != 3 {
		t.Errorf("found %d strata that can tell, expected 3", rabbits.Strata)
	}
	// J. Faraway (2006), section 4.4: survival of women who smoke, chi-square 9.121, p = 0.002527.
	z, p := TwoProportions(230, 732, 139, 582)
	near(t, "smoking", z*z, 9.121, 5e-4)
	near(t, "its chance", p, 0.002527, 5e-7)
	// Y. Benjamini, Y. Hochberg (1995), section 3.2: of fifteen chances, Bonferroni's procedure rejects three at 0.05, and so does Holm's.
	chances := []float64{0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1}
	rejected := 0
	for _, p := range Holm(chances, len(chances)) {
		if p <= Significance {
			rejected++
		}
	}
	if rejected != 3 {
		t.Errorf("found %d rejected, expected 3", rejected)
	}
	// R's p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm").
	for i, want := range []float64{0.05, 0.08, 0.09, 0.09, 0.09} {
		near(t, "Holm", Holm([]float64{0.01, 0.02, 0.03, 0.04, 0.05}, 5)[i], want, 1e-12)
	}
}

// R's vcd: assocstats of the arthritis data, G. Koch, S. Edwards (1988): Pearson 13.055, Cramér's V 0.394.
func TestPublishedAssociations(t *testing.T) {
	v, corrected, _, _ := Association([][]int64{{29, 7, 7}, {13, 7, 21}})
	near(t, "Cramér's V", v, 0.394, 5e-4)
	near(t, "its square by rows", v*v*84, 13.055, 5e-4)
	if corrected >= v || corrected <= 0 {
		t.Errorf("found %v corrected, expected less than %v", corrected, v)
	}
	// scikit-learn, mutual_info_score: what is the same tells all, ln 2 of two halves; what is independent tells nothing.
	_, _, nats, share := Association([][]int64{{2, 0}, {0, 2}})
	near(t, "mutual information", nats, math.Ln2, 1e-15)
	near(t, "its share", share, 1, 1e-15)
	v, _, nats, _ = Association([][]int64{{2, 2}, {2, 2}})
	near(t, "independence", v+nats, 0, 0)
	v, corrected, nats, share = Association([][]int64{{5, 5}})
	near(t, "one value", v+corrected+nats+share, 0, 0)
}

// scikit-learn's example of roc_auc_score, and random scores against all pairs; coarse counts are off by no more than they say.
func TestAUC(t *testing.T) {
	g := newGrid(100)
	for i, score := range []float64{0.1, 0.4, 0.35, 0.8} {
		g.add(score, int32(i/2))
	}
	self := func(group int32) int { return int(group) }
	auc, off, ok := g.auc(g.steps(), self)
	near(t, "AUC", auc, 0.75, 0)
	if off != 0 || !ok {
		t.Errorf("found off by %v, expected exact", off)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for _, limit := range []int{1 << 16, 40} {
		g := newGrid(limit)
		var scores [2][]float64
		for range 500 {
			k := r.IntN(2)
			score := math.Round((r.Float64()-0.4+0.1*float64(k))*300) / 300
			scores[k] = append(scores[k], score)
			g.add(score, int32(k))
		}
		var above float64
		for _, x := range scores[1] {
			for _, y := range scores[0] {
				switch {
				case x > y:
					above++
				case x == y:
					above += 0.5
				}
			}
		}
		want := above / float64(len(scores[0])*len(scores[1]))
		auc, off, _ := g.auc(g.steps(), self)
		near(t, fmt.Sprintf("AUC with %d entries", limit), auc, want, off+1e-12)
		if (limit < 100) != (off > 0) || len(g.cells) > limit {
			t.Errorf("%d entries: found off by %v in %d", limit, off, len(g.cells))
		}
	}
}

// Rows in any order make the same report, of as few entries as there may be too.
func TestOrderDoesNotMatter(t *testing.T) {
	threshold := 0.5
	r := rand.New(rand.NewPCG(5, 6))
	var rows []*Row
	for range 9000 {
		maybe := func(v feature.Value) feature.Value {
			if r.IntN(9) == 0 {
				return feature.Null()
			}
			return v
		}
		rows = append(rows, &Row{
			Attributes: []feature.Value{maybe(feature.String(string(rune('a' + r.IntN(4))))), maybe(feature.Int64(int64(r.IntN(3))))},
			Label:      maybe(feature.Bool(r.IntN(2) == 0)), Prediction: maybe(feature.Float64(r.Float64())), Stratum: maybe(feature.Int64(int64(r.IntN(5)))),
			Columns: []feature.Value{maybe(feature.Float64(r.NormFloat64())), maybe(feature.String(fmt.Sprint(r.IntN(600)))), maybe(feature.Float64(math.NaN()))},
		})
	}
	var first string
	for range 3 {
		c, err := New(Question{
			Attributes: []string{"race", "band"}, Intersections: true, Label: "hired", Prediction: "score", Threshold: &threshold, Stratum: "site",
			Columns: []feature.Column{{Name: "x", Type: feature.TypeFloat64}, {Name: "y", Type: feature.TypeString}, {Name: "z", Type: feature.TypeFloat64}},
		}, feature.Bool(true))
		if err != nil {
			t.Fatal(err)
		}
		for i, at := range r.Perm(len(rows)) {
			take := func() error { return c.Add(rows[at]) }
			if at%50 == 0 {
				take = func() error { return c.AddLeftOut(rows[at].Attributes) }
			}
			if err := take(); err != nil {
				t.Fatal(i, err)
			}
		}
		report, err := c.Report()
		if err != nil {
			t.Fatal(err)
		}
		encoded, err := json.Marshal(report)
		if err != nil {
			t.Fatal(err)
		}
		if first == "" {
			first = string(encoded)
			if n := len(report.Groupings); n != 3 || len(report.Proxies) != 6 || report.LeftOut != 180 {
				t.Errorf("found %d groupings, %d proxies, %d left out", n, len(report.Proxies), report.LeftOut)
			}
			if p := report.Proxies[0]; p.CramersVCorrected > 0.1 {
				t.Errorf("found %+v, expected columns by chance to tell nothing", p)
			}
		}
		if string(encoded) != first {
			t.Fatalf("found another report of the same rows:\n%s\n%s", encoded, first)
		}
	}
}

// A column that is the attribute under another name is found; one that tells a part of it is told with whom.
func TestProxies(t *testing.T) {
	c, err := New(Question{Attributes: []string{"sex"}, Label: "l", Columns: []feature.Column{
		{Name: "noise", Type: feature.TypeInt64}, {Name: "height", Type: feature.TypeFloat64}, {Name: "club", Type: feature.TypeString},
	}}, feature.String("yes"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		sex, height := "f", 160+float64(i%20)
		if i%2 == 1 {
			sex, height = "m", 172+float64(i%20)
		}
		err := c.Add(&Row{Attributes: []feature.Value{feature.String(sex)}, Label: feature.String("yes"), Columns: []feature.Value{
			feature.Int64(int64(i / 2 % 7)), feature.Float64(height), feature.String(sex + "-club"),
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	r, err := c.Report()
	if err != nil {
		t.Fatal(err)
	}
	club, height, noise := r.Proxies[0], r.Proxies[1], r.Proxies[2]
	if club.Column != "club" || height.Column != "height" || noise.Column != "noise" {
		t.Fatalf("found %+v, expected those that go together most first", r.Proxies)
	}
	near(t, "club", club.CramersV, 1, 1e-9)
	near(t, "what club tells", club.InformationShare, 1, 1e-9)
	if club.AUC != nil || height.AUC == nil || math.Abs(*height.AUC-0.5) < 0.3 || math.Abs(*noise.AUC-0.5) > 0.01 {
		t.Errorf("found %v and %v, expected height to tell them apart", height.AUC, noise.AUC)
	}
	if got := r.Groupings[0].Label; got.Verdict != AtLeastFourFifths {
		t.Errorf("found %+v, expected the same rates", got)
	}
}

// Whom nothing can be said of is shown, and set apart; where nothing can be told, that is what is told.
func TestApart(t *testing.T) {
	r := reportOf(t, Question{Attributes: []string{"race"}, Label: "hired"}, []counted{
		{[]string{"a"}, "yes", "", "", 60}, {[]string{"a"}, "no", "", "", 40}, {[]string{"b"}, "yes", "", "", 55}, {[]string{"b"}, "no", "", "", 43}, {[]string{"b"}, "", "", "", 7},
		{[]string{"few"}, "no", "", "", 3}, {[]string{""}, "no", "", "", 12},
	})
	g := &r.Groupings[0]
	few, unknown, b := groupOf(t, g, "few"), groupOf(t, g, "NULL"), groupOf(t, g, "b")
	if few.Apart != ApartSmall || few.Label.Test != "" || *few.Label.ImpactRatio != 0 || unknown.Apart != ApartUnknown || b.Apart != "" {
		t.Errorf("found %+v, %+v and %+v", few, unknown, b)
	}
	if b.Label.Missing != 7 || b.Label.Known != 98 {
		t.Errorf("found %+v, expected outcomes that are missing apart", b.Label)
	}
	if g.Label.Verdict != AtLeastFourFifths || g.Groups[len(g.Groups)-1].Values[0].String() != "NULL" {
		t.Errorf("found %+v, expected neither of both to be judged, and what is not known last", g.Label)
	}
	for _, c := range []struct {
		name string
		rows []counted
		why  string
	}{
		{"one group", []counted{{[]string{"a"}, "yes", "", "", 50}}, "no two groups"},
		{"nobody favoured", []counted{{[]string{"a"}, "no", "", "", 50}, {[]string{"b"}, "no", "", "", 50}}, "no outcome is favourable"},
		{"few outcomes", []counted{{[]string{"a"}, "yes", "", "", 50}, {[]string{"b"}, "yes", "", "", 29}}, "known of 29 rows, expected at least 30"},
		{"no rows", nil, "no two groups"},
	} {
		s := reportOf(t, Question{Attributes: []string{"race"}, Label: "hired"}, c.rows).Groupings[0].Label
		if s.Verdict != NotEnoughData || !strings.Contains(s.Reason, c.why) {
			t.Errorf("%s: found %s, %s, expected that it cannot be told: %s", c.name, s.Verdict, s.Reason, c.why)
		}
	}
	// 0.7996 is less than four fifths, and is not written as if it were not.
	s := reportOf(t, Question{Attributes: []string{"race"}, Label: "hired"}, []counted{
		{[]string{"a"}, "yes", "", "", 5000}, {[]string{"b"}, "yes", "", "", 3998}, {[]string{"b"}, "no", "", "", 1002},
	}).Groupings[0].Label
	if s.Verdict != BelowFourFifths || !strings.Contains(s.Reason, "is 0.799 of") {
		t.Errorf("found %+v", s)
	}
}

func TestTooManyGroups(t *testing.T) {
	c, err := New(Question{Attributes: []string{"id"}, Label: "hired"}, feature.Bool(true))
	if err != nil {
		t.Fatal(err)
	}
	for i := range MaxGroups + 1 {
		err = c.Add(&Row{Attributes: []feature.Value{feature.Int64(int64(i))}, Label: feature.Bool(true)})
	}
	var many *TooMany
	if !errors.As(err, &many) || many.Strata || err.Error() != "column id: found more than 64 values, expected one of few" {
		t.Errorf("found %v", err)
	}
	// Of strata it is told that they are of these.
	c, err = New(Question{Attributes: []string{"a"}, Label: "hired", Stratum: "id"}, feature.Bool(true))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i <= MaxStrata && err == nil; i++ {
		err = c.Add(&Row{Attributes: []feature.Value{feature.Int64(1)}, Label: feature.Bool(true), Stratum: feature.Int64(int64(i))})
	}
	if !errors.As(err, &many) || !many.Strata || err.Error() != "column id: found more than 1024 values, expected one of few" {
		t.Errorf("found %v", err)
	}
	// Neither may there be too many groups of all attributes together, of rows that are not there too.
	c, err = New(Question{Attributes: []string{"a", "b", "c"}, Label: "hired"}, feature.Bool(true))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < 17*17*17 && err == nil; i++ {
		err = c.AddLeftOut([]feature.Value{feature.Int64(int64(i % 17)), feature.Int64(int64(i / 17 % 17)), feature.Int64(int64(i / 17 / 17))})
	}
	if err == nil || err.Error() != "column a with b with c: found more than 4096 values, expected one of few" {
		t.Errorf("found %v", err)
	}
	if _, err := New(Question{}, feature.Bool(true)); err == nil {
		t.Error("found no error without attributes")
	}
	c, err = New(Question{Attributes: []string{"race"}, Label: "hired", References: map[string]string{"race": "z"}}, feature.Bool(true))
	if err != nil {
		t.Fatal(err)
	}
	for _, race := range []string{"b", "a"} {
		if err := c.Add(&Row{Attributes: []feature.Value{feature.String(race)}, Label: feature.Bool(true)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Report(); err == nil || err.Error() != "reference race=z: found no row with that value, expected one of a, b" {
		t.Errorf("found %v", err)
	}
}

// The reference is the group with the greatest rate, so that of groups with the same rate some differs from it often by chance alone.
func TestAReferenceThatTheDataChoseIsCorrectedFor(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	for _, groups := range []int{5, 10} {
		const trials, size = 1500, 400
		found := 0
		for range trials {
			c, err := New(Question{Attributes: []string{"g"}, Label: "l"}, feature.Bool(true))
			if err != nil {
				t.Fatal(err)
			}
			for i := range groups {
				g, err := c.group([]feature.Value{feature.Int64(int64(i))})
				if err != nil {
					t.Fatal(err)
				}
				at := &cell{}
				for range size {
					at[outcome(random.IntN(2))][missing]++
				}
				c.cells[cellKey{group: g}] = at
				c.rows += size
			}
			r, err := c.Report()
			if err != nil {
				t.Fatal(err)
			}
			if r.Groupings[0].Label.Significant {
				found++
			}
		}
		// Three deviations of 0.05 of that many.
		if share := float64(found) / trials; share > Significance+3*math.Sqrt(Significance*(1-Significance)/trials) {
			t.Errorf("%d groups: found more than chance in %.3f of the trials, expected no more than %v", groups, share, Significance)
		}
	}
	// One that is named is chosen by nobody's data: each of the others is held to it alone.
	rows := []counted{
		{[]string{"a"}, "yes", "", "", 60}, {[]string{"a"}, "no", "", "", 40}, {[]string{"b"}, "yes", "", "", 45}, {[]string{"b"}, "no", "", "", 55}, {[]string{"c"}, "yes", "", "", 50}, {[]string{"c"}, "no", "", "", 50},
	}
	for of, references := range map[float64]map[string]string{2: {"g": "a"}, 3: nil} {
		r := reportOf(t, Question{Attributes: []string{"g"}, Label: "l", References: references}, rows)
		b := groupOf(t, &r.Groupings[0], "b").Label
		near(t, "corrected chance", must(t, "chance", b.PAdjusted), of*must(t, "chance", b.P), 1e-12)
	}
}

// A group of which few outcomes are known is no reference, however many rows it has, and no impact is found of it.
func TestFewKnownOutcomes(t *testing.T) {
	rows := []counted{
		{[]string{"a"}, "yes", "", "", 60}, {[]string{"a"}, "no", "", "", 40}, {[]string{"b"}, "yes", "", "", 57}, {[]string{"b"}, "no", "", "", 43},
		{[]string{"lucky"}, "yes", "", "", 1}, {[]string{"lucky"}, "", "", "", 9}, {[]string{"unlucky"}, "no", "", "", 29},
	}
	g := &reportOf(t, Question{Attributes: []string{"g"}, Label: "l"}, rows).Groupings[0]
	if a, lucky, unlucky := groupOf(t, g, "a"), groupOf(t, g, "lucky"), groupOf(t, g, "unlucky"); !a.Label.Reference || lucky.Label.Reference || lucky.Label.Test != "" || unlucky.Label.Test != "" {
		t.Errorf("found %+v, %+v and %+v", a.Label, lucky.Label, unlucky.Label)
	}
	if s := g.Label; s.Verdict != NotEnoughData || s.Reason != "the outcome of lucky is known of 1 rows, expected at least 30" || s.Significant {
		t.Errorf("found %+v", s)
	}
	near(t, "least ratio", must(t, "ratio", g.Label.LeastRatio), 0.95, 1e-12)
	// What is below four fifths of those that can be judged is so, whoever else there is.
	rows[2].n, rows[3].n = 30, 70
	if s := reportOf(t, Question{Attributes: []string{"g"}, Label: "l"}, rows).Groupings[0].Label; s.Verdict != BelowFourFifths || !s.Significant {
		t.Errorf("found %+v", s)
	}
}

// A named reference of which no outcome is known is refused; of sets of attributes it is told of.
func TestANamedReferenceHasOutcomes(t *testing.T) {
	c, err := New(Question{Attributes: []string{"g"}, Label: "l", References: map[string]string{"g": "b"}}, feature.Bool(true))
	if err != nil {
		t.Fatal(err)
	}
	for race, label := range map[string]feature.Value{"a": feature.Bool(true), "b": feature.Null()} {
		if err := c.Add(&Row{Attributes: []feature.Value{feature.String(race)}, Label: label}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Report(); err == nil || err.Error() != "reference g=b: found no row with that value of which l is known, expected one of a" {
		t.Errorf("found %v", err)
	}
	r := reportOf(t, Question{Attributes: []string{"g", "h"}, Intersections: true, Label: "l", References: map[string]string{"g": "a", "h": "y"}}, []counted{
		{[]string{"a", "x"}, "yes", "", "", 50}, {[]string{"b", "y"}, "yes", "", "", 50},
	})
	const why = "; no outcome of the reference that was named is known, so nothing is compared with it"
	for i := range r.Groupings {
		g := &r.Groupings[i]
		compared := false
		for k := range g.Groups {
			compared = compared || g.Groups[k].Label.Reference
		}
		if (i < 2) != compared || strings.HasSuffix(g.Label.Reason, why) == compared {
			t.Errorf("by %v: found compared %t, %s", g.By, compared, g.Label.Reason)
		}
	}
}

// A group with no favourable outcome has no true positive rate, so that there is no difference to the one of another.
func TestNoDifferenceOfOneRate(t *testing.T) {
	r := reportOf(t, Question{Attributes: []string{"g"}, Label: "l", Prediction: "p"}, []counted{
		{[]string{"a"}, "yes", "yes", "", 40}, {[]string{"a"}, "no", "no", "", 40}, {[]string{"b"}, "no", "yes", "", 30}, {[]string{"b"}, "no", "no", "", 30},
	})
	s := r.Groupings[0].Prediction
	if s.EqualOpportunity != nil || s.EqualizedOdds != nil || !strings.HasSuffix(s.Reason, "; no favourable outcome of b has a prediction, so it has no true positive rate") {
		t.Errorf("found %+v", s)
	}
}

// Values that only rows that were set aside have are one group, whatever their number: they keep no report from being made.
func TestValuesThatAreSetAsideAreOneGroup(t *testing.T) {
	c, err := New(Question{Attributes: []string{"a", "b"}, Intersections: true, Label: "l"}, feature.String("yes"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range MaxGroups {
		if err := c.Add(&Row{Attributes: []feature.Value{feature.Int64(int64(i)), feature.String("x")}, Label: feature.String("yes")}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 2 * maxTuples {
		c.AddSetAside([]feature.Value{feature.Int64(int64(i)), feature.String(fmt.Sprint(i))}, 1)
	}
	c.AddSetAside([]feature.Value{feature.Int64(3), feature.String("x")}, 5)
	c.AddSetAside([]feature.Value{feature.Null(), feature.String("x")}, 7)
	r, err := c.Report()
	if err != nil {
		t.Fatal(err)
	}
	a, b := &r.Groupings[0], &r.Groupings[1]
	if n := len(a.Groups); n != MaxGroups+2 || r.SetAside != 2*maxTuples+12 {
		t.Errorf("found %d groups and %d rows", n, r.SetAside)
	}
	for want, g := range map[int64]*Group{
		2*maxTuples - MaxGroups: groupOf(t, a, "any other"), 7: groupOf(t, a, "NULL"), 6: groupOf(t, a, "3"), 2 * maxTuples: groupOf(t, b, "any other"), 12: groupOf(t, b, "x"),
	} {
		if g.SetAside != want || g.Values[0].last() > 0 && g.Rows > 0 {
			t.Errorf("found %+v, expected %d rows", g, want)
		}
	}
	c.WithoutSetAside()
	if r, err = c.Report(); err != nil || r.SetAside != 0 {
		t.Errorf("found %d rows, %v", r.SetAside, err)
	}
}

// An AUC of a column with many numbers says by how much it may be off.
func TestAProxySaysByHowMuchItMayBeOff(t *testing.T) {
	c, err := New(Question{Attributes: []string{"g"}, Label: "l", Columns: []feature.Column{{Name: "x", Type: feature.TypeFloat64}}}, feature.Bool(true))
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(9, 10))
	var values [2][]float64
	for i := range 3 * maxNumbers {
		x := r.Float64() + 0.1*float64(i%2)
		values[i%2] = append(values[i%2], x)
		if err := c.Add(&Row{Attributes: []feature.Value{feature.Int64(int64(i % 2))}, Label: feature.Bool(true), Columns: []feature.Value{feature.Float64(x)}}); err != nil {
			t.Fatal(err)
		}
	}
	report, err := c.Report()
	if err != nil {
		t.Fatal(err)
	}
	p := report.Proxies[0]
	slices.Sort(values[0])
	var above float64
	for _, x := range values[1] {
		at, _ := slices.BinarySearch(values[0], x)
		above += float64(at)
	}
	want := above / float64(len(values[0])*len(values[1]))
	if p.Group.Text == "0" {
		want = 1 - want
	}
	if p.Exact || p.AUCOff <= 0 {
		t.Fatalf("found %+v, expected it to say that it is not exact", p)
	}
	near(t, "AUC", must(t, "AUC", p.AUC), want, p.AUCOff)
}
