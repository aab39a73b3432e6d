package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/wire"
)

// BatchWriter collects rows of a landing source and sends them in batches, each with a key of the caller's, so that a batch
// which is sent again counts once. Rows are appended, cut into batches, and sent by Flush; until that has returned without an
// error they stay, and it may be called again, by another process with the same rows and keys too. It is not safe for
// concurrent use.
type BatchWriter struct {
	// Attempts is how often Flush tries while the server or its database is away. Default 5.
	Attempts int

	client  *Client
	source  string
	columns []string
	rows    []*headwaterv1.IngestRow
	batches []*headwaterv1.Batch
}

// NewBatchWriter makes a BatchWriter of a source. Rows hold a value for each of the columns, which must be all that the source
// has, in any order.
func (c *Client) NewBatchWriter(source string, columns ...string) *BatchWriter {
	return &BatchWriter{Attempts: 5, client: c, source: source, columns: slices.Clone(columns)}
}

// Append adds a row. A value is nil (NULL), a bool, int, int32, int64, float32 or float64, a string, a []byte, a time.Time,
// a []float32 for a vector, or any feature.Value, such as a decimal or a list. A time.Time has whole microseconds, as Truncate makes
// them: values are kept as they are sent, never rounded.
func (w *BatchWriter) Append(values ...any) error {
	if len(values) != len(w.columns) {
		return fault.New(fault.InvalidRows, "source %s: found a row of %d values, expected %d, one for each column", w.source, len(values), len(w.columns))
	}
	row := &headwaterv1.IngestRow{Values: make([]*headwaterv1.Value, len(values))}
	for i, v := range values {
		var err error
		if row.Values[i], err = valueOf(v); err != nil {
			return fault.New(fault.InvalidRows, "source %s: column %s: %v", w.source, w.columns[i], err)
		}
	}
	w.rows = append(w.rows, row)
	return nil
}

func valueOf(v any) (*headwaterv1.Value, error) {
	switch v := v.(type) {
	case nil:
		return &headwaterv1.Value{}, nil
	case feature.Value:
		return wire.ToValue(v), checkYears(v)
	case bool:
		return wire.ToValue(feature.Bool(v)), nil
	case int:
		return wire.ToValue(feature.Int64(int64(v))), nil
	case int32:
		return wire.ToValue(feature.Int64(int64(v))), nil
	case int64:
		return wire.ToValue(feature.Int64(v)), nil
	case float32:
		return wire.ToValue(feature.Float64(float64(v))), nil
	case float64:
		return wire.ToValue(feature.Float64(v)), nil
	case string:
		return &headwaterv1.Value{Kind: &headwaterv1.Value_StringValue{StringValue: v}}, feature.CheckText(v)
	case []byte:
		return &headwaterv1.Value{Kind: &headwaterv1.Value_BytesValue{BytesValue: slices.Clone(v)}}, nil
	case time.Time:
		at, err := wire.Timestamp(v)
		return wire.ToValue(at), errors.Join(err, checkYears(at))
	case []float32:
		return &headwaterv1.Value{Kind: &headwaterv1.Value_VectorValue{VectorValue: &headwaterv1.VectorValue{Values: slices.Clone(v)}}}, nil
	}
	return nil, fmt.Errorf("found a value of Go type %T, expected nil, a bool, an int, a float, a string, a []byte, a time.Time, a []float32 or a "+
		"feature.Value", v)
}

// checkYears refuses times that a row has no room for: wire.ToValue cuts them to what it has.
func checkYears(v feature.Value) error {
	switch v.Type().Kind() {
	case feature.TypeTimestamp:
		if at := v.Timestamp(); feature.TimeOf(at.Calendar()) != at {
			return fmt.Errorf("found %s, expected a time in the years 1 to 9999", at)
		}
	case feature.TypeList:
		for i, e := range v.Elements() {
			if err := checkYears(e); err != nil {
				return fmt.Errorf("element %d: %w", i+1, err)
			}
		}
	}
	return nil
}

// Cut makes a batch of the rows that were appended since the last. The key says which rows these are: made of what they are, such
// as a file's name and an offset, it is the same when they are sent again.
func (w *BatchWriter) Cut(key string) error {
	switch {
	case key == "":
		return fault.New(fault.InvalidArgument, "source %s: found no idempotency key, expected one that is the same when the rows are sent again", w.source)
	case len(w.rows) == 0:
		return fault.New(fault.InvalidRows, "source %s: batch %.64q: found no rows, expected at least one", w.source, key)
	}
	w.batches = append(w.batches, &headwaterv1.Batch{IdempotencyKey: key, Columns: w.columns, Rows: w.rows})
	w.rows = nil
	return nil
}

// Flush sends the batches that were cut, as one load: all of it is durable when Flush returns without an error. The response says of
// each batch whether it was there already, and which load has it. While the server or its database is away Flush tries again,
// which is safe, for the batches are known by their keys. After any error the batches stay.
func (w *BatchWriter) Flush(ctx context.Context) (*headwaterv1.IngestResponse, error) {
	if len(w.rows) > 0 {
		return nil, fault.New(fault.FailedPrecondition, "source %s: found %d rows in no batch, expected none; call Cut with a key first", w.source, len(w.rows))
	}
	if len(w.batches) == 0 {
		return &headwaterv1.IngestResponse{}, nil
	}
	wait := 100 * time.Millisecond
	for attempt := 1; ; attempt++ {
		r, err := w.send(ctx)
		if err == nil {
			w.batches = nil
			return r, nil
		}
		if attempt >= w.Attempts || !passes(err) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(wait):
		}
		wait = min(2*wait, 5*time.Second)
	}
}

// passes reports whether an error is of a server or a database that may be back soon.
func passes(err error) bool {
	reason := fault.ReasonOf(err)
	return reason == fault.ServerUnavailable || reason == fault.PostgresUnavailable
}

// send is one attempt.
func (w *BatchWriter) send(ctx context.Context) (*headwaterv1.IngestResponse, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := w.client.Loads.Ingest(ctx)
	if err != nil {
		return nil, err
	}
	if err := stream.Send(&headwaterv1.IngestRequest{Source: w.source, Header: &headwaterv1.IngestHeader{Batches: true}}); err != nil {
		return ended(err, stream.CloseAndRecv)
	}
	for _, b := range w.batches {
		if err := stream.Send(&headwaterv1.IngestRequest{Batch: b}); err != nil {
			return ended(err, stream.CloseAndRecv)
		}
	}
	return stream.CloseAndRecv()
}
