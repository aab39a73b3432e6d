package offline

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/feature"
)

func TestTheLimitOfASampleLeavesFewOut(t *testing.T) {
	hundred := make([]int64, 100)
	for i := range hundred {
		hundred[i] = int64(99 - i)
	}
	third := append([]int64{noWinner, noWinner, noWinner}, hundred[:6]...)
	for _, c := range []struct {
		name  string
		ages  []int64
		share float64
		want  time.Duration
	}{
		{"nothing was sampled", nil, 0.05, 0},
		{"ninety-five of a hundred", hundred, 0.05, 95 * time.Microsecond},
		{"all of a hundred", hundred, 0, 100 * time.Microsecond},
		{"a winner of the same instant", []int64{0}, 0.05, time.Microsecond},
		{"most have none", third, 0.05, 0},
		{"longer ago than a duration holds", []int64{math.MaxInt64 / 1000}, 0.05, 0},
	} {
		if got := limitOf(c.ages, c.share); got != c.want {
			t.Errorf("%s: found %s, expected %s", c.name, got, c.want)
		}
	}
}

// Each view has a limit of its own, and says of itself alone that there may be a winner further back.
func TestViewsWithoutALimitAreLookedUpAsEver(t *testing.T) {
	view := &feature.ViewVersion{Version: 1, View: feature.View{Name: "v", Features: []feature.Column{{Name: "f", Type: feature.TypeInt64}}}}
	views := []AsOf{{View: view, TTL: time.Minute}, {View: view}, {View: view, TTL: time.Minute}}
	q := newNearQuery("spine", views, [][]int64{{60_000_000}, {5_000_000}, {7}})
	if q == nil || len(q.missing) != 2 || q.missing[0] != 1+winnerFields(views[0]) || q.missing[1] != 1+2*winnerFields(views[0]) {
		t.Fatalf("found %+v, expected the second and the third view to have a limit", q)
	}
	for part, want := range map[string]int{"interval '60000000 microseconds'": 3, "interval '5000001 microseconds'": 1, "interval '8 microseconds'": 1} {
		// The first has its TTL, in its winner and twice in why it is missing.
		if got := strings.Count(q.query, part); got != want {
			t.Errorf("%s: found %d times, expected %d\n%s", part, got, want, q.query)
		}
	}
	if q := newNearQuery("spine", views[:1], [][]int64{{noWinner}}); q != nil {
		t.Errorf("found %+v, expected no query where nothing is near", q)
	}
}
