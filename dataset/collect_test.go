package dataset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/offline"
)

// onWrite is a writer that does something when it is written to.
type onWrite func()

func (do onWrite) Write(b []byte) (int, error) {
	do()
	return len(b), nil
}

func noFence(context.Context, pgx.Tx) error { return nil }

// published tells the view states of what was published, which the world's publications leave out.
func (w *world) published(t testing.TB) {
	t.Helper()
	w.exec(t, `INSERT INTO headwater.view_state (view_id, published_seq) SELECT view_id, max(seq) FROM headwater.publish_log GROUP BY view_id
		ON CONFLICT (view_id) DO UPDATE SET published_seq = excluded.published_seq`)
}

// collect collects the history of a view up to a sequence.
func (w *world) collect(t testing.TB, v *feature.ViewVersion, horizon int64) *offline.Collected {
	t.Helper()
	conn, err := w.pool.Acquire(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	c, err := offline.Collect(context.Background(), conn.Conn(), v, horizon, noFence)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (w *world) delete(t testing.TB, id string) *Manifest {
	t.Helper()
	m, err := w.builder.Delete(context.Background(), id, "ada", "no use", func(context.Context, pgx.Tx, *Manifest) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestCollectionsChangeNoReadThatIsAllowed(t *testing.T) {
	for seed := range uint64(2) {
		r := rand.New(rand.NewPCG(27, seed))
		w := newWorld(t)
		w.randomHistory(t, r)
		w.published(t)
		s := someFlights()
		for range 200 {
			s.rows = append(s.rows, flight(1, origins[r.IntN(len(origins))], hours(float64(r.IntN(25))), int64(r.IntN(3))))
		}
		spine := s.arrow(t, 1000)
		type kept struct {
			m     *Manifest
			bytes []byte
		}
		build := func(position int) (kept, error) {
			m, out, err := w.tryBuild(spine, Request{AsOf: fmt.Sprintf("pos:%d", position), AllowPartial: true})
			return kept{m, out}, err
		}
		head := len(w.log.Publications)
		was, datasets := map[int]string{}, map[string]kept{}
		for position := range head + 1 {
			k, err := build(position)
			if err != nil {
				t.Fatal(err)
			}
			was[position] = k.m.ContentDigest
			if r.IntN(4) == 0 {
				datasets[k.m.ID] = k
			} else {
				w.delete(t, k.m.ID)
			}
		}
		horizons := map[string]int64{}
		var refused, below, gone int64
		for range 5 {
			v := w.service.Pins[r.IntN(len(w.service.Pins))].View
			asked := r.Int64N(w.log.SeqAt(v.Name, int64(head)) + 1)
			c := w.collect(t, v, asked)
			gone += c.Rows
			if horizons[v.Name] = max(horizons[v.Name], asked); c.Horizon != horizons[v.Name] {
				t.Fatalf("found horizon %d, expected %d", c.Horizon, horizons[v.Name])
			}
			left := w.count(t, "SELECT count(*) FROM "+historyTable(v)+" WHERE seq_to <= $1", c.Horizon)
			if left != c.Protected {
				t.Errorf("%d rows are left that ended, and %d are said to be protected", left, c.Protected)
			}
			for position := range head + 1 {
				readable, early := true, false
				for _, pin := range w.service.Pins {
					seq := w.log.SeqAt(pin.View.Name, int64(position))
					if seq == 0 || seq >= horizons[pin.View.Name] {
						continue
					}
					early = true
					protected := false
					for _, k := range datasets {
						protected = protected || k.m.view(pin.View).Seq == seq
					}
					readable = readable && protected
				}
				k, err := build(position)
				switch {
				case !readable && fault.ReasonOf(err) == fault.FailedPrecondition:
					refused++
				case err != nil || !readable:
					t.Fatalf("position %d: found %v, readable %t", position, err, readable)
				case k.m.ContentDigest != was[position]:
					t.Fatalf("position %d: found other rows than before the collection", position)
				default:
					if early {
						below++
					}
					if r.IntN(8) == 0 {
						datasets[k.m.ID] = k
					} else {
						w.delete(t, k.m.ID)
					}
				}
			}
			for id, k := range datasets {
				if _, again, err := w.fetch(t, id); err != nil || !bytes.Equal(again, k.bytes) {
					t.Fatalf("dataset %s at position %d: found %d bytes (%v), expected those of its build", id, k.m.Position, len(again), err)
				}
			}
			for _, id := range slices.Sorted(func(yield func(string) bool) {
				for id := range datasets {
					if !yield(id) {
						return
					}
				}
			}) {
				if r.IntN(3) == 0 {
					w.delete(t, id)
					delete(datasets, id)
				}
			}
		}
		t.Logf("%d rows collected; %d builds before a horizon refused, %d of what datasets read", gone, refused, below)
		for id := range datasets {
			w.delete(t, id)
		}
		for _, pin := range w.service.Pins {
			if c := w.collect(t, pin.View, 0); c.Protected != 0 {
				t.Errorf("%s: %d rows are protected when no dataset is left", pin.View.Name, c.Protected)
			}
		}
	}
}

func TestCollectedHistoryIsRefused(t *testing.T) {
	w := newWorld(t)
	w.publishAll(t)
	w.publish(t, "delays", row("ORD", hours(1), hours(1.5), feature.Float64(11), feature.Int64(1)))
	w.publish(t, "delays", someDelays()[1:]...)
	w.published(t)
	spine := someFlights().arrow(t, 10)
	kept, bytesOf, err := w.tryBuild(spine, Request{AsOf: "pos:3", AllowPartial: true})
	if err != nil {
		t.Fatal(err)
	}
	v := w.view("delays")
	if c := w.collect(t, v, 3); c.Rows != 1 || c.Protected != 4 || c.Horizon != 3 {
		t.Errorf("found %+v, expected that the row of the second run alone went", *c)
	}
	_, out, err := w.tryBuild(spine, Request{AsOf: "pos:4", AllowPartial: true})
	wantFault(t, err, fault.FailedPrecondition, "view delays@1: its history before run delays@1/3 was collected, and run delays@1/2 was asked for; "+
		"ask for a later state, --as-of pos:5 or after, or fetch a dataset that was built then")
	if len(out) > 0 {
		t.Error("bytes were sent")
	}
	if m, _, err := w.tryBuild(spine, Request{AsOf: "pos:3", AllowPartial: true}); err != nil || m.ContentDigest != kept.ContentDigest {
		t.Errorf("found %v, expected the dataset that reads the same", err)
	} else {
		w.delete(t, m.ID)
	}
	if _, again, err := w.fetch(t, kept.ID); err != nil || !bytes.Equal(again, bytesOf) {
		t.Errorf("found %d bytes (%v), expected those of the build", len(again), err)
	}
	if d := w.verify(t, kept.ID); len(d) > 0 {
		t.Errorf("found %v", d)
	}

	// A history that is collected while a dataset is built of it.
	w.publish(t, "delays", someDelays()[:2]...)
	w.published(t)
	_, err = w.builder.Build(context.Background(), Request{Plan: w.plan(), AsOf: "pos:5", AllowPartial: true}, bytes.NewReader(spine),
		onWrite(func() { w.collect(t, v, 4) }))
	wantFault(t, err, fault.FailedPrecondition, "view delays@1: its history before run delays@1/4 was collected, and run delays@1/3 was asked for; "+
		"ask for a later state, --as-of pos:6 or after, or fetch a dataset that was built then")

	deleted := w.delete(t, kept.ID)
	if c := w.collect(t, v, 0); c.Rows == 0 || c.Protected != 0 {
		t.Errorf("found %+v, expected that nothing is protected", *c)
	}
	at := deleted.DeletedAt.Format("2006-01-02T15:04:05Z")
	gone := "dataset " + kept.ID + " (model@1) was deleted by ada at " + at + ": no use; only its manifest is left: build it again from its " +
		"spine, which gives another dataset"
	_, _, err = w.fetch(t, kept.ID)
	wantFault(t, err, fault.NotFound, gone)
	_, err = w.builder.Delete(context.Background(), kept.ID, "bob", "again", nil)
	wantFault(t, err, fault.NotFound, gone)
	if found, err := Find(context.Background(), w.pool, "model@1"); err != nil || found.State != Deleted || found.DeletedBy != "ada" ||
		found.DeleteReason != "no use" || found.ContentDigest != kept.ContentDigest || !found.DeletedAt.Equal(*deleted.DeletedAt) {
		t.Errorf("found %+v (%v)", found, err)
	}
	if n := w.count(t, `SELECT count(*) FROM headwater.dataset_spine WHERE dataset_id = $1`, kept.ID); n != 0 {
		t.Errorf("%d chunks of the spine are left", n)
	}
	before := w.count(t, `SELECT max(version) FROM headwater.dataset WHERE name = 'model'`)
	last, _ := w.build(t, someFlights(), "")
	w.delete(t, last.ID)
	next, _ := w.build(t, someFlights(), "")
	if int64(last.Version) != before+1 || next.Version != last.Version+1 {
		t.Errorf("found versions %d and %d behind %d", last.Version, next.Version, before)
	}
	broken := errors.New("broken")
	_, err = w.builder.Delete(context.Background(), next.ID, "ada", "x", func(context.Context, pgx.Tx, *Manifest) error { return broken })
	if !errors.Is(err, broken) || len(w.verify(t, next.ID)) > 0 {
		t.Errorf("found %v, expected that nothing was deleted", err)
	}
}
