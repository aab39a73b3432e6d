package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/tabular"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// server answers as the test says.
type server struct {
	headwaterv1.UnimplementedIngestServiceServer
	headwaterv1.UnimplementedDatasetServiceServer
	headwaterv1.UnimplementedMaterializationServiceServer
	ingest func(header *headwaterv1.IngestRequest, parts [][]byte) error
	build  func(stream grpc.BidiStreamingServer[headwaterv1.BuildDatasetRequest, headwaterv1.BuildDatasetResponse]) error
	watch  []*headwaterv1.Run
	tokens []string
}

func (s *server) Ingest(stream grpc.ClientStreamingServer[headwaterv1.IngestRequest, headwaterv1.IngestResponse]) error {
	header, err := stream.Recv()
	if err != nil {
		return err
	}
	if header.Source == "refused" {
		return fault.Status(fault.New(fault.PermissionDenied, "not you"), "").Err()
	}
	var parts [][]byte
	for {
		m, err := stream.Recv()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		parts = append(parts, m.Arrow)
	}
	// Not before all is read: a client that breaks off does not wait for this to end.
	md, _ := metadata.FromIncomingContext(stream.Context())
	s.tokens = md.Get("authorization")
	if err := s.ingest(header, parts); err != nil {
		return err
	}
	return stream.SendAndClose(&headwaterv1.IngestResponse{Load: &headwaterv1.Load{Id: 7}})
}

func (s *server) BuildDataset(stream grpc.BidiStreamingServer[headwaterv1.BuildDatasetRequest, headwaterv1.BuildDatasetResponse]) error {
	return s.build(stream)
}

func (s *server) WatchRun(_ *headwaterv1.WatchRunRequest, stream grpc.ServerStreamingServer[headwaterv1.WatchRunResponse]) error {
	for _, r := range s.watch {
		if err := stream.Send(&headwaterv1.WatchRunResponse{Run: r}); err != nil {
			return err
		}
	}
	return nil
}

// start serves s and connects to it.
func start(t *testing.T, s *server) *Client {
	t.Helper()
	return startServing(t, func(g *grpc.Server) {
		headwaterv1.RegisterIngestServiceServer(g, s)
		headwaterv1.RegisterDatasetServiceServer(g, s)
		headwaterv1.RegisterMaterializationServiceServer(g, s)
	})
}

// startIngest serves another ingest service and connects to it.
func startIngest(t *testing.T, s headwaterv1.IngestServiceServer) *Client {
	t.Helper()
	return startServing(t, func(g *grpc.Server) { headwaterv1.RegisterIngestServiceServer(g, s) })
}

func startServing(t *testing.T, register func(*grpc.Server)) *Client {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	register(g)
	served := make(chan error, 1)
	go func() { served <- g.Serve(l) }()
	c, err := Dial(l.Addr().String(), "secret", Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		g.Stop()
		<-served
	})
	return c
}

var columns = []feature.Column{{Name: "origin", Type: feature.TypeString}}

// rows is n batches of 10,000 rows, then an error if there is one.
func rows(n int, last error) Rows {
	schema := tabular.ArrowSchema(columns)
	return Rows{Schema: schema, Batches: func(yield func(arrow.RecordBatch, error) bool) {
		for range n {
			b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
			for range 10_000 {
				tabular.Append(b.Field(0), feature.String(strings.Repeat("x", 40)))
			}
			if !yield(b.NewRecordBatch(), nil) {
				return
			}
		}
		if last != nil {
			yield(nil, last)
		}
	}}
}

func TestIngest(t *testing.T) {
	s := &server{ingest: func(header *headwaterv1.IngestRequest, parts [][]byte) error {
		if header.Source != "flights" || header.Header.FileName != "a.csv" {
			t.Errorf("found header %v", header)
		}
		for i, p := range parts {
			if len(p) > chunkSize || (i < len(parts)-1 && len(p) != chunkSize) {
				t.Errorf("part %d of %d has %d bytes, expected %d", i, len(parts), len(p), chunkSize)
			}
		}
		r, err := ipc.NewReader(bytes.NewReader(bytes.Join(parts, nil)))
		if err != nil {
			return err
		}
		n := int64(0)
		for r.Next() {
			n += r.RecordBatch().NumRows()
		}
		if n != 100_000 {
			t.Errorf("found %d rows, expected 100000", n)
		}
		return r.Err()
	}}
	c := start(t, s)
	r, err := c.Ingest(context.Background(), "flights", &headwaterv1.IngestHeader{FileName: "a.csv"}, rows(10, nil))
	if err != nil || r.GetLoad().GetId() != 7 {
		t.Fatalf("found %v and %v", r, err)
	}
	if len(s.tokens) != 1 || s.tokens[0] != "Bearer secret" {
		t.Errorf("found authorization %q", s.tokens)
	}
}

func TestIngestTellsWhoFailed(t *testing.T) {
	c := start(t, &server{ingest: func(*headwaterv1.IngestRequest, [][]byte) error {
		t.Error("a load was made of rows that ended in an error")
		return nil
	}})
	broken := fault.New(fault.InvalidRows, "line 3 is bad")
	if _, err := c.Ingest(context.Background(), "flights", &headwaterv1.IngestHeader{}, rows(1, broken)); !errors.Is(err, broken) {
		t.Errorf("found %v, expected %v", err, broken)
	}
	// Long enough for the refusal to come while rows are still sent.
	_, err := c.Ingest(context.Background(), "refused", &headwaterv1.IngestHeader{}, rows(100, nil))
	if fault.ReasonOf(err) != fault.PermissionDenied || err.Error() != "not you" {
		t.Errorf("found %v, expected the server's refusal", err)
	}
}

// result answers any spine with content and a manifest of a digest.
func result(content []byte, digest string) func(grpc.BidiStreamingServer[headwaterv1.BuildDatasetRequest, headwaterv1.BuildDatasetResponse]) error {
	return func(stream grpc.BidiStreamingServer[headwaterv1.BuildDatasetRequest, headwaterv1.BuildDatasetResponse]) error {
		for {
			if _, err := stream.Recv(); err == io.EOF {
				break
			} else if err != nil {
				return err
			}
		}
		for part := range bytes.SplitSeq(content, []byte("|")) {
			m := &headwaterv1.BuildDatasetResponse{Part: &headwaterv1.BuildDatasetResponse_Arrow{Arrow: part}}
			if err := stream.Send(m); err != nil {
				return err
			}
		}
		if digest == "" {
			return nil
		}
		return stream.Send(&headwaterv1.BuildDatasetResponse{Part: &headwaterv1.BuildDatasetResponse_Manifest{
			Manifest: &headwaterv1.Manifest{Id: "ds_1", ArrowSha256: digest},
		}})
	}
}

func TestBuildDataset(t *testing.T) {
	sum := sha256.Sum256([]byte("onetwo"))
	good := hex.EncodeToString(sum[:])
	for name, c := range map[string]struct {
		digest string
		reason fault.Reason
		want   string
	}{
		"whole":       {good, 0, ""},
		"no manifest": {"", fault.Internal, "the server ended the dataset without its manifest; nothing of it may be used, so ask for it again"},
		"other bytes": {strings.Repeat("0", 64), fault.DigestMismatch, "dataset ds_1: found bytes of SHA-256 " + good + ", expected " +
			strings.Repeat("0", 64) + " as in its manifest; they were changed on the way, so fetch it again"},
	} {
		t.Run(name, func(t *testing.T) {
			client := start(t, &server{build: result([]byte("one||two"), c.digest)})
			d, err := client.BuildDataset(context.Background(), "s", &headwaterv1.BuildDatasetHeader{}, rows(1, nil))
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			content, err := io.ReadAll(d)
			if c.want == "" {
				m, manifestErr := d.Manifest()
				if err != nil || manifestErr != nil || string(content) != "onetwo" || m.Id != "ds_1" || d.Bytes() != 6 || d.Err() != nil {
					t.Fatalf("found %q, %v, %v, %v", content, err, m, manifestErr)
				}
				return
			}
			if fault.ReasonOf(err) != c.reason || err.Error() != c.want || d.Err() == nil {
				t.Errorf("found %v, expected %s", err, c.want)
			}
			if m, err := d.Manifest(); err == nil {
				t.Errorf("found manifest %v, expected none", m)
			}
		})
	}
}

func TestWatchRun(t *testing.T) {
	s := &server{watch: []*headwaterv1.Run{
		{Id: 1, State: headwaterv1.RunState_RUN_STATE_RUNNING}, {Id: 1, State: headwaterv1.RunState_RUN_STATE_PUBLISHED},
	}}
	c := start(t, s)
	seen := 0
	run, err := c.WatchRun(context.Background(), 1, func(*headwaterv1.Run) { seen++ })
	if err != nil || run.State != headwaterv1.RunState_RUN_STATE_PUBLISHED || seen != 2 {
		t.Errorf("found %v, %v, %d changes", run, err, seen)
	}
	s.watch = nil
	if _, err := c.WatchRun(context.Background(), 1, nil); err == nil {
		t.Error("found no error for a watch without a run")
	}
}

func TestNoServer(t *testing.T) {
	address := testenv.ClosedAddress(t)
	c, err := Dial(address, "", Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Registry.Plan(context.Background(), &headwaterv1.PlanRequest{})
	want := "no server answers at " + address + " (connection refused); is it running? Start one with `headwater dev`, or say where it is " +
		"with --server or HEADWATER_SERVER"
	if err == nil || err.Error() != want {
		t.Errorf("found %v, expected %s", err, want)
	}
	if _, err := Dial("%zz", "", Options{}); fault.ReasonOf(err) != fault.InvalidArgument {
		t.Errorf("found %v, expected a refusal of the address", err)
	}
}

func TestOtherServer(t *testing.T) {
	c := start(t, &server{})
	_, err := c.Online.GetFeatures(context.Background(), &headwaterv1.GetFeaturesRequest{})
	want := "what answers at " + c.server + " does not know this call; is it a Headwater server of this version?"
	if fault.ReasonOf(err) != fault.Unimplemented || err.Error() != want {
		t.Errorf("found %v, expected %s", err, want)
	}
}

func TestLargeBatchesAreCut(t *testing.T) {
	schema := tabular.ArrowSchema(append([]feature.Column{{Name: "n", Type: feature.TypeInt64}}, columns...))
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	for i := range 1000 {
		tabular.Append(b.Field(0), feature.Int64(int64(i)))
		text := strings.Repeat("x", i%50)
		if i == 500 {
			// More than a piece may hold, and still one row.
			text = strings.Repeat("y", 5000)
		}
		tabular.Append(b.Field(1), feature.String(text))
	}
	batch, next := b.NewRecordBatch(), int64(0)
	for piece := range pieces(batch, 1000) {
		if n := bytesOf(piece); n > 1000 && piece.NumRows() > 1 {
			t.Errorf("found a piece of %d rows and %d bytes", piece.NumRows(), n)
		}
		for i := range int(piece.NumRows()) {
			if got, err := tabular.ValueAt(piece.Column(0), i); err != nil || got.Int64() != next {
				t.Fatalf("found row %d, %v; expected %d", got.Int64(), err, next)
			}
			next++
		}
	}
	if next != 1000 {
		t.Errorf("found %d rows, expected 1000", next)
	}
	whole := 0
	for piece := range pieces(batch, 1<<20) {
		whole++
		if piece != batch {
			t.Error("a batch that fits was cut")
		}
	}
	if whole != 1 {
		t.Errorf("found %d pieces, expected one", whole)
	}
	for range pieces(batch, 1000) {
		break
	}
}

// refusing refuses each read, as a server does whose Redis is away.
type refusing struct {
	headwaterv1.UnimplementedOnlineServiceServer
	tries atomic.Int32
}

func (s *refusing) GetFeatures(context.Context, *headwaterv1.GetFeaturesRequest) (*headwaterv1.GetFeaturesResponse, error) {
	s.tries.Add(1)
	return nil, fault.Status(fault.New(fault.RedisUnavailable, "Redis at r:1 is not reachable; start it").With("store", "r:1").Retrying(time.Millisecond), "").Err()
}

// A read that was tried as often as it may be fails with what the server said last, and nothing of the tries.
func TestTheLastTryIsWhatACallerSees(t *testing.T) {
	s := &refusing{}
	c := startServing(t, func(g *grpc.Server) { headwaterv1.RegisterOnlineServiceServer(g, s) })
	_, err := c.Online.GetFeatures(t.Context(), &headwaterv1.GetFeaturesRequest{})
	f := fault.As(err)
	if f == nil || f.Reason != fault.RedisUnavailable || f.Error() != "Redis at r:1 is not reachable; start it" || f.Metadata["store"] != "r:1" ||
		f.RetryAfter != time.Millisecond {
		t.Errorf("found %v (%+v), expected the server's words and reason", err, f)
	}
	if n := s.tries.Load(); n != attempts {
		t.Errorf("found %d tries, expected %d", n, attempts)
	}
}
