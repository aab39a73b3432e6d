package main

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/testenv"
	"github.com/headwaterhq/headwater/internal/wire"
)

// forgetSteps are the steps of an erasure at which the server is killed.
var forgetSteps = []string{
	"erasure begun", "erasing landing", "erased landing", "erasing view", "erased view", "erased online", "erasing texts", "erasing dataset",
	"erase queued", "erasure ends",
}

// TestCrashesOfForgetting kills the server at each step of an erasure, and in the midst of a run before one. Asked for again it goes on and
// ends whole; nothing of the entity is anywhere then, what is served of others is what it was, and no reader saw a value of the entity come
// back after it was gone.
func TestCrashesOfForgetting(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts servers by the dozen")
	}
	t.Parallel()
	w := openCrashing(t)
	everything := slices.Concat([]string{"materialize"}, crashViews)
	w.load(t)
	w.must(t, everything...)
	w.settled(t)
	var spine strings.Builder
	spine.WriteString("shop,timestamp\n")
	for n := range crashShops {
		fmt.Fprintf(&spine, "shop%d,2001-01-05 00:00:00\n", n)
	}
	w.must(t, "dataset", "build", "--service", "crash_model", "--spine", file(t, "spine.csv", spine.String()), "--out", filepath.Join(t.TempDir(), "built.arrow"), "--allow-partial")
	w.load(t)

	// A run that has committed some of its chunks, and that goes on when its server is started again, or is begun anew for the erasure.
	if !t.Run("in the midst of a run", func(c *testing.T) {
		w.stopNext(c, "chunk done")
		w.must(c, append(everything, "--full")...)
		w.awaitReached(c)
		w.killAndStart(t, "server")
		w.forget(c, 1)
		w.settled(c)
		w.forgotten(c, 1)
	}) {
		return
	}
	for i, step := range forgetSteps {
		if !t.Run(step, func(c *testing.T) {
			shop := i + 2
			c.Cleanup(func() {
				if c.Failed() {
					c.Logf("the server said\n%s", w.said(t))
				}
			})
			others := w.servedOfOthers(c, shop)
			returned := w.watchGone(c, shop)
			w.stopNext(c, step)
			var asked sync.WaitGroup
			asked.Go(func() { w.run(forgetArgs(shop)...) })
			w.awaitReached(c)
			w.killAndStart(t, "server")
			asked.Wait()
			w.forget(c, shop)
			w.settled(c)
			w.forgotten(c, shop)
			if back := returned(); len(back) > 0 {
				c.Errorf("a reader saw again, after they were gone, %q", back)
			}
			if found := w.servedOfOthers(c, shop); found != others {
				c.Errorf("of others found served\n%s\nexpected\n%s", found, others)
			}
		}) {
			return
		}
	}
	var list headwaterv1.ListErasuresResponse
	w.ask(t, &list, "forget", "list")
	if n := len(list.Erasures); n != len(forgetSteps)+1 {
		t.Errorf("found %d erasures, expected one of each shop", n)
	}
	if r := w.run("runs", "verify", "--since", "2000-01-01"); r.code != exitDone || !strings.Contains(r.out, " erased ") {
		t.Errorf("found status %d of verifying the runs:\n%s%s", r.code, r.out, r.err)
	}
}

func forgetArgs(shop int) []string {
	return []string{"forget", "--entity", fmt.Sprintf("shop=shop%d", shop), "--reason", "request 12"}
}

func (w *crashing) forget(t *testing.T, shop int) {
	t.Helper()
	w.must(t, forgetArgs(shop)...)
}

// servedOfOthers is what is served of all shops but one.
func (w *crashing) servedOfOthers(t *testing.T, shop int) string {
	t.Helper()
	state := w.served(t)
	for _, view := range crashViews {
		delete(state, fmt.Sprintf("%s shop%d", view, shop))
	}
	return lines(state)
}

// forgotten fails where there is anything of a shop.
func (w *crashing) forgotten(t *testing.T, shop int) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, w.twin.postgres)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, `SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables WHERE schemaname LIKE 'headwater%' ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		var n int
		err := conn.QueryRow(ctx, `SELECT count(*) FROM `+table+` x WHERE x::text ~ $1`, fmt.Sprintf(`\mshop%d\M`, shop)).Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			t.Errorf("found shop%d in %d rows of %s", shop, n, table)
		}
	}
	options, err := redis.ParseURL(w.redis.URL())
	if err != nil {
		t.Fatal(err)
	}
	store := redis.NewClient(options)
	defer store.Close()
	keys, err := store.Keys(ctx, "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	word := regexp.MustCompile(fmt.Sprintf(`\bshop%d\b`, shop))
	for _, key := range keys {
		if word.MatchString(key) {
			t.Errorf("found %s in Redis", key)
		}
	}
	for path, text := range testenv.Files(t, filepath.Join(w.folder, "audit")) {
		if word.MatchString(text) {
			t.Errorf("found shop%d in %s", shop, path)
		}
	}
	for key, text := range w.served(t) {
		if word.MatchString(key) && strings.Trim(strings.ReplaceAll(text, headwaterv1.ValueStatus_VALUE_STATUS_NO_ROW.String(), ""), " ") != "" {
			t.Errorf("%s: found served%s", key, text)
		}
	}
}

// watchGone reads a shop online until the function it returns is called, which returns the features that were there after they were gone.
func (w *crashing) watchGone(t *testing.T, shop int) (stop func() []string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	c, err := client.Dial(w.address, w.token, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	req := &headwaterv1.GetFeaturesRequest{Service: "crash_model", Keys: map[string]*headwaterv1.KeyColumn{"shop": {Values: []*headwaterv1.Value{
		{Kind: &headwaterv1.Value_StringValue{StringValue: fmt.Sprintf("shop%d", shop)}},
	}}}}
	there, gone, back := map[string]bool{}, map[string]bool{}, map[string]bool{}
	var reading sync.WaitGroup
	reading.Go(func() {
		for ctx.Err() == nil {
			read, err := c.Online.GetFeatures(ctx, req)
			// Others need the processors too.
			time.Sleep(5 * time.Millisecond)
			if err != nil {
				continue
			}
			for _, f := range read.Features {
				switch {
				case wire.StatusAt(f.Values, 0) != headwaterv1.ValueStatus_VALUE_STATUS_NO_ROW:
					there[f.Name] = true
					back[f.Name] = back[f.Name] || gone[f.Name]
				case there[f.Name]:
					gone[f.Name] = true
				}
			}
		}
	})
	return func() (list []string) {
		cancel()
		reading.Wait()
		c.Close()
		for name, is := range back {
			if is {
				list = append(list, name)
			}
		}
		return list
	}
}
