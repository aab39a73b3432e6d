package offline

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/testenv"
)

func TestSpansAreSetsOfInstants(t *testing.T) {
	const most = 40
	draw := func(t *rapid.T, name string) Spans {
		var list []Span
		for range rapid.IntRange(0, 5).Draw(t, name) {
			list = append(list, Span{
				Start: feature.Time(rapid.IntRange(0, most).Draw(t, "start")), End: feature.Time(rapid.IntRange(0, most).Draw(t, "end")),
			})
		}
		return NewSpans(list...)
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw(t, "a"), draw(t, "b")
		for at := feature.Time(-1); at <= most+1; at++ {
			inA, inB := a.Contains(at), b.Contains(at)
			if slices.ContainsFunc(a, func(s Span) bool { return at >= s.Start && at < s.End }) != inA {
				t.Fatalf("%v contains %d: %t", a, at, inA)
			}
			for name, c := range map[string]struct{ found, want bool }{
				"union": {a.Union(b).Contains(at), inA || inB}, "minus": {a.Minus(b).Contains(at), inA && !inB},
				"intersect": {a.Intersect(b).Contains(at), inA && inB},
			} {
				if c.found != c.want {
					t.Fatalf("%s of %v and %v at %d: found %t, expected %t", name, a, b, at, c.found, c.want)
				}
			}
		}
		for _, s := range []Spans{a, a.Union(b), a.Minus(b), a.Intersect(b)} {
			for i := range s {
				if s[i].IsEmpty() || i > 0 && s[i].Start <= s[i-1].End {
					t.Fatalf("found %v, expected intervals that are not empty, ascending and apart", s)
				}
			}
		}
	})
}

func TestSpansGoToPostgresAndBack(t *testing.T) {
	pool := testenv.Postgres(t)
	early := feature.TimeOf(time.Date(44, 3, 15, 0, 0, 0, 0, time.UTC))
	late := feature.TimeOf(time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC))
	for _, want := range []Spans{nil, {{Start: early, End: early + 1}}, {{Start: early, End: 0}, {Start: 1, End: late}}} {
		found, err := ReadSpans(t.Context(), pool, "$1::text::tstzmultirange", "", want.Multirange())
		if err != nil || !slices.Equal(found, want) {
			t.Errorf("found %v, %v, expected %v", found, err, want)
		}
		var inside int
		query := "SELECT count(*) FROM (VALUES (TIMESTAMPTZ '1970-01-01 00:00:00Z')) AS v (t) WHERE " + want.Condition("t")
		if err := pool.QueryRow(t.Context(), query).Scan(&inside); err != nil || (inside == 1) != want.Contains(0) {
			t.Errorf("%s: found %d, %v", query, inside, err)
		}
	}
}
