package offline

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

func TestCorrectionsOfARunAreBounded(t *testing.T) {
	in := &Input{}
	for i := range 1500 {
		at := feature.Time(i)
		in.arriving = append(in.arriving, arrivingLoad{id: int64(i), span: Span{Start: at, End: at + 1}, brought: &at})
	}
	transform := &Transform{View: viewOf("SELECT"), Inputs: []*Input{in}}
	times, err := transform.corrected(Spans{{Start: 0, End: 1000}})
	if err != nil || len(times) != 1000 || times[999] != 999 {
		t.Errorf("found %d corrections, %v, expected those of the interval", len(times), err)
	}
	_, err = transform.corrected(Spans{{Start: 499, End: 1500}})
	want := "view delays@1: what it reads was corrected at 1001 times, expected at most 1000: its SQL runs once for each, since the corrections " +
		"of a source arrive; run shorter intervals (--from, --to)"
	if fault.ReasonOf(err) != fault.RunRefused || err.Error() != want {
		t.Errorf("found    %v\nexpected %s", err, want)
	}
}

// A clock that was set back changes no order of loads.
func TestArrivingLoadsAreInOrder(t *testing.T) {
	at := func(hour int) time.Time { return time.Date(2024, 1, 1, hour, 0, 0, 0, time.UTC) }
	event := at(0)
	load := func(id, number, ends int64, hour int) *Load {
		return &Load{ID: id, Number: number, Replaces: ends, CommittedAt: at(hour), EventTimeMin: &event, EventTimeMax: &event}
	}
	src := flightsSource()
	src.Corrections = feature.Arrive
	in, _ := landed(src, []*Load{load(1, 1, 0, 5), load(2, 2, 1, 3), load(3, 3, 2, 4)}, 3)
	for i, l := range in.arriving {
		if (l.brought != nil) != (i > 0) || (l.ended != nil) != (i < 2) {
			t.Fatalf("load %d: brought %v, ended %v", l.id, l.brought, l.ended)
		}
		if l.brought != nil && *l.brought != feature.TimeOf(at(5)) {
			t.Errorf("load %d came at %s, expected not before the one that it replaces", l.id, l.brought)
		}
	}
}

func TestWindowsOverCorrectionsThatArrive(t *testing.T) {
	pool := testenv.Postgres(t)
	v := viewOf("")
	v.SQL, v.Aggregation = nil, &feature.Aggregation{Source: "flights"}
	v.SourceVersions[0].Corrections = feature.Arrive
	err := inRolledBack(t, pool, func(tx pgx.Tx) error {
		_, err := CheckView(t.Context(), tx, v)
		return err
	})
	want := "view delays: found source flights, whose corrections arrive, expected one whose corrections restate: windows do not know yet " +
		"what was known when; leave corrections out, or write the view as sql"
	if f := fault.As(err); f == nil || f.Reason != fault.InvalidDefinition || err.Error() != want || f.Violations[0].Field != "aggregation.source" {
		t.Errorf("found    %v\nexpected %s", err, want)
	}
}
