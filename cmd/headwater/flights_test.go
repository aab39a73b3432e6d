package main

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	parquetfile "github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
)

// The story's features once more, computed from the files in the plainest way. Nothing of the product is in here, so that
// it can be wrong in other ways only.

const examples = "../../examples/flights/"

const minute = int64(time.Minute / time.Microsecond)

// flight is one row of the files. date is in microseconds since 1970, UTC.
type flight struct {
	date, delay, distance int64
	origin, destination   string
}

// known is when the flight's delay was: the source's arrival time.
func (f flight) known() int64 {
	// 8 miles a minute, in whole microseconds.
	landed := f.date + 30*minute + f.distance*(minute/8) + f.delay*minute
	return max(f.date, landed)
}

// flightGroup is a row of one of the views.
type flightGroup struct {
	key                      string
	eventTime, availableAt   int64
	departures, delays, late int64
}

func (g flightGroup) mean() float64  { return float64(g.delays) / float64(g.departures) }
func (g flightGroup) share() float64 { return float64(g.late) / float64(g.departures) }

// groupsOf are the rows of a view by key: flights of one key and one grain of time, at the end of the grain.
func groupsOf(flights []flight, grain time.Duration, key func(flight) string) map[string][]flightGroup {
	type id struct {
		key string
		end int64
	}
	width := grain.Microseconds()
	found := map[id]*flightGroup{}
	for _, f := range flights {
		at := id{key(f), f.date - f.date%width + width}
		g := found[at]
		if g == nil {
			g = &flightGroup{key: at.key, eventTime: at.end}
			found[at] = g
		}
		g.availableAt = max(g.availableAt, f.known())
		g.departures++
		g.delays += f.delay
		if f.delay > 15 {
			g.late++
		}
	}
	groups := map[string][]flightGroup{}
	for _, g := range found {
		groups[g.key] = append(groups[g.key], *g)
	}
	return groups
}

func airportOf(f flight) string { return f.origin }
func routeOf(f flight) string   { return f.origin + ">" + f.destination }

// naive is both views' rows.
type naive struct{ airports, routes map[string][]flightGroup }

func newNaive(flights []flight) naive {
	return naive{groupsOf(flights, time.Hour, airportOf), groupsOf(flights, 24*time.Hour, routeOf)}
}

// winner is the newest row of key that was true and known at a time, if there is one.
func winner(groups map[string][]flightGroup, key string, at int64) (best flightGroup, ok bool) {
	for _, g := range groups[key] {
		if g.eventTime <= at && g.availableAt <= at && (!ok || g.eventTime > best.eventTime) {
			best, ok = g, true
		}
	}
	return best, ok
}

// storyFeatures are the columns of the service, in its order.
var storyFeatures = []string{"airport_delays__departures", "airport_delays__mean_delay", "airport_delays__late_share",
	"route_delays__mean_delay", "route_delays__late_share"}

// features are the values of storyFeatures for a flight that leaves at a time; nil is NULL.
func (n naive) features(origin, destination string, at int64) []any {
	values := make([]any, len(storyFeatures))
	if g, ok := winner(n.airports, origin, at); ok {
		values[0], values[1], values[2] = g.departures, g.mean(), g.share()
	}
	if g, ok := winner(n.routes, routeOf(flight{origin: origin, destination: destination}), at); ok {
		values[3], values[4] = g.mean(), g.share()
	}
	return values
}

// count counts rows.
func count(groups map[string][]flightGroup) (n int) {
	for _, of := range groups {
		n += len(of)
	}
	return n
}

// differing counts the rows of a that are not in b.
func differing(a, b map[string][]flightGroup) (n int) {
	there := map[flightGroup]bool{}
	for _, of := range b {
		for _, g := range of {
			there[g] = true
		}
	}
	for _, of := range a {
		for _, g := range of {
			if !there[g] {
				n++
			}
		}
	}
	return n
}

// sameValue compares values, averages to the last digits but one: Postgres rounds its own to 16 decimal digits on the way.
func sameValue(a, b any) bool {
	x, isFloat := a.(float64)
	y, both := b.(float64)
	if isFloat && both {
		return math.Abs(x-y) <= 1e-14*max(math.Abs(x), math.Abs(y))
	}
	return a == b
}

// readParquet is a file's columns by name: values as int64, float64 or string, times as int64 microseconds, nil for NULL.
func readParquet(t *testing.T, path string) map[string][]any {
	t.Helper()
	r, err := parquetfile.OpenParquetFile(path, false)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	from, err := pqarrow.NewFileReader(r, pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	table, err := from.ReadTable(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer table.Release()
	columns := map[string][]any{}
	for i := range int(table.NumCols()) {
		c := table.Column(i)
		values := make([]any, 0, table.NumRows())
		for _, chunk := range c.Data().Chunks() {
			for row := range chunk.Len() {
				values = append(values, valueIn(t, chunk, row))
			}
		}
		columns[c.Name()] = values
	}
	return columns
}

func valueIn(t *testing.T, from arrow.Array, row int) any {
	if from.IsNull(row) {
		return nil
	}
	switch a := from.(type) {
	case *array.Int16:
		return int64(a.Value(row))
	case *array.Int32:
		return int64(a.Value(row))
	case *array.Int64:
		return a.Value(row)
	case *array.Float64:
		return a.Value(row)
	case *array.String:
		return a.Value(row)
	case *array.Timestamp:
		unit := a.DataType().(*arrow.TimestampType).Unit
		return a.Value(row).ToTime(unit).UnixMicro()
	}
	t.Fatalf("found a column of type %s", from.DataType())
	return nil
}

func readFlights(t *testing.T, files ...string) []flight {
	t.Helper()
	var flights []flight
	for _, name := range files {
		c := readParquet(t, examples+"data/"+name)
		for i := range c["date"] {
			flights = append(flights, flight{
				date: c["date"][i].(int64), delay: c["delay"][i].(int64), distance: c["distance"][i].(int64),
				origin: c["origin"][i].(string), destination: c["destination"][i].(string),
			})
		}
	}
	return flights
}
