package materialize

import (
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/headwaterhq/headwater/internal/tracing"
)

// traceRun makes the spans of a run that has ended, of its record. Phases are those of its last attempt, so they are told back from its end.
func traceRun(t *tracing.Tracer, r *Run) {
	if t == nil || r.StartedAt == nil || r.EndedAt == nil {
		return
	}
	total := time.Duration(0)
	for _, p := range r.Phases {
		total += time.Duration(p.Micros) * time.Microsecond
	}
	parts := make([]tracing.Part, len(r.Phases))
	at := max(r.EndedAt.Sub(*r.StartedAt)-total, 0)
	for i, p := range r.Phases {
		parts[i] = tracing.Part{Name: p.Name, Begin: at, Took: time.Duration(p.Micros) * time.Microsecond}
		at += parts[i].Took
	}
	failure := ""
	if r.State == Failed {
		// What it failed by may be of rows.
		failure = "the run failed; `headwater runs show` says why"
	}
	t.Whole("run", *r.StartedAt, *r.EndedAt, parts, failure, attribute.String("headwater.view", viewLabel(r)), attribute.Int64("headwater.run_id", r.ID),
		attribute.Int64("headwater.run_seq", r.Seq), attribute.String("headwater.run_state", string(r.State)))
}
