package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

//go:embed stream.py
var streamPy []byte

// wideColumns are those of the spine and of the service named wide.
const wideColumns = 40

// stream measures how fast a kept result reaches the Python client, hashed, checked and as an Arrow table, beside the same
// bytes over a bare gRPC stream from this process to grpcio, which throws them away.
func (b *bench) stream(ctx context.Context) error {
	interpreter, err := b.python(ctx)
	if err != nil {
		return err
	}
	// Before, the server keeps no results, as one does that is not told to.
	if b.peak, err = b.servers.PeakMemory(); err != nil {
		return err
	}
	kept := filepath.Join(b.servers.Folder, "results")
	defer os.RemoveAll(kept)
	if err := b.servers.Restart(ctx, "HEADWATER_RESULTS_DIR="+kept); err != nil {
		return err
	}
	// The client found nobody while the server was away, and asks again a moment later.
	_, err = b.client.Registry.ListDefinitions(ctx, &headwaterv1.ListDefinitionsRequest{Kind: headwaterv1.DefinitionKind_DEFINITION_KIND_VIEW}, grpc.WaitForReady(true))
	if err != nil {
		return err
	}
	took, m, err := b.built(ctx, "wide", b.spine)
	if err != nil {
		return err
	}
	b.row("dataset of 40 columns", took, len(b.spine))
	if _, err := os.Stat(filepath.Join(kept, m.GetId()+".kept")); err != nil {
		return fmt.Errorf("the server keeps no result of dataset %s: %w", m.GetId(), err)
	}
	content, err := os.ReadFile(filepath.Join(b.servers.Folder, "result.arrows"))
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	bare := bareServer(content)
	defer bare.Stop()
	go func() { _ = bare.Serve(listener) }()
	script := filepath.Join(b.servers.Folder, "stream.py")
	if err := os.WriteFile(script, streamPy, 0o600); err != nil {
		return err
	}
	source, err := filepath.Abs(b.source)
	if err != nil {
		return err
	}
	var stderr bytes.Buffer
	// A process has its first results in memory that the system gives it anew, and later ones in what it gave back: there are enough
	// rounds for the median to be of the latter.
	rounds := strconv.Itoa(6*b.rounds + 3)
	command := exec.CommandContext(ctx, interpreter, script, b.servers.Address, m.GetId(), listener.Addr().String(), rounds)
	command.Env = append(os.Environ(), "PYTHONPATH="+source, "HEADWATER_TOKEN="+b.servers.Token)
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, stderr.String())
	}
	var found struct {
		Rows, Columns, Bytes int
		Bare                 float64 `json:"bare_s"`
		Client               float64 `json:"client_s"`
	}
	if err := json.Unmarshal(out, &found); err != nil {
		return err
	}
	if found.Rows != len(b.spine) || found.Columns != wideColumns || found.Bytes < len(content) {
		return fmt.Errorf("found %+v in Python, expected %d rows, %d columns and %d bytes", found, len(b.spine), wideColumns, len(content))
	}
	seconds := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	b.row(fmt.Sprintf("bare gRPC stream of its %d MB to Python", len(content)>>20), seconds(found.Bare), len(b.spine))
	b.row("the kept result to the Python client", seconds(found.Client), len(b.spine))
	b.ratio("python_stream_vs_bare", found.Bare/found.Client, "of the bare stream's rate, 0.5 or more")
	return nil
}

// bareServer streams content in messages of as many bytes as the product's.
func bareServer(content []byte) *grpc.Server {
	const part = 1 << 20
	s := grpc.NewServer()
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: "bench.Bytes", HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{{StreamName: "Stream", ServerStreams: true, Handler: func(_ any, stream grpc.ServerStream) error {
			if err := stream.RecvMsg(&wrapperspb.BytesValue{}); err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			for at := 0; at < len(content); at += part {
				if err := stream.SendMsg(&wrapperspb.BytesValue{Value: content[at:min(at+part, len(content))]}); err != nil {
					return err
				}
			}
			return nil
		}}},
	}, nil)
	return s
}
