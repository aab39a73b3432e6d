package read_test

import (
	"testing"
	"time"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/read"
)

func service() *feature.ServiceVersion {
	view := func(name string, keys []feature.Column, features ...feature.Column) *feature.ViewVersion {
		return &feature.ViewVersion{
			Version: 2, View: feature.View{Name: name, Features: features, TTL: time.Hour},
			EntityVersion: &feature.EntityVersion{Entity: feature.Entity{Name: "e", JoinKeys: keys}},
		}
	}
	team := feature.Column{Name: "team", Type: feature.TypeInt64}
	city := feature.Column{Name: "city", Type: feature.TypeString}
	wins := feature.Column{Name: "wins", Type: feature.TypeInt64}
	rate := feature.Column{Name: "rate", Type: feature.TypeFloat64}
	return &feature.ServiceVersion{
		Service: feature.Service{Name: "s"},
		Pins: []feature.ServicePin{
			{View: view("form", []feature.Column{team, city}, wins, rate), Features: []int{1, 0}},
			{View: view("season", []feature.Column{team}, wins), Features: []int{0}},
		},
	}
}

func TestNewPlan(t *testing.T) {
	p, err := read.NewPlan(service(), map[string]string{"team": "home_team"}, "training")
	if err != nil {
		t.Fatal(err)
	}
	if p.Purpose != "training" || len(p.Views) != 2 || len(p.Columns) != 3 {
		t.Fatalf("plan %+v", p)
	}
	if got := p.Views[0].KeyColumns; len(got) != 2 || got[0] != "home_team" || got[1] != "city" {
		t.Errorf("key columns %v, want the mapped team and city by its own name", got)
	}
	if p.Views[1].TTL != time.Hour {
		t.Errorf("TTL %s, want the view's", p.Views[1].TTL)
	}
	for i, want := range []read.Column{
		{Name: "form__rate", View: 0, Slot: 1, Type: feature.TypeFloat64},
		{Name: "form__wins", View: 0, Slot: 0, Type: feature.TypeInt64},
		{Name: "season__wins", View: 1, Slot: 0, Type: feature.TypeInt64},
	} {
		if got := p.Columns[i]; got.Name != want.Name || got.View != want.View || got.Slot != want.Slot || got.Type != want.Type {
			t.Errorf("column %d is %+v, want %+v", i, got, want)
		}
	}
}

func TestAdmit(t *testing.T) {
	seen := read.View{Filter: &read.Filter{Slots: []int{0}, Holds: func(values []feature.Value) bool { return values[0].Int64() > 3 }}}
	hidden := read.Winner{Status: read.Present, RunSeq: 7, EventTime: 5, Values: []feature.Value{feature.Int64(3)}}
	seen.Admit(&hidden)
	if hidden.Status != read.NoRow || hidden.RunSeq != 0 || hidden.EventTime != 0 || hidden.Values != nil {
		t.Errorf("a hidden row left %+v, want nothing of it", hidden)
	}
	shown := read.Winner{Status: read.Present, RunSeq: 7, Values: []feature.Value{feature.Int64(4)}}
	seen.Admit(&shown)
	if shown.Status != read.Present || shown.RunSeq != 7 {
		t.Errorf("a row that passes became %+v", shown)
	}
	stale := read.Winner{Status: read.Stale, Values: []feature.Value{feature.Int64(3)}}
	if seen.Admit(&stale); stale.Status != read.NoRow {
		t.Errorf("a hidden row that is stale became %+v", stale)
	}
	for status, expected := range map[read.Status]read.Status{
		read.Expired: read.NoRow, read.NotYetKnown: read.NoRow, read.NoRow: read.NoRow, read.NoKey: read.NoKey, read.Unavailable: read.Unavailable,
	} {
		missing := read.Winner{Status: status}
		if seen.Admit(&missing); missing.Status != expected {
			t.Errorf("a row that is %s became %s, expected %s: it may be a hidden one", status, missing.Status, expected)
		}
		if unfiltered := (&read.View{}).Missing(status); unfiltered != status {
			t.Errorf("without a filter, a row that is %s became %s", status, unfiltered)
		}
	}
}

func TestColumnValue(t *testing.T) {
	fallback := feature.Int64(-1)
	mask := &read.Mask{Apply: func(v feature.Value) feature.Value { return feature.Int64(v.Int64() / 10 * 10) }}
	winner := func(s read.Status, v feature.Value) read.Winner {
		return read.Winner{Status: s, Values: []feature.Value{feature.String("other"), v}}
	}
	for name, c := range map[string]struct {
		column read.Column
		winner read.Winner
		value  feature.Value
		status read.Status
	}{
		"present":                      {read.Column{Slot: 1}, winner(read.Present, feature.Int64(42)), feature.Int64(42), read.Present},
		"null":                         {read.Column{Slot: 1}, winner(read.Present, feature.Null()), feature.Null(), read.Null},
		"no row":                       {read.Column{Slot: 1}, read.Winner{Status: read.NoRow}, feature.Null(), read.NoRow},
		"no key":                       {read.Column{Slot: 1}, read.Winner{Status: read.NoKey}, feature.Null(), read.NoKey},
		"masked":                       {read.Column{Slot: 1, Mask: mask}, winner(read.Present, feature.Int64(42)), feature.Int64(40), read.Masked},
		"masked without a change":      {read.Column{Slot: 1, Mask: mask}, winner(read.Present, feature.Int64(40)), feature.Int64(40), read.Masked},
		"default for null":             {read.Column{Slot: 1, Default: &fallback}, winner(read.Present, feature.Null()), fallback, read.Default},
		"default for no row":           {read.Column{Slot: 1, Default: &fallback}, read.Winner{Status: read.NoRow}, fallback, read.Default},
		"default for expired":          {read.Column{Slot: 1, Default: &fallback}, read.Winner{Status: read.Expired}, fallback, read.Default},
		"no default for what is there": {read.Column{Slot: 1, Default: &fallback}, winner(read.Present, feature.Int64(1)), feature.Int64(1), read.Present},
		"no default for a lost shard":  {read.Column{Slot: 1, Default: &fallback}, read.Winner{Status: read.Unavailable}, feature.Null(), read.Unavailable},
		"a stale null":                 {read.Column{Slot: 1}, winner(read.Stale, feature.Null()), feature.Null(), read.Stale},
		"default for a stale null":     {read.Column{Slot: 1, Default: &fallback}, winner(read.Stale, feature.Null()), fallback, read.Default},
		"masked, null":                 {read.Column{Slot: 1, Mask: mask}, winner(read.Present, feature.Null()), feature.Null(), read.Null},
		"stale":                        {read.Column{Slot: 1}, winner(read.Stale, feature.Int64(9)), feature.Int64(9), read.Stale},
	} {
		value, status := c.column.Value(&c.winner)
		if !value.Equal(c.value) || status != c.status {
			t.Errorf("%s: %q %s, want %q %s", name, value.Text(), status, c.value.Text(), c.status)
		}
	}
}

func TestStatusesAreTheProtos(t *testing.T) {
	for number, name := range headwaterv1.ValueStatus_name {
		if got := "VALUE_STATUS_" + read.Status(number).String(); got != name {
			t.Errorf("status %d is %s, want %s", number, got, name)
		}
	}
}
