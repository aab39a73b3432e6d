package server

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

func queryHeader(sql string, sources ...string) *headwaterv1.BuildDatasetHeader {
	return &headwaterv1.BuildDatasetHeader{Spine: &headwaterv1.BuildDatasetHeader_Query{Query: &headwaterv1.SpineQuery{Sql: sql, Sources: sources}}}
}

func eventsHeader(events *headwaterv1.SpineEvents) *headwaterv1.BuildDatasetHeader {
	return &headwaterv1.BuildDatasetHeader{Spine: &headwaterv1.BuildDatasetHeader_Events{Events: events}}
}

func TestSpinesThatTheServerReads(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	p.apply(definitions())
	at := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	p.ingest(flights(flight("ORD", 7, at.Add(time.Hour), feature.Float64(1)), flight("JFK", 8, at, feature.Null())), 0)
	wrong := p.ingest(flights(flight("LAX", 9, at.Add(2*time.Hour), feature.Float64(9))), 0)
	p.materialize("delays", "recent", "traffic")

	arrow, m, err := p.build(p.admin, "small", queryHeader("SELECT origin, date + interval '1 hour' AS timestamp, number > 7 AS label FROM flights ORDER BY number DESC", "flights@1"), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := "LAX 2001-01-01T03:00:00Z true 9\nJFK 2001-01-01T01:00:00Z true ∅\nORD 2001-01-01T02:00:00Z false 1"
	if got := strings.Join(readRows(t, arrow), "\n"); got != want {
		t.Errorf("found\n%s\nexpected\n%s", got, want)
	}
	fingerprint := m.GetSpineOrigin().GetSources()[0].GetFingerprint()
	source := &headwaterv1.SpineSource{Source: "flights", Version: 1, Fingerprint: fingerprint, LoadNumber: 2, RowsRead: 3}
	origin := &headwaterv1.SpineOrigin{Sql: "SELECT origin, date + interval '1 hour' AS timestamp, number > 7 AS label FROM flights ORDER BY number DESC", Sources: []*headwaterv1.SpineSource{source}}
	if m.GetTimestampColumn() != "timestamp" || len(fingerprint) != 64 || !proto.Equal(m.GetSpineOrigin(), origin) {
		t.Errorf("found %v", m)
	}

	some := &headwaterv1.SpineEvents{Source: "flights", From: timestamppb.New(at.Add(time.Nanosecond)), To: timestamppb.New(at.Add(2*time.Hour + time.Nanosecond)), Columns: []string{"number", "origin"}}
	events, e, err := p.build(p.admin, "small", eventsHeader(some), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(readRows(t, events), "\n"), "2001-01-01T01:00:00Z 7 ORD 1\n2001-01-01T02:00:00Z 9 LAX 9"; got != want {
		t.Errorf("found\n%s\nexpected\n%s", got, want)
	}
	kept := &headwaterv1.SpineEvents{Source: "flights@1", Columns: some.GetColumns(),
		From: timestamppb.New(at.Add(time.Microsecond)), To: timestamppb.New(at.Add(2*time.Hour + time.Microsecond))}
	source.RowsRead = 2
	if origin := (&headwaterv1.SpineOrigin{Events: kept, Sources: []*headwaterv1.SpineSource{source}}); e.GetTimestampColumn() != "date" || !proto.Equal(e.GetSpineOrigin(), origin) {
		t.Errorf("found %v\nexpected %v", e, origin)
	}
	all, _, err := p.build(p.admin, "small", eventsHeader(&headwaterv1.SpineEvents{Source: "flights"}), nil)
	if rows := readRows(t, all); err != nil || len(rows) != 3 || rows[0] != "2001-01-01T00:00:00Z 2001-01-01T00:00:00Z JFK 8 ∅ from JFK ∅" {
		t.Errorf("found %v, %v", rows, err)
	}
	// Another column may say for when, and a key be called otherwise.
	header := eventsHeader(&headwaterv1.SpineEvents{Source: "flights"})
	header.TimestampColumn, header.KeyMapping = "known", map[string]string{"origin": "words"}
	if _, m, err := p.build(p.admin, "small", header, nil); err != nil || m.GetTimestampColumn() != "known" {
		t.Errorf("found %v, %v", m, err)
	}

	// What becomes of the source later changes nothing.
	if _, err := p.loads.RetractLoad(p.admin, &headwaterv1.RetractLoadRequest{Id: wrong.GetId(), Reason: "wrong"}); err != nil {
		t.Fatal(err)
	}
	for id, was := range map[string][]byte{m.GetId(): arrow, e.GetId(): events} {
		if again, _, err := p.fetch(p.admin, id); err != nil || !bytes.Equal(again, was) {
			t.Errorf("%s: fetched other bytes, %v", id, err)
		}
		if v, err := p.datasets.VerifyDataset(p.admin, &headwaterv1.VerifyDatasetRequest{Dataset: id}); err != nil || !v.GetSame() {
			t.Errorf("%s: found %v, %v", id, v, err)
		}
	}
	left, l, err := p.build(p.admin, "small", eventsHeader(some), nil)
	if got := strings.Join(readRows(t, left), "\n"); err != nil || got != "2001-01-01T01:00:00Z 7 ORD 1" || l.GetSpineOrigin().GetSources()[0].GetLoadNumber() != 3 {
		t.Errorf("found %s, %v, %v", got, l.GetSpineOrigin(), err)
	}
}

func TestSpinesThatTheServerDoesNotRead(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	p.apply(definitions())
	at := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(1))), 0)
	p.materialize("delays", "recent", "traffic")
	stream := spineOf(asked("ORD", 7, at)).arrow(t)
	const good = "SELECT origin, date AS timestamp FROM flights"
	for name, c := range map[string]struct {
		header  *headwaterv1.BuildDatasetHeader
		sent    []byte
		reason  fault.Reason
		message string
	}{
		"a query and a stream": {queryHeader(good, "flights"), stream, fault.InvalidArgument,
			"found an Arrow stream behind a header that says where the server reads the spine itself, expected none; leave out one of the two"},
		"events and a stream": {eventsHeader(&headwaterv1.SpineEvents{Source: "flights"}), stream[:8], fault.InvalidArgument,
			"found an Arrow stream behind a header that says where the server reads the spine itself, expected none; leave out one of the two"},
		"no such source":      {queryHeader(good, "flihgts"), nil, fault.NotFound, `found no source called "flihgts"; did you mean flights?`},
		"no such version":     {eventsHeader(&headwaterv1.SpineEvents{Source: "flights@2"}), nil, fault.NotFound, ""},
		"a source twice":      {queryHeader(good, "flights", "flights@1"), nil, fault.InvalidArgument, "spine: found source flights a second time, expected each once"},
		"no source":           {queryHeader(good), nil, fault.InvalidArgument, "the request does not hold to its rules"},
		"no SQL":              {queryHeader("", "flights"), nil, fault.InvalidArgument, "the request does not hold to its rules"},
		"SQL that is refused": {queryHeader("SELECT origin, now() AS timestamp FROM flights", "flights"), nil, fault.InvalidSQL, ""},
		"no timestamp": {queryHeader("SELECT origin, date FROM flights", "flights"), nil, fault.InvalidSpine, "spine: found no column timestamp, expected one that says " +
			"for when each row is; the spine has origin, date. If one of them is it, name it: --timestamp COLUMN"},
		"no key": {queryHeader("SELECT date AS timestamp, number FROM flights", "flights"), nil, fault.InvalidSpine, "spine: found no column origin, expected the join key " +
			"origin of entity airport, which view delays needs; the spine has timestamp, number. If one of them is it, map it: --key-mapping origin=COLUMN"},
		"a key of another type": {queryHeader("SELECT number AS origin, date AS timestamp, 1 / (number - number) AS n FROM flights", "flights"), nil, fault.InvalidSpine,
			"spine: column origin: found int64, expected string, the type of join key origin of entity airport"},
		"a NULL time": {queryHeader("SELECT origin, NULL::timestamptz AS timestamp FROM flights", "flights"), nil, fault.InvalidSpine, "spine: row 1: column timestamp is " +
			"NULL, expected a timestamp; a point in time is needed for every row: give it one, or leave the row out"},
		"a time of another age": {queryHeader("SELECT origin, date + interval '9000 years' AS timestamp FROM flights", "flights"), nil, fault.InvalidSpine, fmt.Sprintf("spine: "+
			"row 1: column timestamp: found a time %d µs from 1970-01-01, expected one in the years 1 to 9999; leave the row out, or give it another value",
			at.AddDate(9000, 0, 0).UnixMicro())},
		"no interval": {eventsHeader(&headwaterv1.SpineEvents{Source: "flights", From: timestamppb.New(at), To: timestamppb.New(at)}), nil, fault.InvalidArgument,
			"spine: found the interval [2001-01-01T00:00:00Z, 2001-01-01T00:00:00Z), expected an end after its start"},
		"events without the key": {eventsHeader(&headwaterv1.SpineEvents{Source: "flights", Columns: []string{"number"}}), nil, fault.InvalidSpine, "spine: found no column " +
			"origin, expected the join key origin of entity airport, which view delays needs; the spine has date, number. If one of them is it, map it: --key-mapping origin=COLUMN"},
	} {
		arrow, m, err := p.build(p.admin, "small", c.header, c.sent)
		f := fault.FromError(err)
		if f == nil || f.Reason != c.reason || c.message != "" && f.Message != c.message || len(arrow) > 0 || m != nil {
			t.Errorf("%s: found %v\nexpected %s %s", name, err, c.reason, c.message)
		}
	}
	if n := p.count(`SELECT count(*) FROM headwater.dataset`); n != 0 {
		t.Errorf("found %d datasets of builds that were refused", n)
	}
}

// A spine that the server reads shows the rows of sources: who may not read these is refused before anything is.
func TestWhoMayReadSpines(t *testing.T) {
	p := newProduct(t)
	d := definitions()
	d.Roles = append(d.Roles, role("small", "read_offline on service:small,view:*"), role("rows", "read_offline on source:flights"))
	p.apply(d)
	at := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(1))), 0)
	p.materialize("delays")
	header := queryHeader("SELECT origin, date AS timestamp FROM flights", "flights@1")
	decisions := func(who string) string {
		var list []string
		for _, r := range p.records(p.admin) {
			if r.GetPrincipal() == who {
				list = append(list, strings.TrimPrefix(r.GetAction().String(), "ACTION_")+" "+r.GetResource()+" "+strings.TrimPrefix(r.GetDecision().String(), "DECISION_"))
			}
		}
		return strings.Join(list, "\n")
	}
	sam := p.as("sam", "small")
	for _, h := range []*headwaterv1.BuildDatasetHeader{header, eventsHeader(&headwaterv1.SpineEvents{Source: "flights"}), queryHeader("SELECT 1", "flights"), queryHeader("no SQL", "flights")} {
		_, _, err := p.build(sam, "small", h, nil)
		wantFault(t, err, fault.PermissionDenied, "sam may not read_offline source:flights: no grant of read_offline on source:flights in roles [small]; whoever administers the "+
			"roles can change that")
	}
	// What is hidden looks like what is not there.
	_, _, err := p.build(sam, "small", queryHeader("SELECT 1", "wages"), nil)
	wantFault(t, err, fault.PermissionDenied, "sam may not read_offline source:wages: no grant of read_offline on source:wages in roles [small]; whoever administers the roles can "+
		"change that")
	if _, _, err := p.build(p.as("rob", "small", "rows"), "small", header, nil); err != nil {
		t.Error(err)
	}
	if got, want := decisions("rob"), "READ_OFFLINE service:small@1 ALLOWED\nREAD_OFFLINE source:flights ALLOWED\n"+
		"READ_OFFLINE service:small@1 ALLOWED\nREAD_OFFLINE source:flights@1 ALLOWED"; got != want {
		t.Errorf("found\n%s\nexpected\n%s", got, want)
	}
	// Sources alone are no service.
	_, _, err = p.build(p.as("ray", "rows"), "small", header, nil)
	wantFault(t, err, fault.PermissionDenied, "ray may not read_offline service:small: no grant of read_offline on service:small in roles [rows]; whoever administers the roles can "+
		"change that")
	if got, want := decisions("ray"), "READ_OFFLINE service:small DENIED"; got != want {
		t.Errorf("found\n%s\nexpected\n%s", got, want)
	}
}

// What was read of sources is for who may read these, also when it is had again.
func TestWhoMayHaveSpinesAgain(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	d := definitions()
	d.Roles = append(d.Roles, role("small", "read_offline on service:small,view:*", "list on dataset:*"), role("rows", "read_offline on source:flights"))
	p.apply(d)
	at := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(1))), 0)
	p.materialize("delays", "recent", "traffic")
	arrow, m, err := p.build(p.admin, "small", queryHeader("SELECT origin, date AS timestamp, number FROM flights", "flights"), nil)
	if err != nil {
		t.Fatal(err)
	}
	sam, rob := p.as("sam", "small"), p.as("rob", "small", "rows")
	const denied = "sam may not read_offline source:flights: no grant of read_offline on source:flights in roles [small]; whoever administers the roles can change that"
	got, _, err := p.fetch(sam, m.GetId())
	wantFault(t, err, fault.PermissionDenied, denied)
	if len(got) > 0 {
		t.Errorf("found %d bytes sent to who may not read the source", len(got))
	}
	_, err = p.datasets.VerifyDataset(sam, &headwaterv1.VerifyDatasetRequest{Dataset: m.GetId()})
	wantFault(t, err, fault.PermissionDenied, denied)
	_, err = p.datasets.DiffDatasets(sam, &headwaterv1.DiffDatasetsRequest{A: m.GetId(), B: m.GetId()})
	wantFault(t, err, fault.PermissionDenied, denied)
	for who, want := range map[string]bool{"sam": false, "rob": true} {
		ctx := sam
		if who == "rob" {
			ctx = rob
		}
		shown, err := p.datasets.GetDataset(ctx, &headwaterv1.GetDatasetRequest{Dataset: m.GetId()})
		if err != nil {
			t.Fatal(err)
		}
		if has := shown.GetManifest().GetColumns()[2].GetSummary().GetMin() != nil; has != want {
			t.Errorf("%s: found values of the spine shown %v, expected %v", who, has, want)
		}
	}
	if again, _, err := p.fetch(rob, m.GetId()); err != nil || !bytes.Equal(again, arrow) {
		t.Errorf("found %d bytes, %v", len(again), err)
	}
}
