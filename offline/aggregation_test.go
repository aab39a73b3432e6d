package offline

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

func windowsOf(where, filter string) *feature.ViewVersion {
	v := viewOf("")
	v.Features = append(v.Features, feature.Column{Name: "last_cost", Type: feature.TypeFloat64})
	v.SQL, v.Aggregation = nil, &feature.Aggregation{Source: "flights", Hop: time.Hour, Where: where, Aggregates: []feature.Aggregate{
		{Feature: "n", Function: feature.Count, Window: time.Hour, Where: filter},
		{Feature: "last_cost", Function: feature.Last, Column: "cost", Window: time.Hour},
	}}
	return v
}

func TestCheckAggregation(t *testing.T) {
	pool := testenv.Postgres(t)
	check := func(where, filter string) error {
		return inRolledBack(t, pool, func(tx pgx.Tx) error { return checkOnly(t.Context(), tx, windowsOf(where, filter)) })
	}
	for _, where := range []string{``, `delay > 0 -- late`, `flights.origin LIKE 'J%' AND cost IS NOT NULL`, `date < timestamptz '2024-01-01 00:00Z'`} {
		if err := check(where, where); err != nil {
			t.Errorf("%s\nrefused: %v", where, err)
		}
	}
	for where, want := range map[string]string{
		`delay`:                      "found an expression of type int8",
		"delay > 0\nAND late":        `column "late" does not exist`,
		`true), (true`:               "found `)` that closes nothing; remove it, or open it before",
		`date < now()`:               "found a call of now()",
		`delay > max(delay) OVER ()`: "found a window function",
	} {
		for field, err := range map[string]error{"aggregation.where": check(where, ""), "aggregation.aggregates[0].where": check("", where)} {
			f := fault.As(err)
			if f == nil || f.Reason != fault.InvalidSQL || !strings.HasPrefix(f.Error(), "view delays: "+field+": "+want) ||
				!strings.HasSuffix(f.Error(), "; expected an SQL expression over the row's columns, of type bool, that depends on nothing else") ||
				f.Violations[0].Field != field || strings.Contains(where, "late") && f.Violations[0].Line != 2 {
				t.Errorf("%s\nfound:    %v\nexpected: %s: %s", where, err, field, want)
			}
		}
	}
}

func TestAnalyseAggregation(t *testing.T) {
	got := ""
	for _, in := range AnalyseAggregation(windowsOf(`delay > 0`, `"origin" = 'cost'`)).Inputs {
		if in.Column != "available_at" {
			got += fmt.Sprintf("%s %s %s.%s\n", in.Column, in.Kind, in.Relation, in.InputColumn)
		}
	}
	want := `event_time value flights.available_at
event_time value flights.event_time
event_time filter flights.available_at
event_time filter flights.cost
event_time filter flights.delay
event_time filter flights.event_time
event_time filter flights.origin
last_cost value flights.cost
last_cost filter flights.available_at
last_cost filter flights.delay
last_cost filter flights.event_time
last_cost group flights.origin
last_cost order flights.available_at
last_cost order flights.cost
last_cost order flights.event_time
n filter flights.available_at
n filter flights.delay
n filter flights.event_time
n filter flights.origin
n group flights.origin
origin value flights.origin
`
	if got != want {
		t.Errorf("found\n%s\nexpected\n%s", got, want)
	}
}
