// Package tracing makes OpenTelemetry spans of calls, runs and datasets, and sends them to a collector by OTLP.
//
// It may import OpenTelemetry and internal/fault. Invariant: a nil *Tracer does nothing and costs nothing, and a call that is not
// sampled has no span.
package tracing

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/metadata"

	"github.com/headwaterhq/headwater/internal/fault"
)

const (
	scope = "github.com/headwaterhq/headwater"
	// DefaultShare is Config.Share where traces are on and it is not given.
	DefaultShare = 0.01
	// maxQueued spans wait to be sent; further ones are dropped.
	maxQueued = 4096
	// exportTimeout bounds one attempt to send.
	exportTimeout = 10 * time.Second
)

// Config is where spans go. OpenTelemetry's own variables hold for the rest, such as OTEL_EXPORTER_OTLP_HEADERS and
// OTEL_RESOURCE_ATTRIBUTES.
type Config struct {
	// Endpoint of a collector that speaks OTLP over gRPC: http://HOST:PORT, or https:// for TLS. Empty: there are no traces.
	Endpoint string
	// Share of the calls whose caller does not trace them that begin a trace, from 0 to 1. What callers trace is traced.
	Share float64
	// Version of the binary.
	Version string
	Log     *slog.Logger
}

// Tracer begins spans.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
	share    float64
}

// Open is nil where no endpoint is given. It does not wait for the collector: what cannot be sent is dropped, and logged.
func Open(ctx context.Context, c Config) (*Tracer, error) {
	if c.Endpoint == "" {
		return nil, nil
	}
	if u, err := url.Parse(c.Endpoint); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" {
		return nil, fault.New(fault.InvalidArgument, "HEADWATER_OTLP_ENDPOINT (otlp_endpoint): found %q, expected http://HOST:PORT or https://HOST:PORT of a "+
			"collector that takes OTLP over gRPC, such as http://127.0.0.1:4317", c.Endpoint)
	}
	exporter, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpointURL(c.Endpoint), otlptracegrpc.WithTimeout(exportTimeout))
	if err != nil {
		return nil, err
	}
	// What stands later goes before what stands earlier: the environment says last.
	described, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", "headwater"), attribute.String("service.version", c.Version)),
		resource.WithHost(), resource.WithFromEnv())
	if err != nil {
		c.Log.WarnContext(ctx, "what OTEL_RESOURCE_ATTRIBUTES says of this server is not whole", "error", err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { c.Log.Warn("spans were not sent", "error", err) }))
	provider := sdk.NewTracerProvider(sdk.WithResource(described), sdk.WithSampler(sdk.AlwaysSample()),
		sdk.WithBatcher(exporter, sdk.WithMaxQueueSize(maxQueued)))
	return &Tracer{provider: provider, tracer: provider.Tracer(scope), share: c.Share}, nil
}

// Close sends what is left, until ctx ends.
func (t *Tracer) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}

// headers carries W3C's traceparent and tracestate of a call.
type headers struct{ context.Context }

func (h headers) Get(key string) string {
	if found := metadata.ValueFromIncomingContext(h, key); len(found) > 0 {
		return found[0]
	}
	return ""
}

func (headers) Set(string, string) {}
func (headers) Keys() []string     { return nil }

// Call begins the span of a call, in its context, or returns the context as it is and nil: where its caller traces but does not sample
// it, and where nobody traces it and chance does not fall on it.
func (t *Tracer) Call(ctx context.Context, method string) (context.Context, trace.Span) {
	if t == nil {
		return ctx, nil
	}
	parent := ctx
	at := trace.SpanContextFromContext(ctx)
	if !at.IsValid() {
		parent = propagation.TraceContext{}.Extract(ctx, headers{ctx})
		at = trace.SpanContextFromContext(parent)
	}
	if at.IsValid() && !at.IsSampled() || !at.IsValid() && rand.Float64() >= t.share {
		return ctx, nil
	}
	name := strings.TrimPrefix(method, "/")
	service, short, _ := strings.Cut(name, "/")
	return t.tracer.Start(parent, name, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
		attribute.String("rpc.system", "grpc"), attribute.String("rpc.service", service), attribute.String("rpc.method", short)))
}

// Part is a part of something that was traced, which ended before it was told.
type Part struct {
	Name string
	// Begin is 0 at the begin of the whole.
	Begin, Took time.Duration
}

// Parts are spans below the one of ctx, which began at began.
func Parts(ctx context.Context, began time.Time, parts []Part) {
	tracer := trace.SpanFromContext(ctx).TracerProvider().Tracer(scope)
	for _, p := range parts {
		begin := began.Add(p.Begin)
		_, span := tracer.Start(ctx, p.Name, trace.WithTimestamp(begin))
		span.End(trace.WithTimestamp(begin.Add(p.Took)))
	}
}

// Whole is the span of something that has ended and was nobody's call, with its parts.
func (t *Tracer) Whole(name string, began, ended time.Time, parts []Part, failure string, attributes ...attribute.KeyValue) {
	if t == nil {
		return
	}
	ctx, span := t.tracer.Start(context.Background(), name, trace.WithTimestamp(began), trace.WithAttributes(attributes...))
	Parts(ctx, began, parts)
	Fail(span, failure)
	span.End(trace.WithTimestamp(ended))
}

// Phase begins a span below the one of ctx, if there is one that is sampled. The caller ends it by the function.
func Phase(ctx context.Context, name string) (end func()) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return func() {}
	}
	_, span := parent.TracerProvider().Tracer(scope).Start(ctx, name)
	return func() { span.End() }
}
