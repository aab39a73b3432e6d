package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// forgetful takes batches, and loses its first replies.
type forgetful struct {
	headwaterv1.UnimplementedIngestServiceServer
	lost  int
	calls int
	has   map[string]int
}

func (f *forgetful) Ingest(stream grpc.ClientStreamingServer[headwaterv1.IngestRequest, headwaterv1.IngestResponse]) error {
	f.calls++
	r := &headwaterv1.IngestResponse{}
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		b := m.GetBatch()
		if b == nil {
			continue
		}
		if _, there := f.has[b.IdempotencyKey]; there {
			r.Duplicate += int64(len(b.Rows))
		} else {
			f.has[b.IdempotencyKey] = len(b.Rows)
			r.Accepted += int64(len(b.Rows))
		}
	}
	if f.calls <= f.lost {
		return status.Error(codes.Unavailable, "the connection was lost")
	}
	return stream.SendAndClose(r)
}

func TestBatchWriterSendsAgain(t *testing.T) {
	f := &forgetful{lost: 1, has: map[string]int{}}
	c := startIngest(t, f)
	w := c.NewBatchWriter("flights", "date", "origin", "delay")
	at := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	for i, origin := range []string{"ORD", "JFK", "SFO"} {
		if err := w.Append(at, origin, float64(i)); err != nil {
			t.Fatal(err)
		}
		if i == 1 {
			if err := w.Cut("a"); err != nil {
				t.Fatal(err)
			}
		}
	}
	_, err := w.Flush(context.Background())
	if err == nil || err.Error() != "source flights: found 1 rows in no batch, expected none; call Cut with a key first" {
		t.Errorf("found %v", err)
	}
	if err := w.Cut("b"); err != nil {
		t.Fatal(err)
	}
	r, err := w.Flush(context.Background())
	if err != nil || f.calls != 2 || r.GetAccepted() != 0 || r.GetDuplicate() != 3 || fmt.Sprint(f.has) != "map[a:2 b:1]" {
		t.Errorf("found %v, %v after %d calls, which left %v", r, err, f.calls, f.has)
	}
	// What was acknowledged is not sent again.
	if r, err := w.Flush(context.Background()); err != nil || f.calls != 2 || r.GetDuplicate() != 0 {
		t.Errorf("found %v, %v", r, err)
	}
}

// What cannot be sent stays, to be tried again later.
func TestBatchWriterKeepsWhatWasNotTaken(t *testing.T) {
	f := &forgetful{lost: 3, has: map[string]int{}}
	c := startIngest(t, f)
	w := c.NewBatchWriter("flights", "date")
	w.Attempts = 2
	if err := errors.Join(w.Append(time.Now().Truncate(time.Microsecond)), w.Cut("a")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Flush(context.Background()); fault.ReasonOf(err) != fault.ServerUnavailable || f.calls != 2 {
		t.Errorf("found %v after %d calls", err, f.calls)
	}
	if r, err := w.Flush(context.Background()); err != nil || r.GetDuplicate() != 1 {
		t.Errorf("found %v, %v", r, err)
	}
}

func TestBatchWriterRefuses(t *testing.T) {
	w := (&Client{}).NewBatchWriter("flights", "date", "origin")
	for want, err := range map[string]error{
		"source flights: found a row of 1 values, expected 2, one for each column":                             w.Append(nil),
		"source flights: column origin: found a value of Go type struct {}, expected nil, a bool":              w.Append(nil, struct{}{}),
		"source flights: column date: found 2001-01-01T00:00:00.000000001Z, with more than microseconds":       w.Append(time.Date(2001, 1, 1, 0, 0, 0, 1, time.UTC), nil),
		"source flights: column date: found 10000-01-01T00:00:00Z, expected a time in the years 1 to 9999":     w.Append(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), nil),
		"source flights: column date: found -0001-01-01T00:00:00Z, expected a time in the years 1 to 9999":     w.Append(feature.Timestamp(feature.TimeOf(time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC))), nil),
		"source flights: column origin: found a NUL character":                                                 w.Append(nil, "a\x00"),
		"source flights: found no idempotency key, expected one that is the same when the rows are sent again": w.Cut(""),
		`source flights: batch "a": found no rows, expected at least one`:                                      w.Cut("a"),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("found %v\nexpected %s", err, want)
		}
	}
	for _, v := range []any{true, 1, int32(1), int64(1), float32(1), 1.5, "s", []byte("b"), time.Unix(1, 0), []float32{1}, feature.Null(), nil} {
		if err := w.Append(v, nil); err != nil {
			t.Errorf("%T: %v", v, err)
		}
	}
}

func ExampleBatchWriter() {
	send := func(ctx context.Context, c *Client, orders []struct {
		ID     string
		At     time.Time
		Amount float64
	}) error {
		w := c.NewBatchWriter("orders", "order_id", "ordered_at", "amount")
		for _, o := range orders {
			if err := w.Append(o.ID, o.At, o.Amount); err != nil {
				return err
			}
		}
		// The key is made of what the rows are, so that this may run again after anything that happens to it.
		if err := w.Cut("orders-" + orders[0].ID + "-" + orders[len(orders)-1].ID); err != nil {
			return err
		}
		r, err := w.Flush(ctx)
		if err != nil {
			return err
		}
		fmt.Println(r.GetAccepted(), "rows are new,", r.GetDuplicate(), "were there already")
		return nil
	}
	_ = send
}
