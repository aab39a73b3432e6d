package dataset

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
)

// ran makes the last run of a view one of another scope: that covered spans of hours, and looked at all there was at a time unless
// that is negative.
func (w *world) ran(t testing.TB, view, spans string, looked float64) {
	t.Helper()
	scope, plan := "interval", "null"
	if looked >= 0 {
		scope, plan = "incremental", fmt.Sprintf(`{"now": %d}`, hours(looked))
	}
	w.exec(t, `UPDATE headwater.run SET scope = $2, plan = nullif($3::jsonb, 'null'), spans = $4::tstzmultirange
		WHERE view_id = $1 AND seq = (SELECT max(seq) FROM headwater.run WHERE view_id = $1)`, w.view(view).ID, scope, plan, spans)
}

func span(from, to float64) string {
	return fmt.Sprintf("[%s,%s)", hours(from).Time().Format(time.RFC3339), hours(to).Time().Format(time.RFC3339))
}

func TestRowsThatNoRunCovers(t *testing.T) {
	const allow = "\nor leave these rows out, or allow them: --allow-partial"
	at := func(times ...float64) spine {
		s := flights()
		for _, h := range times {
			s.rows = append(s.rows, flight(1, "ORD", hours(h), 7))
		}
		return s
	}
	for name, c := range map[string]struct {
		set   func(t *testing.T, w *world)
		spine spine
		// want is how the refusal begins; partial is what the manifest says where it is allowed.
		want, partial string
	}{
		"inside": {func(t *testing.T, w *world) { w.ran(t, "delays", "{"+span(0, 10)+"}", -1) }, at(0, 5, 9.999), "", "[]"},
		"before and behind": {func(t *testing.T, w *world) { w.ran(t, "delays", "{"+span(1, 10)+"}", -1) }, at(0.5, 1, 10, 11),
			"view delays@1: 3 of the spine's 4 rows, from 2001-01-01T00:30:00Z to 2001-01-01T11:00:00Z, are of times that its runs published by position 3 do " +
				"not cover; they cover [2001-01-01T01:00:00Z, 2001-01-01T10:00:00Z); run `headwater materialize delays@1 --from 2001-01-01T00:30:00Z " +
				"--to 2001-01-01T11:00:00.000001Z --wait`",
			"[{delays 1 3 2001-01-01 00:30:00 +0000 UTC 2001-01-01 11:00:00 +0000 UTC}]"},
		"in a gap": {func(t *testing.T, w *world) {
			w.ran(t, "delays", "{"+span(0, 2)+","+span(4, 6)+","+span(7, 8)+","+span(9, 10)+","+span(11, 12)+"}", -1)
		}, at(1, 3, 5), "view delays@1: 1 of the spine's 3 rows, from 2001-01-01T03:00:00Z to 2001-01-01T03:00:00Z, are of times that its runs published by position 3 do " +
			"not cover; they cover [2001-01-01T00:00:00Z, 2001-01-01T02:00:00Z), [2001-01-01T04:00:00Z, 2001-01-01T06:00:00Z), " +
			"[2001-01-01T07:00:00Z, 2001-01-01T08:00:00Z), 2 more intervals; run `headwater materialize delays@1 --from 2001-01-01T03:00:00Z --to " +
			"2001-01-01T03:00:00.000001Z --wait`", "[{delays 1 1 2001-01-01 03:00:00 +0000 UTC 2001-01-01 03:00:00 +0000 UTC}]"},
		// A run that is not of an interval looked at all that there was, also where there was nothing.
		"before all that there was": {func(t *testing.T, w *world) { w.ran(t, "delays", "{"+span(5, 6)+"}", 20) }, at(0, 5, 6, 20), "", "[]"},
		"later than the last look": {func(t *testing.T, w *world) { w.ran(t, "delays", "{"+span(5, 6)+"}", 20) }, at(0, 20, 21),
			"view delays@1: 1 of the spine's 3 rows, from 2001-01-01T21:00:00Z to 2001-01-01T21:00:00Z, are of times that its runs published by position 3 do " +
				"not cover; they cover all that there was on 2001-01-01T20:00:00Z; run `headwater materialize delays@1 --wait`",
			"[{delays 1 1 2001-01-01 21:00:00 +0000 UTC 2001-01-01 21:00:00 +0000 UTC}]"},
		"between the last look and what lies ahead of it": {func(t *testing.T, w *world) { w.ran(t, "delays", "{"+span(22, 30)+"}", 20) }, at(19, 21, 23),
			"view delays@1: 1 of the spine's 3 rows, from 2001-01-01T21:00:00Z to 2001-01-01T21:00:00Z, are of times that its runs published by position 3 do " +
				"not cover; they cover all that there was on 2001-01-01T20:00:00Z, [2001-01-01T22:00:00Z, 2001-01-02T06:00:00Z); run `headwater materialize delays@1 --wait`",
			"[{delays 1 1 2001-01-01 21:00:00 +0000 UTC 2001-01-01 21:00:00 +0000 UTC}]"},
		// The group that a row sees is that of the grain before it.
		"grain": {func(t *testing.T, w *world) {
			w.view("delays").Grain = time.Hour
			w.ran(t, "delays", "{"+span(1, 4)+"}", -1)
		}, at(1.5, 2, 4.9, 5.5), "view delays@1: 2 of the spine's 4 rows, from 2001-01-01T01:30:00Z to 2001-01-01T05:30:00Z, are of times that its runs published by " +
			"position 3 do not cover; they cover [2001-01-01T01:00:00Z, 2001-01-01T04:00:00Z); run `headwater materialize delays@1 --from 2001-01-01T00:00:00Z --to " +
			"2001-01-01T05:00:00Z --wait`", "[{delays 1 2 2001-01-01 01:30:00 +0000 UTC 2001-01-01 05:30:00 +0000 UTC}]"},
		"windows": {func(t *testing.T, w *world) {
			w.view("delays").Aggregation = &feature.Aggregation{Hop: time.Hour}
			// What looked at all there was covers no window for that.
			w.ran(t, "delays", "{"+span(1, 4)+"}", 20)
		}, at(0.5, 4.5, 5, 6.5), "view delays@1: 2 of the spine's 4 rows, from 2001-01-01T05:00:00Z to 2001-01-01T06:30:00Z, are of times that its runs published by " +
			"position 3 do not cover; they cover [2001-01-01T01:00:00Z, 2001-01-01T04:00:00Z); run `headwater materialize delays@1 --to 2001-01-01T06:00:00Z --wait`",
			"[{delays 1 2 2001-01-01 05:00:00 +0000 UTC 2001-01-01 06:30:00 +0000 UTC}]"},
		"several views": {func(t *testing.T, w *world) {
			w.ran(t, "delays", "{"+span(0, 4)+"}", -1)
			w.ran(t, "traffic", "{"+span(0, 2)+"}", 2)
		}, at(3, 5), "view delays@1: 1 of the spine's 2 rows, from 2001-01-01T05:00:00Z to 2001-01-01T05:00:00Z, are of times that its runs published by position 3 do not " +
			"cover; they cover [2001-01-01T00:00:00Z, 2001-01-01T04:00:00Z); run `headwater materialize delays@1 --from 2001-01-01T05:00:00Z --to 2001-01-01T05:00:00.000001Z --wait`\n" +
			"view traffic@1: 2 of the spine's 2 rows, from 2001-01-01T03:00:00Z to 2001-01-01T05:00:00Z, are of times that its runs published by position 3 do not cover; " +
			"they cover all that there was on 2001-01-01T02:00:00Z; run `headwater materialize traffic@1 --wait`",
			"[{delays 1 1 2001-01-01 05:00:00 +0000 UTC 2001-01-01 05:00:00 +0000 UTC} {traffic 1 2 2001-01-01 03:00:00 +0000 UTC 2001-01-01 05:00:00 +0000 UTC}]"},
		"to come": {func(t *testing.T, w *world) { w.ran(t, "delays", "{"+span(0, 4)+"}", 9) }, flights(flight(1, "ORD", 253_402_300_799*second, 7)),
			"view delays@1: 1 of the spine's 1 rows, from 9999-12-31T23:59:59Z to 9999-12-31T23:59:59Z, are of times that its runs published by position 3 do not " +
				"cover; they cover all that there was on 2001-01-01T09:00:00Z; no run covers times that are still to come",
			"[{delays 1 1 9999-12-31 23:59:59 +0000 UTC 9999-12-31 23:59:59 +0000 UTC} {traffic 1 1 9999-12-31 23:59:59 +0000 UTC 9999-12-31 23:59:59 +0000 UTC} " +
				"{weather 1 1 9999-12-31 23:59:59 +0000 UTC 9999-12-31 23:59:59 +0000 UTC}]"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.publishAll(t)
			c.set(t, w)
			if c.want != "" {
				w.leavesNothing(t, func() {
					_, out, err := w.tryBuild(c.spine.arrow(t, 2), Request{})
					if name == "to come" {
						if fault.ReasonOf(err) != fault.NotMaterialized || !strings.HasPrefix(err.Error(), c.want+"\n") {
							t.Errorf("found %v", err)
						}
						return
					}
					wantFault(t, err, fault.NotMaterialized, c.want+allow)
					if len(out) > 0 {
						t.Errorf("found %d bytes", len(out))
					}
				})
			}
			m, out, err := w.tryBuild(c.spine.arrow(t, 2), Request{AllowPartial: c.want != ""})
			if err != nil {
				t.Fatal(err)
			}
			w.expect(t, c.spine, m, out)
			if got := fmt.Sprint(m.Partial); got != c.partial {
				t.Errorf("found %s, expected %s", got, c.partial)
			}
			if _, again, err := w.fetch(t, m.ID); err != nil || !bytes.Equal(again, out) {
				t.Errorf("fetched other bytes, %v", err)
			}
		})
	}
}

// Of a row without a whole key no value can be missing because of a run.
func TestRowsWithoutKeysNeedNoRun(t *testing.T) {
	w := newWorld(t)
	w.publishAll(t)
	w.ran(t, "traffic", "{"+span(0, 2)+"}", -1)
	w.ran(t, "delays", "{"+span(0, 20)+"}", -1)
	s := flights(flight(1, "ORD", hours(1), 7), flight(1, "ORD", hours(5), 7))
	s.rows[1][3] = feature.Null()
	m, out := w.build(t, s, "")
	w.expect(t, s, m, out)
	// With a join that finds a key, it does.
	s.columns = append(s.columns, feature.Column{Name: "other", Type: feature.TypeInt64})
	s.rows[0], s.rows[1] = append(s.rows[0], feature.Int64(7)), append(s.rows[1], feature.Int64(7))
	plan, joins := joined(t, w.service, nil, []Join{{Prefix: "a_", KeyMapping: map[string]string{"number": "number"}}, {Prefix: "b_", KeyMapping: map[string]string{"number": "other"}}})
	m, _, err := w.tryBuild(s.arrow(t, 1), Request{Plan: plan, Joins: joins, AllowPartial: true})
	if err != nil || len(m.Partial) != 1 || m.Partial[0].View != "traffic" || m.Partial[0].Rows != 1 {
		t.Errorf("found %+v, %v", m, err)
	}
}

// Views without any run give no rows, where that is allowed.
func TestViewsThatNeverRan(t *testing.T) {
	w := newWorld(t)
	w.publish(t, "delays", someDelays()...)
	s := someFlights()
	_, _, err := w.tryBuild(s.arrow(t, 2), Request{})
	wantFault(t, err, fault.NotMaterialized, "view traffic@1: no run of it was published by position 1, so every value would be missing; run `headwater materialize "+
		"traffic@1 --wait` first\nview weather@1: no run of it was published by position 1, so every value would be missing; run `headwater materialize weather@1 "+
		"--wait` first")
	m, out, err := w.tryBuild(s.arrow(t, 2), Request{AllowPartial: true})
	if err != nil {
		t.Fatal(err)
	}
	w.expect(t, s, m, out)
	if len(m.Partial) != 2 || m.Partial[0].View != "traffic" || m.Partial[0].Rows != 7 || m.Partial[1].View != "weather" || m.Partial[1].Rows != 8 ||
		m.Views[1].Seq != 0 || m.Views[1].CoveredFrom != nil || m.Views[0].CoveredFrom == nil {
		t.Errorf("found %+v", m)
	}
	w.publishAll(t)
	if _, again, err := w.fetch(t, m.ID); err != nil || !bytes.Equal(again, out) {
		t.Errorf("fetched other bytes, %v", err)
	}
}

// What is said of a whole spine at once is what is said of its rows one by one.
func TestCoverageOfManyRows(t *testing.T) {
	w := newWorld(t)
	w.publishAll(t)
	r := rand.New(rand.NewPCG(31, 32))
	for range 40 {
		spans := ""
		for h := 0.0; h < 20; h += 1 + float64(r.IntN(8)) {
			to := h + 1 + float64(r.IntN(6))
			if spans != "" {
				spans += ","
			}
			spans += span(h, to)
			h = to
		}
		looked := float64(r.IntN(30)) - 10
		w.ran(t, "delays", "{"+spans+"}", looked)
		v := w.view("delays")
		v.Grain, v.Aggregation = time.Duration(r.IntN(2))*time.Hour, nil
		if r.IntN(3) == 0 {
			v.Aggregation = &feature.Aggregation{Hop: time.Hour}
		}
		s := randomSpine(r, r.IntN(30))
		c, err := w.builder.coverageAt(context.Background(), w.plan(), 3, true, false)
		if err != nil {
			t.Fatal(err)
		}
		of := c.of(v)
		var want int64
		for _, row := range s.rows {
			if !row[1].IsNull() && !of.covers(row[2].Timestamp()) {
				want++
			}
		}
		m, _, err := w.tryBuild(s.arrow(t, 5), Request{AllowPartial: true})
		if err != nil {
			t.Fatal(err)
		}
		var found int64
		for _, p := range m.Partial {
			if p.View == "delays" {
				found = p.Rows
			}
		}
		if found != want {
			t.Errorf("spans %s, looked at %g, grain %s: found %d rows, expected %d", spans, looked, v.Grain, found, want)
		}
	}
}
