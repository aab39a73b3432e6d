package materialize

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/headwaterhq/headwater/feature"
)

const (
	// recent is the greatest value of the last two hours, and how many rows those were made of.
	recent = `
		SELECT name, room, event_time, available_at, value, rows FROM (
			SELECT name, room, event_time, max(available_at) OVER w AS available_at, max(value) OVER w AS value,
				(sum(rows) OVER w)::bigint AS rows
			FROM %s WINDOW w AS (PARTITION BY name, room ORDER BY event_time RANGE BETWEEN interval '2 hours' PRECEDING AND CURRENT ROW)) r
		WHERE event_time >= {{interval.start}}`
	// threes adds up the hours that ended in each three of them.
	threes = `
		SELECT name, room, at + interval '3 hours' AS event_time, greatest(max(available_at), at + interval '3 hours') AS available_at,
			max(value) AS value, sum(rows)::bigint AS rows
		FROM (SELECT *, date_bin('3 hours', event_time - interval '1 hour', '2000-01-01Z') AS at FROM %s) h GROUP BY name, room, at`
	// beside joins two views of one key and time.
	beside = `
		SELECT l.name, l.room, l.event_time, greatest(l.available_at, r.available_at) AS available_at, r.value, l.rows
		FROM %s l JOIN %s r ON r.name = l.name AND r.room = l.room AND r.event_time = l.event_time WHERE l.rows < 5`
)

// chainOf are views over views over a source: of its rows, of its groups and, unless its corrections arrive, of windows.
func (w *world) chainOf(t *testing.T, src *feature.SourceVersion) []*feature.ViewVersion {
	t.Helper()
	rows, groups := w.newView(t, src, latest, 0), w.newView(t, src, hourly, time.Hour)
	lately := w.newViewOver(t, rows, recent, 0, 2*time.Hour)
	chain := []*feature.ViewVersion{rows, groups, lately, w.newViewOver(t, groups, threes, 3*time.Hour, 0), w.newViewOver(t, lately, same, 0, 0),
		w.newDiamond(t, rows, lately)}
	if src.Corrections != feature.Arrive {
		windows := w.newWindowView(t, src, 30*time.Minute)
		chain = append(chain, windows, w.newViewOver(t, windows, recent, 0, 2*time.Hour))
	}
	chain[0].Expectations = expecting(feature.Expectation{Column: "rows", Kind: feature.ExpectRange, Max: 2.0, OnFailure: feature.QuarantineRow})
	chain[0].MaxQuarantineRatio = all(1.0)
	return chain
}

func (w *world) newDiamond(t *testing.T, left, right *feature.ViewVersion) *feature.ViewVersion {
	t.Helper()
	name := fmt.Sprintf("view%d", worldCounter.Add(1))
	v := &feature.ViewVersion{
		Version: 1, Fingerprint: sha256.Sum256([]byte(name)), EntityVersion: left.EntityVersion, ViewVersions: []*feature.ViewVersion{left, right},
		View: feature.View{
			Name: name, Entity: "sensor", Features: []feature.Column{{Name: "value", Type: feature.TypeFloat64}},
			Attributes: []feature.Column{{Name: "rows", Type: feature.TypeInt64}},
			SQL: &feature.SQLTransform{
				Views: []feature.ViewRef{{Name: left.Name}, {Name: right.Name}}, Query: fmt.Sprintf(beside, left.Name, right.Name),
			},
		},
	}
	w.createView(t, v)
	return v
}

// chain is a source with views over views of it, and what was seen of them.
type chain struct {
	*world
	src   *feature.SourceVersion
	views []*feature.ViewVersion
	// loads are the ids of those that are live.
	loads []int64
	runs  []*Run
	seen  map[int64]map[int64]feature.Digest
}

func (c *chain) load(rt *rapid.T, t *testing.T, replaced int) {
	rows := drawReadings.Draw(rt, "rows")
	if c.src.DeleteMarker != "" {
		for i := range rows {
			rows[i] = markedReading(rows[i], feature.Bool(rapid.IntRange(0, 4).Draw(rt, "gone") == 0))
		}
	}
	id := int64(0)
	if replaced >= 0 {
		id = c.loads[replaced]
		c.loads = slices.Delete(c.loads, replaced, replaced+1)
	}
	c.loads = append(c.loads, c.world.load(t, c.src, id, rows...))
}

// run asks for a run and carries it to its end, over attempts that end at steps drawn. asked is nil for an incremental run.
func (c *chain) run(rt *rapid.T, t *testing.T, v *feature.ViewVersion, asked *Request) {
	if asked == nil {
		asked = &Request{}
	}
	asked.View, asked.Principal = v, "test"
	runs, err := c.m.Enqueue(context.Background(), []Request{*asked})
	if err != nil {
		rt.Fatal(err)
	}
	id := runs[0].ID
	ends := rapid.SampledFrom([]string{"", "", "retried", "retried", "cancelled", "given up"}).Draw(rt, "attempt")
	if ends != "" {
		var steps atomic.Int64
		last := int64(rapid.IntRange(1, 14).Draw(rt, "step"))
		broken := errors.New("the server went away")
		c.reached = func(string) error {
			switch n := steps.Add(1); {
			case n == last && ends == "cancelled":
				return c.m.Cancel(context.Background(), []int64{id}, "ann", "")
			case n == last && ends != "cancelled":
				return broken
			}
			return nil
		}
		err := c.m.runner.run(context.Background(), id)
		c.reached = func(string) error { return nil }
		if c.get(t, id).State == Published {
			err = nil
		}
		if err != nil && !errors.Is(err, broken) {
			rt.Fatalf("run %d: %v", id, err)
		}
		if err != nil && ends == "given up" {
			if err := c.m.runner.giveUp(context.Background(), id, broken); err != nil {
				rt.Fatal(err)
			}
		}
	}
	if err := c.m.runner.run(context.Background(), id); err != nil {
		rt.Fatalf("run %d: %v", id, err)
	}
	r := c.get(t, id)
	if !r.State.Ended() {
		rt.Fatalf("found run %d %s", id, r.State)
	}
	if r.State == Failed && ends != "given up" && c.hasRun(v) {
		rt.Fatalf("found run %s failed: %s", r.Ref(), r.Error)
	}
	if r.State != Published {
		c.look(rt, t, v)
		return
	}
	c.runs = append(c.runs, r)
	if rapid.Bool().Draw(rt, "loaded") {
		c.online(rt, r)
	}
	if c.seen[v.ID] == nil {
		c.seen[v.ID] = map[int64]feature.Digest{}
	}
	c.seen[v.ID][r.Seq] = digestOf(c.history(t, v), r.Seq)
	c.look(rt, t, v)
}

func (c *chain) hasRun(v *feature.ViewVersion) bool { return c.seen[v.ID] != nil }

func (c *chain) online(rt *rapid.T, r *Run) {
	if err := c.m.loader.load(context.Background(), r.ID); err != nil {
		rt.Fatal(err)
	}
}

// look holds what readers at every sequence of a view see to what they saw.
func (c *chain) look(rt *rapid.T, t *testing.T, v *feature.ViewVersion) {
	history := c.history(t, v)
	for seq, digest := range c.seen[v.ID] {
		if digestOf(history, seq) != digest {
			rt.Fatalf("%s reads otherwise at sequence %d", v.Ref(), seq)
		}
	}
}

func (c *chain) step(rt *rapid.T, t *testing.T) {
	switch what := rapid.SampledFrom([]string{"load", "replace", "retract", "run", "run", "run", "interval", "interval", "full"}).Draw(rt, "what"); what {
	case "load":
		c.load(rt, t, -1)
	case "replace", "retract":
		if len(c.loads) == 0 {
			return
		}
		at := rapid.IntRange(0, len(c.loads)-1).Draw(rt, "ended")
		if what == "replace" {
			c.load(rt, t, at)
			return
		}
		c.retract(t, c.loads[at])
		c.loads = slices.Delete(c.loads, at, at+1)
	default:
		v := c.views[rapid.IntRange(0, len(c.views)-1).Draw(rt, "view")]
		for _, in := range v.ViewVersions {
			if !c.hasRun(in) {
				return
			}
		}
		req := &Request{Full: what == "full"}
		if what == "interval" {
			from := rapid.IntRange(-3, 5).Draw(rt, "from")
			begin, end := hours(float64(from)).Time(), hours(float64(from+rapid.IntRange(3, 6).Draw(rt, "hours"))).Time()
			req.From, req.To = &begin, &end
		}
		c.run(rt, t, v, req)
	}
}

// settle brings all views up to date, and holds everything that there is to what it should be.
func (c *chain) settle(rt *rapid.T, t *testing.T) {
	plain := func(v *feature.ViewVersion, r *Run) *Run {
		if r.State != Published {
			rt.Fatalf("found run %s %s: %s", r.Ref(), r.State, r.Error)
		}
		c.runs = append(c.runs, r)
		return r
	}
	c.load(rt, t, -1)
	for _, v := range c.views {
		plain(v, c.runIncremental(t, v))
	}
	for i, v := range c.views {
		before := describe(c.history(t, v))
		r := plain(v, c.world.run(t, v, nil))
		if r.Ledger.Inserted+r.Ledger.Withdrawn > 0 || r.Ledger.Produced != r.Ledger.LiveAfter {
			rt.Fatalf("view %d: a full run after incremental ones found %+v to do; there were\n%s\nand are\n%s", i, r.Ledger, before, describe(c.history(t, v)))
		}
	}
	for _, r := range c.runs {
		c.online(rt, r)
	}
	for _, r := range c.runs {
		if v := c.verify(t, r); v.Verdict != Same {
			rt.Fatalf("run %s is %s, expected it to be the same: %q", r.Ref(), v.Verdict, v.Details)
		}
	}
	for _, v := range c.views {
		c.look(rt, t, v)
		check, err := c.m.CheckOnline(context.Background(), v, 5, true)
		if err != nil {
			rt.Fatal(err)
		}
		if check.Missing+check.Different+check.Surplus+check.PendingLoads > 0 {
			rt.Fatalf("found %+v online of %s", check, v.Ref())
		}
	}
}

// Views over views over a source of every kind, run whole, by intervals and by what is new, in chunks, with attempts that end at
// any step: they come to what full runs leave, readers at earlier sequences see what they saw, every run computes the same again,
// and the online store has the winners.
func TestChainsOfRunsComeToWhatFullRunsLeave(t *testing.T) {
	w := newChunkedWorld(t, 4)
	w.now = hours(4).Time()
	setChecks(t, "3")
	keyed := func(rule feature.ConflictingDuplicates) func(*feature.Source) {
		return func(s *feature.Source) {
			s.UniqueKey, s.Conflicting, s.NullEventTime = []string{"name", "room", "value"}, rule, feature.QuarantineNull
			s.MaxQuarantineRatio = all(1.0)
		}
	}
	kinds := []func(*feature.Source){
		func(*feature.Source) {},
		func(s *feature.Source) { s.Corrections = feature.Arrive },
		func(s *feature.Source) { s.AllowedLateness = time.Hour },
		func(s *feature.Source) {
			s.MaxQuarantineRatio = all(1.0)
			s.Expectations = expecting(
				feature.Expectation{Column: "value", Kind: feature.ExpectRange, Min: 0.0, OnFailure: feature.QuarantineRow},
				feature.Expectation{Column: "name", Kind: feature.ExpectRegex, Pattern: "^[^1]", OnFailure: feature.DropRow})
		},
		keyed(feature.KeepNewest), keyed(feature.KeepOldest),
		func(s *feature.Source) {
			keyed(feature.KeepNewest)(s)
			s.Columns = append(s.Columns, feature.Column{Name: "gone", Type: feature.TypeBool})
			s.DeleteMarker = "gone"
		},
	}
	rapid.Check(t, func(rt *rapid.T) {
		c := &chain{world: w, seen: map[int64]map[int64]feature.Digest{}}
		c.src = w.newSourceWith(t, kinds[rapid.IntRange(0, len(kinds)-1).Draw(rt, "kind")])
		c.views = w.chainOf(t, c.src)
		c.load(rt, t, -1)
		for range rapid.IntRange(3, 12).Draw(rt, "steps") {
			c.step(rt, t)
		}
		c.settle(rt, t)
	})
}
