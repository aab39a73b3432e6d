package server

import (
	"context"
	"encoding/hex"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	otlp "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// collector takes spans by OTLP.
type collector struct {
	otlp.UnimplementedTraceServiceServer
	mu    sync.Mutex
	spans []*tracev1.Span
}

func (c *collector) Export(_ context.Context, r *otlp.ExportTraceServiceRequest) (*otlp.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range r.GetResourceSpans() {
		for _, s := range resource.GetScopeSpans() {
			c.spans = append(c.spans, s.GetSpans()...)
		}
	}
	return &otlp.ExportTraceServiceResponse{}, nil
}

// startCollector listens at the URL.
func startCollector(t *testing.T) (c *collector, url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c = &collector{}
	s := grpc.NewServer()
	otlp.RegisterTraceServiceServer(s, c)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Stop()
		<-served
	})
	return c, "http://" + l.Addr().String()
}

// named are the spans of a name.
func (c *collector) named(name string) (found []*tracev1.Span) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.spans {
		if s.GetName() == name {
			found = append(found, s)
		}
	}
	return found
}

// below are the names of the spans below one, in the order of their begin.
func (c *collector) below(parent *tracev1.Span) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []*tracev1.Span
	for _, s := range c.spans {
		if string(s.GetParentSpanId()) == string(parent.GetSpanId()) {
			found = append(found, s)
		}
	}
	slices.SortStableFunc(found, func(a, b *tracev1.Span) int {
		return int(int64(a.GetStartTimeUnixNano()) - int64(b.GetStartTimeUnixNano()))
	})
	var names []string
	for _, s := range found {
		names = append(names, s.GetName())
		if s.GetStartTimeUnixNano() < parent.GetStartTimeUnixNano() || s.GetEndTimeUnixNano() < s.GetStartTimeUnixNano() {
			names = append(names, "(out of time)")
		}
	}
	return strings.Join(names, " ")
}

func attributeOf(s *tracev1.Span, key string) string {
	for _, a := range s.GetAttributes() {
		if a.GetKey() == key {
			return strings.TrimPrefix(strings.TrimPrefix(a.GetValue().String(), "string_value:"), "int_value:")
		}
	}
	return ""
}

func TestTraces(t *testing.T) {
	c, url := startCollector(t)
	p := openProductWith(t, Config{PostgresURL: testenv.PostgresURL(t), RedisURL: testenv.RedisURL(t), OTLPEndpoint: url, ReadSample: 1 << 30})
	p.someData()
	const traceID = "0af7651916cd43dd8448eb211c80319c"
	traced := func(flags string) context.Context {
		return metadata.AppendToOutgoingContext(p.admin, "traceparent", "00-"+traceID+"-b7ad6b7169203331-"+flags)
	}
	read := func(service string) *headwaterv1.GetFeaturesRequest {
		return &headwaterv1.GetFeaturesRequest{Service: service, Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("ORD", "JFK")}}
	}
	// Neither of these is traced: its caller does not sample it, or nobody traces it and no share of those is.
	for _, ctx := range []context.Context{traced("00"), p.admin} {
		if _, err := p.online.GetFeatures(ctx, read("small")); err != nil {
			t.Fatal(err)
		}
	}
	r, err := p.online.GetFeatures(traced("01"), read("small"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.online.GetFeatures(traced("01"), read("nobody")); err == nil {
		t.Fatal("found an answer of no service")
	}
	if a := p.streamed(traced("01"), read("small")); a.GetResponse() == nil {
		t.Fatal(a.GetFailure())
	}
	if _, _, err := p.build(traced("01"), "small", &headwaterv1.BuildDatasetHeader{AllowPartial: true}, spineOf(asked("ORD", 7, time.Now())).arrow(t)); err != nil {
		t.Fatal(err)
	}
	p.close()

	reads := c.named("headwater.v1.OnlineService/GetFeatures")
	if len(reads) != 2 {
		t.Fatalf("found spans of %d reads, expected those of the two whose caller samples them", len(reads))
	}
	for i, s := range reads {
		if hex.EncodeToString(s.GetTraceId()) != traceID || hex.EncodeToString(s.GetParentSpanId()) != "b7ad6b7169203331" || s.GetKind() != tracev1.Span_SPAN_KIND_SERVER {
			t.Errorf("read %d: found %v, expected a span of the caller's trace, below the caller's", i, s)
		}
	}
	answered, failed := reads[0], reads[1]
	if id := attributeOf(answered, "headwater.read_id"); id != `"`+r.GetReadId()+`"` {
		t.Errorf("found read id %s, expected %q", id, r.GetReadId())
	}
	if n := attributeOf(answered, "headwater.entities"); n != "2" {
		t.Errorf("found %s entities, expected 2", n)
	}
	if names := c.below(answered); names != "admit decide plan fetch judge log encode" {
		t.Errorf("found phases %s", names)
	}
	if s := failed.GetStatus(); s.GetCode() != tracev1.Status_STATUS_CODE_ERROR || !strings.Contains(s.GetMessage(), "nobody") || attributeOf(failed, "rpc.grpc.status_code") != "5" {
		t.Errorf("found status %v and code %s, expected that of a read that failed with NOT_FOUND", s, attributeOf(failed, "rpc.grpc.status_code"))
	}
	streams := c.named("headwater.v1.OnlineService/StreamFeatures")
	if len(streams) != 2 || string(streams[0].GetParentSpanId()) != string(streams[1].GetSpanId()) {
		t.Errorf("found %v, expected the span of a read below that of its stream", streams)
	}
	builds := c.named("headwater.v1.DatasetService/BuildDataset")
	if len(builds) != 1 || c.below(builds[0]) != "spine assemble send commit" {
		t.Errorf("found %v, expected one build with its phases", builds)
	}
	runs := c.named("run")
	if len(runs) != 1 || attributeOf(runs[0], "headwater.view") != `"delays@1"` || attributeOf(runs[0], "headwater.run_state") != `"published"` || len(runs[0].GetParentSpanId()) != 0 {
		t.Fatalf("found %v, expected the run of delays, in a trace of its own", runs)
	}
	if names := c.below(runs[0]); names != "plan read transform write account check lineage" {
		t.Errorf("found phases %s of a run", names)
	}
}

// A collector that is away fails no call, and holds nothing up.
func TestTracesWithoutACollector(t *testing.T) {
	_, err := Open(context.Background(), Config{OTLPEndpoint: "127.0.0.1:4317"})
	wantFault(t, err, fault.InvalidArgument, `HEADWATER_OTLP_ENDPOINT (otlp_endpoint): found "127.0.0.1:4317", expected http://HOST:PORT or https://HOST:PORT of a `+
		"collector that takes OTLP over gRPC, such as http://127.0.0.1:4317")
	address := testenv.ClosedAddress(t)
	t.Setenv("OTEL_BSP_EXPORT_TIMEOUT", "100")
	p := openProductWith(t, Config{PostgresURL: testenv.PostgresURL(t), RedisURL: testenv.RedisURL(t), OTLPEndpoint: "http://" + address, TraceShare: 1, DrainTime: time.Second})
	p.someData()
	if got := p.delayOf("small", "ORD"); got != "1/PRESENT" {
		t.Errorf("found %s", got)
	}
	p.close()
	if !strings.Contains(p.log.String(), "spans were not sent") {
		t.Errorf("found %s\nexpected that the log says of spans that were not sent", p.log)
	}
}
