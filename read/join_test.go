package read_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/read"
)

func TestPlansOfJoins(t *testing.T) {
	joins := []read.Join{
		{Prefix: "a_", KeyMapping: map[string]string{"team": "one"}, Views: []string{"form@2"}},
		{Prefix: "b_", KeyMapping: map[string]string{"city": "there"}},
	}
	p, err := read.NewPlan(service(), map[string]string{"team": "own"}, "", joins...)
	if err != nil {
		t.Fatal(err)
	}
	var views, columns []string
	for _, v := range p.Views {
		views = append(views, v.Prefix+v.Version.Ref()+"("+strings.Join(v.KeyColumns, ",")+")")
	}
	for i := range p.Columns {
		c := &p.Columns[i]
		columns = append(columns, c.Name)
		if v := p.Views[c.View]; v.Prefix != c.Prefix || v.Version != c.Version {
			t.Errorf("column %s is of %s%s", c.Name, v.Prefix, v.Version.Ref())
		}
	}
	// A key that a join does not map is taken as the caller maps it; a view that no join reads, by the caller's mapping alone.
	if got, want := strings.Join(views, " "), "a_form@2(one,city) b_form@2(own,there) season@2(own)"; got != want {
		t.Errorf("found views %s, expected %s", got, want)
	}
	if got, want := strings.Join(columns, " "), "a_form__rate b_form__rate a_form__wins b_form__wins season__wins"; got != want {
		t.Errorf("found columns %s, expected %s", got, want)
	}
}

func TestOnDemandFeaturesOfJoins(t *testing.T) {
	joins := []read.Join{
		{Prefix: "a_", KeyMapping: map[string]string{"team": "one"}}, {Prefix: "b_", KeyMapping: map[string]string{"team": "two"}},
	}
	p, err := read.NewPlan(onDemandService(feature.Null(), feature.Float64(0.5)), nil, "", joins...)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Views) != 2 || len(p.Inputs) != 1 || len(p.OnDemand) != 2 {
		t.Fatalf("found %d views, %d inputs, %d on-demand views", len(p.Views), len(p.Inputs), len(p.OnDemand))
	}
	row := p.NewRow()
	*row.Winner(0) = read.Winner{Status: read.Present, Values: []feature.Value{feature.Int64(2), feature.Float64(3)}}
	*row.Winner(1) = read.Winner{Status: read.Present, Values: []feature.Value{feature.Int64(4), feature.Null()}}
	row.Compute([]feature.Value{feature.Float64(8)}, 0)
	var got []string
	for i := range p.Columns {
		v, status := row.Value(&p.Columns[i])
		got = append(got, p.Columns[i].Name+"="+v.Text()+"/"+status.String())
	}
	want := "a_grade__worth=12/PRESENT b_grade__worth=1/PRESENT a_won=2/PRESENT b_won=4/PRESENT a_form__rate=3/PRESENT b_form__rate=0.5/DEFAULT " +
		"a_ratio__odds=24/PRESENT b_ratio__odds=4/PRESENT"
	if text := strings.Join(got, " "); text != want {
		t.Errorf("found    %s\nexpected %s", text, want)
	}
}

func TestJoinsDoNotMix(t *testing.T) {
	s := onDemandService(feature.Null(), feature.Null())
	season := service().Pins[1].View
	both := &feature.ViewVersion{
		Version: 1, ViewVersions: []*feature.ViewVersion{s.Pins[1].View, season},
		View: feature.View{Name: "both", Features: []feature.Column{{Name: "all", Type: feature.TypeInt64}}, OnDemand: &feature.OnDemand{
			Views: []feature.ViewRef{{Name: "form"}, {Name: "season"}}, Expressions: []feature.OnDemandExpression{{Feature: "all", CEL: "form.wins + season.wins"}},
		}},
	}
	s.Pins = []feature.ServicePin{{View: both, Features: []int{0}}}
	_, err := read.NewPlan(s, nil, "", read.Join{Prefix: "a_", Views: []string{"form"}}, read.Join{Prefix: "b_", Views: []string{"season"}})
	var mixed *read.MixedJoins
	if !errors.As(err, &mixed) || mixed.Join != "a_" || mixed.Other != "b_" || mixed.Reads != season || mixed.View != both {
		t.Errorf("found %v", err)
	}
	p, err := read.NewPlan(s, nil, "", read.Join{Prefix: "a_", Views: []string{"form"}})
	if err != nil || len(p.Views) != 2 || p.Views[0].Prefix != "a_" || p.Views[1].Prefix != "" || p.Columns[0].Name != "a_both__all" {
		t.Errorf("found %+v, %v", p, err)
	}
}
