package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/grpccodec"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// random is bytes that look like nothing.
func random(seed uint64, n int) []byte {
	b := make([]byte, n)
	source := rand.NewChaCha8([32]byte{byte(seed)})
	_, _ = source.Read(b)
	return b
}

// pieces is a chunkWriter's, as a client would have them.
type pieces struct {
	t     *testing.T
	found [][]byte
}

func (p *pieces) send(message any) error {
	p.t.Helper()
	wire, err := grpccodec.New().Marshal(message)
	if err != nil {
		return err
	}
	defer wire.Free()
	var fetched headwaterv1.FetchDatasetResponse
	var built headwaterv1.BuildDatasetResponse
	if err := errors.Join(proto.Unmarshal(wire.Materialize(), &fetched), proto.Unmarshal(wire.Materialize(), &built)); err != nil {
		return err
	}
	if !bytes.Equal(fetched.GetArrow(), built.GetArrow()) || fetched.GetArrow() == nil {
		p.t.Error("the piece is not in the field of both messages")
	}
	again, err := proto.Marshal(&fetched)
	if err != nil || !bytes.Equal(again, wire.Materialize()) {
		p.t.Errorf("the message is not as protobuf writes it (%v)", err)
	}
	p.found = append(p.found, fetched.GetArrow())
	return nil
}

func TestPiecesOfAResult(t *testing.T) {
	content := random(1, 2*arrowChunk+arrowChunk/2)
	for name, write := range map[string]func(w *chunkWriter) error{
		"written": func(w *chunkWriter) error {
			for at := 0; at < len(content); at += 100_000 {
				if _, err := w.Write(content[at:min(at+100_000, len(content))]); err != nil {
					return err
				}
			}
			return nil
		},
		"read": func(w *chunkWriter) error {
			n, err := io.Copy(w, bytes.NewReader(content))
			if n != int64(len(content)) {
				t.Errorf("found %d bytes read", n)
			}
			return err
		},
		"read by halves": func(w *chunkWriter) error {
			_, err := w.ReadFrom(iotest.HalfReader(iotest.DataErrReader(bytes.NewReader(content))))
			return err
		},
		"both": func(w *chunkWriter) error {
			_, err := w.Write(content[:10])
			if err == nil {
				_, err = w.ReadFrom(bytes.NewReader(content[10:arrowChunk]))
			}
			if err == nil {
				_, err = w.Write(content[arrowChunk:])
			}
			return err
		},
	} {
		p := &pieces{t: t}
		w := &chunkWriter{send: p.send}
		if err := errors.Join(write(w), w.flush(), w.flush()); err != nil {
			t.Fatal(err)
		}
		if len(p.found) != 3 || !bytes.Equal(bytes.Join(p.found, nil), content) || len(p.found[0]) != arrowChunk || len(p.found[1]) != arrowChunk {
			t.Errorf("%s: found %d pieces of other content or sizes than expected", name, len(p.found))
		}
	}
}

func TestPiecesWhereOneSideFails(t *testing.T) {
	content := random(2, arrowChunk+100)
	broken := errors.New("the disk is gone")
	p := &pieces{t: t}
	w := &chunkWriter{send: p.send}
	_, err := w.ReadFrom(io.MultiReader(bytes.NewReader(content), iotest.ErrReader(broken)))
	if !errors.Is(err, broken) {
		t.Errorf("found %v, expected %v", err, broken)
	}
	// Another source goes on where that one ended.
	if _, err := w.Write([]byte("rest")); err != nil {
		t.Fatal(err)
	}
	if err := w.flush(); err != nil || !bytes.Equal(bytes.Join(p.found, nil), append(content, "rest"...)) {
		t.Errorf("found other bytes (%v)", err)
	}

	gone := errors.New("the client is gone")
	for name, write := range map[string]func(w *chunkWriter) error{
		"written": func(w *chunkWriter) error { _, err := w.Write(content); return err },
		"read":    func(w *chunkWriter) error { _, err := io.Copy(w, bytes.NewReader(content)); return err },
	} {
		if err := write(&chunkWriter{send: func(any) error { return gone }}); !errors.Is(err, gone) {
			t.Errorf("%s: found %v, expected %v", name, err, gone)
		}
	}
}

// large is a dataset of several pieces, on a server that keeps results.
func large(t *testing.T) (p *product, m *headwaterv1.Manifest, arrow []byte, kept string) {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "results")
	p = openProductWith(t, Config{PostgresURL: testenv.PostgresURL(t), RedisURL: testenv.RedisURL(t), ResultsDir: folder})
	p.apply(definitions())
	at := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(1))), 0)
	p.materialize("delays", "recent", "traffic")
	spine := spineOf()
	spine.columns = append(spine.columns, feature.Column{Name: "label", Type: feature.TypeString})
	for i := range 9 {
		spine.rows = append(spine.rows, append(asked("ORD", 7, at), feature.String(hex.EncodeToString(random(uint64(i), 250_000)))))
	}
	arrow, m, err := p.build(p.admin, "model", &headwaterv1.BuildDatasetHeader{Name: "training"}, spine.arrow(t))
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(arrow); hex.EncodeToString(sum[:]) != m.GetArrowSha256() || len(arrow) < 4*arrowChunk {
		t.Fatalf("found %d bytes of SHA-256 %x, expected several pieces of %s", len(arrow), sum, m.GetArrowSha256())
	}
	return p, m, arrow, filepath.Join(folder, m.GetId()+".kept")
}

func TestAKeptResultThatRottedIsComputed(t *testing.T) {
	t.Parallel()
	p, m, arrow, kept := large(t)
	whole, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{100, 2*arrowChunk + 5, len(arrow) - 1} {
		damaged := bytes.Clone(whole)
		damaged[at] ^= 1
		if err := os.WriteFile(kept, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		again, sent, err := p.fetch(p.admin, m.GetId())
		if err != nil || !bytes.Equal(again, arrow) || !proto.Equal(sent, m) {
			t.Errorf("damaged at %d: found %d other bytes (%v)", at, len(again), err)
		}
		if now, err := os.ReadFile(kept); err == nil && bytes.Equal(now, damaged) {
			t.Errorf("damaged at %d: the file is still there", at)
		}
	}
	if said := p.log.String(); !strings.Contains(said, "a kept result is dropped, and computed again") {
		t.Errorf("the log says %q", said)
	}
}

// Memory that pieces were sent from is used again: also that of calls which ended early, and never while it is being sent.
func TestPiecesOfCallsThatAreLeftEarly(t *testing.T) {
	t.Parallel()
	p, m, arrow, _ := large(t)
	var calls sync.WaitGroup
	for range 4 {
		calls.Go(func() {
			for range 5 {
				again, _, err := p.fetch(p.admin, m.GetId())
				if err != nil || !bytes.Equal(again, arrow) {
					t.Errorf("found %d other bytes (%v)", len(again), err)
				}
			}
		})
		calls.Go(func() {
			for range 5 {
				ctx, cancel := context.WithCancel(p.admin)
				stream, err := p.datasets.FetchDataset(ctx, &headwaterv1.FetchDatasetRequest{Dataset: m.GetId()})
				if err == nil {
					_, err = stream.Recv()
				}
				if err != nil {
					t.Error(err)
				}
				cancel()
				for err == nil {
					_, err = stream.Recv()
				}
				if !errors.Is(err, io.EOF) && status.Code(err) != codes.Canceled {
					t.Errorf("found %v, expected that the call was cancelled", err)
				}
			}
		})
	}
	calls.Wait()
}
