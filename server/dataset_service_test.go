package server

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/dataset"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/tabular"
)

// readRows is a result as text, a line per row.
func readRows(t testing.TB, stream []byte) (rows []string) {
	t.Helper()
	r, err := tabular.NewStreamReader(bytes.NewReader(stream))
	if err != nil {
		t.Fatal(err)
	}
	for row, err := range r.Rows() {
		if err != nil {
			t.Fatal(err)
		}
		var texts []string
		for _, v := range row {
			text := v.Text()
			if v.IsNull() {
				text = "∅"
			}
			texts = append(texts, text)
		}
		rows = append(rows, strings.Join(texts, " "))
	}
	return rows
}

func TestDatasets(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	p.apply(definitions())
	at := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(1)), flight("JFK", 8, at.Add(time.Hour), feature.Null())), 0)
	runs := p.materialize("delays", "recent", "traffic")
	spine := spineOf(asked("JFK", 8, at.Add(2*time.Hour)), asked("ORD", 7, at), asked("ORD", 1, at.Add(48*time.Hour)), asked("ORD", 7, at.Add(-1)))
	header := &headwaterv1.BuildDatasetHeader{Name: "training", Purpose: "a model"}
	arrow, m, err := p.build(p.admin, "model", header, spine.arrow(t))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"JFK 8 2001-01-01T02:00:00Z ∅ from JFK ∅ 2001-01-01T01:00:00Z 8 ∅ ∅",
		"ORD 7 2001-01-01T00:00:00Z 1 from ORD false 2001-01-01T00:00:00Z 7 1 1",
		"ORD 1 2001-01-03T00:00:00Z 1 from ORD false 2001-01-01T00:00:00Z 7 ∅ ∅",
		"ORD 7 2000-12-31T23:59:59.999999Z ∅ ∅ ∅ ∅ ∅ ∅ ∅",
	}
	if got := readRows(t, arrow); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("found\n%s\nexpected\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	last := runs[len(runs)-1]
	if m.GetName() != "training" || m.GetVersion() != 1 || m.GetState() != headwaterv1.DatasetState_DATASET_STATE_RELEASED || m.GetRows() != 4 ||
		m.GetPosition() < last.GetPosition() || m.GetPurpose() != "a model" || m.GetPrincipal() != "ada" || m.GetServerVersion() != "test" || m.GetArrowSha256() != sha(arrow) {
		t.Errorf("found the manifest %v", m)
	}
	got := ""
	for _, c := range m.GetColumns()[8:] {
		got += fmt.Sprintf("%s %s %d", c.GetName(), c.GetOrigin(), c.GetNulls())
		for _, s := range c.GetStatuses() {
			got += fmt.Sprintf(" %s=%d", strings.TrimPrefix(s.GetStatus().String(), "VALUE_STATUS_"), s.GetRows())
		}
		got += "\n"
	}
	if wanted := "recent__delay feature:recent@1.delay 3 PRESENT=1 NULL=1 NO_ROW=1 EXPIRED=1\ntraffic__delay feature:traffic@1.delay 3 PRESENT=1 NULL=1 NO_ROW=2\n"; got != wanted {
		t.Errorf("found\n%s\nexpected\n%s", got, wanted)
	}

	for _, ref := range []string{m.GetId(), "training@1"} {
		again, sent, err := p.fetch(p.admin, ref)
		if err != nil || !bytes.Equal(again, arrow) || sent.GetContentDigest() != m.GetContentDigest() {
			t.Errorf("%s: fetched other bytes, %v", ref, err)
		}
		v, err := p.datasets.VerifyDataset(p.admin, &headwaterv1.VerifyDatasetRequest{Dataset: ref})
		if err != nil || !v.GetSame() || v.GetFoundContentDigest() != m.GetContentDigest() || v.GetFoundArrowSha256() != m.GetArrowSha256() || len(v.GetDifferences()) > 0 {
			t.Errorf("%s: found %v, %v", ref, v, err)
		}
		g, err := p.datasets.GetDataset(p.admin, &headwaterv1.GetDatasetRequest{Dataset: ref})
		if err != nil || g.GetManifest().GetId() != m.GetId() {
			t.Errorf("%s: found %v, %v", ref, g, err)
		}
	}
	for range 2 {
		if _, _, err := p.build(p.admin, "small", &headwaterv1.BuildDatasetHeader{}, spine.arrow(t)); err != nil {
			t.Fatal(err)
		}
	}
	list := func(name string) (refs string) {
		r, err := p.datasets.ListDatasets(p.admin, &headwaterv1.ListDatasetsRequest{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range r.GetDatasets() {
			refs += fmt.Sprintf("%s@%d ", d.GetName(), d.GetVersion())
		}
		return refs
	}
	if all, some := list(""), list("small"); all != "small@2 small@1 training@1 " || some != "small@2 small@1 " {
		t.Errorf("found %s and %s", all, some)
	}

	// A history that somebody changed is not sent as what it was.
	if _, err := p.pool.Exec(p.admin, `UPDATE headwater_history.delays_v1 SET words = 'x' WHERE entity_key = 'ORD'`); err != nil {
		t.Fatal(err)
	}
	sent, none, err := p.fetch(p.admin, m.GetId())
	if f := fault.FromError(err); f == nil || f.Reason != fault.DigestMismatch || len(sent) > 0 || none != nil || !strings.HasPrefix(f.Message, "dataset "+m.GetId()+" cannot be had again: found content digest ") {
		t.Errorf("found %v and %d bytes", err, len(sent))
	}
	v, err := p.datasets.VerifyDataset(p.admin, &headwaterv1.VerifyDatasetRequest{Dataset: m.GetId()})
	if err != nil || v.GetSame() || len(v.GetDifferences()) != 3 || v.GetFoundContentDigest() == m.GetContentDigest() {
		t.Errorf("found %v, %v", v, err)
	}
	if _, err := p.pool.Exec(p.admin, `DELETE FROM headwater.dataset_spine WHERE dataset_id = $1`, m.GetId()); err != nil {
		t.Fatal(err)
	}
	v, err = p.datasets.VerifyDataset(p.admin, &headwaterv1.VerifyDatasetRequest{Dataset: m.GetId()})
	if err != nil || v.GetSame() || v.GetFoundContentDigest() != "" || len(v.GetDifferences()) != 1 {
		t.Errorf("found %v, %v", v, err)
	}
}

func TestBuildRefuses(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	p.apply(definitions())
	at := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	spine := spineOf(asked("ORD", 7, at)).arrow(t)
	header := &headwaterv1.BuildDatasetHeader{}
	refused := func(name, service string, header *headwaterv1.BuildDatasetHeader, spine []byte, reason fault.Reason, message string) {
		t.Helper()
		arrow, m, err := p.build(p.admin, service, header, spine)
		f := fault.FromError(err)
		if f == nil || f.Reason != reason || f.Message != message || len(arrow) > 0 || m != nil {
			t.Errorf("%s: found %v and %d bytes\nexpected %s %s", name, f, len(arrow), reason, message)
		}
	}
	refused("not materialized", "model", header, spine, fault.NotMaterialized, "view delays@1: no run of it was published by position 0, so every value "+
		"would be missing; run `headwater materialize delays@1 --wait` first\nview recent@1: no run of it was published by position 0, so every value would be missing; run "+
		"`headwater materialize recent@1 --wait` first\nview traffic@1: no run of it was published by position 0, so every value would be missing; run `headwater "+
		"materialize traffic@1 --wait` first")
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(1))), 0)
	p.materialize("delays", "recent", "traffic")
	refused("no service", "modle", header, spine, fault.NotFound, `found no service called "modle"; did you mean model?`)
	refused("no header", "model", nil, spine, fault.InvalidArgument, "the first message of a build has no header, expected one")
	refused("a name that is none", "model", &headwaterv1.BuildDatasetHeader{Name: "My Data"}, spine, fault.InvalidArgument, "the request does not hold to its rules")
	refused("a mapping of no key", "model", &headwaterv1.BuildDatasetHeader{KeyMapping: map[string]string{"orign": "origin"}}, spine, fault.InvalidArgument,
		"key mapping: orign: no view of service model has a join key of this name; leave it out, or correct it: a join key stands on the left, the column to take on the right")
	refused("another time", "model", &headwaterv1.BuildDatasetHeader{TimestampColumn: "at"}, spine, fault.InvalidSpine,
		"spine: found no column at, expected one that says for when each row is; the spine has origin, number, timestamp. If one of them is it, name it: --timestamp COLUMN")
	refused("a position to come", "model", &headwaterv1.BuildDatasetHeader{AsOf: "pos:9"}, spine, fault.NotFound, "position 9 is not reached yet; the newest is 3")
	refused("nothing", "model", header, nil, fault.InvalidSpine, "spine: found nothing, expected an Arrow IPC stream: a schema, record batches and an end marker")
	refused("a NUL", "model", &headwaterv1.BuildDatasetHeader{Purpose: "a\x00b"}, spine, fault.InvalidArgument, "found a NUL character in a text of the request, expected text without one")

	huge := spineOf(asked(strings.Repeat("x", feature.MaxRowText+1), 7, at)).arrow(t)
	refused("a row that is too large", "model", &headwaterv1.BuildDatasetHeader{}, huge, fault.InvalidSpine,
		"spine: row 1: found 16711681 bytes of text, bytes, lists and vectors, expected at most 16711680; cut it down")

	message := func(messages ...*headwaterv1.BuildDatasetRequest) error {
		stream, err := p.datasets.BuildDataset(p.admin)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range messages {
			if stream.Send(m) != nil {
				break
			}
		}
		stream.CloseSend()
		_, _, err = collect(stream.Recv)
		return err
	}
	first := &headwaterv1.BuildDatasetRequest{Service: "model", Header: header, Arrow: spine[:100]}
	wantFault(t, message(first, first), fault.InvalidArgument, "found a second header in a build, expected one, in the first message")
	wantFault(t, message(first, &headwaterv1.BuildDatasetRequest{Arrow: make([]byte, maxMessage+1)}), fault.ResourceExhausted,
		"grpc: received message larger than max (16777222 vs. 16777216)")
	if n := p.count(`SELECT count(*) FROM headwater.dataset`); n != 0 {
		t.Errorf("found %d datasets of builds that were refused", n)
	}
	_, _, err := p.fetch(p.admin, "model@1")
	wantFault(t, err, fault.NotFound, `there is no dataset "model@1"; `+"`headwater dataset list` shows those there are, by id and by NAME@VERSION")
}

// Who may read a dataset no longer is denied it, whether or not datasets may be listed; only by its name it looks like none.
func TestDatasetsOfWhoMayReadNoLonger(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	d := definitions()
	d.Roles = append(d.Roles, role("builds", "read_offline on service:*"))
	p.apply(d)
	at := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(1))), 0)
	p.materialize("delays", "recent", "traffic")
	bea, bob := p.as("bea", "builds"), p.as("bob", "builds")
	arrow, m, err := p.build(bea, "small", &headwaterv1.BuildDatasetHeader{}, spineOf(asked("ORD", 7, at.Add(time.Hour))).arrow(t))
	if err != nil {
		t.Fatal(err)
	}
	// Another caller whose policy allows all of it gets the builder's bytes.
	if again, _, err := p.fetch(bob, m.GetId()); err != nil || !bytes.Equal(again, arrow) {
		t.Errorf("found %d bytes, %v", len(again), err)
	}
	d.Roles[len(d.Roles)-1] = role("builds", "read_offline on service:model")
	p.apply(d)
	for _, ref := range []string{m.GetId(), "small@1"} {
		sent, _, err := p.fetch(bea, ref)
		wantFault(t, err, fault.PermissionDenied, "bea may not read_offline service:small@1: no grant of read_offline on service:small in roles [builds]; whoever administers "+
			"the roles can change that")
		if len(sent) > 0 {
			t.Errorf("%s: found %d bytes sent", ref, len(sent))
		}
	}
	denied := "bob may not read_offline all that dataset " + m.GetId() + " was built of; whoever administers the roles can change that"
	_, _, err = p.fetch(bob, m.GetId())
	wantFault(t, err, fault.PermissionDenied, denied)
	_, err = p.datasets.VerifyDataset(bob, &headwaterv1.VerifyDatasetRequest{Dataset: m.GetId()})
	wantFault(t, err, fault.PermissionDenied, denied)
	_, _, err = p.fetch(bob, "small@1")
	wantFault(t, err, fault.NotFound, dataset.Missing("small@1").Error())
}
