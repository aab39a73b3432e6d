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
	// Listing brings what is on the disk to Postgres first.
	w.must(t, "reads", "list", "--service", "crash_model")
	conn, err := pgx.Connect(context.Background(), w.twin.postgres)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	rows, err := conn.Query(context.Background(), `SELECT read_id FROM headwater.read_log`)
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
	if len(answered) < rounds*each {
		t.Errorf("found %d answers, expected %d or more", len(answered), rounds*each)
	}
	for id := range answered {
		if there[id] != 1 {
			t.Errorf("read %s was answered, and is logged %d times", id, there[id])
		}
	}
	for id, n := range there {
		if n != 1 {
			t.Errorf("read %s is logged %d times", id, n)
		}
	}
}
