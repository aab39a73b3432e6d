package server

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// dbtEvent is the end of a run as dbt-ol tells it: columns by its parser of SQL, which says in no way how. LANDING is the table of flights, and
// COLUMNS what delay is made of.
const dbtEvent = `{"eventTime": "2026-01-31T10:0MINUTE:00.000000Z", "eventType": "COMPLETE", "producer": "https://github.com/OpenLineage/OpenLineage/tree/1.30.0/integration/dbt",
	"schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
	"run": {"runId": "0194bd3e-3b4f-7e3b-b6c6-5b5f3f1c9c51", "facets": {"dbt_version": {"_producer": "https://x.example.com", "_schemaURL": "https://x.example.com/1.json", "version": "1.9.1"}}},
	"job": {"namespace": "dbt", "name": "hw.shop.flights", "facets": {"jobType": {"jobType": "MODEL", "integration": "DBT", "processingType": "BATCH"}}},
	"inputs": [{"namespace": "s3://bucket", "name": "stage/flights", "facets": {}}],
	"outputs": [{"namespace": "postgres://db:5432", "name": "LANDING", "facets": {
		"schema": {"fields": [{"name": "delay", "type": "double precision"}]},
		"columnLineage": {"_producer": "https://x.example.com", "_schemaURL": "https://openlineage.io/spec/facets/1-2-0/ColumnLineageDatasetFacet.json#/$defs/ColumnLineageDatasetFacet",
			"fields": {"delay": {"inputFields": [COLUMNS], "transformationDescription": "", "transformationType": ""}}}}}]}`

// sparkEvent is one of Spark's integration: each dependency has its transformations, and what all columns depend on is the dataset's.
const sparkEvent = `{"eventTime": "2026-01-31T09:30:00.123Z", "eventType": "TYPE", "producer": "https://github.com/OpenLineage/OpenLineage/tree/1.30.0/integration/spark",
	"schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
	"run": {"runId": "0194bd3e-0000-7e3b-b6c6-5b5f3f1c9c51", "facets": {"spark_properties": {"properties": {"spark.master": "yarn"}}}},
	"job": {"namespace": "spark", "name": "etl.execute_insert_into_hadoop_fs_relation_command.stage_flights"},
	"inputs": [{"namespace": "kafka://broker:9092", "name": "departures"}],
	"outputs": [{"namespace": "s3://bucket", "name": "stage/flights", "facets": {
		"symlinks": {"identifiers": [{"namespace": "s3://bucket", "name": "stage.flights", "type": "TABLE"}]},
		"columnLineage": {"fields": {
			"minutes": {"inputFields": [
				{"namespace": "kafka://broker:9092", "name": "departures", "field": "left", "transformations": [{"type": "DIRECT", "subtype": "TRANSFORMATION", "description": "", "masking": false}]},
				{"namespace": "kafka://broker:9092", "name": "departures", "field": "flight", "transformations": [{"type": "INDIRECT", "subtype": "JOIN", "description": "", "masking": false}]}]},
			"other": {"inputFields": [{"namespace": "kafka://broker:9092", "name": "departures", "field": "gate", "transformations": [{"type": "DIRECT", "subtype": "IDENTITY"}]}]}},
			"dataset": [
				{"namespace": "kafka://broker:9092", "name": "departures", "field": "day", "transformations": [{"type": "INDIRECT", "subtype": "FILTER"}, {"type": "INDIRECT", "subtype": "SORT"}]},
				{"namespace": "kafka://broker:9092", "name": "departures", "field": "airport", "transformations": [{"type": "INDIRECT", "subtype": "GROUP_BY"}]}]}}}]}`

func TestColumnsOfOthersAreWalked(t *testing.T) {
	p := openProductWith(t, Config{PostgresURL: testenv.PostgresURL(t), RedisURL: testenv.RedisURL(t), OpenLineage: OpenLineage{PostgresHost: "db:5432"}})
	d := definitions()
	d.Roles = append(d.Roles, role("onlooker", "read_lineage on source:flights"), role("modeller", "read_lineage on view:delays"))
	p.apply(d)
	door := httptest.NewServer(p.server.EventsHandler())
	t.Cleanup(door.Close)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	take := func(event string) {
		t.Helper()
		if status, answer := p.tell(p.admin, door.URL, event); status != 201 {
			t.Fatalf("found %d and %s", status, answer)
		}
	}
	dbt := func(minute, of string) string {
		return strings.NewReplacer("MINUTE", minute, "COLUMNS", of, "LANDING", p.pool.Config().ConnConfig.Database+".headwater_landing.flights").Replace(dbtEvent)
	}
	const minutes, hours = `{"namespace": "s3://bucket", "name": "stage/flights", "field": "minutes"}`, `{"namespace": "s3://bucket", "name": "stage.flights", "field": "hours"}`
	up := func(ctx context.Context, node, asOf string) string {
		t.Helper()
		r, err := p.lineage.GetLineage(ctx, &headwaterv1.GetLineageRequest{
			Node: node, Direction: headwaterv1.LineageDirection_LINEAGE_DIRECTION_UP, Columns: true, AsOf: asOf,
		})
		if err != nil {
			t.Fatal(fault.FromError(err))
		}
		var lines []string
		for _, e := range r.GetEdges() {
			if !strings.HasPrefix(e.GetFrom(), "source:") {
				lines = append(lines, e.GetFrom()+" "+strings.TrimPrefix(e.GetKind().String(), "LINEAGE_EDGE_KIND_")+" "+e.GetTo())
			}
		}
		for _, n := range r.GetNodes() {
			if n.GetId() == "table:s3://bucket/stage/flights#minutes" && n.GetTitle() != "of others, read by job:dbt/hw.shop.flights" {
				t.Errorf("found the title %s", n.GetTitle())
			}
		}
		return strings.Join(lines, "\n")
	}
	now := func() string {
		var at time.Time
		if err := p.pool.QueryRow(p.admin, `SELECT clock_timestamp()`).Scan(&at); err != nil {
			t.Fatal(err)
		}
		return at.UTC().Format(time.RFC3339Nano)
	}
	before := now()
	take(strings.Replace(sparkEvent, "TYPE", "COMPLETE", 1))
	take(dbt("5", minutes))
	const wants = `table:kafka://broker:9092/departures#airport GROUP table:s3://bucket/stage/flights#minutes
table:kafka://broker:9092/departures#day FILTER table:s3://bucket/stage/flights#minutes
table:kafka://broker:9092/departures#day ORDER table:s3://bucket/stage/flights#minutes
table:kafka://broker:9092/departures#flight JOIN table:s3://bucket/stage/flights#minutes
table:kafka://broker:9092/departures#left VALUE table:s3://bucket/stage/flights#minutes
table:s3://bucket/stage/flights#minutes VALUE source:flights#delay`
	if got := up(p.admin, "source:flights#delay", ""); got != wants {
		t.Errorf("found\n%s\nexpected\n%s", got, wants)
	}
	if got := up(p.admin, "source:flights#delay", before); got != "" {
		t.Errorf("found %s before any of it was told", got)
	}
	if got := up(p.admin, "source:flights#origin", ""); got != "" {
		t.Errorf("found %s of a column that nothing is told of", got)
	}
	// From a feature the way goes on, and who may not see the source does not see it.
	if got := up(p.admin, "feature:delays.delay", ""); !strings.Contains(got, wants[strings.LastIndex(wants, "\n")+1:]) {
		t.Errorf("found\n%s", got)
	}
	if got := up(p.as("mo", "modeller"), "feature:delays.delay", ""); strings.Contains(got, "table:") {
		t.Errorf("found\n%s", got)
	}
	if got := up(p.as("olga", "onlooker"), "source:flights#delay", ""); got != wants {
		t.Errorf("found\n%s", got)
	}

	// What a run's end says of a table is all of it, from then on; what its start says adds to it, and what an older event says does nothing.
	first := now()
	take(dbt("6", hours))
	take(dbt("4", minutes))
	take(strings.NewReplacer("TYPE", "START", "09:30", "09:45", `"left"`, `"gone"`).Replace(sparkEvent))
	if got, want := up(p.admin, "source:flights#delay", ""), `table:kafka://broker:9092/departures#airport GROUP table:s3://bucket/stage/flights#hours
table:kafka://broker:9092/departures#day FILTER table:s3://bucket/stage/flights#hours
table:kafka://broker:9092/departures#day ORDER table:s3://bucket/stage/flights#hours
table:s3://bucket/stage/flights#hours VALUE source:flights#delay`; got != want {
		t.Errorf("found\n%s\nexpected\n%s", got, want)
	}
	if got := up(p.admin, "source:flights#delay", first); got != wants {
		t.Errorf("found\n%s\nexpected as it was told then\n%s", got, wants)
	}
	take(dbt("7", minutes))
	if got := up(p.admin, "source:flights#delay", ""); !strings.Contains(got, "#gone VALUE") || !strings.Contains(got, "#left VALUE") || strings.Contains(got, "#hours") {
		t.Errorf("found\n%s", got)
	}
	if got := up(p.admin, "source:flights#delay", first); got != wants {
		t.Errorf("found\n%s\nexpected as it was told then\n%s", got, wants)
	}
}
