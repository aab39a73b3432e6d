package fault_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

func TestStatusAndBack(t *testing.T) {
	sent := fault.New(fault.InvalidDefinition, "found %d problems", 2).With("file", "a.yaml").
		Violating(
			fault.Violation{Field: "feature_views[0].ttl", Description: "found -1s", File: `C:\defs\a.yaml`, Line: 3, Column: 7},
			fault.Violation{Field: "roles[1]", Description: "found nothing"},
		).Because(errors.New("the secret cause"))
	s := fault.Status(fmt.Errorf("applying: %w", sent), "id")
	if s.Code() != codes.InvalidArgument || s.Message() != "found 2 problems" {
		t.Fatalf("status %s %q", s.Code(), s.Message())
	}
	if wire := s.Proto().String(); strings.Contains(wire, "secret") {
		t.Errorf("the cause is on the wire: %s", wire)
	}
	got := fault.FromError(s.Err())
	want := &fault.Fault{Reason: sent.Reason, Message: sent.Message, Violations: sent.Violations, Metadata: sent.Metadata}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("came back as %+v, want %+v", got, want)
	}
	if text := got.Error(); !strings.Contains(text, "\n  C:\\defs\\a.yaml:3:7: found -1s") || !strings.Contains(text, "\n  roles[1]: found nothing") {
		t.Errorf("the message does not name the places: %s", text)
	}
}

func TestStatusOfOtherErrors(t *testing.T) {
	for name, c := range map[string]struct {
		err    error
		code   codes.Code
		reason fault.Reason
		says   string
	}{
		"a driver's error": {errors.New("dial tcp 10.0.0.1: password=x"), codes.Internal, fault.Internal, "internal error e42;"},
		"a deadline":       {fmt.Errorf("query: %w", context.DeadlineExceeded), codes.DeadlineExceeded, fault.DeadlineExceeded, "deadline"},
		"a cancellation":   {context.Canceled, codes.Canceled, fault.Cancelled, "cancelled"},
		"a bare status":    {status.Error(codes.ResourceExhausted, "too large"), codes.ResourceExhausted, fault.ResourceExhausted, "too large"},
	} {
		s := fault.Status(c.err, "e42")
		if s.Code() != c.code || !strings.Contains(s.Message(), c.says) || strings.Contains(s.Message(), "password") {
			t.Errorf("%s: %s %q, want %s with %q", name, s.Code(), s.Message(), c.code, c.says)
		}
		if got := fault.FromError(s.Err()).Reason; got != c.reason {
			t.Errorf("%s: reason %s, want %s", name, got, c.reason)
		}
	}
	if s := fault.Status(nil, ""); s.Code() != codes.OK {
		t.Errorf("no error became %s", s.Code())
	}
	if fault.FromError(nil) != nil {
		t.Error("no error became a fault")
	}
}

// A reason without a code of its own would reach callers as INTERNAL.
func TestEveryReasonHasACode(t *testing.T) {
	for number, name := range headwaterv1.ErrorReason_name {
		r := fault.Reason(number)
		if number == 0 || r == fault.Internal {
			continue
		}
		if fault.Code(r) == codes.Internal || fault.Code(r) == codes.OK {
			t.Errorf("%s has the code %s", name, fault.Code(r))
		}
	}
}

func TestErrorSaysEachThingOnce(t *testing.T) {
	f := fault.New(fault.InvalidArgument, "keys: column origin: found none, expected one").Because(errors.New("hidden")).Violating(
		fault.Violation{Field: `keys["origin"]`, Description: "found none, expected one"},
		fault.Violation{Field: "service", Description: "found nothing, expected a name"},
		fault.Violation{File: "a.yaml", Line: 3, Column: 5, Description: "found none, expected one"},
	)
	want := "keys: column origin: found none, expected one\n" +
		"  service: found nothing, expected a name\n" +
		"  a.yaml:3:5: found none, expected one"
	if got := f.Error(); got != want {
		t.Errorf("found:\n%s\nexpected:\n%s", got, want)
	}
}
