package server

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// tell sends an event of others as the caller of ctx, and returns the status and the answer.
func (p *product) tell(ctx context.Context, address, event string) (int, string) {
	p.t.Helper()
	req, err := http.NewRequest(http.MethodPost, address+"/api/v1/lineage", strings.NewReader(event))
	if err != nil {
		p.t.Fatal(err)
	}
	if sent, _ := metadata.FromOutgoingContext(ctx); len(sent.Get("authorization")) > 0 {
		req.Header.Set("Authorization", sent.Get("authorization")[0])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, string(bytes.TrimSpace(body))
}

// madeBy is an event of a job that reads tables and wrote one, each `NAMESPACE NAME`, in the order of minutes.
func madeBy(job string, minute int, wrote string, reads ...string) string {
	table := func(t string) string {
		namespace, name, _ := strings.Cut(t, " ")
		return fmt.Sprintf(`{"namespace": %q, "name": %q}`, namespace, name)
	}
	var inputs []string
	for _, r := range reads {
		inputs = append(inputs, table(r))
	}
	return fmt.Sprintf(`{"eventTime": "2026-01-31T10:%02d:00Z", "eventType": "COMPLETE", "producer": "https://dbt.example.com",
		"schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json", "run": {"runId": "a420a447-8fcc-50d9-a99d-a468dca35fe5"},
		"job": {"namespace": "dbt", "name": %q}, "inputs": [%s], "outputs": [%s]}`, minute, job, strings.Join(inputs, ","), table(wrote))
}

func TestEventsOfOthersExtendTheGraph(t *testing.T) {
	p := openProductWith(t, Config{PostgresURL: testenv.PostgresURL(t), RedisURL: testenv.RedisURL(t), OpenLineage: OpenLineage{PostgresHost: "db:5432"}})
	d := definitions()
	other := d.Sources[0]
	other.Name = "weather"
	d.Sources = append(d.Sources, other)
	d.Roles = append(d.Roles, role("loader", "ingest on source:weather"), role("onlooker", "read_lineage on source:weather"))
	p.apply(d)
	p.ingest(flights(flight("ORD", 7, time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC), feature.Float64(1))), 0)
	door := httptest.NewServer(p.server.EventsHandler())
	t.Cleanup(door.Close)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	landing := "postgres://db:5432 " + p.pool.Config().ConnConfig.Database + ".headwater_landing."
	loader := p.as("lou", "loader")

	for _, c := range []struct {
		ctx    context.Context
		event  string
		status int
		answer string
	}{
		{p.admin, madeBy("staged", 1, landing+"flights", "s3://bucket raw/flights", "postgres://db:5432 hw.public.airports"), 201, `{"sources":["flights"]}`},
		{p.admin, madeBy("copied", 2, "s3://bucket raw/flights", "kafka://broker flights"), 201, `{"sources":[]}`},
		{p.admin, madeBy("exported", 3, "file flights.csv"), 201, `{"sources":[]}`},
		{loader, madeBy("measured", 4, landing+"weather", "s3://bucket raw/weather"), 201, `{"sources":["weather"]}`},
		{loader, madeBy("measured", 5, landing+"flights"), 403, `{"error":"lou may not ingest source:flights: `},
		{p.as("nora", "onlooker"), madeBy("measured", 6, landing+"weather"), 403, `{"error":"nora may not ingest source:*: `},
		{context.Background(), madeBy("measured", 7, landing+"weather"), 401, `{"error":"`},
		{p.admin, `{"eventTime": 17}`, 400, `{"error":"OpenLineage event: eventTime: found a number, expected a string"}`},
		{p.admin, strings.Repeat(" ", 2<<20), 400, `{"error":"OpenLineage event: the event: found 1048577 bytes, expected at most 1048576"}`},
		{p.admin, strings.Replace(madeBy("delays@1", 8, landing+"flights"), `"dbt"`, `"headwater"`, 1), 400, `{"error":"OpenLineage event: job.namespace: found \"headwater\"`},
	} {
		status, answer := p.tell(c.ctx, door.URL, c.event)
		if status != c.status || !strings.HasPrefix(answer, c.answer) {
			t.Errorf("found %d and %s of %.200s\nexpected %d and %s", status, answer, c.event, c.status, c.answer)
		}
	}
	// Each is decided on, and recorded.
	if n := p.count(`SELECT count(*) FROM headwater.audit_record WHERE method = '/headwater.v1.LineageService/TakeEvent' AND principal = 'lou' AND resource = 'source:flights' AND decision = 'denied'`); n != 1 {
		eventually(t, "the record of what was denied", func() bool {
			return p.count(`SELECT count(*) FROM headwater.audit_record WHERE method = '/headwater.v1.LineageService/TakeEvent' AND principal = 'lou' AND resource = 'source:flights' AND decision = 'denied'`) == 1
		})
	}

	up := func(ctx context.Context, node string) string {
		r, err := p.lineage.GetLineage(ctx, &headwaterv1.GetLineageRequest{Node: node, Direction: headwaterv1.LineageDirection_LINEAGE_DIRECTION_UP})
		if err != nil {
			return fault.FromError(err).Error()
		}
		var lines []string
		for _, e := range r.GetEdges() {
			lines = append(lines, e.GetFrom()+" → "+e.GetTo())
		}
		return strings.Join(lines, "\n")
	}
	const flightsUp = `job:dbt/copied → table:s3://bucket/raw/flights
job:dbt/staged → source:flights
table:kafka://broker/flights → job:dbt/copied
table:postgres://db:5432/hw.public.airports → job:dbt/staged
table:s3://bucket/raw/flights → job:dbt/staged`
	if got := up(p.admin, "source:flights"); got != flightsUp {
		t.Errorf("found\n%s\nexpected\n%s", got, flightsUp)
	}
	for _, line := range append(strings.Split(flightsUp, "\n"), "job:dbt/exported → load:1") {
		if got := up(p.admin, "load:1"); !strings.Contains(got, line) {
			t.Errorf("found\n%s\nexpected %s in it: the job that wrote the file, and what is above the source", got, line)
		}
	}
	// Who sees a source sees what it comes from.
	if got := up(p.as("olga", "onlooker"), "source:weather"); got != "job:dbt/measured → source:weather\ntable:s3://bucket/raw/weather → job:dbt/measured" {
		t.Errorf("found\n%s", got)
	}
	if got, want := up(p.admin, "job:dbt/staged"), `node: found "job:dbt/staged", which is not Headwater's, and which no walk begins at; ask for a source that comes from it, with --up`; got != want {
		t.Errorf("found %s\nexpected %s", got, want)
	}
}
