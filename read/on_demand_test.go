package read_test

import (
	"strings"
	"testing"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/read"
)

// onDemandService reads form, a view with a history, and two views of on-demand features: ratio of form, and grade of ratio
// and form. defaults are of form's features wins and rate.
func onDemandService(wins, rate feature.Value) *feature.ServiceVersion {
	form := service().Pins[0].View
	ratio := &feature.ViewVersion{
		Version: 1, ViewVersions: []*feature.ViewVersion{form},
		View: feature.View{
			Name: "ratio", Features: []feature.Column{{Name: "odds", Type: feature.TypeFloat64}, {Name: "age", Type: feature.TypeInt64}},
			OnDemand: &feature.OnDemand{
				Inputs: []feature.Column{{Name: "stake", Type: feature.TypeFloat64}}, Views: []feature.ViewRef{{Name: "form"}},
				Expressions: []feature.OnDemandExpression{
					{Feature: "age", CEL: "request.time.getFullYear() - form.wins"},
					{Feature: "odds", CEL: "form.rate * request.stake"},
				},
			},
		},
	}
	grade := &feature.ViewVersion{
		Version: 4, ViewVersions: []*feature.ViewVersion{ratio, form},
		View: feature.View{
			Name: "grade", Features: []feature.Column{{Name: "worth", Type: feature.TypeInt64}},
			OnDemand: &feature.OnDemand{
				Views:       []feature.ViewRef{{Name: "ratio"}, {Name: "form"}},
				Expressions: []feature.OnDemandExpression{{Feature: "worth", CEL: "ratio.odds == null ? -1 : int(ratio.odds) / form.wins"}},
			},
		},
	}
	return &feature.ServiceVersion{Pins: []feature.ServicePin{
		{View: grade, Features: []int{0}},
		{View: form, Features: []int{0, 1}, Defaults: []feature.Value{wins, rate}, Names: []string{"won", "form__rate"}},
		{View: ratio, Features: []int{0}},
	}}
}

func TestOnDemandPlan(t *testing.T) {
	p, err := read.NewPlan(onDemandService(feature.Null(), feature.Null()), map[string]string{"team": "home"}, "")
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Views) != 1 || p.Views[0].Version.Name != "form" || strings.Join(p.Views[0].KeyColumns, " ") != "home city" {
		t.Errorf("found views %+v, expected form alone, with its mapped keys", p.Views)
	}
	if len(p.Inputs) != 1 || p.Inputs[0].Name != "stake" {
		t.Errorf("found inputs %+v, expected stake", p.Inputs)
	}
	var names []string
	for i := range p.Columns {
		names = append(names, p.Columns[i].Name+"="+p.Columns[i].Ref())
	}
	if got, want := strings.Join(names, " "), "grade__worth=grade@4.worth won=form@2.wins form__rate=form@2.rate ratio__odds=ratio@1.odds"; got != want {
		t.Errorf("found columns %s, expected %s", got, want)
	}
	if len(p.OnDemand) != 2 || !p.Computes() {
		t.Errorf("found on-demand views %v, expected two", p.OnDemand)
	}
}

// rows are form's columns wins and rate.
func TestOnDemandValues(t *testing.T) {
	null := feature.Null()
	num, float := feature.Int64, feature.Float64
	mask := func(feature.Value) feature.Value { return float(100) }
	present := func(wins, rate feature.Value) read.Winner {
		return read.Winner{Status: read.Present, Values: []feature.Value{wins, rate}}
	}
	for name, c := range map[string]struct {
		winner     read.Winner
		wins, rate feature.Value
		stake      feature.Value
		mask       bool
		// want is worth, won, rate and odds with their statuses.
		want string
	}{
		"all there":         {winner: present(num(2), float(3)), stake: float(4), want: "6 PRESENT, 2 PRESENT, 3 PRESENT, 12 PRESENT"},
		"an input is NULL":  {winner: present(num(2), float(3)), stake: null, want: "-1 PRESENT, 2 PRESENT, 3 PRESENT,  NULL"},
		"a feature is NULL": {winner: present(num(2), null), stake: float(4), want: "-1 PRESENT, 2 PRESENT,  NULL,  NULL"},
		"a failure":         {winner: present(num(0), float(3)), stake: float(4), want: " ERROR, 0 PRESENT, 3 PRESENT, 12 PRESENT"},
		"no row":            {winner: read.Winner{Status: read.NoRow}, stake: float(4), want: "-1 PRESENT,  NO_ROW,  NO_ROW,  NULL"},
		"expired":           {winner: read.Winner{Status: read.Expired}, stake: float(4), want: "-1 PRESENT,  EXPIRED,  EXPIRED,  NULL"},
		"defaults are seen by expressions": {
			winner: read.Winner{Status: read.NoRow}, wins: num(5), rate: float(10), stake: float(1),
			want: "2 PRESENT, 5 DEFAULT, 10 DEFAULT, 10 PRESENT",
		},
		"masks are seen by expressions": {
			winner: present(num(2), float(3)), stake: float(1), mask: true, want: "50 MASKED, 2 PRESENT, 100 MASKED, 100 MASKED",
		},
		"stale": {
			winner: read.Winner{Status: read.Stale, Values: []feature.Value{num(2), float(3)}}, stake: float(4),
			want: "6 STALE, 2 STALE, 3 STALE, 12 STALE",
		},
		"a stale NULL": {
			winner: read.Winner{Status: read.Stale, Values: []feature.Value{num(2), null}}, stake: float(4),
			want: "-1 STALE, 2 STALE,  STALE,  STALE",
		},
		"a shard that did not answer": {
			winner: read.Winner{Status: read.Unavailable}, wins: num(5), rate: float(10), stake: float(4),
			want: " UNAVAILABLE,  UNAVAILABLE,  UNAVAILABLE,  UNAVAILABLE",
		},
	} {
		var restrictions *read.Restrictions
		if c.mask {
			restrictions = &read.Restrictions{Masks: map[string]*read.Mask{"form@2.rate": {Apply: mask}}}
		}
		p, err := read.NewRestrictedPlan(restrictions, onDemandService(c.wins, c.rate), nil, "")
		if err != nil {
			t.Fatal(err)
		}
		row := p.NewRow()
		*row.Winner(0) = c.winner
		row.Compute([]feature.Value{c.stake}, feature.Time(0))
		var got []string
		for i := range p.Columns {
			v, s := row.Value(&p.Columns[i])
			got = append(got, v.Text()+" "+s.String())
		}
		if got := strings.Join(got, ", "); got != c.want {
			t.Errorf("%s: found %s\nexpected %s", name, got, c.want)
		}
	}
}

// A default stands in for a value that is missing or NULL, and hides no failure.
func TestDefaultsOfOnDemandFeatures(t *testing.T) {
	s := onDemandService(feature.Null(), feature.Null())
	s.Pins[0].Defaults = []feature.Value{feature.Int64(7)}
	s.Pins[2].Defaults = []feature.Value{feature.Float64(0.5)}
	p, err := read.NewPlan(s, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	row := p.NewRow()
	*row.Winner(0) = read.Winner{Status: read.Present, Values: []feature.Value{feature.Int64(0), feature.Float64(1)}}
	row.Compute([]feature.Value{feature.Float64(1)}, 0)
	if v, status := row.Value(&p.Columns[0]); !v.IsNull() || status != read.Error {
		t.Errorf("a failure: found %s %s, expected ERROR", v.Text(), status)
	}
	row.Compute([]feature.Value{feature.Null()}, 0)
	if v, status := row.Value(&p.Columns[3]); v.Float64() != 0.5 || status != read.Default {
		t.Errorf("NULL: found %s %s, expected 0.5 DEFAULT", v.Text(), status)
	}
}

func TestPlanOfAnExpressionThatCannotBe(t *testing.T) {
	s := onDemandService(feature.Null(), feature.Null())
	s.Pins[2].View.OnDemand.Expressions[1].CEL = "form.rate * nobody"
	_, err := read.NewPlan(s, nil, "")
	want := "view ratio@1: on_demand.expressions[1].cel: line 1, column 13: found the name nobody, expected request.NAME or VIEW.FEATURE"
	if err == nil || err.Error() != want {
		t.Errorf("found %v, expected %s", err, want)
	}
}
