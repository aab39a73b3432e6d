package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/wire"
)

// shopDefinitions are a world small enough to be read at a glance. What the rows of ratios are depends on column kind, so
// that a load can bring the view to every kind of failure.
const shopDefinitions = `entities:
  - name: shop
    join_keys:
      - {name: shop, type: string}
sources:
  - name: sales
    columns:
      - {name: at, type: timestamp}
      - {name: shop, type: string}
      - {name: amount, type: int64}
      - {name: kind, type: string}
    event_time: at
    landing: {}
feature_views:
  - name: totals
    entity: shop
    grain: 1h
    features:
      - {name: amount, type: int64}
    sql:
      sources: [sales]
      query: |
        SELECT shop, date_trunc('hour', event_time) + interval '1 hour' AS event_time, max(available_at) AS available_at,
               sum(amount)::bigint AS amount
        FROM sales WHERE kind <> 'elsewhere' GROUP BY shop, date_trunc('hour', event_time)
  - name: ratios
    entity: shop
    features:
      - {name: ratio, type: float64}
    sql:
      sources: [sales]
      query: |
        SELECT CASE kind WHEN 'keyless' THEN NULL ELSE shop END AS shop,
               CASE kind WHEN 'elsewhere' THEN event_time + interval '40 days' ELSE event_time END AS event_time,
               available_at, (100 / amount)::float8 AS ratio
        FROM sales
feature_services:
  - name: shop_model
    serves_as_grant: true
    views:
      - {view: totals, features: [amount]}
      - {view: ratios, features: [ratio]}
roles:
  - name: reader
    grants:
      - actions: [read_online]
        resources: ["service:shop_model"]
`

const (
	// Of each of the shops a and b, two sales in one hour and one in the next.
	shopSales = "at,shop,amount,kind\n" +
		"2001-01-01 10:05,a,1,ok\n2001-01-01 10:15,a,2,ok\n2001-01-01 11:05,a,4,ok\n" +
		"2001-01-01 10:05,b,10,ok\n2001-01-01 10:15,b,20,ok\n2001-01-01 11:05,b,40,ok\n"
	// The same with one sale of a corrected, from 4 to 5.
	shopSalesCorrected = "at,shop,amount,kind\n" +
		"2001-01-01 10:05,a,1,ok\n2001-01-01 10:15,a,2,ok\n2001-01-01 11:05,a,5,ok\n" +
		"2001-01-01 10:05,b,10,ok\n2001-01-01 10:15,b,20,ok\n2001-01-01 11:05,b,40,ok\n"
)

// shop is a server with the small world.
type shop struct{ *serverProcess }

// openShop applies the definitions, loads the sales as load 1 and materializes both views.
func openShop(t *testing.T, s *serverProcess) *shop {
	t.Helper()
	w := &shop{s}
	w.must(t, "apply", file(t, "shop.yaml", shopDefinitions))
	w.must(t, "ingest", "sales", file(t, "sales.csv", shopSales))
	w.must(t, "materialize", "totals", "ratios", "--wait")
	w.expectServed(t, "a 4 25", "b 40 2")
	return w
}

// expectServed reads features online and compares them, each as `SHOP AMOUNT RATIO` with - for none.
func (w *shop) expectServed(t *testing.T, want ...string) {
	t.Helper()
	args := []string{"get", "--service", "shop_model"}
	for _, line := range want {
		args = append(args, "--entity", "shop="+strings.Fields(line)[0])
	}
	var read headwaterv1.GetFeaturesResponse
	w.ask(t, &read, args...)
	for i, line := range want {
		found := []string{strings.Fields(line)[0]}
		for _, f := range read.Features {
			value := "-"
			if wire.StatusAt(f.Values, i) == headwaterv1.ValueStatus_VALUE_STATUS_PRESENT {
				v, err := client.Value(f.Values, i)
				if err != nil {
					t.Fatal(err)
				}
				value = v.Text()
			}
			found = append(found, value)
		}
		if got := strings.Join(found, " "); got != line {
			t.Errorf("found %s served, expected %s", got, line)
		}
	}
}

// ages are how old something is when it is told.
var ages = regexp.MustCompile(`, \S+ old`)

// state is all that a client can see of the world but for runs that did not end well: definitions, loads, published runs,
// the views' states, datasets, and what is served. Equal texts, equal worlds.
func (w *shop) state(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, kind := range []string{"entities", "sources", "views", "services", "roles"} {
		b.WriteString(w.must(t, "list", kind))
	}
	for _, line := range []string{"loads list sales", "describe view totals", "describe view ratios", "dataset list", "token list"} {
		b.WriteString(ages.ReplaceAllString(w.must(t, strings.Fields(line)...), ""))
	}
	var runs headwaterv1.ListRunsResponse
	w.ask(t, &runs, "runs", "list")
	for _, r := range runs.Runs {
		if r.State == headwaterv1.RunState_RUN_STATE_PUBLISHED {
			b.WriteString(r.String())
		}
	}
	var read headwaterv1.GetFeaturesResponse
	w.ask(t, &read, "get", "--service", "shop_model", "--entity", "shop=a", "--entity", "shop=b")
	for _, f := range read.Features {
		b.WriteString(f.String())
	}
	return b.String()
}

// unchanged holds what happens to leave the world as it is.
func (w *shop) unchanged(t *testing.T, happens func()) {
	t.Helper()
	before := w.state(t)
	happens()
	if after := w.state(t); after != before {
		t.Errorf("found the world changed. Before:\n%s\nafter:\n%s", before, after)
	}
}
