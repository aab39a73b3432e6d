package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/ipc"
	"google.golang.org/grpc/codes"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

func TestAnAnswerInArrowIsThatOfVectors(t *testing.T) {
	p, _ := newOnDemandProduct(t)
	request := &headwaterv1.GetFeaturesRequest{
		Features: []string{"traffic.delay", "delays", "mix.late_hour"}, WithProvenance: true,
		Keys:   map[string]*headwaterv1.KeyColumn{"origin": texts("ORD", "JFK", "LAX"), "number": numbers(7, 7, 7)},
		Inputs: map[string]*headwaterv1.KeyColumn{"hour": {Values: append(numbers(5, 23).Values, null())}},
	}
	vectors, err := p.online.GetFeatures(p.admin, request)
	if err != nil {
		t.Fatal(err)
	}
	request.Encoding = headwaterv1.FeatureEncoding_FEATURE_ENCODING_ARROW
	r, err := p.online.GetFeatures(p.admin, request)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.GetFeatures()) != 0 || len(r.GetProvenance()) != 2 || r.GetServedAt() == nil || r.GetReadId() == "" {
		t.Errorf("found %v", r)
	}
	reader, err := ipc.NewReader(bytes.NewReader(r.GetArrow()))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Release()
	batches := 0
	for reader.Next() {
		batches++
		if n := reader.RecordBatch().NumRows(); n != 3 {
			t.Errorf("found a batch of %d rows, expected all 3 entities in one", n)
		}
	}
	if reader.Err() != nil || batches != 1 {
		t.Errorf("found %d batches, %v", batches, reader.Err())
	}
	rows := readRows(t, r.GetArrow())
	for i, f := range vectors.GetFeatures() {
		field, status := reader.Schema().Field(2*i), reader.Schema().Field(2*i+1)
		view, _ := field.Metadata.GetValue("view")
		version, _ := field.Metadata.GetValue("view_version")
		name, _ := field.Metadata.GetValue("feature")
		if field.Name != f.GetName() || view != f.GetView() || version != fmt.Sprint(f.GetViewVersion()) || name != f.GetFeature() ||
			status.Name != f.GetName()+"__status" || status.Type.String() != "utf8" || status.Metadata.Len() != 0 {
			t.Errorf("found the fields %v and %v, expected %s of %s", field, status, f.GetName(), f.GetView())
		}
	}
	want := []string{"3 PRESENT", "∅ NO_ROW", "∅ NO_ROW"}
	for i, row := range rows {
		if !strings.HasPrefix(row, want[i]+" ") {
			t.Errorf("found %q, expected it to begin with %q", row, want[i])
		}
		if got, want := withoutStatuses(row), answerRows(t, vectors)[i]; got != want {
			t.Errorf("found %q, expected %q", got, want)
		}
	}

	request.Encoding = 7
	_, err = p.online.GetFeatures(p.admin, request)
	wantFault(t, err, fault.InvalidArgument, "encoding: found 7, expected 0 for vectors, or 1 for Arrow")
}

// withoutStatuses takes the statuses out of a row.
func withoutStatuses(row string) string {
	return strings.Join(slices.DeleteFunc(strings.Split(row, " "), func(s string) bool {
		return slices.Contains([]string{"PRESENT", "NULL", "NO_ROW"}, s)
	}), " ")
}

func streamed(id uint64, service string, origins ...string) *headwaterv1.StreamFeaturesRequest {
	return &headwaterv1.StreamFeaturesRequest{Id: id, Request: &headwaterv1.GetFeaturesRequest{
		Service: service, Purpose: "stream", Keys: map[string]*headwaterv1.KeyColumn{"origin": texts(origins...)},
	}}
}

func TestStreamsOfReadsAnswerEachAsACall(t *testing.T) {
	p, _ := newOnDemandProduct(t, role("one", "read_online on service:small,view:delays"))
	ada := p.as("one_model", "one")
	stream, err := p.online.StreamFeatures(ada)
	if err != nil {
		t.Fatal(err)
	}
	const many = 100
	go func() {
		for i := range uint64(many) {
			r := streamed(i, "small", []string{"ORD", "JFK", "LAX"}[i%3])
			switch {
			case i == 50:
				r = streamed(i, "model", "ORD")
			case i == 51:
				r.Request.Keys["origin"] = numbers(1)
			}
			if err := stream.Send(r); err != nil {
				t.Error(err)
				return
			}
		}
		if err := stream.CloseSend(); err != nil {
			t.Error(err)
		}
	}()
	seen, ids := map[uint64]bool{}, map[string]bool{}
	for {
		answer, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		id := answer.GetId()
		if seen[id] {
			t.Errorf("found a second answer to %d", id)
		}
		seen[id] = true
		f := answer.GetFailure()
		switch id {
		case 50:
			if codes.Code(f.GetCode()) != codes.PermissionDenied || f.GetReason() != fault.PermissionDenied || f.GetMetadata()["resource"] != "service:model" ||
				!strings.HasPrefix(f.GetMessage(), "one_model may not read_online service:model: ") {
				t.Errorf("found %v", answer)
			}
		case 51:
			if codes.Code(f.GetCode()) != codes.InvalidArgument || f.GetReason() != fault.InvalidArgument ||
				f.GetViolations()[`keys["origin"]`] != "value 1: found int64, expected string, the type of join key origin of entity airport" {
				t.Errorf("found %v", answer)
			}
		default:
			want := "delays__delay " + []string{"3/PRESENT", "0/PRESENT", "0/NO_ROW"}[id%3] + "\n"
			if got := vectors(answer.GetResponse()); got != want {
				t.Errorf("%d: found %q, expected %q", id, got, want)
			}
			ids[answer.GetResponse().GetReadId()] = true
		}
	}
	if len(seen) != many || len(ids) != many-2 {
		t.Errorf("found answers to %d requests with %d read ids, expected %d and %d", len(seen), len(ids), many, many-2)
	}
	var calls, denied int64
	for _, a := range p.records(p.admin) {
		if a.GetMethod() != headwaterv1.OnlineService_StreamFeatures_FullMethodName {
			continue
		}
		if a.GetDecision() == headwaterv1.Decision_DECISION_ALLOWED {
			calls += max(a.GetCalls(), 1)
		} else {
			denied++
		}
	}
	if calls != many-1 || denied != 1 {
		t.Errorf("found %d reads recorded and %d denied, expected %d and 1", calls, denied, many-1)
	}
}

func TestStreamsOfReadsEnd(t *testing.T) {
	p, _ := newOnDemandProduct(t, role("looker", "list on view:*"))

	// One on which nothing is asked is decided on too.
	for principal, want := range map[string]fault.Reason{"": 0, "nobody": fault.PermissionDenied} {
		ctx := p.admin
		if principal != "" {
			ctx = p.as(principal, "looker")
		}
		stream, err := p.online.StreamFeatures(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.CloseSend(); err != nil {
			t.Fatal(err)
		}
		_, err = stream.Recv()
		if want == 0 && !errors.Is(err, io.EOF) || want != 0 && fault.FromError(err).Reason != want {
			t.Errorf("%q: found %v", principal, err)
		}
	}

	ctx, cancel := context.WithCancel(p.admin)
	stream, err := p.online.StreamFeatures(ctx)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(stream headwaterv1.OnlineService_StreamFeaturesClient) {
		t.Helper()
		if err := stream.Send(streamed(1, "small", "ORD")); err != nil {
			t.Fatal(err)
		}
		if answer, err := stream.Recv(); err != nil || vectors(answer.GetResponse()) != "delays__delay 3/PRESENT\n" {
			t.Fatalf("found %v, %v", answer, err)
		}
	}
	ask(stream)
	cancel()
	if _, err := stream.Recv(); fault.FromError(err).Reason != fault.Cancelled {
		t.Errorf("found %v", err)
	}

	// What was asked before a stop is answered, and an open stream is told of it.
	if stream, err = p.online.StreamFeatures(p.admin); err != nil {
		t.Fatal(err)
	}
	ask(stream)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		p.close()
	}()
	_, err = stream.Recv()
	f := fault.FromError(err)
	if f == nil || f.Reason != fault.ServerUnavailable || f.RetryAfter == 0 || !strings.HasPrefix(f.Message, "the server is about to stop; ") {
		t.Errorf("found %v", err)
	}
	<-stopped
}
