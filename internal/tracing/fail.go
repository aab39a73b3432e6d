package tracing

import (
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Fail says that what a span is of failed, unless why is empty.
func Fail(span trace.Span, why string) {
	if why != "" {
		span.SetStatus(codes.Error, why)
	}
}
