package server

import (
	"bytes"
	"context"
	"log/slog"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// scrape is what a server tells Prometheus.
func (p *product) scrape() string {
	w := httptest.NewRecorder()
	p.server.MetricsHandler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
}

// streamed reads once by StreamFeatures.
func (p *product) streamed(ctx context.Context, r *headwaterv1.GetFeaturesRequest) *headwaterv1.StreamFeaturesResponse {
	p.t.Helper()
	stream, err := p.online.StreamFeatures(ctx)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := stream.Send(&headwaterv1.StreamFeaturesRequest{Id: 1, Request: r}); err != nil {
		p.t.Fatal(err)
	}
	answer, err := stream.Recv()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := stream.CloseSend(); err != nil {
		p.t.Fatal(err)
	}
	if _, err := stream.Recv(); err == nil {
		p.t.Fatal("found another answer, expected the stream's end")
	}
	return answer
}

func TestReadsAreMeasuredByPhase(t *testing.T) {
	p := openProductWith(t, Config{PostgresURL: testenv.PostgresURL(t), RedisURL: testenv.RedisURL(t), ReadSample: 1})
	p.apply(definitions())
	at := time.Now()
	p.ingest(flights(flight("ORD", 7, at.Add(-time.Hour), feature.Float64(1)), flight("JFK", 8, at.Add(-48*time.Hour), feature.Float64(2))), 0)
	p.materialize("delays", "recent", "traffic")
	read := &headwaterv1.GetFeaturesRequest{Service: "model", Keys: map[string]*headwaterv1.KeyColumn{
		"origin": texts("ORD", "JFK", "LAX"), "number": numbers(7, 7, 7),
	}}
	if _, err := p.online.GetFeatures(p.admin, read); err != nil {
		t.Fatal(err)
	}
	if a := p.streamed(p.admin, read); a.GetResponse() == nil {
		t.Fatal(a.GetFailure())
	}
	if _, err := p.online.GetFeatures(p.admin, &headwaterv1.GetFeaturesRequest{Service: "nobody"}); err == nil {
		t.Fatal("found an answer of no service")
	}
	text := p.scrape()
	for _, line := range []string{
		`headwater_calls_total{code="OK",method="OnlineService/GetFeatures"} 1`,
		`headwater_calls_total{code="NotFound",method="OnlineService/GetFeatures"} 1`,
		`headwater_calls_total{code="OK",method="OnlineService/StreamFeatures"} 1`,
		`headwater_calls_total{code="OK",method="RegistryService/Apply"} 1`,
		`headwater_reads_total{code="OK",method="OnlineService/GetFeatures"} 1`,
		`headwater_reads_total{code="NotFound",method="OnlineService/GetFeatures"} 1`,
		`headwater_reads_total{code="OK",method="OnlineService/StreamFeatures"} 1`,
		`headwater_read_duration_seconds_count{code="OK",method="OnlineService/StreamFeatures"} 1`,
		`headwater_read_duration_seconds_count{code="NotFound",method="OnlineService/GetFeatures"} 1`,
		`headwater_call_duration_seconds_count{code="OK",method="IngestService/Ingest"} 1`,
		`headwater_read_phase_duration_seconds_count{phase="admit"} 2`,
		`headwater_read_phase_duration_seconds_count{phase="decide"} 2`,
		`headwater_read_phase_duration_seconds_count{phase="plan"} 2`,
		`headwater_read_phase_duration_seconds_count{phase="fetch"} 2`,
		`headwater_read_phase_duration_seconds_count{phase="judge"} 2`,
		`headwater_read_phase_duration_seconds_count{phase="log"} 2`,
		`headwater_read_phase_duration_seconds_count{phase="encode"} 2`,
		`headwater_read_rows_total{status="present",view="delays@1"} 4`,
		`headwater_read_rows_total{status="no_row",view="delays@1"} 2`,
		`headwater_read_rows_total{status="present",view="recent@1"} 2`,
		`headwater_read_rows_total{status="expired",view="recent@1"} 2`,
		`headwater_read_rows_total{status="no_row",view="traffic@1"} 4`,
		`headwater_read_row_age_seconds_bucket{view="delays@1",le="1024.0"} 0`,
		`headwater_read_row_age_seconds_bucket{view="delays@1",le="4096.0"} 2`,
	} {
		if !strings.Contains(text, "\n"+line+"\n") && !strings.Contains(text, "\n"+strings.ReplaceAll(line, `.0"}`, `"}`)+"\n") {
			name, _, _ := strings.Cut(line, "{")
			t.Errorf("found no line %s among\n%s", line, strings.Join(regexp.MustCompile("(?m)^"+name+`\{.*$`).FindAllString(text, -1), "\n"))
		}
	}
	if strings.Contains(text, `phase="compute"`) {
		t.Error("found the phase of on-demand features where there are none")
	}
}

// A read that is not measured is counted all the same.
func TestReadsAreCountedAll(t *testing.T) {
	p := openProductWith(t, Config{PostgresURL: testenv.PostgresURL(t), RedisURL: testenv.RedisURL(t), ReadSample: 1 << 30})
	p.someData()
	for range 50 {
		p.delayOf("small", "ORD")
	}
	text := p.scrape()
	if line := `headwater_reads_total{code="OK",method="OnlineService/GetFeatures"} 50`; !strings.Contains(text, line+"\n") {
		t.Errorf("found no line %s", line)
	}
	if strings.Contains(text, "headwater_read_duration_seconds_count") {
		t.Error("found reads that were measured, expected none of them")
	}
}

func TestSlowAndFailedReadsAreLogged(t *testing.T) {
	between, way := newProxy(t, testenv.RedisURL(t))
	p := openProductWith(t, Config{PostgresURL: testenv.PostgresURL(t), RedisURL: way, SlowRead: time.Nanosecond, ReadSample: 1 << 30})
	p.someData()
	request := func() *headwaterv1.GetFeaturesRequest {
		return &headwaterv1.GetFeaturesRequest{Service: "small", Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("ORD", "JFK")}}
	}
	r, err := p.online.GetFeatures(p.admin, request())
	if err != nil {
		t.Fatal(err)
	}
	took := `=[0-9.]+(ns|µs|ms|s)`
	slow := regexp.MustCompile(`level=WARN msg="slow read" read_id=` + r.GetReadId() + ` principal=ada method=OnlineService/GetFeatures service=small features=0 entities=2 took` + took +
		` admit` + took + ` decide` + took + ` plan` + took + ` fetch` + took + ` judge` + took + ` log` + took + ` encode` + took + "\n")
	if !slow.MatchString(p.log.String()) {
		t.Errorf("found %s\nexpected a line of %s", p.log, slow)
	}
	between.setGone(true)
	if _, err := p.online.GetFeatures(p.admin, request()); err == nil {
		t.Fatal("found an answer without Redis")
	}
	outage := regexp.MustCompile(`level=WARN msg=unavailable method=/headwater.v1.OnlineService/GetFeatures read_id=\S+ error="`)
	if !outage.MatchString(p.log.String()) {
		t.Errorf("found %s\nexpected a line of %s", p.log, outage)
	}
}

// Failed reads are no warning: they may be their callers' mistakes.
func TestFailedReadsAreLogged(t *testing.T) {
	var b bytes.Buffer
	c := newCalls(nil, 1<<30, time.Hour, nil, slog.New(slog.NewTextHandler(&b, nil)))
	ctx, w := c.begin(context.Background(), headwaterv1.OnlineService_GetFeatures_FullMethodName, true)
	err := fault.Status(fault.New(fault.NotFound, "no such service"), "").Err()
	c.end(ctx, headwaterv1.OnlineService_GetFeatures_FullMethodName, w, nil, &headwaterv1.GetFeaturesRequest{Features: []string{"a.b"}}, err)
	want := regexp.MustCompile(`level=INFO msg="failed read" code=NotFound error="no such service" method=OnlineService/GetFeatures service="" features=1 entities=0 took=`)
	if !want.MatchString(b.String()) {
		t.Errorf("found %s\nexpected a line of %s", b.String(), want)
	}
}

func TestALogOfReadsIsBounded(t *testing.T) {
	var b bytes.Buffer
	l := &limitedLog{log: slog.New(slog.NewTextHandler(&b, nil))}
	written, left := 0, int64(0)
	for range 3 * logBurst {
		if n, ok := l.take(7); ok {
			written++
			left += n
		}
	}
	if written != logBurst || left != 0 {
		t.Errorf("found %d lines of one second, and %d left out before, expected %d and none", written, left, logBurst)
	}
	if left, ok := l.take(8); !ok || left != 2*logBurst {
		t.Errorf("found %d left out, %t, expected that the next second tells of %d", left, ok, 2*logBurst)
	}
	if left, ok := l.take(8); !ok || left != 0 {
		t.Errorf("found %d left out, %t, expected them to be told once", left, ok)
	}
	l.say(context.Background(), slog.LevelInfo, "failed read", slog.Int("entities", 3))
	if !strings.Contains(b.String(), `msg="failed read" entities=3`) {
		t.Errorf("found %s", b.String())
	}
}
