package main

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// The hash names the fields of Feast's layout; these are its author's own test values.
func TestMurmur3(t *testing.T) {
	for text, want := range map[string]uint32{
		"": 0, "test": 0xba6bd213, "hello": 0x248bfa47, "hello, world": 0x149bbb7f, "The quick brown fox jumps over the lazy dog": 0x2e4ff723,
	} {
		if found := murmur3(text); found != want {
			t.Errorf("%q: found %#x, expected %#x", text, found, want)
		}
	}
}

func TestRequestsAreWrittenOver(t *testing.T) {
	r, err := newRequest(serviceName, 3)
	if err != nil {
		t.Fatal(err)
	}
	for _, entities := range [][]int{{1, 99_999_999, 0}, {7, 7, 1_000_000}} {
		r.of(entities)
		var request headwaterv1.GetFeaturesRequest
		if err := proto.Unmarshal(r.bytes, &request); err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, entity := range entities {
			want = append(want, string(appendEntityKey(nil, entity)))
		}
		if found := request.GetKeys()[entityName].GetStrings(); request.GetService() != serviceName || !slices.Equal(found, want) {
			t.Errorf("found %q of service %q, expected %q of %q", found, request.GetService(), want, serviceName)
		}
	}
}

// answerOf is what a right server says.
func answerOf(entities []int) *headwaterv1.GetFeaturesResponse {
	a := &headwaterv1.GetFeaturesResponse{}
	for c := range columns() {
		v := newVector(c, len(entities))
		for i, entity := range entities {
			setVector(v.Values, i, feastValue(valueOf(entity, c)))
		}
		a.Features = append(a.Features, v)
	}
	return a
}

func TestWrongAnswersAreFound(t *testing.T) {
	entities := []int{3, nullEvery, 41}
	if err := checkAnswer(answerOf(entities), entities, nil); err != nil {
		t.Fatal(err)
	}
	common := answerOf(entities)
	common.Features[0].Values.Status, common.Features[0].Values.StatusOfAll = nil, headwaterv1.ValueStatus_VALUE_STATUS_PRESENT
	if err := checkAnswer(common, entities, nil); err != nil {
		t.Error(err)
	}
	for name, spoil := range map[string]func(*headwaterv1.GetFeaturesResponse){
		"a value of another entity": func(a *headwaterv1.GetFeaturesResponse) { a.Features[0].Values.Float64S[1] += 1 },
		"a text":                    func(a *headwaterv1.GetFeaturesResponse) { a.Features[7].Values.Strings[2] = "segment" },
		"a NULL that has a value": func(a *headwaterv1.GetFeaturesResponse) {
			a.Features[withNulls].Values.Status[1] = headwaterv1.ValueStatus_VALUE_STATUS_PRESENT
		},
		"a missing entity": func(a *headwaterv1.GetFeaturesResponse) {
			a.Features[9].Values.Status[0] = headwaterv1.ValueStatus_VALUE_STATUS_NO_ROW
		},
		"a short column": func(a *headwaterv1.GetFeaturesResponse) {
			a.Features[6].Values.Int64S = a.Features[6].Values.Int64S[:2]
		},
		"another feature":  func(a *headwaterv1.GetFeaturesResponse) { a.Features[4].Feature = "f9" },
		"too few features": func(a *headwaterv1.GetFeaturesResponse) { a.Features = a.Features[:39] },
	} {
		a := answerOf(entities)
		spoil(a)
		if err := checkAnswer(a, entities, nil); err == nil {
			t.Errorf("%s: found no error", name)
		}
	}
}

// What the echo sends is what the library would.
func TestAnswersAreEncoded(t *testing.T) {
	a := answerOf([]int{3, nullEvery, 41})
	a.ReadId, a.Service, a.ServiceVersion, a.Position, a.ServedAt = "r", serviceName, 3, 300, timestamppb.New(dayOne.Add(5))
	a.Features[1].Values.Status, a.Features[1].Values.StatusOfAll = nil, headwaterv1.ValueStatus_VALUE_STATUS_PRESENT
	a.Features[2].Values.TypeName = "float64"
	b := appendAnswer(nil, a)
	var found headwaterv1.GetFeaturesResponse
	if err := proto.Unmarshal(b, &found); err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(&found, a) || len(b) != proto.Size(a) {
		t.Errorf("found %d bytes of %v, expected %d of %v", len(b), &found, proto.Size(a), a)
	}
}

// The values are of all kinds, and NULL where one would look for it.
func TestValues(t *testing.T) {
	for c := range columns() {
		v := valueOf(nullEvery, c)
		if null := c%len(kinds) == withNulls; v.IsNull() != null || (!null && v.Type() != kinds[c%len(kinds)]) {
			t.Errorf("column %d: found %s of type %s", c, v.Text(), v.Type())
		}
	}
	if valueOf(1, 0).Equal(valueOf(2, 0)) || valueOf(1, 0).Equal(valueOf(1, 1)) || !valueOf(5, 3).Equal(valueOf(5, 3)) {
		t.Error("values do not depend on entity and column alone")
	}
	if kinds[7] != feature.TypeString || !strings.HasPrefix(valueOf(3, 7).Str(), "segment") {
		t.Errorf("found %s", valueOf(3, 7).Text())
	}
}

// counter is an asker that counts.
type counter struct {
	calls, checks *atomic.Int64
	wrong         error
}

func (c counter) call(context.Context, []int, bool) error { c.calls.Add(1); return nil }
func (c counter) check([]int) error                       { c.checks.Add(1); return c.wrong }

// openTarget is a server that answers each request for so many entities with the same bytes, and with an error where there are none. before, if
// any, is called first. calls are counted.
func openTarget(t *testing.T, entities int, answer []byte, before func(ctx context.Context, s *grpc.Server, calls int64)) (*target, *atomic.Int64) {
	t.Helper()
	r, err := newRequest(serviceName, entities)
	if err != nil {
		t.Fatal(err)
	}
	e := &echo{answers: map[int]*message{}}
	if answer != nil {
		e.answers[len(r.bytes)] = &message{bytes: answer}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	calls := &atomic.Int64{}
	s := grpc.NewServer(transport(grpc.ForceServerCodecV2(rawCodec{}))...)
	counted := echoService
	counted.Methods = slices.Clone(echoService.Methods)
	handle := echoService.Methods[0].Handler
	counted.Methods[0].Handler = func(e any, ctx context.Context, decode func(any) error, i grpc.UnaryServerInterceptor) (any, error) {
		if n := calls.Add(1); before != nil {
			before(ctx, s, n)
		}
		return handle(e, ctx, decode, i)
	}
	s.RegisterService(&counted, e)
	var served sync.WaitGroup
	served.Go(func() { _ = s.Serve(l) })
	t.Cleanup(func() { s.Stop(); served.Wait() })
	return &target{name: "echo", endpoint: endpoint{
		address: l.Addr().String(), service: serviceName, token: "t", connections: 2, lengths: map[int]int{entities: len(answer)},
	}}, calls
}

func openLoad() load {
	return load{batch: 2, among: 10, callers: 4, rate: 1000, warm: 20 * time.Millisecond, measured: 100 * time.Millisecond}
}

func TestTheOpenLoopSendsAsManyAsTheRateSays(t *testing.T) {
	// More than a window holds, of all answers.
	target, calls := openTarget(t, 2, make([]byte, 300<<10), nil)
	s, err := measure(t.Context(), target, openLoad())
	if err != nil {
		t.Fatal(err)
	}
	// However late they were sent.
	if s.requests != 100 || calls.Load() != 120 || s.rate() != 1000 || s.entitiesRate() != 2000 || s.p50 <= 0 || s.p99 < s.p50 {
		t.Errorf("found %d requests measured, %d sent, p50 %s, p99 %s, expected 100 and 120", s.requests, calls.Load(), s.p50, s.p99)
	}
}

func TestLatencyIsFromWhenARequestWasToBeSent(t *testing.T) {
	const stall = 80 * time.Millisecond
	target, _ := openTarget(t, 2, []byte("answer"), func(_ context.Context, _ *grpc.Server, calls int64) {
		if calls > 20 && calls <= 24 {
			time.Sleep(stall)
		}
	})
	began := time.Now()
	s, err := measure(t.Context(), target, openLoad())
	if err != nil {
		t.Fatal(err)
	}
	// Four are under way and no more, but all that were to be sent meanwhile have waited, which are four fifths.
	if s.p50 < stall/10 || s.p99 > time.Since(began) || s.clocked > time.Since(began) {
		t.Errorf("found p50 %s, p99 %s, clocks read for %s, expected more than a tenth of the stall of %s, and no more than there was", s.p50, s.p99, s.clocked, stall)
	}
}

func TestTheOpenLoopLooksIntoAnswers(t *testing.T) {
	right, err := proto.Marshal(answerOf([]int{0, 0}))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		answer        []byte
		among, length int
		want          string
	}{
		"right":         {right, 1, 0, ""},
		"wrong":         {right, 10, 0, "found a wrong value of"},
		"known length":  {[]byte("answer"), 10, 6, ""},
		"other length":  {[]byte("answer"), 10, 7, "found an answer of 6 bytes, expected 7"},
		"empty":         {[]byte{}, 10, 0, "found an answer of 0 bytes, expected a message"},
		"nothing known": {[]byte("answer"), 10, 0, "proto"},
	} {
		target, _ := openTarget(t, 2, c.answer, nil)
		target.endpoint.lengths = map[int]int{2: c.length}
		l := openLoad()
		l.among = c.among
		switch _, err := measure(t.Context(), target, l); {
		case c.want == "" && err != nil:
			t.Errorf("%s: found %v, expected none", name, err)
		case c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), "echo, 2 entities, at 1000 requests/s: ") || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: found %v, expected %s", name, err, c.want)
		}
	}
}

func TestTheOpenLoopEndsWithItsServer(t *testing.T) {
	target, _ := openTarget(t, 2, nil, nil)
	if _, err := measure(t.Context(), target, openLoad()); err == nil || !strings.Contains(err.Error(), "to which there is no answer") {
		t.Errorf("found %v, expected what the server says", err)
	}
	target, _ = openTarget(t, 2, []byte("answer"), func(ctx context.Context, s *grpc.Server, calls int64) {
		if calls == 50 {
			go s.Stop()
		}
		if calls >= 50 {
			<-ctx.Done()
		}
	})
	if _, err := measure(t.Context(), target, openLoad()); err == nil {
		t.Error("found no error of a server that is gone")
	}
}

// A server that takes connections and reads nothing keeps nobody who has been told to stop.
func TestTheOpenLoopEndsWhenItIsToldTo(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(200*time.Millisecond, cancel)
	target := &target{name: "silent", endpoint: endpoint{address: l.Addr().String(), service: serviceName, token: "t", connections: 2}}
	large := openLoad()
	large.batch, large.callers = 20_000, 128
	if _, err := measure(ctx, target, large); !errors.Is(err, context.Canceled) {
		t.Errorf("found %v, expected %v", err, context.Canceled)
	}
}

func TestAWrongAnswerFailsAMeasurement(t *testing.T) {
	var calls, checks atomic.Int64
	wrong := errors.New("a wrong value")
	target := &target{name: "counter", ask: func(int, int) asker { return counter{calls: &calls, checks: &checks, wrong: wrong} }}
	if _, err := measure(t.Context(), target, load{batch: 1, among: 10, callers: 2, measured: 100 * time.Millisecond}); !errors.Is(err, wrong) {
		t.Errorf("found %v, expected %v", err, wrong)
	}
}

func TestTheErrorThatStoppedTheOthersIsTold(t *testing.T) {
	refused := status.Error(codes.ResourceExhausted, "too many reads")
	if err := first([]error{nil, status.Error(codes.Canceled, "context canceled"), refused, context.Canceled}); !errors.Is(err, refused) {
		t.Errorf("found %v, expected %v", err, refused)
	}
	if err := first([]error{nil, nil}); err != nil {
		t.Errorf("found %v, expected none", err)
	}
}
