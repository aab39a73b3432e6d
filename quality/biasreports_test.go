package quality

import (
	"reflect"
	"testing"

	"github.com/headwaterhq/headwater/quality/bias"
)

// Whoever may not know of rows that were set aside is shown no group that only these have, and what is missing of the others.
func TestWithoutSetAside(t *testing.T) {
	group := func(text string, rows, leftOut, setAside int64) bias.Group {
		return bias.Group{Values: []bias.Value{{Text: text}}, Rows: rows, LeftOut: leftOut, SetAside: setAside}
	}
	found := &BiasFindings{Report: bias.Report{SetAside: 6, Groupings: []bias.Grouping{{
		Groups:  []bias.Group{group("a", 9, 0, 2), group("aside", 0, 0, 3), group("b", 0, 4, 1)},
		Missing: []bias.Missing{{Column: "x", Rows: []int64{5, 0, 1}}},
	}}}, SetAsideOf: []BiasSetAside{{View: "people", Subject: "source:s"}}}
	shown := found.WithoutSetAside()
	want := bias.Grouping{Groups: []bias.Group{group("a", 9, 0, 0), group("b", 0, 4, 0)}, Missing: []bias.Missing{{Column: "x", Rows: []int64{5, 1}}}}
	if !reflect.DeepEqual(shown.Groupings[0], want) || shown.SetAside != 0 || shown.SetAsideOf != nil || !shown.SetAsideWithheld {
		t.Errorf("found %+v", shown)
	}
	if g := found.Groupings[0]; len(g.Groups) != 3 || g.Groups[1].SetAside != 3 || !reflect.DeepEqual(g.Missing[0].Rows, []int64{5, 0, 1}) {
		t.Errorf("found %+v, expected what was found to be as it was", g)
	}
}
