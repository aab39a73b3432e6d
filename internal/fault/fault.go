// Package fault is the one error type that crosses package borders and reaches callers.
//
// A Fault has a reason from the closed list of the proto's ErrorReason, a message for whoever asked (place, what was
// found, what was expected, what to try), and a hidden cause for the log. Status maps it to a gRPC status, and FromError
// maps it back in clients; no other place does either. An error that is not a Fault reaches a caller as INTERNAL, with an
// id to look up and none of its text.
package fault

import (
	"errors"
	"fmt"
	"strings"
	"time"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// Reason is machine-readable, from the closed list.
type Reason = headwaterv1.ErrorReason

// The reasons, by short names.
const (
	InvalidArgument     = headwaterv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT
	InvalidDefinition   = headwaterv1.ErrorReason_ERROR_REASON_INVALID_DEFINITION
	InvalidSQL          = headwaterv1.ErrorReason_ERROR_REASON_INVALID_SQL
	InvalidRows         = headwaterv1.ErrorReason_ERROR_REASON_INVALID_ROWS
	InvalidSpine        = headwaterv1.ErrorReason_ERROR_REASON_INVALID_SPINE
	NotFound            = headwaterv1.ErrorReason_ERROR_REASON_NOT_FOUND
	AlreadyExists       = headwaterv1.ErrorReason_ERROR_REASON_ALREADY_EXISTS
	Unauthenticated     = headwaterv1.ErrorReason_ERROR_REASON_UNAUTHENTICATED
	PermissionDenied    = headwaterv1.ErrorReason_ERROR_REASON_PERMISSION_DENIED
	FailedPrecondition  = headwaterv1.ErrorReason_ERROR_REASON_FAILED_PRECONDITION
	StalePlan           = headwaterv1.ErrorReason_ERROR_REASON_STALE_PLAN
	NotMaterialized     = headwaterv1.ErrorReason_ERROR_REASON_NOT_MATERIALIZED
	RunRefused          = headwaterv1.ErrorReason_ERROR_REASON_RUN_REFUSED
	DigestMismatch      = headwaterv1.ErrorReason_ERROR_REASON_DIGEST_MISMATCH
	PostgresUnavailable = headwaterv1.ErrorReason_ERROR_REASON_POSTGRES_UNAVAILABLE
	RedisUnavailable    = headwaterv1.ErrorReason_ERROR_REASON_REDIS_UNAVAILABLE
	DeadlineExceeded    = headwaterv1.ErrorReason_ERROR_REASON_DEADLINE_EXCEEDED
	Cancelled           = headwaterv1.ErrorReason_ERROR_REASON_CANCELLED
	ResourceExhausted   = headwaterv1.ErrorReason_ERROR_REASON_RESOURCE_EXHAUSTED
	AuditUnavailable    = headwaterv1.ErrorReason_ERROR_REASON_AUDIT_UNAVAILABLE
	SchemaVersion       = headwaterv1.ErrorReason_ERROR_REASON_SCHEMA_VERSION
	Unimplemented       = headwaterv1.ErrorReason_ERROR_REASON_UNIMPLEMENTED
	Internal            = headwaterv1.ErrorReason_ERROR_REASON_INTERNAL
	ServerUnavailable   = headwaterv1.ErrorReason_ERROR_REASON_SERVER_UNAVAILABLE
	ReadLogUnavailable  = headwaterv1.ErrorReason_ERROR_REASON_READ_LOG_UNAVAILABLE
	NotFresh            = headwaterv1.ErrorReason_ERROR_REASON_NOT_FRESH
	IssuerUnavailable   = headwaterv1.ErrorReason_ERROR_REASON_ISSUER_UNAVAILABLE
	GateRefused         = headwaterv1.ErrorReason_ERROR_REASON_GATE_REFUSED
)

// Fault is an error for a caller.
type Fault struct {
	Reason Reason
	// Message is one or more sentences for whoever asked. It holds no driver error, no stack and no secret.
	Message string
	// Guess is what the caller may have meant by a name that nothing has, told behind Message. Since it is the name of
	// something that is there, whoever answers a caller who may not know of that clears it. NoGuess is told in its place.
	Guess, NoGuess string
	// Violations name the parts of the input that are wrong, when there is more to say than Message does.
	Violations []Violation
	// Metadata is for programs: names and numbers from the message.
	Metadata map[string]string
	// RetryAfter is how long to wait before another try, where there is use in one. 0: nothing is known of that.
	RetryAfter time.Duration
	// Cause is for the log, and never leaves the server.
	Cause error

	// marked is Message with marks around what is of rows. Empty: nothing is.
	marked string
}

// Violation is one thing that is wrong with the input.
type Violation struct {
	// Field is the path of the field in the request or the file, such as `feature_views[0].features[2].type`.
	Field string
	// Description says what was found, what was expected and what to try.
	Description string
	// File, Line and Column are the place in the caller's file, when known; lines and columns count from 1.
	File         string
	Line, Column int
}

// Place is `FILE:LINE:COLUMN`, or as much of it as is known, else the field.
func (v Violation) Place() string {
	switch {
	case v.File != "" && v.Line > 0 && v.Column > 0:
		return fmt.Sprintf("%s:%d:%d", v.File, v.Line, v.Column)
	case v.File != "" && v.Line > 0:
		return fmt.Sprintf("%s:%d", v.File, v.Line)
	case v.File != "":
		return v.File
	}
	return v.Field
}

// New makes a Fault with a formatted message. What Data made of its arguments is known to be of rows.
func New(reason Reason, format string, args ...any) *Fault {
	f := &Fault{Reason: reason, Message: fmt.Sprintf(format, args...)}
	if HoldsData(f.Message) {
		f.marked, f.Message = f.Message, Shown(f.Message)
	}
	return f
}

// Because sets the hidden cause, and returns f.
func (f *Fault) Because(cause error) *Fault {
	f.Cause = cause
	return f
}

// With adds metadata, and returns f.
func (f *Fault) With(key, value string) *Fault {
	if f.Metadata == nil {
		f.Metadata = map[string]string{}
	}
	f.Metadata[key] = value
	return f
}

// Retrying says how long to wait before another try, and returns f.
func (f *Fault) Retrying(after time.Duration) *Fault {
	f.RetryAfter = after
	return f
}

// Violating adds violations, and returns f.
func (f *Fault) Violating(violations ...Violation) *Fault {
	f.Violations = append(f.Violations, violations...)
	return f
}

// said is the message with the guess.
func (f *Fault) said() string {
	switch {
	case f.Guess != "":
		return f.Message + "; did you mean " + f.Guess + "?"
	case f.NoGuess != "":
		return f.Message + "; " + f.NoGuess
	}
	return f.Message
}

// Error is what the caller is told: the message, and the violations, one a line, without those that the message says
// already. The cause is not in it.
func (f *Fault) Error() string {
	var b strings.Builder
	b.WriteString(f.said())
	for _, v := range f.Violations {
		if v.File == "" && strings.Contains(f.Message, v.Description) {
			continue
		}
		b.WriteString("\n  ")
		if place := v.Place(); place != "" {
			b.WriteString(place)
			b.WriteString(": ")
		}
		b.WriteString(v.Description)
	}
	return b.String()
}

// Unwrap is the hidden cause.
func (f *Fault) Unwrap() error { return f.Cause }

// As finds the Fault in err's chain, or nil.
func As(err error) *Fault {
	var f *Fault
	if errors.As(err, &f) {
		return f
	}
	return nil
}

// ReasonOf is the reason of the Fault in err's chain, or INTERNAL.
func ReasonOf(err error) Reason {
	if f := As(err); f != nil {
		return f.Reason
	}
	return Internal
}
