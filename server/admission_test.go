package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/headwaterhq/headwater/access"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// untilWaiting returns when so many wait.
func untilWaiting(a *admission, n int) {
	for {
		if _, waiting, _ := a.load(); waiting == n {
			return
		}
		runtime.Gosched()
	}
}

func TestReadsAreAdmittedInTheirOrder(t *testing.T) {
	ctx := context.Background()
	a := &admission{most: 1, mostWaiting: 3, patience: time.Hour}
	if err := a.enter(ctx); err != nil {
		t.Fatal(err)
	}
	var order []int
	var waiters sync.WaitGroup
	for i := range 3 {
		waiters.Go(func() {
			if err := a.enter(ctx); err != nil {
				t.Error(err)
			}
			// Only one is in at a time, so this needs no lock.
			order = append(order, i)
			a.leave()
		})
		untilWaiting(a, i+1)
	}
	if err := a.enter(ctx); fault.ReasonOf(err) != fault.ResourceExhausted || fault.As(err).RetryAfter <= 0 {
		t.Errorf("got %v, want RESOURCE_EXHAUSTED with when to try again", err)
	}
	a.leave()
	waiters.Wait()
	if !slices.Equal(order, []int{0, 1, 2}) {
		t.Errorf("admitted in the order %v", order)
	}
	if running, waiting, refused := a.load(); running != 0 || waiting != 0 || refused != 1 {
		t.Errorf("got %d running, %d waiting, %d refused", running, waiting, refused)
	}
}

func TestWhoCannotWaitIsRefusedEarly(t *testing.T) {
	ctx := context.Background()
	a := &admission{most: 1, mostWaiting: 10, patience: time.Hour}
	if err := a.enter(ctx); err != nil {
		t.Fatal(err)
	}
	a.pace = 4 * time.Hour
	soon, cancel := context.WithTimeout(ctx, time.Hour)
	defer cancel()
	for _, want := range []time.Duration{2 * time.Hour, time.Hour} {
		if err := a.enter(soon); fault.ReasonOf(err) != fault.ResourceExhausted {
			t.Errorf("got %v, want RESOURCE_EXHAUSTED before the deadline has passed", err)
		}
		if a.pace != want {
			t.Errorf("the pace is %s, want %s: it would be believed for ever", a.pace, want)
		}
	}
	if soon.Err() != nil {
		t.Error("it waited for its deadline")
	}
	// One whose deadline leaves time waits, and so does one without.
	late, cancelLate := context.WithTimeout(ctx, 24*time.Hour)
	defer cancelLate()
	var waiters sync.WaitGroup
	for i, ctx := range []context.Context{late, ctx} {
		waiters.Go(func() {
			if err := a.enter(ctx); err != nil {
				t.Error(err)
			}
			a.leave()
		})
		untilWaiting(a, i+1)
	}
	a.leave()
	waiters.Wait()
}

func TestWhoGivesUpLeavesTheLine(t *testing.T) {
	a := &admission{most: 1, mostWaiting: 1, patience: time.Hour}
	if err := a.enter(context.Background()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	gaveUp := make(chan error)
	go func() { gaveUp <- a.enter(ctx) }()
	untilWaiting(a, 1)
	cancel()
	if err := <-gaveUp; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	a.patience = time.Nanosecond
	if err := a.enter(context.Background()); fault.ReasonOf(err) != fault.ResourceExhausted {
		t.Errorf("beyond patience: got %v, want RESOURCE_EXHAUSTED", err)
	}
	a.leave()
	if running, waiting, _ := a.load(); running != 0 || waiting != 0 {
		t.Errorf("got %d running, %d waiting", running, waiting)
	}
}

func TestNoPlaceIsLostOrGivenTwice(t *testing.T) {
	a := &admission{most: 3, mostWaiting: 4, patience: time.Millisecond}
	var inside, admitted, refused atomic.Int64
	var callers sync.WaitGroup
	for caller := range 12 {
		callers.Go(func() {
			for i := range 200 {
				ctx, cancel := context.WithCancel(context.Background())
				if (caller+i)%5 == 0 {
					go cancel()
				}
				if a.enter(ctx) != nil {
					refused.Add(1)
				} else {
					if n := inside.Add(1); n > 3 {
						t.Errorf("%d are in at once", n)
					}
					runtime.Gosched()
					admitted.Add(1)
					inside.Add(-1)
					a.leave()
				}
				cancel()
			}
		})
	}
	callers.Wait()
	if running, waiting, _ := a.load(); running != 0 || waiting != 0 {
		t.Errorf("got %d running, %d waiting at the end", running, waiting)
	}
	if admitted.Load()+refused.Load() != 12*200 || admitted.Load() == 0 {
		t.Errorf("%d were admitted and %d refused", admitted.Load(), refused.Load())
	}
}

// held is a handler of reads that waits to be let go.
type held struct {
	headwaterv1.UnimplementedOnlineServiceServer
	guard   func() *Guard
	goOn    chan struct{}
	entered chan struct{}
}

func (h *held) GetFeatures(ctx context.Context, _ *headwaterv1.GetFeaturesRequest) (*headwaterv1.GetFeaturesResponse, error) {
	select {
	case h.entered <- struct{}{}:
	default:
	}
	<-h.goOn
	return &headwaterv1.GetFeaturesResponse{ReadId: access.SessionFrom(ctx).ReadID()}, nil
}

func (h *held) StreamFeatures(stream grpc.BidiStreamingServer[headwaterv1.StreamFeaturesRequest, headwaterv1.StreamFeaturesResponse]) error {
	for {
		r, err := stream.Recv()
		if err != nil {
			return nil
		}
		answer := &headwaterv1.StreamFeaturesResponse{Id: r.GetId()}
		response, err := h.guard().Read(stream.Context(), r.GetRequest(), h.GetFeatures)
		if err != nil {
			f := fault.FromError(err)
			answer.Answer = &headwaterv1.StreamFeaturesResponse_Failure{Failure: &headwaterv1.ReadFailure{
				Code: int32(status.Code(err)), Reason: f.Reason, Message: f.Error(),
			}}
		} else {
			answer.Answer = &headwaterv1.StreamFeaturesResponse_Response{Response: response}
		}
		if err := stream.Send(answer); err != nil {
			return err
		}
	}
}

// serveHeld is a server that takes two reads at once, and lets one wait.
func serveHeld(t *testing.T) (*guarded, *held, *admission) {
	t.Helper()
	h := &held{goOn: make(chan struct{}), entered: make(chan struct{}, 100)}
	a := &admission{most: 2, mostWaiting: 1, patience: time.Hour}
	g := serve(t, func(g *guarded, server *grpc.Server) {
		g.guard.Reads = a
		h.guard = func() *Guard { return g.guard }
		headwaterv1.RegisterOnlineServiceServer(server, h)
		headwaterv1.RegisterMaterializationServiceServer(server, headwaterv1.UnimplementedMaterializationServiceServer{})
	})
	return g, h, a
}

func TestAnOverloadedServerRefusesReadsAtOnce(t *testing.T) {
	g, h, a := serveHeld(t)
	online := headwaterv1.NewOnlineServiceClient(g.conn)
	ctx := g.as("model")
	var reads sync.WaitGroup
	read := func() {
		reads.Go(func() {
			if _, err := online.GetFeatures(ctx, features("delay_model_v1")); err != nil {
				t.Error(err)
			}
		})
	}
	read()
	read()
	<-h.entered
	<-h.entered
	read()
	untilWaiting(a, 1)
	g.records()

	var trailer metadata.MD
	_, err := online.GetFeatures(ctx, features("delay_model_v1"), grpc.Trailer(&trailer))
	var retry *errdetails.RetryInfo
	var info *errdetails.ErrorInfo
	for _, d := range status.Convert(err).Details() {
		switch d := d.(type) {
		case *errdetails.RetryInfo:
			retry = d
		case *errdetails.ErrorInfo:
			info = d
		}
	}
	if status.Code(err) != codes.ResourceExhausted || info.GetReason() != "RESOURCE_EXHAUSTED" || retry.GetRetryDelay().AsDuration() <= 0 ||
		!strings.HasPrefix(status.Convert(err).Message(), "the server works on as many online reads as it takes at once, 2, and others wait; try again in ") {
		t.Errorf("got %v with %v, want RESOURCE_EXHAUSTED with when to try again", err, status.Convert(err).Details())
	}
	if f := fault.FromError(err); f.RetryAfter != retry.GetRetryDelay().AsDuration() {
		t.Errorf("a client is told to wait %s, want %s", f.RetryAfter, retry.GetRetryDelay().AsDuration())
	}
	if told, want := trailer.Get("grpc-retry-pushback-ms"), fmt.Sprint(retry.GetRetryDelay().AsDuration().Milliseconds()); len(told) != 1 || told[0] != want {
		t.Errorf("gRPC's clients are told to wait %v ms, want %s as in RetryInfo", told, want)
	}
	// Nothing was done about it, so there is nothing to record.
	g.wantRecords()

	// Who may not read is told so, and what is no online read goes on.
	if _, err := online.GetFeatures(context.Background(), features("delay_model_v1")); status.Code(err) != codes.Unauthenticated {
		t.Errorf("got %v, want UNAUTHENTICATED", err)
	}
	runs := headwaterv1.NewMaterializationServiceClient(g.conn)
	if _, err := runs.GetRun(g.as("engineer"), &headwaterv1.GetRunRequest{Run: "1"}); status.Code(err) != codes.Unimplemented {
		t.Errorf("got %v, want that the call got through", err)
	}
	close(h.goOn)
	reads.Wait()
	if _, err := online.GetFeatures(ctx, features("delay_model_v1")); err != nil {
		t.Errorf("after the load has gone: %v", err)
	}
	if running, waiting, refused := a.load(); running != 0 || waiting != 0 || refused != 1 {
		t.Errorf("got %d running, %d waiting, %d refused", running, waiting, refused)
	}
}

func TestReadsOfAStreamAreCallsOfTheirOwn(t *testing.T) {
	g, h, a := serveHeld(t)
	close(h.goOn)
	token, text := g.token("model")
	stream, err := headwaterv1.NewOnlineServiceClient(g.conn).StreamFeatures(withToken(text))
	if err != nil {
		t.Fatal(err)
	}
	id := uint64(0)
	ask := func(request *headwaterv1.GetFeaturesRequest) *headwaterv1.StreamFeaturesResponse {
		t.Helper()
		id++
		if err := stream.Send(&headwaterv1.StreamFeaturesRequest{Id: id, Request: request}); err != nil {
			t.Fatal(err)
		}
		answer, err := stream.Recv()
		if err != nil || answer.GetId() != id {
			t.Fatalf("got %v, %v", answer, err)
		}
		return answer
	}
	first, second := ask(features("delay_model_v1")).GetResponse(), ask(features("delay_model_v1")).GetResponse()
	if first.GetReadId() == "" || first.GetReadId() == second.GetReadId() {
		t.Errorf("got the read ids %q and %q", first.GetReadId(), second.GetReadId())
	}
	// A minute may end between the two.
	r := g.records()
	var calls, entities int64
	for _, record := range r {
		calls, entities = calls+record.Calls, entities+record.Entities
	}
	if last := len(r) - 1; calls != 2 || entities != 2 || r[0].ReadID != first.GetReadId() || r[last].LastReadID != second.GetReadId() ||
		r[0].Purpose != "scoring" || r[0].Resource != "service:delay_model_v1@2" {
		t.Errorf("got %+v", r)
	}

	// What is wrong with one is its answer, and the others go on.
	long := features("delay_model_v1")
	long.Purpose = strings.Repeat("x", 129)
	for _, c := range []struct {
		request *headwaterv1.GetFeaturesRequest
		reason  fault.Reason
		message string
	}{
		{long, fault.InvalidArgument, "the request does not hold to its rules\n  purpose: found a text of 129 bytes: must be at most 128 characters"},
		{nil, fault.InvalidArgument, "the request does not hold to its rules\n  request: found nothing, expected a request"},
		{features("open_service"), fault.PermissionDenied, "the_model may not read_online service:open_service: no grant of read_online on " +
			"service:open_service in roles [model]; whoever administers the roles can change that"},
	} {
		f := ask(c.request).GetFailure()
		if f.GetReason() != c.reason || f.GetMessage() != c.message || codes.Code(f.GetCode()) != fault.Code(c.reason) {
			t.Errorf("got %v, want %s %q", f, c.reason, c.message)
		}
	}
	a.mu.Lock()
	a.running = a.most
	a.mostWaiting = 0
	a.mu.Unlock()
	if f := ask(features("delay_model_v1")).GetFailure(); f.GetReason() != fault.ResourceExhausted {
		t.Errorf("under load: got %v", f)
	}
	a.mu.Lock()
	a.running = 0
	a.mu.Unlock()
	if answer := ask(features("delay_model_v1")); answer.GetResponse() == nil {
		t.Errorf("got %v", answer)
	}
	if _, err := access.RevokeToken(context.Background(), g.pool, token.ID); err != nil {
		t.Fatal(err)
	}
	// The bound of revocation holds on a stream too.
	for {
		if f := ask(features("delay_model_v1")).GetFailure(); f != nil {
			if f.GetReason() != fault.Unauthenticated || !strings.HasPrefix(f.GetMessage(), "token "+token.ID+" was revoked at ") {
				t.Errorf("got %v, want UNAUTHENTICATED", f)
			}
			break
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("the stream ended with %v, want its end", err)
	}
}
