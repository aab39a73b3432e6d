package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// A server that is killed under load, again and again, has lost no read that it answered, and brings none to Postgres twice.
func TestReadsThatWereAnsweredAreLogged(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills servers")
	}
	w := openCrashing(t)
	w.must(t, "apply", file(t, "crash.yaml", strings.Replace(crashDefinitions, "  - name: crash_model\n", "  - name: crash_model\n    log: all\n", 1)))
	answered := answeredUnderKills(t, w)
	// Listing brings what is on the disk to Postgres first.
	w.must(t, "reads", "list", "--service", "crash_model")
	wantEachOnce(t, w, answered, `SELECT read_id FROM headwater.read_log`)
}

// Each read that policies were asked about, and that a server answered before it was killed, has its own record in a chain that holds.
func TestGovernedReadsThatWereAnsweredAreRecorded(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills servers")
	}
	w := openCrashing(t)
	w.must(t, "apply", file(t, "crash.yaml", crashDefinitions), file(t, "policies.yaml", `policies:
  - {name: terms, resources: ["service:crash_model"], require: {uses: [serving, training]}}
`))
	answered := answeredUnderKills(t, w)
	// Listing brings what is on the disk to Postgres first.
	w.must(t, "audit", "list")
	wantEachOnce(t, w, answered, `SELECT read_id FROM headwater.access_history WHERE reason LIKE '%under policies terms@1%'`)
	w.must(t, "audit", "verify")
}

// answeredUnderKills are the ids of reads that were answered by a server which is killed under load again and again.
func answeredUnderKills(t *testing.T, w *crashing) map[string]bool {
	t.Helper()
	const rounds, readers, each = 3, 4, 60
	var mu sync.Mutex
	answered := map[string]bool{}
	for range rounds {
		c, err := client.Dial(w.address, w.token, client.Options{})
		if err != nil {
			t.Fatal(err)
		}
		enough := make(chan struct{})
		var reading sync.WaitGroup
		before := len(answered)
		for r := range readers {
			reading.Go(func() {
				for {
					resp, err := c.Online.GetFeatures(context.Background(), &headwaterv1.GetFeaturesRequest{
						Service: "crash_model", Keys: map[string]*headwaterv1.KeyColumn{"shop": {Strings: []string{fmt.Sprint("shop", r)}}},
					})
					if err != nil {
						// The server was killed.
						return
					}
					mu.Lock()
					answered[resp.GetReadId()] = true
					if len(answered) == before+each {
						close(enough)
					}
					mu.Unlock()
				}
			})
		}
		await(t, "reads were answered", func() bool {
			select {
			case <-enough:
				return true
			default:
				return false
			}
		})
		w.kill()
		reading.Wait()
		_ = c.Close()
		w.serverProcess = w.startServer(t, w.token)
	}
	if len(answered) < rounds*each {
		t.Errorf("found %d answers, expected %d or more", len(answered), rounds*each)
	}
	return answered
}

// wantEachOnce holds the ids that a query gives to those of reads that were answered: each is there once, and none twice.
func wantEachOnce(t *testing.T, w *crashing, answered map[string]bool, query string) {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), w.twin.postgres)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	rows, err := conn.Query(context.Background(), query)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]int{}
	for _, id := range ids {
		there[id]++
	}
	for id := range answered {
		if there[id] != 1 {
			t.Errorf("read %s was answered, and is there %d times", id, there[id])
		}
	}
	for id, n := range there {
		if n != 1 {
			t.Errorf("read %s is there %d times", id, n)
		}
	}
}
