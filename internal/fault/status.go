package fault

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

const (
	domain       = "headwater"
	reasonPrefix = "ERROR_REASON_"
)

var codeOf = map[Reason]codes.Code{
	InvalidArgument:     codes.InvalidArgument,
	InvalidDefinition:   codes.InvalidArgument,
	InvalidSQL:          codes.InvalidArgument,
	InvalidRows:         codes.InvalidArgument,
	InvalidSpine:        codes.InvalidArgument,
	NotFound:            codes.NotFound,
	AlreadyExists:       codes.AlreadyExists,
	Unauthenticated:     codes.Unauthenticated,
	PermissionDenied:    codes.PermissionDenied,
	FailedPrecondition:  codes.FailedPrecondition,
	StalePlan:           codes.Aborted,
	NotMaterialized:     codes.FailedPrecondition,
	RunRefused:          codes.FailedPrecondition,
	DigestMismatch:      codes.DataLoss,
	PostgresUnavailable: codes.Unavailable,
	RedisUnavailable:    codes.Unavailable,
	DeadlineExceeded:    codes.DeadlineExceeded,
	Cancelled:           codes.Canceled,
	ResourceExhausted:   codes.ResourceExhausted,
	AuditUnavailable:    codes.Unavailable,
	SchemaVersion:       codes.FailedPrecondition,
	Unimplemented:       codes.Unimplemented,
	Internal:            codes.Internal,
	ServerUnavailable:   codes.Unavailable,
	ReadLogUnavailable:  codes.Unavailable,
	NotFresh:            codes.FailedPrecondition,
	GateRefused:         codes.FailedPrecondition,
	IssuerUnavailable:   codes.Unavailable,
}

// Code is the gRPC code of a reason.
func Code(r Reason) codes.Code {
	if c, ok := codeOf[r]; ok {
		return c
	}
	return codes.Internal
}

// Status is the gRPC status of err: its code, ErrorInfo with the reason, RetryInfo, BadRequest with the violations. A status passes
// unchanged, a context's end becomes its own code, and anything else is INTERNAL with the id given, under which the
// caller of Status logs the error.
func Status(err error, id string) *status.Status {
	if err == nil {
		return status.New(codes.OK, "")
	}
	f := As(err)
	if f == nil {
		switch s, isStatus := status.FromError(err); {
		case isStatus:
			return s
		case errors.Is(err, context.DeadlineExceeded):
			f = New(DeadlineExceeded, "the deadline passed before the call was done; ask again with a longer one")
		case errors.Is(err, context.Canceled):
			f = New(Cancelled, "the call was cancelled")
		default:
			f = New(Internal, "internal error %s; the server's log says more under this id", id).With("id", id)
		}
	}
	s := status.New(Code(f.Reason), f.said())
	info := &errdetails.ErrorInfo{
		Reason:   strings.TrimPrefix(f.Reason.String(), reasonPrefix),
		Domain:   domain,
		Metadata: f.Metadata,
	}
	details := []protoadapt.MessageV1{info}
	if f.RetryAfter > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(f.RetryAfter)})
	}
	if len(f.Violations) > 0 {
		bad := &errdetails.BadRequest{}
		for _, v := range f.Violations {
			bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{
				Field: v.Field, Description: v.Description, Reason: v.position(),
			})
		}
		details = append(details, bad)
	}
	d, err := s.WithDetails(details...)
	if err != nil {
		return s
	}
	return d
}

// position is the violation's place as FieldViolation.reason carries it.
func (v Violation) position() string {
	if v.File == "" && v.Line == 0 {
		return ""
	}
	return v.File + ":" + strconv.Itoa(v.Line) + ":" + strconv.Itoa(v.Column)
}

func parsePosition(s string) (file string, line, column int) {
	rest, col, ok := cutLast(s, ":")
	if !ok {
		return "", 0, 0
	}
	file, ln, ok := cutLast(rest, ":")
	if !ok {
		return "", 0, 0
	}
	line, _ = strconv.Atoi(ln)
	column, _ = strconv.Atoi(col)
	return file, line, column
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// FromError is the Fault a client sees in the error of a call. An error without our ErrorInfo gets the reason that its
// code stands for.
func FromError(err error) *Fault {
	if err == nil {
		return nil
	}
	if f := As(err); f != nil {
		return f
	}
	s, _ := status.FromError(err)
	f := &Fault{Reason: reasonOfCode(s.Code()), Message: s.Message()}
	for _, d := range s.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			if d.Domain == domain {
				f.Reason = Reason(headwaterv1.ErrorReason_value[reasonPrefix+d.Reason])
				f.Metadata = d.Metadata
			}
		case *errdetails.RetryInfo:
			f.RetryAfter = d.GetRetryDelay().AsDuration()
		case *errdetails.BadRequest:
			for _, v := range d.FieldViolations {
				file, line, column := parsePosition(v.Reason)
				f.Violations = append(f.Violations, Violation{
					Field: v.Field, Description: v.Description, File: file, Line: line, Column: column,
				})
			}
		}
	}
	return f
}

func reasonOfCode(c codes.Code) Reason {
	switch c {
	case codes.InvalidArgument, codes.OutOfRange:
		return InvalidArgument
	case codes.NotFound:
		return NotFound
	case codes.AlreadyExists:
		return AlreadyExists
	case codes.Unauthenticated:
		return Unauthenticated
	case codes.PermissionDenied:
		return PermissionDenied
	case codes.FailedPrecondition, codes.Aborted:
		return FailedPrecondition
	case codes.DeadlineExceeded:
		return DeadlineExceeded
	case codes.Canceled:
		return Cancelled
	case codes.ResourceExhausted:
		return ResourceExhausted
	case codes.Unimplemented:
		return Unimplemented
	default:
		return Internal
	}
}
