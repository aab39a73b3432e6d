package feature

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestAReadLogsShare(t *testing.T) {
	for log, expected := range map[ReadLog]float64{"": 0, "all": 1, "sample 0.01": 0.01, "sample 1": 1, "sample 2e-3": 0.002} {
		if share, err := log.Share(); err != nil || share != expected || log.All() != (log == "all") {
			t.Errorf("%q: found %g, %v, expected %g", log, share, err, expected)
		}
	}
	for _, log := range []ReadLog{"none", "sample", "sample 0", "sample 1.01", "sample -1", "sample NaN", "sample  0.5", "0.5", "All", "all "} {
		_, err := log.Share()
		if err == nil || !strings.Contains(err.Error(), "expected all, or sample and a share between 0 and 1, such as sample 0.01") {
			t.Errorf("%q: found %v", log, err)
		}
	}
}

func TestMistakesOfServing(t *testing.T) {
	for _, c := range []struct {
		view     View
		expected []string
	}{
		{View{Cache: time.Minute}, nil},
		{View{Freshness: &ViewFreshness{MaxAge: time.Hour, Policy: FreshnessFails}}, nil},
		{View{Freshness: &ViewFreshness{MaxAge: time.Hour, Policy: FreshnessWarns}}, nil},
		{View{Freshness: &ViewFreshness{MaxAge: time.Hour, Policy: "refuse"}}, []string{`found "refuse", expected warn or fail`}},
		{View{Freshness: &ViewFreshness{MaxAge: 1500}}, []string{"expected whole microseconds"}},
		{View{Freshness: &ViewFreshness{}}, []string{"found 0s, expected how old the newest event time may be, such as 6h"}},
		{View{OnDemand: &OnDemand{}, Freshness: &ViewFreshness{MaxAge: time.Hour}}, []string{"which have no rows"}},
		{View{Cache: time.Minute + 1}, []string{"found 1m0.000000001s, expected at most 1m0s"}},
		{View{OnDemand: &OnDemand{}, Cache: 1}, []string{"which have no rows"}},
	} {
		v := &validation{}
		v.freshness(&c.view)
		if len(v.problems) != len(c.expected) {
			t.Errorf("%+v: found %v, expected %q", c.view, v.problems, c.expected)
			continue
		}
		for i, p := range v.problems {
			if !strings.Contains(p.Message, c.expected[i]) {
				t.Errorf("%+v: found %q, expected %q", c.view, p.Message, c.expected[i])
			}
		}
	}
}

// How a view is served and kept makes no version of it.
func TestServingIsInWordsOnly(t *testing.T) {
	d := flights()
	before := viewVersion(d)
	after := *before
	after.Freshness, after.Cache = &ViewFreshness{MaxAge: time.Hour, Policy: FreshnessFails}, 500*time.Millisecond
	diff := DiffView(before, &after)
	if expected := []string{"freshness: set to 1h, or reads fail", "cache: set to 500ms"}; !diff.WordsOnly || !slices.Equal(diff.Lines, expected) {
		t.Errorf("found %t %q, expected %q", diff.WordsOnly, diff.Lines, expected)
	}
	pins := []ServicePin{{View: before, Features: []int{0}}}
	plain, logged := d.Services[0], d.Services[0]
	logged.Log = "all"
	if plain.Fingerprint(pins) != logged.Fingerprint(pins) {
		t.Error("found another fingerprint of a service that is logged")
	}
}
