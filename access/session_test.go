package access

import (
	"bytes"
	"context"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newSession(t *testing.T, roles ...string) (context.Context, *AuditLog) {
	t.Helper()
	a := openAudit(t, t.TempDir(), testenv.Postgres(t), AuditOptions{})
	return begin(a, roles...), a
}

// begin begins a call of ann's.
func begin(a *AuditLog, roles ...string) context.Context {
	ctx, s := Begin(context.Background(), Call{
		Audit: a, Principal: &Principal{Name: "ann", Credential: "abc", Roles: roles}, Policy: storyPolicy(), Method: "/m", Began: time.Now(),
		Address: AddressOf(net.TCPAddrFromAddrPort(netip.MustParseAddrPort("10.0.0.1:1"))),
	})
	s.SetPurpose("test")
	return ctx
}

// outcomes are the records as `DECISION ACTION RESOURCE: REASON`.
func outcomes(t *testing.T, a *AuditLog) (all []string) {
	t.Helper()
	for _, r := range listed(t, a, AuditFilter{}) {
		if r.Principal != "ann" || r.Credential != "abc" || r.Method != "/m" || r.Purpose != "test" ||
			strings.TrimSuffix(r.ClientAddress, ":1") != "10.0.0.1" {
			t.Errorf("the record does not say who: %+v", r)
		}
		all = append(all, fmt.Sprintf("%s %s %s: %s", r.Decision, r.Action, r.Resource, r.Reason))
	}
	return all
}

func TestRequireRecordsOncePerCall(t *testing.T) {
	ctx, a := newSession(t, "engineer")
	if SessionFrom(ctx).Decided() {
		t.Error("decided before anything was asked")
	}
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			if err := Require(ctx, ActionList, KindView, "route_delays@2"); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	err := Require(ctx, ActionIngest, KindSource, "flights")
	wantFault(t, err, fault.PermissionDenied, "ann may not ingest source:flights: no grant of ingest on source:flights in roles [engineer]; "+
		"whoever administers the roles can change that")
	if got := fault.As(err).Metadata; got["action"] != "ingest" || got["resource"] != "source:flights" {
		t.Errorf("metadata: %v", got)
	}
	if !SessionFrom(ctx).Decided() {
		t.Error("not decided")
	}
	want := []string{
		"allowed list view:route_delays@2: role engineer allows list on view:*_delays",
		"denied ingest source:flights: no grant of ingest on source:flights in roles [engineer]",
	}
	if got := outcomes(t, a); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRequireService(t *testing.T) {
	ctx, a := newSession(t, "model")
	s := &feature.ServiceVersion{Version: 3, Service: feature.Service{Name: "delay_model_v1", ServesAsGrant: true}}
	s.Pins = []feature.ServicePin{{View: &feature.ViewVersion{View: feature.View{Name: "route_delays"}}}}
	if err := RequireService(ctx, ActionReadOnline, s); err != nil {
		t.Error(err)
	}
	hidden := *s
	hidden.Name = "hidden"
	err := SessionFrom(ctx).RequireService(ActionReadOnline, "hidden@9", &hidden)
	there := fault.As(err)
	missing := fault.As(Require(ctx, ActionReadOnline, KindService, "hidden@9"))
	if there == nil || missing == nil || there.Message != missing.Message || fmt.Sprint(there.Metadata) != fmt.Sprint(missing.Metadata) {
		t.Errorf("a hidden service is told from a missing one: %v and %v", there, missing)
	}
	if err := SessionFrom(ctx).End(); err != nil {
		t.Error(err)
	}
	want := []string{"allowed read_online service:delay_model_v1@3: role model allows read_online on service:delay_model_v1, " +
		"which serves as the grant of its views",
		"denied read_online service:hidden@9: no grant of read_online on service:hidden in roles [model]"}
	if got := outcomes(t, a); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFilter(t *testing.T) {
	ctx, a := newSession(t, "engineer")
	names := []string{"airport_delays", "secret", "route_delays"}
	same := func(s string) string { return s }
	got, err := Filter(ctx, ActionList, KindView, names, same)
	if err != nil || !slices.Equal(got, []string{"airport_delays", "route_delays"}) {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := Filter(ctx, ActionMaterialize, KindView, nil, same); err != nil || len(got) != 0 {
		t.Errorf("nothing there: got %v, %v", got, err)
	}
	for _, there := range [][]string{nil, {"flights"}} {
		got, err = Filter(ctx, ActionList, KindSource, there, same)
		wantFault(t, err, fault.PermissionDenied, "ann may not list source:*: no grant of list on any source in roles [engineer]; "+
			"whoever administers the roles can change that")
		if got != nil {
			t.Errorf("got %v", got)
		}
	}
	want := []string{
		"allowed list view:*: role engineer allows list on view:*_delays; 2 of 3 shown",
		"allowed materialize view:*: role engineer allows materialize on view:*_delays; 0 of 0 shown",
		"denied list source:*: no grant of list on any source in roles [engineer]",
	}
	if got := outcomes(t, a); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestHiddenLooksLikeMissing(t *testing.T) {
	ctx, a := newSession(t, "engineer")
	missing := fault.New(fault.NotFound, "there is no run 7")
	if err := RequireOr(ctx, ActionList, KindView, "secret", missing); err != error(missing) {
		t.Errorf("got %v, want the same as when it is missing", err)
	}
	if err := RequireOr(ctx, ActionList, KindView, "route_delays", missing); err != nil {
		t.Error(err)
	}
	if got := outcomes(t, a); len(got) != 2 || !strings.HasPrefix(got[0], "denied list view:secret") {
		t.Errorf("got %q", got)
	}
}

func TestRefusedWhenItCannotBeRecorded(t *testing.T) {
	ctx, a := newSession(t, "admin")
	if err := a.log.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := Require(ctx, ActionList, KindView, "x"); fault.ReasonOf(err) != fault.AuditUnavailable {
			t.Errorf("got %v, want AUDIT_UNAVAILABLE", err)
		}
	}
	if SessionFrom(ctx).Decided() {
		t.Error("counts as decided")
	}
}

func TestNoDecisionOutsideOfACall(t *testing.T) {
	const want = "a decision was asked for outside of a call; nothing is allowed there"
	ctx := context.Background()
	wantFault(t, Require(ctx, ActionList, KindView, "x"), fault.Internal, want)
	wantFault(t, RequireAny(ctx, ActionList, KindView), fault.Internal, want)
	wantFault(t, RequireService(ctx, ActionList, &feature.ServiceVersion{}), fault.Internal, want)
	_, err := Filter(ctx, ActionList, KindView, []string{"x"}, func(s string) string { return s })
	wantFault(t, err, fault.Internal, want)
	if p := PrincipalFrom(ctx); p.Name != "" || p.Roles != nil {
		t.Errorf("got %v", p)
	}
}

func TestReadIDsSortByTime(t *testing.T) {
	var ids []string
	seen := map[string]bool{}
	for i := range 2000 {
		id := NewReadID(time.UnixMilli(1_700_000_000_000 + int64(i/3)))
		ids, seen[id] = append(ids, id), true
	}
	if len(seen) != len(ids) {
		t.Errorf("of %d ids %d are distinct", len(ids), len(seen))
	}
	for i, id := range ids {
		if len(id) != 29 || !strings.HasPrefix(id, "rd_") {
			t.Fatalf("got %q", id)
		}
		if i > 0 && id[:12] < ids[i-1][:12] {
			t.Errorf("%s comes before %s", id, ids[i-1])
		}
		// They are base 32 of 48 bits of time and 80 of chance.
		raw, err := base32.NewEncoding(readIDAlphabet).WithPadding(base32.NoPadding).DecodeString(id[3:])
		if err != nil || len(raw) != 16 || binary.BigEndian.Uint64(raw)>>16 != uint64(1_700_000_000_000+i/3) {
			t.Fatalf("%s is not the id of its time: %x %v", id, raw, err)
		}
	}
}
