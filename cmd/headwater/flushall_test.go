package main

import (
	"context"
	"strings"
	"testing"

	"github.com/headwaterhq/headwater/internal/testenv"
)

// What FLUSHALL took away is no value to reads, differs to a check, and is there again after a rebuild.
func TestAFlushedRedisIsRebuilt(t *testing.T) {
	t.Parallel()
	redis := testenv.StartRedis(t)
	w := openShop(t, startServe(t, testenv.EmptyPostgresURL(t), "redis://"+redis.Address))
	w.must(t, "online", "check")
	if err := redis.Client.FlushAll(context.Background()).Err(); err != nil {
		t.Fatal(err)
	}
	w.expectServed(t, "a - -", "b - -")
	if out := w.must(t, "get", "--service", "shop_model", "--entity", "shop=a"); strings.Count(out, "NO_ROW") != 2 {
		t.Errorf("found\n%s\nexpected two values that are NO_ROW", out)
	}
	r := w.run("online", "check")
	for _, view := range []string{"totals@1", "ratios@1"} {
		if want := view + ": 2 of 2 entities are not online as the history has them; `headwater online rebuild " + view + "` loads them again"; r.code != exitNotHeld || !strings.Contains(r.err, want) {
			t.Errorf("found status %d and %s, expected %s", r.code, r.err, want)
		}
	}
	w.must(t, "online", "rebuild", "totals")
	w.expectServed(t, "a 4 -", "b 40 -")
	w.must(t, "online", "rebuild")
	w.expectServed(t, "a 4 25", "b 40 2")
	w.must(t, "online", "check")
}
