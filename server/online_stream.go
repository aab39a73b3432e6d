package server

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/headwaterhq/headwater/access"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// readsOfStream is how many reads of one stream are worked on at once. Further ones are not received yet, so that a caller who sends
// faster than it reads answers is slowed down by the transport.
const readsOfStream = 32

// StreamFeatures answers each read of the stream as GetFeatures would. It ends when the caller has sent all, or the server is about to:
// then what was received is answered, and the status says that what has no answer was not read.
func (o *onlineService) StreamFeatures(stream grpc.BidiStreamingServer[headwaterv1.StreamFeaturesRequest, headwaterv1.StreamFeaturesResponse]) error {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	s := &featureStream{service: o, stream: stream, places: make(chan struct{}, readsOfStream), cancel: cancel}
	received := make(chan *headwaterv1.StreamFeaturesRequest)
	ended := make(chan error, 1)
	go func() {
		// Ends at the latest when the handler has returned: the stream is over then.
		for {
			r, err := stream.Recv()
			if err != nil {
				ended <- err
				return
			}
			select {
			case received <- r:
			case <-ctx.Done():
				return
			}
		}
	}()
	err := s.answerAll(ctx, received, ended)
	s.reads.Wait()
	if !s.any {
		// Nothing of it was decided on.
		if denied := access.RequireAny(stream.Context(), access.ActionReadOnline, access.KindService); denied != nil {
			return denied
		}
	}
	return errors.Join(err, s.failed)
}

// featureStream is one call of StreamFeatures.
type featureStream struct {
	service *onlineService
	stream  grpc.BidiStreamingServer[headwaterv1.StreamFeaturesRequest, headwaterv1.StreamFeaturesResponse]
	places  chan struct{}
	cancel  context.CancelFunc
	reads   sync.WaitGroup
	// any says that there was a request.
	any bool

	// sending is held while an answer is sent, and failed is the error of the first that could not be.
	sending sync.Mutex
	failed  error
}

// answerAll has each request answered, and returns when no more is to come.
func (s *featureStream) answerAll(ctx context.Context, received <-chan *headwaterv1.StreamFeaturesRequest, ended <-chan error) error {
	for {
		select {
		case s.places <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		select {
		case r := <-received:
			s.any = true
			s.reads.Go(func() {
				defer func() { <-s.places }()
				s.answer(ctx, r)
			})
		case err := <-ended:
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		case <-s.service.closing:
			return fault.New(fault.ServerUnavailable, "the server is about to stop; open a stream to another, or to this one when it is there again, "+
				"and ask again what has no answer").Retrying(time.Second)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// answer reads, and sends the answer.
func (s *featureStream) answer(ctx context.Context, r *headwaterv1.StreamFeaturesRequest) {
	answer := &headwaterv1.StreamFeaturesResponse{Id: r.GetId()}
	response, err := s.service.guard.Read(ctx, r.GetRequest(), s.service.GetFeatures)
	if err != nil {
		answer.Answer = &headwaterv1.StreamFeaturesResponse_Failure{Failure: failureOf(err)}
	} else {
		answer.Answer = &headwaterv1.StreamFeaturesResponse_Response{Response: response}
	}
	s.sending.Lock()
	defer s.sending.Unlock()
	if s.failed != nil {
		return
	}
	if s.failed = s.stream.Send(answer); s.failed != nil {
		s.cancel()
	}
}

// failureOf is the status of a read, taken apart.
func failureOf(err error) *headwaterv1.ReadFailure {
	f := fault.FromError(err)
	failure := &headwaterv1.ReadFailure{Code: int32(status.Code(err)), Reason: f.Reason, Message: f.Message, Metadata: f.Metadata}
	for _, v := range f.Violations {
		if failure.Violations == nil {
			failure.Violations = map[string]string{}
		}
		failure.Violations[v.Field] = v.Description
	}
	if f.RetryAfter > 0 {
		failure.RetryAfter = durationpb.New(f.RetryAfter)
	}
	return failure
}
