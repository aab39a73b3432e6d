package read_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/read"
)

// An on-demand feature that a mask leaves out is computed of the value as it is; the others of the same plan see the mask; and what the
// caller gets of the masked feature itself is masked.
func TestAMaskLeavesOutOnDemandFeatures(t *testing.T) {
	hundred := &read.Mask{
		Apply: func(feature.Value) feature.Value { return feature.Float64(100) }, Rule: read.Rule{Unmasked: []string{"ratio.odds"}},
	}
	own := &read.Mask{Apply: func(feature.Value) feature.Value { return feature.Int64(-7) }}
	for name, c := range map[string]struct {
		masks    map[string]*read.Mask
		expected string
	}{
		"left out":        {map[string]*read.Mask{"form@2.rate": hundred}, "6 PRESENT, 2 PRESENT, 100 MASKED, 12 PRESENT"},
		"of what comes":   {map[string]*read.Mask{"form@2.rate": hundred, "grade@4.worth": own}, "-7 MASKED, 2 PRESENT, 100 MASKED, 12 PRESENT"},
		"of another view": {map[string]*read.Mask{"form@1.rate": hundred}, "6 PRESENT, 2 PRESENT, 3 PRESENT, 12 PRESENT"},
	} {
		p, err := read.NewRestrictedPlan(&read.Restrictions{Masks: c.masks}, onDemandService(feature.Null(), feature.Null()), nil, "")
		if err != nil {
			t.Fatal(err)
		}
		row := p.NewRow()
		*row.Winner(0) = read.Winner{Status: read.Present, Values: []feature.Value{feature.Int64(2), feature.Float64(3)}}
		row.Compute([]feature.Value{feature.Float64(4)}, 0)
		var found []string
		for i := range p.Columns {
			v, s := row.Value(&p.Columns[i])
			found = append(found, v.Text()+" "+s.String())
		}
		if found := strings.Join(found, ", "); found != c.expected {
			t.Errorf("%s: found %s\nexpected %s", name, found, c.expected)
		}
	}
}

func TestAPlanReadsWhatItsFiltersLookAt(t *testing.T) {
	s := service()
	// Of form only wins is shown.
	s.Pins[0].Features = []int{0}
	filter := &read.Filter{
		Slots: []int{read.SlotAvailableAt, 1, read.SlotEventTime},
		Holds: func(values []feature.Value) bool {
			return values[0].Timestamp() == 9 && values[1].Float64() == 0.5 && values[2].Timestamp() == 8
		},
		Rules: []read.Rule{{Policy: "p@1", About: "form@2", Does: "row.rate = 0.5"}},
	}
	mask := &read.Mask{Rule: read.Rule{Policy: "a@3", About: "form@2.wins", Does: "redact"}}
	p, err := read.NewRestrictedPlan(&read.Restrictions{
		Filters: map[string]*read.Filter{"form@2": filter, "season@1": filter}, Masks: map[string]*read.Mask{"form@2.wins": mask},
	}, s, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	if slots := p.Slots(0); !slices.Equal(slots, []int{0, 1}) {
		t.Errorf("found slots %v, expected that of the filter too", slots)
	}
	if p.Views[1].Filter != nil {
		t.Error("found a filter of another version of a view")
	}
	winner := read.Winner{Status: read.Present, EventTime: 8, AvailableAt: 9, Values: []feature.Value{feature.Int64(1), feature.Float64(0.5)}}
	if p.Views[0].Admit(&winner); winner.Status != read.Present {
		t.Errorf("found %s, expected the row to pass", winner.Status)
	}
	winner.EventTime = 7
	if p.Views[0].Admit(&winner); winner.Status != read.NoRow {
		t.Errorf("found %s, expected the row to be hidden", winner.Status)
	}
	if rules := p.Rules(); len(rules) != 2 || !rules[0].Same(&filter.Rules[0]) || !rules[1].Same(&mask.Rule) {
		t.Errorf("found rules %v", rules)
	}
}
