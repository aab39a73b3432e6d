package server

import (
	"strings"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// A load that no run has read is no reason for a value to be missing: rows of its times are refused until a run has read it.
func TestRowsOfLoadsThatNoRunRead(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	p.apply(definitions())
	at := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(1))), 0)
	first := p.materialize("delays")
	build := func(asOf string, partial bool, rows ...time.Time) ([]string, *headwaterv1.Manifest, error) {
		var asks [][]feature.Value
		for _, row := range rows {
			asks = append(asks, asked("ORD", 7, row))
		}
		arrow, m, err := p.build(p.admin, "small", &headwaterv1.BuildDatasetHeader{AsOf: asOf, AllowPartial: partial}, spineOf(asks...).arrow(t))
		if err != nil {
			return nil, nil, err
		}
		var delays []string
		for _, row := range readRows(t, arrow) {
			delays = append(delays, row[strings.LastIndexByte(row, ' ')+1:])
		}
		return delays, m, nil
	}
	accepted := func(what string, want string, asOf string, partial bool, rows ...time.Time) *headwaterv1.Manifest {
		t.Helper()
		delays, m, err := build(asOf, partial, rows...)
		if err != nil || strings.Join(delays, " ") != want {
			t.Errorf("%s: found %q, %v, expected %q", what, delays, err, want)
		}
		return m
	}
	february := at.Add(31 * 24 * time.Hour)
	accepted("before the load", "1 1", "", false, at.Add(time.Hour), february)

	late, next := p.ingest(flights(flight("ORD", 7, at.Add(-time.Hour), feature.Float64(5))), 0), flights(flight("ORD", 7, february, feature.Float64(2)))
	accepted("rows that came late", "1 1", "", false, at.Add(time.Hour), february)
	load := p.ingest(next, 0)
	_, _, err := build("", false, at.Add(time.Hour), february.Add(-1), february, february.Add(time.Hour))
	f := fault.FromError(err)
	if f == nil || f.Reason != fault.NotMaterialized || !strings.Contains(f.Message, "2 of the spine's 4 rows, from 2001-02-01T00:00:00Z to 2001-02-01T01:00:00Z, "+
		"are of times that its runs published by position ") || !strings.Contains(f.Message, ", which did not hold the loads that came since, with event times from "+
		"2001-02-01T00:00:00Z on; run `headwater materialize delays@1 --wait`\nor leave these rows out, or allow them: --allow-partial") {
		t.Errorf("found %v", err)
	}
	m := accepted("where it is allowed", "1 1", "", true, february.Add(-1), february)
	if len(m.GetPartial()) != 1 || m.GetPartial()[0].GetRows() != 1 {
		t.Errorf("found the manifest's %v, expected one row", m.GetPartial())
	}
	// Whoever names a position wants what was known then.
	accepted("as of a run", "1 1", "run:delays@1/1", false, february.Add(-1), february)
	if _, err := p.loads.RetractLoad(p.admin, &headwaterv1.RetractLoadRequest{Id: load.GetId(), Reason: "a test"}); err != nil {
		t.Fatal(err)
	}
	accepted("of a load that is retracted", "1", "", false, february)
	p.ingest(next, 0)
	p.materialize("delays")
	accepted("once a run has read it", "1 2", "", false, february.Add(-1), february)
	if first[0].GetSeq() != 1 || late.GetRows() != 1 {
		t.Errorf("found %v, %v", first, late)
	}
}
