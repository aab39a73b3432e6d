package score

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func value(p Part) float64 {
	if p.Value == nil {
		return -1
	}
	return *p.Value
}

func TestParts(t *testing.T) {
	hundred, forty := 100.0, 40.0
	all := func(string) bool { return true }
	for _, c := range []struct {
		part   Part
		value  float64
		detail string
	}{
		{OfChecks(Results{}, "none"), -1, "nothing was checked"},
		{OfChecks(Results{Passed: 3, Warned: 1}, "d"), 0.875, "d"},
		{OfChecks(Results{Passed: 99, Failed: 1}, "d"), 0, "d"},
		{OfVerdicts(Drift, Verdicts{Unclear: 4}, "against b@1"), -1, "not enough is known against b@1"},
		{OfVerdicts(Drift, Verdicts{OK: 2, Warned: 1, Failed: 1, Unclear: 4}, "against b@1"), 0.625, "2 OK, 1 WARN, 1 FAIL against b@1"},
		{OfShare(Quarantine, 1, 4, "were set aside", "were read"), 0.75, "1 of 4 rows were set aside"},
		{OfShare(Quarantine, 0, 0, "were set aside", "were read"), -1, "no rows were read"},
		{OfReads(Found{Present: 29}), -1, "29 rows of reads were measured, expected 30 to tell anything"},
		{OfReads(Found{Present: 20, Stale: 10, Missing: 10}), 0.625, "of 40 rows that were measured 20 were present, 10 stale, 10 missing"},
		{OfViews([]View{{"a@1", nil}}, all), -1, "none of the views that it reads has a score"},
		{OfViews([]View{{"a@1", &hundred}, {"b@1", &forty}, {"c@1", nil}}, all), 0.7, "of 3 views that it reads 2 have a score; the worst is b@1 with 40"},
		{OfViews([]View{{"b@1", &forty}}, func(string) bool { return false }), 0.4, "of 1 views that it reads 1 have a score; the worst is one with 40"},
		{OfFreshness(0, nil), -1, "none is declared"},
		{OfFreshness(2, nil), 1, "as new as declared"},
		{OfFreshness(2, []string{"a@1"}), 0.5, "late: a@1"},
	} {
		if got := value(c.part); got != c.value || c.part.Detail != c.detail {
			t.Errorf("found %s %v (%s), expected %v (%s)", c.part.Name, got, c.part.Detail, c.value, c.detail)
		}
	}
}

func TestUnknownPartsCountNeitherWay(t *testing.T) {
	if got := Of([]Part{Unknown(Checks, ""), Unknown(Drift, "")}); got != nil {
		t.Errorf("found a score of %v, expected none where nothing is known", *got)
	}
	parts := []Part{Known(Checks, 0.5, ""), Known(Drift, 1, "")}
	if got := Of(append(parts, Unknown(Freshness, ""))); *got != *Of(parts) || *got != 75 {
		t.Errorf("found %v, expected what is known to make 75", *got)
	}
	if got := Of([]Part{Known(Checks, 1, ""), Known(Drift, 0.999999, "")}); *got != 99.99 {
		t.Errorf("found %v, expected that something is wrong to be seen", *got)
	}
	if w := Worst(append(parts, Unknown(Freshness, ""))); w.Name != Checks {
		t.Errorf("found %s as the worst part, expected checks", w.Name)
	}
}

// One more that is bad, or one that was good and is bad, never raises a part; nor does a part that is less raise a score.
func TestWorseIsNeverScoredHigher(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := func(name string) int { return rapid.IntRange(0, 40).Draw(t, name) }
		hold := func(what string, before, after Part) {
			if before.Value != nil && (after.Value == nil || *after.Value > *before.Value) {
				t.Fatalf("%s: found %v (%s) after %v (%s)", what, value(after), after.Detail, value(before), before.Detail)
			}
			rest := []Part{Known("a", rapid.Float64Range(0, 1).Draw(t, "a"), ""), Unknown("b", "")}
			if a, b := Of(append(slices.Clone(rest), before)), Of(append(slices.Clone(rest), after)); before.Value != nil && *b > *a {
				t.Fatalf("%s: found a score of %v after %v", what, *b, *a)
			}
		}
		r := Results{n("passed"), n("warned"), n("failed")}
		worse := r
		worse.Failed++
		hold("another check fails", OfChecks(r, ""), OfChecks(worse, ""))
		if r.Passed > 0 {
			worse = r
			worse.Passed, worse.Warned = worse.Passed-1, worse.Warned+1
			hold("a check warns", OfChecks(r, ""), OfChecks(worse, ""))
		}
		v := Verdicts{n("ok"), n("warn"), n("fail"), n("unclear")}
		drifted := v
		drifted.Failed++
		hold("another column drifts", OfVerdicts(Drift, v, ""), OfVerdicts(Drift, drifted, ""))
		if v.OK > 0 {
			drifted = v
			drifted.OK, drifted.Warned = drifted.OK-1, drifted.Warned+1
			hold("a column drifts", OfVerdicts(Drift, v, ""), OfVerdicts(Drift, drifted, ""))
		}
		bad, good := int64(n("bad")), int64(n("good"))
		hold("another row is set aside", OfShare(Quarantine, bad, bad+good, "", ""), OfShare(Quarantine, bad+1, bad+good+1, "", ""))
		f := Found{int64(n("present")), int64(n("stale")), int64(n("missing"))}
		hold("another row is missing", OfReads(f), OfReads(Found{f.Present, f.Stale, f.Missing + 1}))
		if f.Present > 0 {
			hold("a row is stale", OfReads(f), OfReads(Found{f.Present - 1, f.Stale + 1, f.Missing}))
		}
		views := make([]View, n("views"))
		for i := range views {
			if rapid.Bool().Draw(t, "scored") {
				s := rapid.Float64Range(0, 100).Draw(t, "score")
				views[i] = View{fmt.Sprint(i), &s}
			}
		}
		failed := slices.Clone(views)
		for i := range failed {
			if failed[i].Score != nil {
				failed[i].Score = new(float64)
				break
			}
		}
		hold("a view fails", OfViews(views, func(string) bool { return true }), OfViews(failed, func(string) bool { return true }))
		declared := n("declared") + 1
		late := strings.Split(strings.Repeat("v ", rapid.IntRange(0, declared-1).Draw(t, "late")), " ")
		late = late[:len(late)-1]
		hold("another view is late", OfFreshness(declared, late), OfFreshness(declared, append(late, "w")))
	})
}
