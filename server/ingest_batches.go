package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/wire"
	"github.com/headwaterhq/headwater/offline"
)

// inbox is the messages of an ingest, one at a time: the next is taken off the wire when the one before has been handed out,
// so that a client is held up by the database. A client that sends nothing for too long ends its stream.
type inbox struct {
	patience time.Duration
	messages chan received
	closed   chan struct{}
	once     sync.Once
}

type received struct {
	message *headwaterv1.IngestRequest
	err     error
}

func receive(stream grpc.ClientStreamingServer[headwaterv1.IngestRequest, headwaterv1.IngestResponse], patience time.Duration) *inbox {
	in := &inbox{patience: patience, messages: make(chan received), closed: make(chan struct{})}
	// It ends with the stream, which ends when the handler has returned.
	go func() {
		for {
			m, err := stream.Recv()
			select {
			case in.messages <- received{m, err}:
			case <-in.closed:
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return in
}

// close lets what was not read go.
func (in *inbox) close() { in.once.Do(func() { close(in.closed) }) }

// next is the next message, or io.EOF behind the last.
func (in *inbox) next() (*headwaterv1.IngestRequest, error) {
	wait := time.NewTimer(in.patience)
	defer wait.Stop()
	select {
	case r := <-in.messages:
		return r.message, r.err
	case <-wait.C:
		return nil, fault.New(fault.DeadlineExceeded, "nothing came for %s, expected the next message of the ingest or its end; nothing was loaded, "+
			"send the stream again", in.patience)
	}
}

// more is next for messages behind the first.
func (in *inbox) more() (*headwaterv1.IngestRequest, error) {
	m, err := in.next()
	if err == nil && (m.GetSource() != "" || m.GetHeader() != nil) {
		return nil, fault.New(fault.InvalidArgument, "found a second header in an ingest, expected one, in the first message")
	}
	return m, err
}

// takeBatches takes the rest of a stream as batches.
func (s *ingestService) takeBatches(ctx context.Context, in *inbox, first *headwaterv1.IngestRequest, req offline.LoadRequest,
	resp *headwaterv1.IngestResponse,
) error {
	conn, done, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer done()
	load, results, err := offline.AppendBatches(ctx, conn, s.pool, req, batchesOf(req.Source, in, first))
	if err != nil {
		return err
	}
	for _, b := range results {
		if b.Duplicate {
			resp.Duplicate += b.Rows
		}
	}
	resp.Batches = batchResultsOf(results)
	if load != nil {
		resp.Load, resp.Accepted, resp.Reasons = loadOf(load), load.Rows, loadReasonsOf(load)
	}
	return nil
}

// batchesOf reads the batches of an ingest, of which the first message may hold one beside the header.
func batchesOf(source *feature.SourceVersion, in *inbox, first *headwaterv1.IngestRequest) iter.Seq2[*offline.Batch, error] {
	return func(yield func(*offline.Batch, error) bool) {
		if first.GetBatch() == nil && len(first.GetArrow()) == 0 {
			first = nil
		}
		for n := 1; ; n++ {
			m, err := first, error(nil)
			if first = nil; m == nil {
				m, err = in.more()
			}
			if errors.Is(err, io.EOF) {
				return
			}
			var b *offline.Batch
			switch {
			case err != nil:
			case n > maxBatches:
				err = fault.New(fault.ResourceExhausted, "found more than %d batches in one ingest, expected at most so many; nothing was loaded, "+
					"send the others in another call", maxBatches)
			default:
				b, err = batchOf(source, m)
			}
			if !yield(b, err) || err != nil {
				return
			}
		}
	}
}

// batchOf is a message as a batch. Its rows are decoded each time that they are ranged over.
func batchOf(source *feature.SourceVersion, m *headwaterv1.IngestRequest) (*offline.Batch, error) {
	b := m.GetBatch()
	if b == nil {
		return nil, fault.New(fault.InvalidArgument, "found a message without a batch in an ingest whose header says `batches`, expected one with an "+
			"idempotency key in each")
	}
	out, place := &offline.Batch{Key: b.GetIdempotencyKey()}, fmt.Sprintf("batch %.64q", b.GetIdempotencyKey())
	switch arrow := m.GetArrow(); {
	case len(arrow) > 0 && (len(b.GetRows()) > 0 || len(b.GetColumns()) > 0):
		return nil, fault.New(fault.InvalidArgument, "%s: found rows and an Arrow stream, expected one of them", place)
	case len(arrow) > 0:
		_, others, err := landingRows(source, bytes.NewReader(arrow), place)
		if err != nil {
			return nil, err
		}
		out.IgnoredColumns = others
		out.Rows = func(yield func([]feature.Value, error) bool) {
			rows, _, err := landingRows(source, bytes.NewReader(arrow), place)
			if err != nil {
				yield(nil, err)
				return
			}
			n := 0
			for row, err := range rows {
				if n++; err == nil && n > maxBatchRows {
					err = tooManyRows(place, n)
				}
				if !yield(row, err) || err != nil {
					return
				}
			}
		}
	case len(b.GetRows()) > maxBatchRows:
		return nil, tooManyRows(place, len(b.GetRows()))
	case proto.Size(b) > maxRowsBytes:
		return nil, fault.New(fault.ResourceExhausted, "%s: found rows of %d bytes, expected at most %d MiB of them, as rows take many times that in "+
			"memory; nothing was loaded, cut it into several, or send it as an Arrow stream", place, proto.Size(b), maxRowsBytes>>20)
	default:
		at, others, err := placed(source, b.GetColumns(), place)
		if err != nil {
			return nil, err
		}
		out.IgnoredColumns = others
		out.Rows = sentRows(source, b, at, place)
	}
	return out, nil
}

func tooManyRows(place string, n int) error {
	return fault.New(fault.ResourceExhausted, "%s: found %d rows or more, expected at most %d in a batch; nothing was loaded, cut it into several",
		place, n, maxBatchRows)
}

// sentRows are the rows of a batch in the source's columns, which stand at their places at.
func sentRows(source *feature.SourceVersion, b *headwaterv1.Batch, at []int, place string) iter.Seq2[[]feature.Value, error] {
	return func(yield func([]feature.Value, error) bool) {
		row := make([]feature.Value, len(at))
		for n, sent := range b.GetRows() {
			var err error
			if found := len(sent.GetValues()); found != len(b.GetColumns()) {
				err = fmt.Errorf("found %d values, expected %d, one for each column", found, len(b.GetColumns()))
			}
			for i := 0; i < len(at) && err == nil; i++ {
				c := &source.Columns[i]
				if row[i], err = wire.FromValue(c.Type, sent.GetValues()[at[i]]); err != nil {
					err = fmt.Errorf("column %s: %w", c.Name, err)
				}
			}
			if err != nil {
				yield(nil, fault.New(fault.InvalidRows, "%s: row %d: %v", place, n+1, err))
				return
			}
			if !yield(row, nil) {
				return
			}
		}
	}
}

// maxShownBatches is how many batches of a load are shown.
const maxShownBatches = 1000

func batchResultsOf(results []offline.BatchResult) []*headwaterv1.BatchResult {
	var out []*headwaterv1.BatchResult
	for _, b := range results {
		out = append(out, &headwaterv1.BatchResult{IdempotencyKey: b.Key, Rows: b.Rows, LoadId: b.LoadID, Duplicate: b.Duplicate})
	}
	return out
}

func loadReasonsOf(l *offline.Load) []*headwaterv1.LedgerReason {
	var out []*headwaterv1.LedgerReason
	for _, r := range l.Reasons {
		out = append(out, &headwaterv1.LedgerReason{Bucket: r.Bucket, Reason: r.Reason, Rows: r.Rows})
	}
	return out
}
