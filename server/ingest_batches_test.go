package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/wire"
)

// rowBatch is a table as a batch of rows.
func rowBatch(key string, t table) *headwaterv1.IngestRequest {
	b := &headwaterv1.Batch{IdempotencyKey: key}
	for _, c := range t.columns {
		b.Columns = append(b.Columns, c.Name)
	}
	for _, row := range t.rows {
		sent := &headwaterv1.IngestRow{}
		for _, v := range row {
			sent.Values = append(sent.Values, wire.ToValue(v))
		}
		b.Rows = append(b.Rows, sent)
	}
	return &headwaterv1.IngestRequest{Batch: b}
}

// arrowBatch is a table as a batch that is an Arrow stream.
func arrowBatch(t testing.TB, key string, rows table) *headwaterv1.IngestRequest {
	return &headwaterv1.IngestRequest{Batch: &headwaterv1.Batch{IdempotencyKey: key}, Arrow: rows.arrow(t)}
}

// batches sends batches as one stream.
func (p *product) batches(source string, replaces int64, batches ...*headwaterv1.IngestRequest) (*headwaterv1.IngestResponse, error) {
	p.t.Helper()
	stream, err := p.loads.Ingest(p.admin)
	if err != nil {
		p.t.Fatal(err)
	}
	header := &headwaterv1.IngestRequest{Source: source, Header: &headwaterv1.IngestHeader{Batches: true, Replaces: replaces}}
	for _, m := range append([]*headwaterv1.IngestRequest{header}, batches...) {
		if stream.Send(m) != nil {
			break
		}
	}
	return stream.CloseAndRecv()
}

func shownResults(r *headwaterv1.IngestResponse) string {
	text := fmt.Sprintf("load %t accepted %d duplicate %d:", r.GetLoad() != nil, r.GetAccepted(), r.GetDuplicate())
	for _, b := range r.GetBatches() {
		text += fmt.Sprintf(" %s %d %t", b.IdempotencyKey, b.Rows, b.Duplicate)
	}
	return text
}

// A batch counts once: within a stream, in an earlier load, as rows or as Arrow; and its key is free when its load has ended.
func TestBatchesCountOnce(t *testing.T) {
	p := newProduct(t)
	p.apply(definitions())
	at := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	one := flights(flight("ORD", 7, at, feature.Float64(1)), flight("JFK", 8, at.Add(time.Hour), feature.Null()))
	two := flights(flight("SFO", 9, at, feature.Float64(2)))
	send := func(want string, replaces int64, batches ...*headwaterv1.IngestRequest) *headwaterv1.IngestResponse {
		t.Helper()
		r, err := p.batches("flights", replaces, batches...)
		if err != nil {
			t.Fatal(err)
		}
		if found := shownResults(r); found != want {
			t.Errorf("found %s, expected %s", found, want)
		}
		return r
	}
	first := send("load true accepted 3 duplicate 2: a 2 false b 1 false a 2 true", 0, rowBatch("a", one), rowBatch("b", two), arrowBatch(t, "a", one))
	id := first.GetLoad().GetId()
	if b := first.GetBatches()[2]; b.LoadId != id {
		t.Errorf("found load %d for a batch that is twice in a stream, expected %d", b.LoadId, id)
	}
	if l := first.GetLoad(); l.GetRows() != 3 || l.GetBatches() != 2 || l.GetFileSha256() != "" || l.GetRowsDigest() != "" {
		t.Errorf("found %v", l)
	}
	// The same again, as after a reply that was lost: nothing is loaded, and the reply says where it is.
	again := send("load false accepted 0 duplicate 3: a 2 true b 1 true", 0, arrowBatch(t, "a", one), rowBatch("b", two))
	if again.GetBatches()[0].LoadId != id || again.GetBatches()[1].LoadId != id {
		t.Errorf("found %v", again)
	}
	send("load true accepted 1 duplicate 2: c 1 false a 2 true", 0, rowBatch("c", two), rowBatch("a", one))

	_, err := p.batches("flights", 0, rowBatch("d", two), rowBatch("b", one))
	wantFault(t, err, fault.AlreadyExists, fmt.Sprintf(`batch "b": found a batch of this idempotency key in load %d, with 1 rows, expected the same rows in the same `+
		`order; send other rows with another key, or retract that load first`, id))
	_, err = p.batches("flights", 0, rowBatch("d", two), rowBatch("d", one))
	wantFault(t, err, fault.AlreadyExists, `batch "d": found a batch of this idempotency key earlier in this stream, with 1 rows, expected the same rows in the same `+
		`order; send other rows with another key, or retract that load first`)
	reversed := table{columns: one.columns, rows: [][]feature.Value{one.rows[1], one.rows[0]}}
	if _, err = p.batches("flights", 0, rowBatch("a", reversed)); fault.FromError(err).Reason != fault.AlreadyExists {
		t.Errorf("found %v for rows in another order", err)
	}

	// The key of a load that is replaced or retracted may be sent again.
	replaced := send("load true accepted 2 duplicate 0: a 2 false", id, rowBatch("a", one))
	_, err = p.batches("flights", replaced.GetLoad().GetId(), rowBatch("c", two))
	wantFault(t, err, fault.AlreadyExists, fmt.Sprintf("every batch is in other loads of source flights already, so that there is nothing to put in the place of "+
		"load %d; to withdraw it, use `headwater loads retract`", replaced.GetLoad().GetId()))
	if _, err := p.loads.RetractLoad(p.admin, &headwaterv1.RetractLoadRequest{Id: replaced.GetLoad().GetId(), Reason: "wrong"}); err != nil {
		t.Fatal(err)
	}
	send("load true accepted 2 duplicate 0: a 2 false", 0, rowBatch("a", one))

	got, err := p.loads.GetLoad(p.admin, &headwaterv1.GetLoadRequest{Id: id})
	if err != nil || len(got.GetBatches()) != 2 || got.GetBatches()[0].GetIdempotencyKey() != "a" || got.GetBatches()[1].GetRows() != 1 {
		t.Errorf("found %v, %v", got, err)
	}
	if n := p.count(`SELECT count(*) FROM (SELECT _load, _row FROM headwater_landing.flights GROUP BY 1, 2 HAVING count(*) > 1) AS twice`); n != 0 {
		t.Errorf("found %d places with two rows", n)
	}
	if n := p.count(`SELECT count(*) FROM headwater_landing.flights WHERE NOT EXISTS (SELECT FROM headwater.load l WHERE l.id = _load)`); n != 0 {
		t.Errorf("found %d rows of no load", n)
	}
}

// Of clients that send one batch at once one has it, and the others are told which load that is.
func TestBatchesSentAtOnce(t *testing.T) {
	p := newProduct(t)
	p.apply(definitions())
	at := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	rows := flights(flight("ORD", 7, at, feature.Float64(1)), flight("JFK", 8, at, feature.Null()))
	const clients = 6
	// All are within their COPY, and none knows of another, before the first may end.
	var begun, ended sync.WaitGroup
	begun.Add(clients)
	responses := make([]*headwaterv1.IngestResponse, clients)
	for i := range clients {
		ended.Go(func() {
			stream, err := p.loads.Ingest(p.admin)
			if err != nil {
				t.Error(err)
				begun.Done()
				return
			}
			own := flights(flight("ORD", int64(100+i), at, feature.Float64(1)))
			for _, m := range []*headwaterv1.IngestRequest{
				{Source: "flights", Header: &headwaterv1.IngestHeader{Batches: true}}, rowBatch(fmt.Sprint("own", i), own), rowBatch("shared", rows),
			} {
				if err := stream.Send(m); err != nil {
					t.Error(err)
				}
			}
			begun.Done()
			begun.Wait()
			if responses[i], err = stream.CloseAndRecv(); err != nil {
				t.Error(err)
			}
		})
	}
	ended.Wait()
	var had int
	var load int64
	for _, r := range responses {
		shared := r.GetBatches()[1]
		if !shared.GetDuplicate() {
			had++
			load = shared.GetLoadId()
		}
		if r.GetBatches()[0].GetDuplicate() || r.GetLoad() == nil {
			t.Errorf("found %v, expected a load with the client's own batch", r)
		}
	}
	for _, r := range responses {
		if r.GetBatches()[1].GetLoadId() != load {
			t.Errorf("found load %d, expected %d", r.GetBatches()[1].GetLoadId(), load)
		}
	}
	if n := p.count(`SELECT count(*) FROM headwater_landing.flights`); had != 1 || n != clients+2 {
		t.Errorf("found %d clients that have the batch and %d rows, expected 1 and %d", had, n, clients+2)
	}
	if n := p.count(`SELECT count(*) FROM headwater.load l WHERE rows <> (SELECT count(*) FROM headwater_landing.flights WHERE _load = l.id)`); n != 0 {
		t.Errorf("found %d loads that count other rows than there are", n)
	}
}

// Rows without an event time or a part of the unique key are set aside or left out, and the reply says so.
func TestRowsWithoutAnEventTime(t *testing.T) {
	p := newProduct(t)
	d := definitions()
	d.Sources[0].UniqueKey, d.Sources[0].NullEventTime = []string{"number"}, feature.QuarantineNull
	p.apply(d)
	at := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	rows := flights(flight("ORD", 7, at, feature.Float64(1)), flight("JFK", 8, at, feature.Null()), flight("SFO", 9, at, feature.Float64(3)),
		flight("LAX", 10, at, feature.Float64(4)))
	rows.rows[1][0], rows.rows[2][3] = feature.Null(), feature.Null()
	r, err := p.batches("flights", 0, rowBatch("a", rows))
	if err != nil {
		t.Fatal(err)
	}
	if l := r.GetLoad(); r.GetAccepted() != 2 || l.GetRows() != 2 || l.GetQuarantined() != 2 || l.GetDropped() != 0 || r.GetBatches()[0].GetRows() != 4 {
		t.Errorf("found %v", r)
	}
	if found := fmt.Sprint(r.GetReasons()); !strings.Contains(found, `reason:"event_time is NULL"`) || !strings.Contains(found, `reason:"unique_key is NULL"`) ||
		!strings.Contains(found, `bucket:"quarantined"`) {
		t.Errorf("found %s", found)
	}
	if n := p.count(`SELECT count(*) FROM headwater.load_set_aside WHERE load_id = $1 AND (row = 2 AND reason = 'event_time is NULL' AND body->>'origin' = 'JFK'
		OR row = 3 AND reason = 'unique_key is NULL' AND body->>'delay' = '3')`, r.GetLoad().GetId()); n != 2 {
		t.Errorf("found %d rows that were set aside as expected, expected 2", n)
	}
	if n := p.count(`SELECT count(*) FROM headwater_landing.flights WHERE _row IN (1, 4)`); n != 2 {
		t.Errorf("found %d rows at their places, expected 2", n)
	}
	// A file too, of nothing else.
	only := table{columns: rows.columns, rows: rows.rows[1:2]}
	content := only.arrow(t)
	l, err := p.send(p.admin, "flights", p.header(content, 0), content, 1000)
	if err != nil || l.GetRows() != 0 || l.GetQuarantined() != 1 || l.GetEventTimeMin() != nil {
		t.Errorf("found %v, %v", l, err)
	}

	d.Sources[0].NullEventTime = feature.DropNull
	p.apply(d)
	r, err = p.batches("flights", 0, arrowBatch(t, "b", rows))
	if err != nil || r.GetLoad().GetDropped() != 2 || r.GetLoad().GetQuarantined() != 0 || r.GetReasons()[0].GetBucket() != "dropped" {
		t.Errorf("found %v, %v", r, err)
	}
	d.Sources[0].NullEventTime = feature.RefuseNull
	p.apply(d)
	_, err = p.batches("flights", 0, rowBatch("ok", flights(rows.rows[0])), rowBatch("c", rows))
	wantFault(t, err, fault.InvalidRows, `batch "c": row 2: column date is the event time of source flights: found NULL, expected a timestamp; nothing was loaded, give `+
		`the row a time or leave it out, or have such rows set aside (null_event_time: quarantine)`)
	if n := p.count(`SELECT count(*) FROM headwater.load_batch WHERE key = 'ok'`); n != 0 {
		t.Errorf("found %d batches of a stream that was refused", n)
	}
}

func TestBatchesRefused(t *testing.T) {
	p := newProduct(t)
	p.apply(definitions())
	at := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	good := flights(flight("ORD", 7, at, feature.Float64(1)))
	change := func(do func(*headwaterv1.Batch)) *headwaterv1.IngestRequest {
		m := proto.CloneOf(rowBatch("k", good))
		do(m.Batch)
		return m
	}
	many := rowBatch("k", good)
	for len(many.Batch.Rows) <= maxBatchRows {
		many.Batch.Rows = append(many.Batch.Rows, many.Batch.Rows[0])
	}
	many.Batch.Rows = many.Batch.Rows[:maxBatchRows+1]
	// The rows are empty, so that the message is not too large before they are too many.
	for i := range many.Batch.Rows {
		many.Batch.Rows[i] = &headwaterv1.IngestRow{}
	}
	lots := table{columns: good.columns}
	for range maxBatchRows + 1 {
		lots.rows = append(lots.rows, good.rows[0])
	}
	both := rowBatch("k", good)
	both.Arrow = good.arrow(t)
	large := change(func(b *headwaterv1.Batch) {
		b.Rows[0].Values[5] = wire.ToValue(feature.String(strings.Repeat("x", maxRowsBytes)))
	})
	for name, c := range map[string]struct {
		message *headwaterv1.IngestRequest
		reason  fault.Reason
		text    string
	}{
		"no batch": {&headwaterv1.IngestRequest{Arrow: good.arrow(t)}, fault.InvalidArgument,
			"found a message without a batch in an ingest whose header says `batches`, expected one with an idempotency key in each"},
		"both": {both, fault.InvalidArgument, `batch "k": found rows and an Arrow stream, expected one of them`},
		"an unknown column": {change(func(b *headwaterv1.Batch) { b.Columns[5] = "word" }), fault.InvalidRows,
			`batch "k": found column word, which source flights does not declare; declare it, leave it out of the file, or have such columns left out ` +
				`(schema_changes: ignore_new_columns)`},
		"a column twice": {change(func(b *headwaterv1.Batch) { b.Columns[5] = "date" }), fault.InvalidRows,
			`batch "k": found column date a second time, expected each once`},
		"a column too few": {change(func(b *headwaterv1.Batch) {
			b.Columns, b.Rows[0].Values = b.Columns[:5], b.Rows[0].Values[:5]
		}), fault.InvalidRows, `batch "k": found no column words, expected one of type string; add it to the file, with NULL where there is no value`},
		"a value too few": {change(func(b *headwaterv1.Batch) { b.Rows[0].Values = b.Rows[0].Values[:5] }), fault.InvalidRows,
			`batch "k": row 1: found 5 values, expected 6, one for each column`},
		"another type": {change(func(b *headwaterv1.Batch) { b.Rows[0].Values[4] = wire.ToValue(feature.String("1")) }), fault.InvalidRows,
			`batch "k": row 1: column delay: found string, expected float64`},
		"no rows": {change(func(b *headwaterv1.Batch) { b.Rows = nil }), fault.InvalidRows, `batch "k": found no rows, expected at least one`},
		"many rows": {many, fault.ResourceExhausted,
			`batch "k": found 100001 rows or more, expected at most 100000 in a batch; nothing was loaded, cut it into several`},
		"many rows as Arrow": {arrowBatch(t, "k", lots), fault.ResourceExhausted,
			`batch "k": found 100001 rows or more, expected at most 100000 in a batch; nothing was loaded, cut it into several`},
		"large rows": {large, fault.ResourceExhausted, fmt.Sprintf(`batch "k": found rows of %d bytes, expected at most 4 MiB of them, as rows take many times that `+
			`in memory; nothing was loaded, cut it into several, or send it as an Arrow stream`, proto.Size(large.Batch))},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := p.batches("flights", 0, rowBatch("first", good), c.message)
			wantFault(t, err, c.reason, c.text)
		})
	}
	if _, err := p.batches("flights", 0, rowBatch("", good)); fault.FromError(err).Reason != fault.InvalidArgument {
		t.Errorf("found %v for a batch without a key", err)
	}
	_, err := p.batches("flights", 0)
	wantFault(t, err, fault.InvalidRows, "found no batches, expected at least one")
	header := &headwaterv1.IngestHeader{FileName: "f"}
	stream, err := p.loads.Ingest(p.admin)
	if err != nil {
		t.Fatal(err)
	}
	message := rowBatch("k", good)
	message.Source, message.Header = "flights", header
	if err := stream.Send(message); err != nil {
		t.Fatal(err)
	}
	_, err = stream.CloseAndRecv()
	wantFault(t, err, fault.InvalidArgument, "found a batch in an ingest whose header does not say `batches`, expected parts of one Arrow stream")
	if n := p.count(`SELECT (SELECT count(*) FROM headwater.load) + (SELECT count(*) FROM headwater_landing.flights)`); n != 0 {
		t.Errorf("found %d loads and rows of streams that were refused", n)
	}
}

// A file without a SHA-256 is told by its rows, and one with another's SHA-256 is told of.
func TestFilesAreToldByTheirRows(t *testing.T) {
	p := newProduct(t)
	p.apply(definitions())
	at := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	one := flights(flight("ORD", 7, at, feature.Float64(1))).arrow(t)
	two := flights(flight("ORD", 8, at, feature.Float64(1))).arrow(t)
	none := &headwaterv1.IngestHeader{FileName: "rows"}
	first, err := p.send(p.admin, "flights", none, one, 1000)
	if err != nil || len(first.GetRowsDigest()) != 64 || first.GetFileSha256() != "" {
		t.Fatalf("found %v, %v", first, err)
	}
	_, err = p.send(p.admin, "flights", none, one, 10)
	wantFault(t, err, fault.AlreadyExists, fmt.Sprintf("rows: the same rows are in source flights already, as load %d; its rows would count twice. "+
		"To load it again all the same, replace that load: --replaces %[1]d", first.GetId()))
	second, err := p.send(p.admin, "flights", p.header(two, 0), two, 1000)
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.send(p.admin, "flights", p.header(two, 0), one, 1000)
	wantFault(t, err, fault.AlreadyExists, fmt.Sprintf("flights.csv: a file with the same SHA-256 is in source flights already, as load %d, with other rows: "+
		"the SHA-256 that was sent is not that of these rows' file, or the source's columns changed since; send the file's own, or replace that load: "+
		"--replaces %[1]d", second.GetId()))
}

// A client that stops sending, and one that goes away, leave nothing.
func TestStalledIngestsEnd(t *testing.T) {
	p := newProduct(t)
	p.apply(definitions())
	p.server.ingest.patience = 100 * time.Millisecond
	rows := flights(flight("ORD", 7, time.Now(), feature.Float64(1)))
	for name, messages := range map[string][]*headwaterv1.IngestRequest{
		"before the header": nil,
		"after the header":  {{Source: "flights", Header: &headwaterv1.IngestHeader{Batches: true}}},
		"after a batch":     {{Source: "flights", Header: &headwaterv1.IngestHeader{Batches: true}}, rowBatch("a", rows)},
		"in a file":         {{Source: "flights", Header: p.header(nil, 0), Arrow: rows.arrow(t)[:100]}},
	} {
		stream, err := p.loads.Ingest(p.admin)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range messages {
			err := stream.Send(m)
			// The server's patience may end before a slow client has sent all. Why is what is received.
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		// The client neither sends nor closes; it only listens.
		err = stream.RecvMsg(&headwaterv1.IngestResponse{})
		if f := fault.FromError(err); f == nil || f.Reason != fault.DeadlineExceeded ||
			!strings.HasPrefix(f.Message, "nothing came for 100ms, expected the next message of the ingest or its end") {
			t.Errorf("%s: found %v", name, err)
		}
	}
	if n := p.count(`SELECT (SELECT count(*) FROM headwater.load) + (SELECT count(*) FROM headwater_landing.flights)`); n != 0 {
		t.Errorf("found %d loads and rows of clients that stalled", n)
	}
}

// What is acknowledged is there after the server was killed; what is not can be sent again, whether it had been committed or not.
func TestBatchesAcrossAServersEnd(t *testing.T) {
	p := newProduct(t)
	p.apply(definitions())
	at := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	rows := flights(flight("ORD", 7, at, feature.Float64(1)))
	ctx, cancel := context.WithCancel(p.admin)
	stream, err := p.loads.Ingest(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []*headwaterv1.IngestRequest{{Source: "flights", Header: &headwaterv1.IngestHeader{Batches: true}}, rowBatch("lost", rows)} {
		if err := stream.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	// The load is committed, and the reply is never read.
	eventually(t, "the load to be committed", func() bool { return p.count(`SELECT count(*) FROM headwater.load`) == 1 })
	cancel()
	half, err := p.loads.Ingest(p.admin)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []*headwaterv1.IngestRequest{{Source: "flights", Header: &headwaterv1.IngestHeader{Batches: true}}, rowBatch("half", rows)} {
		if err := half.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the stream to be at work", func() bool {
		return p.count(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'COPY%headwater_landing%' AND pid <> pg_backend_pid()`) == 1
	})
	p.server.grpc.Stop()
	if _, err := half.CloseAndRecv(); err == nil {
		t.Error("found an acknowledgement of a stream whose server was stopped")
	}
	p.close()
	q := openProduct(t, p.url, p.redisURL)
	r, err := q.batches("flights", 0, rowBatch("lost", rows), rowBatch("half", rows))
	if err != nil {
		t.Fatal(err)
	}
	if found := shownResults(r); found != "load true accepted 1 duplicate 1: lost 1 true half 1 false" {
		t.Errorf("found %s", found)
	}
	if n := q.count(`SELECT count(*) FROM headwater_landing.flights`); n != 2 {
		t.Errorf("found %d rows, expected 2", n)
	}
}

// Digests of rows do not depend on the order of columns, nor on columns that a later version of the source adds.
func TestBatchesAfterTheSourceGrew(t *testing.T) {
	p := newProduct(t)
	d := definitions()
	p.apply(d)
	rows := flights(flight("ORD", 7, time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC), feature.Float64(1)))
	if _, err := p.batches("flights", 0, rowBatch("a", rows)); err != nil {
		t.Fatal(err)
	}
	d.Sources[0].Columns = append([]feature.Column{{Name: "more", Type: feature.TypeBool}}, d.Sources[0].Columns...)
	p.apply(d)
	grown := table{columns: append([]feature.Column{{Name: "more", Type: feature.TypeBool}}, rows.columns...),
		rows: [][]feature.Value{append([]feature.Value{feature.Null()}, rows.rows[0]...)}}
	r, err := p.batches("flights", 0, arrowBatch(t, "a", grown))
	if err != nil || shownResults(r) != "load false accepted 0 duplicate 1: a 1 true" {
		t.Errorf("found %v, %v", r, err)
	}
	if bytes.Equal(grown.arrow(t), rows.arrow(t)) {
		t.Error("the streams are alike, expected others")
	}
}
