package server

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

func TestIngest(t *testing.T) {
	p := newProduct(t)
	d := definitions()
	d.Sources = append(d.Sources, feature.Source{Name: "other", EventTime: "date", Columns: d.Sources[0].Columns[:1]})
	p.apply(d)
	at := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	rows := flights(flight("ORD", 7, at, feature.Float64(1)), flight("JFK", 8, at.Add(time.Hour), feature.Null()))
	content := rows.arrow(t)

	// In the columns' own order or another, in parts of any size.
	shuffled := table{}
	for _, i := range []int{5, 2, 0, 4, 1, 3} {
		shuffled.columns = append(shuffled.columns, rows.columns[i])
	}
	for _, row := range rows.rows {
		var moved []feature.Value
		for _, i := range []int{5, 2, 0, 4, 1, 3} {
			moved = append(moved, row[i])
		}
		shuffled.rows = append(shuffled.rows, moved)
	}
	first, err := p.send(p.admin, "flights", p.header(content, 0), content, 1)
	if err != nil {
		t.Fatal(err)
	}
	second, err := p.send(p.admin, "flights", p.header([]byte("another file"), 0), shuffled.arrow(t), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if first.GetNumber() != 1 || second.GetNumber() != 2 || first.GetRows() != 2 || !first.GetEventTimeMin().AsTime().Equal(at) ||
		!first.GetEventTimeMax().AsTime().Equal(at.Add(time.Hour)) || first.GetPrincipal() != "ada" || first.GetFileSha256() != sha(content) {
		t.Errorf("found %v and %v", first, second)
	}
	if n := p.count(`SELECT count(*) FROM headwater_landing.flights a JOIN headwater_landing.flights b USING (_row, date, known, origin, number, words)
		WHERE a._load = $1 AND b._load = $2 AND a.delay IS NOT DISTINCT FROM b.delay`, first.GetId(), second.GetId()); n != 2 {
		t.Errorf("found %d equal rows of the two loads, expected 2", n)
	}

	_, err = p.send(p.admin, "flights", p.header(content, 0), content, 1000)
	wantFault(t, err, fault.AlreadyExists, fmt.Sprintf("flights.csv: a file with the same SHA-256 is in source flights already, as load %d; its rows "+
		"would count twice. To load it again all the same, replace that load: --replaces %d", first.GetId(), first.GetId()))
	replaced, err := p.send(p.admin, "flights", p.header(content, first.GetId()), content, 1000)
	if err != nil || replaced.GetReplaces() != first.GetId() {
		t.Fatalf("found %v, %v", replaced, err)
	}
	_, err = p.send(p.admin, "flights", p.header([]byte("x"), first.GetId()), content, 1000)
	wantFault(t, err, fault.FailedPrecondition, fmt.Sprintf("load %d was replaced already, by load %d; see `headwater loads list flights`", first.GetId(), replaced.GetId()))
	_, err = p.send(p.admin, "flights", p.header([]byte("x"), 1<<40), content, 1000)
	if f := fault.FromError(err); f == nil || f.Reason != fault.NotFound {
		t.Errorf("found %v", err)
	}
	dates := table{columns: rows.columns[:1], rows: [][]feature.Value{rows.rows[0][:1]}}.arrow(t)
	other, err := p.send(p.admin, "other", p.header(dates, 0), dates, 1000)
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.send(p.admin, "flights", p.header([]byte("x"), other.GetId()), content, 1000)
	if f := fault.FromError(err); f == nil || f.Reason == fault.Internal || !strings.Contains(f.Message, "source other") {
		t.Errorf("found %v, expected a load of another source to be refused", err)
	}
	got, err := p.loads.GetLoad(p.admin, &headwaterv1.GetLoadRequest{Id: first.GetId()})
	if err != nil || got.GetLoad().GetState() != headwaterv1.LoadState_LOAD_STATE_REPLACED || got.GetLoad().GetReplacedBy() != replaced.GetId() {
		t.Errorf("found %v, %v", got, err)
	}
}

func TestIngestRefuses(t *testing.T) {
	p := newProduct(t)
	p.apply(definitions())
	at := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	good := flights(flight("ORD", 7, at, feature.Float64(1)), flight("JFK", 8, at, feature.Null()))
	change := func(do func(*table)) []byte {
		s := flights()
		s.columns = append([]feature.Column(nil), s.columns...)
		for _, r := range good.rows {
			s.rows = append(s.rows, append([]feature.Value(nil), r...))
		}
		do(&s)
		return s.arrow(t)
	}
	whole := good.arrow(t)
	for name, c := range map[string]struct {
		arrow   []byte
		reason  fault.Reason
		message string
	}{
		"another column": {change(func(s *table) { s.columns[5].Name = "word" }), fault.InvalidRows,
			"flights.csv: found column word, which source flights does not declare; declare it, leave it out of the file, or have such " +
				"columns left out (schema_changes: ignore_new_columns)"},
		"a column too few": {table{columns: good.columns[:5], rows: [][]feature.Value{good.rows[0][:5]}}.arrow(t), fault.InvalidRows,
			"flights.csv: found no column words, expected one of type string; add it to the file, with NULL where there is no value"},
		"another type": {change(func(s *table) {
			s.columns[4].Type = feature.TypeString
			s.rows[0][4] = feature.String("1")
		}), fault.InvalidRows, "flights.csv: column delay: found string, expected float64; convert it in the file, or declare a " +
			"source of another name"},
		"no rows": {change(func(s *table) { s.rows = nil }), fault.InvalidRows,
			"flights.csv: found no rows, expected at least one; to withdraw a load without putting another in its place, use `headwater loads retract`"},
		"no event time": {change(func(s *table) { s.rows[1][0] = feature.Null() }), fault.InvalidRows,
			"flights.csv: row 2: column date is the event time of source flights: found NULL, expected a timestamp; nothing was loaded, give the row a time or leave it out, " +
				"or have such rows set aside (null_event_time: quarantine)"},
		"NUL": {change(func(s *table) { s.rows[1][2] = feature.String("O\x00D") }), fault.InvalidRows,
			`flights.csv: row 2: column origin: found a NUL character in "O\x00D", expected text without one`},
		"out of time": {change(func(s *table) { s.rows[1][1] = feature.Timestamp(1 << 62) }), fault.InvalidRows,
			"flights.csv: row 2: column known: found a time 4611686018427387904 µs from 1970-01-01, expected one in the years 1 to 9999"},
		"nothing": {nil, fault.InvalidRows, "flights.csv: found nothing, expected an Arrow IPC stream: a schema, record batches and an end marker"},
		"text":    {[]byte("date,known\n"), fault.InvalidRows, "flights.csv: found something else than an Arrow IPC stream, expected one: a schema, record batches and an end marker"},
		"cut off": {whole[:len(whole)-20], fault.InvalidRows, "flights.csv: found the stream cut off in record batch 1, expected its end marker last; send all of it"},
		"no end":  {whole[:len(whole)-8], fault.InvalidRows, "flights.csv: found no end marker after 1 record batches, expected one; the stream was cut off, or its writer was not closed"},
		"more":    {append(append([]byte(nil), whole...), whole...), fault.InvalidRows, "flights.csv: found bytes after the end marker, expected none; send one stream"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := p.send(p.admin, "flights", p.header([]byte(name), 0), c.arrow, 700)
			wantFault(t, err, c.reason, c.message)
		})
	}

	message := func(messages ...*headwaterv1.IngestRequest) error {
		stream, err := p.loads.Ingest(p.admin)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range messages {
			if stream.Send(m) != nil {
				break
			}
		}
		_, err = stream.CloseAndRecv()
		return err
	}
	header := p.header(whole, 0)
	first := &headwaterv1.IngestRequest{Source: "flights", Header: header, Arrow: whole[:100]}
	wantFault(t, message(first, first), fault.InvalidArgument, "found a second header in an ingest, expected one, in the first message")
	wantFault(t, message(first, &headwaterv1.IngestRequest{Source: "flights", Arrow: whole[100:]}), fault.InvalidArgument,
		"found a second header in an ingest, expected one, in the first message")
	wantFault(t, message(&headwaterv1.IngestRequest{Source: "flights", Arrow: whole}), fault.InvalidArgument,
		"the first message of an ingest has no source or no header, expected both")
	wantFault(t, message(first, &headwaterv1.IngestRequest{Arrow: make([]byte, maxMessage+1)}), fault.ResourceExhausted,
		"grpc: received message larger than max (16777222 vs. 16777216)")
	if f := fault.FromError(message()); f == nil || f.Reason != fault.InvalidArgument {
		t.Errorf("found %v for a stream without a message", f)
	}
	wantFault(t, message(&headwaterv1.IngestRequest{Source: "fligths", Header: header}), fault.NotFound, `found no source called "fligths"; did you mean flights?`)
	if f := fault.FromError(message(&headwaterv1.IngestRequest{Source: "flights", Header: &headwaterv1.IngestHeader{FileSha256: "XYZ"}})); f == nil ||
		f.Reason != fault.InvalidArgument || len(f.Violations) != 1 || f.Violations[0].Field != "header.file_sha256" {
		t.Errorf("found %v", f)
	}

	d := definitions()
	d.Sources[0].Columns = append(d.Sources[0].Columns, feature.Column{Name: "more", Type: feature.TypeBool})
	p.apply(d)
	_, err := p.send(p.admin, "flights@1", p.header(whole, 0), whole, 1000)
	wantFault(t, err, fault.FailedPrecondition, "source flights: found version 1, expected the newest, 2: rows are taken in the shape that it declares; "+
		"name the source without a version")

	if n := p.count(`SELECT (SELECT count(*) FROM headwater.load) + (SELECT count(*) FROM headwater_landing.flights)`); n != 0 {
		t.Errorf("found %d loads and rows of ingests that were refused", n)
	}
}

// Clients that go away leave nothing, and clients that are slow keep no one else waiting.
func TestIngestsThatDoNotEnd(t *testing.T) {
	p := newProduct(t)
	p.apply(definitions())
	content := flights(flight("ORD", 7, time.Now(), feature.Float64(1))).arrow(t)
	ctx, cancel := context.WithCancel(p.admin)
	defer cancel()
	var streams []grpc.ClientStreamingClient[headwaterv1.IngestRequest, headwaterv1.IngestResponse]
	for range maxIngests + 3 {
		stream, err := p.loads.Ingest(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.Send(&headwaterv1.IngestRequest{Source: "flights", Header: p.header(content, 0), Arrow: content[:len(content)-9]}); err != nil {
			t.Fatal(err)
		}
		streams = append(streams, stream)
	}
	eventually(t, "the ingests to be at work", func() bool {
		return p.count(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'COPY%headwater_landing%' AND pid <> pg_backend_pid()`) == maxIngests
	})
	for range 20 {
		if _, err := p.loads.ListLoads(p.admin, &headwaterv1.ListLoadsRequest{Source: "flights"}); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	for _, s := range streams {
		if _, err := s.CloseAndRecv(); fault.FromError(err).Reason != fault.Cancelled {
			t.Errorf("found %v", err)
		}
	}
	eventually(t, "the connections to end", func() bool {
		return p.count(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'COPY%headwater_landing%' AND pid <> pg_backend_pid()`) == 0
	})
	if n := p.count(`SELECT (SELECT count(*) FROM headwater.load) + (SELECT count(*) FROM headwater_landing.flights)`); n != 0 {
		t.Errorf("found %d loads and rows of clients that went away", n)
	}
	if load, err := p.send(p.admin, "flights", p.header(content, 0), content, 1000); err != nil || load.GetNumber() != 1 {
		t.Errorf("found %v, %v", load, err)
	}
}

// Columns that a source leaves out are named in the load, whether the client left them out or sent them.
func TestIngestLeavesColumnsOut(t *testing.T) {
	p := newProduct(t)
	d := definitions()
	d.Sources[0].IgnoreNewColumns = true
	d.Sources = append(d.Sources, feature.Source{Name: "strict", EventTime: "date", Columns: d.Sources[0].Columns[:1]})
	p.apply(d)
	rows := flights(flight("ORD", 7, time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC), feature.Float64(1)))
	rows.columns = append([]feature.Column{{Name: "tail", Type: feature.TypeString}}, rows.columns...)
	rows.rows[0] = append([]feature.Value{feature.String("N1")}, rows.rows[0]...)
	content := rows.arrow(t)
	header := p.header(content, 0)
	header.IgnoredColumns = []string{"gate"}
	load, err := p.send(p.admin, "flights", header, content, 1000)
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.loads.GetLoad(p.admin, &headwaterv1.GetLoadRequest{Id: load.GetId()})
	if err != nil || fmt.Sprint(load.GetIgnoredColumns()) != "[gate tail]" || fmt.Sprint(got.GetLoad().GetIgnoredColumns()) != "[gate tail]" {
		t.Errorf("found %v, %v, %v", load, got, err)
	}
	_, err = p.send(p.admin, "strict", header, content, 1000)
	wantFault(t, err, fault.InvalidRows, "flights.csv: found column gate, which source strict does not declare; declare it, leave it out of the file, "+
		"or have such columns left out (schema_changes: ignore_new_columns)")
}
