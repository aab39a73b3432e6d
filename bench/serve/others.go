package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	"github.com/headwaterhq/headwater/bench/servers"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/grpcflow"
	"github.com/headwaterhq/headwater/internal/rawconn"
)

// The servers that the product's is compared with are this program, started again: -as says which.
const (
	asEcho  = "echo"
	asBytes = "bytes"
	asFeast = "feast"

	// othersRedis is the environment's name for the Redis of Feast's layout: its URL has a password, and arguments are for every
	// user of the machine to see.
	othersRedis = "BENCH_REDIS_URL"
	// othersGOGC lets the others, and the client, collect garbage as seldom as the product's server does, so that they are as fast as
	// they can be.
	othersGOGC = 1600
)

// startOther starts one of them.
func (b *bench) startOther(ctx context.Context, as string, environment ...string) (*servers.Process, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	address, err := servers.FreeAddress()
	if err != nil {
		return nil, err
	}
	return servers.StartProcess(ctx, servers.ProcessConfig{
		Program: program, Arguments: []string{"-as", as, "-listen", address, "-answers", b.answers()}, Address: address,
		Environment: append(append(os.Environ(), fmt.Sprintf("GOGC=%d", othersGOGC)), environment...), Log: filepath.Join(b.servers.Folder, as+".log"),
	})
}

// answers is the folder of the answers that the echo gives.
func (b *bench) answers() string { return filepath.Join(b.servers.Folder, "answers") }

// transport are the options that the product's gRPC server has and that are not of what it does.
func transport(more ...grpc.ServerOption) []grpc.ServerOption {
	return slices.Concat(more, grpcflow.Server(), []grpc.ServerOption{grpc.WriteBufferSize(128 << 10), grpc.NumStreamWorkers(128)})
}

// serveOther is what such a process does until it is told to end.
func serveOther(ctx context.Context, as, listen, answers string) error {
	var s *grpc.Server
	switch as {
	case asEcho, asBytes:
		e, err := newEcho(answers, as == asEcho)
		if err != nil {
			return err
		}
		s = grpc.NewServer(transport(grpc.ForceServerCodecV2(rawCodec{}))...)
		s.RegisterService(&echoService, e)
	case asFeast:
		f, err := newFeast(ctx, os.Getenv(othersRedis))
		if err != nil {
			return err
		}
		defer f.redis.Close()
		s = grpc.NewServer(transport()...)
		f.register(s)
	default:
		return fmt.Errorf("found %q, expected %s, %s or %s", as, asEcho, asBytes, asFeast)
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, s.Stop)()
	return s.Serve(rawconn.Listener(l, 0))
}

// echo answers each request with what the product answered to one of as many entities.
type echo struct {
	// answers are by the length of their request: the bytes, as they were.
	answers map[int]*message
	// messages are what they are of, where the echo encodes them anew each time.
	messages map[int]*headwaterv1.GetFeaturesResponse
}

// newEcho reads the answers of a folder: each in a file that is called by the length of its request.
func newEcho(folder string, encodes bool) (*echo, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.answer"))
	if err != nil || len(files) == 0 {
		return nil, errors.Join(err, fmt.Errorf("found no answers in %s", folder))
	}
	e := &echo{answers: map[int]*message{}, messages: map[int]*headwaterv1.GetFeaturesResponse{}}
	for _, file := range files {
		var length int
		if _, err := fmt.Sscanf(strings.TrimSuffix(filepath.Base(file), ".answer"), "%d", &length); err != nil {
			return nil, err
		}
		answer, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		e.answers[length] = &message{bytes: answer}
		if encodes {
			e.messages[length] = &headwaterv1.GetFeaturesResponse{}
			if err := proto.Unmarshal(answer, e.messages[length]); err != nil {
				return nil, err
			}
		}
	}
	return e, nil
}

var echoService = grpc.ServiceDesc{
	ServiceName: "headwater.v1.OnlineService",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{
		MethodName: "GetFeatures",
		Handler: func(srv any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			var request message
			if err := decode(&request); err != nil {
				return nil, err
			}
			answer := srv.(*echo).answers[request.length]
			if answer == nil {
				return nil, fmt.Errorf("found a request of %d bytes, to which there is no answer", request.length)
			}
			if m := srv.(*echo).messages[request.length]; m != nil {
				// The memory is gRPC's, to be used again.
				room := mem.DefaultBufferPool().Get(len(answer.bytes))
				*room = appendAnswer((*room)[:0], m)
				return &message{pooled: room}, nil
			}
			return answer, nil
		},
	}},
}
