package server

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/tracing"
	"github.com/headwaterhq/headwater/online"
	"github.com/headwaterhq/headwater/quality"
)

// defaultReadSample is of how many online reads one is measured. The others cost a counter.
const defaultReadSample = 64

// calls counts calls, measures those that it watches, and says of slow and failed reads in the log. A nil one does nothing.
type calls struct {
	// sample is of how many online reads one is measured, at least 1.
	sample uint32
	// slow is from how long on a read is logged. 0: none is. Else every read is watched.
	slow time.Duration
	log  *limitedLog
	// tracer is nil where there are no traces.
	tracer *tracing.Tracer

	counted  map[string]*callCounts
	streamed callCounts
	total    *prometheus.Desc
	reads    *prometheus.Desc
	duration *prometheus.HistogramVec
	read     *prometheus.HistogramVec
	phase    *prometheus.HistogramVec
	rows     *prometheus.CounterVec
	age      *prometheus.HistogramVec
	// found is what reads of services were given, until takeFound.
	foundLock sync.Mutex
	found     map[quality.FoundOf]int64
}

// callCounts are by gRPC code.
type callCounts [codes.Unauthenticated + 1]atomic.Int64

func newCalls(methods map[string]*methodRule, sample int, slow time.Duration, tracer *tracing.Tracer, log *slog.Logger) *calls {
	c := &calls{
		sample: uint32(max(sample, 1)), slow: slow, tracer: tracer, log: &limitedLog{log: log}, counted: map[string]*callCounts{},
		total: prometheus.NewDesc("headwater_calls_total", "Calls by method and gRPC code. A stream is one.", []string{"method", "code"}, nil),
		reads: prometheus.NewDesc("headwater_reads_total", "Online reads by the method that they came by and gRPC code. Each read of a stream is one.", []string{"method", "code"}, nil),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "headwater_call_duration_seconds", Help: "Time of calls, online reads left out.", Buckets: prometheus.ExponentialBuckets(0.001, 4, 12),
		}, []string{"method", "code"}),
		read: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "headwater_read_duration_seconds", Help: "Time of the online reads that were measured.", Buckets: readBuckets,
		}, []string{"method", "code"}),
		phase: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "headwater_read_phase_duration_seconds", Help: "Time of each phase of the online reads that were measured and answered.", Buckets: readBuckets,
		}, []string{"phase"}),
		rows: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headwater_read_rows_total", Help: "Rows of the online reads that were measured, by what was found for the entity.",
		}, []string{"view", "status"}),
		// From a second to a year and a half.
		age: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "headwater_read_row_age_seconds", Help: "Time from the event time of a served row to the read, of the online reads that were measured.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 14),
		}, []string{"view"}),
	}
	for method := range methods {
		c.counted[method] = &callCounts{}
	}
	return c
}

// readBuckets are from 50 µs to 1.6 s.
var readBuckets = prometheus.ExponentialBuckets(0.00005, 2, 16)

// register has everything told to Prometheus.
func (c *calls) register(r prometheus.Registerer) error {
	return errors.Join(r.Register(c), r.Register(c.duration), r.Register(c.read), r.Register(c.phase), r.Register(c.rows), r.Register(c.age))
}

// Describe and Collect are of prometheus.Collector, for what is counted.
func (c *calls) Describe(to chan<- *prometheus.Desc) {
	to <- c.total
	to <- c.reads
}

func (c *calls) Collect(to chan<- prometheus.Metric) {
	tell := func(desc *prometheus.Desc, method string, counts *callCounts) {
		for code := range counts {
			if n := counts[code].Load(); n > 0 {
				to <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n), shortMethod(method), codes.Code(code).String())
			}
		}
	}
	for method, counts := range c.counted {
		tell(c.total, method, counts)
	}
	tell(c.reads, headwaterv1.OnlineService_GetFeatures_FullMethodName, c.counted[headwaterv1.OnlineService_GetFeatures_FullMethodName])
	tell(c.reads, headwaterv1.OnlineService_StreamFeatures_FullMethodName, &c.streamed)
}

// shortMethod is SERVICE/METHOD.
func shortMethod(full string) string { return strings.TrimPrefix(full, "/"+ownPackage+".") }

// phase is a part of an online read, in the order in which they come.
type phase int

const (
	// phaseAdmit is until it has its place: who calls, and the wait for its turn.
	phaseAdmit phase = iota
	phaseDecide
	// phasePlan is the check of the request, its plan and its keys.
	phasePlan
	// phaseFetch is the wait for Redis, and for other reads that share its pipeline.
	phaseFetch
	phaseJudge
	// phaseCompute is that of on-demand features.
	phaseCompute
	// phaseLog is the records in the read log and in the audit log.
	phaseLog
	phaseEncode
	phases
)

var phaseNames = [phases]string{"admit", "decide", "plan", "fetch", "judge", "compute", "log", "encode"}

// watch follows one call through its phases. A nil one follows nothing, and costs nothing.
type watch struct {
	calls *calls
	// measured says that its times are for Prometheus.
	measured bool
	read     bool
	began    time.Time
	last     time.Time
	took     [phases]time.Duration
	rows     []online.Found
	service  *feature.ServiceVersion
	// span is nil for a call that is not traced.
	span trace.Span
}

type watchKey struct{}

// watchedContext is a call's context with its watch.
type watchedContext struct {
	context.Context
	watch *watch
}

func (c *watchedContext) Value(key any) any {
	if _, ours := key.(watchKey); ours {
		return c.watch
	}
	return c.Context.Value(key)
}

// watchFrom is the watch of a call, or nil.
func watchFrom(ctx context.Context) *watch {
	w, _ := ctx.Value(watchKey{}).(*watch)
	return w
}

// begin watches a call, if it is one to be watched.
func (c *calls) begin(ctx context.Context, method string, read bool) (context.Context, *watch) {
	if c == nil {
		return ctx, nil
	}
	ctx, span := c.tracer.Call(ctx, method)
	measured := !read || c.sample == 1 || rand.Uint32N(c.sample) == 0
	if !measured && c.slow == 0 && span == nil {
		return ctx, nil
	}
	now := time.Now()
	w := &watch{calls: c, measured: measured, read: read, began: now, last: now, span: span}
	if !read {
		return ctx, w
	}
	return &watchedContext{ctx, w}, w
}

// done says that the time since the last phase was that of p.
func (w *watch) done(p phase) {
	if w == nil {
		return
	}
	now := time.Now()
	w.took[p] += now.Sub(w.last)
	w.last = now
}

// found takes what was found for each row of a read of a service, which has no name where features are read by reference.
func (w *watch) found(l *online.Lookup, service *feature.ServiceVersion, now feature.Time) {
	if w != nil && w.measured {
		w.rows, w.service = l.AppendFound(w.rows, now), service
	}
}

// count adds what a read of a service was given.
func (c *calls) count(service *feature.ServiceVersion, rows []online.Found) {
	if service == nil || service.Name == "" {
		return
	}
	c.foundLock.Lock()
	defer c.foundLock.Unlock()
	if c.found == nil {
		c.found = map[quality.FoundOf]int64{}
	}
	for _, f := range rows {
		if f.Rows > 0 {
			c.found[quality.FoundOf{Service: service.Name, Version: service.Version, Status: strings.ToLower(f.Status.String())}] += int64(f.Rows)
		}
	}
}

// takeFound is what reads were given since it was last called. untakeFound gives it back.
func (c *calls) takeFound() map[quality.FoundOf]int64 {
	c.foundLock.Lock()
	defer c.foundLock.Unlock()
	taken := c.found
	c.found = nil
	return taken
}

func (c *calls) untakeFound(taken map[quality.FoundOf]int64) {
	c.foundLock.Lock()
	defer c.foundLock.Unlock()
	if c.found == nil {
		c.found = map[quality.FoundOf]int64{}
	}
	for of, n := range taken {
		c.found[of] += n
	}
}

// end counts a call that has ended with the status of err, and what was measured of it. session is nil where nobody is known to have called.
func (c *calls) end(ctx context.Context, method string, w *watch, session *access.Session, request *headwaterv1.GetFeaturesRequest, err error) {
	if c == nil {
		return
	}
	code := status.Code(err)
	if counts := c.counted[method]; counts != nil {
		counts[code].Add(1)
	}
	c.measure(ctx, method, code, w, session, request, err)
}

// endStreamed is end of a read of a stream.
func (c *calls) endStreamed(ctx context.Context, w *watch, session *access.Session, request *headwaterv1.GetFeaturesRequest, err error) {
	if c == nil {
		return
	}
	code := status.Code(err)
	c.streamed[code].Add(1)
	c.measure(ctx, headwaterv1.OnlineService_StreamFeatures_FullMethodName, code, w, session, request, err)
}

func (c *calls) measure(
	ctx context.Context, method string, code codes.Code, w *watch, session *access.Session, request *headwaterv1.GetFeaturesRequest, err error,
) {
	if w == nil {
		return
	}
	took := time.Since(w.began)
	switch {
	case !w.measured:
	case !w.read:
		c.duration.WithLabelValues(shortMethod(method), code.String()).Observe(took.Seconds())
	default:
		c.read.WithLabelValues(shortMethod(method), code.String()).Observe(took.Seconds())
		if code == codes.OK {
			for p, d := range w.took {
				if d == 0 {
					continue
				}
				c.phase.WithLabelValues(phaseNames[p]).Observe(d.Seconds())
			}
		}
		c.count(w.service, w.rows)
		for _, f := range w.rows {
			view := f.View.Ref()
			c.rows.WithLabelValues(view, strings.ToLower(f.Status.String())).Add(float64(f.Rows))
			if f.Aged {
				c.age.WithLabelValues(view).Observe(f.Age.Seconds())
			}
		}
	}
	if w.span != nil {
		w.endSpan(ctx, code, session, request, err)
	}
	if w.read && c.slow > 0 && (err != nil || took >= c.slow) {
		c.logRead(ctx, method, code, w, took, session, request, err)
	}
}

// endSpan ends the span of a call, with one below it for each phase of a read.
func (w *watch) endSpan(ctx context.Context, code codes.Code, session *access.Session, request *headwaterv1.GetFeaturesRequest, err error) {
	w.span.SetAttributes(attribute.Int("rpc.grpc.status_code", int(code)))
	if session != nil {
		w.span.SetAttributes(attribute.String("headwater.principal", session.Principal().Name))
	}
	if w.read {
		var parts []tracing.Part
		at := time.Duration(0)
		for p, took := range w.took {
			if took > 0 {
				parts = append(parts, tracing.Part{Name: phaseNames[p], Begin: at, Took: took})
				at += took
			}
		}
		tracing.Parts(ctx, w.began, parts)
		w.span.SetAttributes(attribute.String("headwater.service", shorten(request.GetService(), maxShownName)),
			attribute.Int("headwater.features", len(request.GetFeatures())), attribute.Int("headwater.entities", entitiesOf(request)))
		if session != nil {
			w.span.SetAttributes(attribute.String("headwater.read_id", session.ReadID()))
		}
	}
	if err != nil {
		tracing.Fail(w.span, status.Convert(err).Message())
	}
	w.span.End()
}

// logRead says of a read that it was slow, or that it failed.
func (c *calls) logRead(
	ctx context.Context, method string, code codes.Code, w *watch, took time.Duration, session *access.Session, request *headwaterv1.GetFeaturesRequest, err error,
) {
	message, level := "slow read", slog.LevelWarn
	attributes := make([]slog.Attr, 0, 8+phases)
	if err != nil {
		message, level = "failed read", slog.LevelInfo
		attributes = append(attributes, slog.String("code", code.String()), slog.String("error", status.Convert(err).Message()))
	}
	if session != nil {
		attributes = append(attributes, slog.String("read_id", session.ReadID()), slog.String("principal", session.Principal().Name))
	}
	attributes = append(attributes, slog.String("method", shortMethod(method)), slog.String("service", shorten(request.GetService(), maxShownName)),
		slog.Int("features", len(request.GetFeatures())), slog.Int("entities", entitiesOf(request)), slog.Duration("took", took))
	for p, d := range w.took {
		if d > 0 {
			attributes = append(attributes, slog.Duration(phaseNames[p], d))
		}
	}
	c.log.say(ctx, level, message, attributes...)
}
