package access

import (
	"context"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

func oncallPolicy() *Policy {
	return NewPolicy([]*feature.RoleVersion{
		{Version: 1, Role: feature.Role{Name: "oncall", MayElevateTo: []string{feature.AdminRole}, MaxElevation: 2 * time.Hour}},
		{Version: 1, Role: feature.Role{Name: "helper", MayElevateTo: []string{feature.AdminRole, "oncall"}}},
		{Version: 1, Role: feature.Role{Name: "broken", MayElevateTo: []string{feature.AdminRole}, Grants: []feature.Grant{{Actions: []string{"read"}}}}},
	})
}

func TestWhoMayElevate(t *testing.T) {
	pool := testenv.Postgres(t)
	audit, err := OpenAuditLog(t.TempDir(), pool, AuditOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer audit.Close()
	as := func(p *Principal) *Session {
		_, s := Begin(context.Background(), Call{Audit: audit, Principal: p, Policy: oncallPolicy(), Method: "/m"})
		return s
	}
	dev := NewPrincipal("dev", []string{"helper", "oncall", "gone"}, nil)
	if err := as(dev).RequireElevation(feature.AdminRole, 2*time.Hour); err != nil {
		t.Error(err)
	}
	wantFault(t, as(dev).RequireElevation(feature.AdminRole, 2*time.Hour+1), fault.InvalidArgument,
		"found 2h0m0.000000001s for an elevation to role admin, expected more than nothing and at most 2h0m0s, as role oncall says")
	wantFault(t, as(dev).RequireElevation("oncall", 61*time.Minute), fault.InvalidArgument,
		"found 1h1m0s for an elevation to role oncall, expected more than nothing and at most 1h0m0s, as role helper says")
	wantFault(t, as(dev).RequireElevation("nosuch", time.Minute), fault.PermissionDenied,
		"dev may not administer role:nosuch: none of the roles [helper oncall gone] may elevate to it; whoever administers the roles can change that")
	if err := as(NewPrincipal("x", []string{"broken"}, nil)).RequireElevation(feature.AdminRole, time.Minute); fault.ReasonOf(err) != fault.PermissionDenied {
		t.Errorf("a role that cannot be meant: got %v", err)
	}
	// What was taken takes nothing more.
	helper := NewPrincipal("h", []string{"reader"}, nil).with([]Elevation{{Role: "helper", Reason: "r"}})
	if err := as(helper).RequireElevation(feature.AdminRole, time.Minute); fault.ReasonOf(err) != fault.PermissionDenied {
		t.Errorf("by a role that was taken: got %v", err)
	}
	scoped := newPrincipal(Principal{Name: "s", Roles: []string{"oncall"}, scopes: []Scope{{ActionList, KindView, "*"}}})
	if err := as(scoped).RequireElevation(feature.AdminRole, time.Minute); fault.ReasonOf(err) != fault.PermissionDenied {
		t.Errorf("beyond the scopes of a token: got %v", err)
	}
	if p := scoped.with([]Elevation{{Role: feature.AdminRole, Reason: "r"}}); as(p).Require(ActionAdminister, KindSystem, Whole) == nil {
		t.Error("what was taken goes beyond the scopes of a token")
	}
	if as(dev).RequireEnd("dev") != nil || as(dev).RequireEnd("other") == nil {
		t.Error("one may end one's own, and not that of others")
	}
}

func elevate(t *testing.T, pool *pgxpool.Pool, p *Principal, d time.Duration, reason string) Elevation {
	t.Helper()
	var e Elevation
	err := pgx.BeginFunc(context.Background(), pool, func(tx pgx.Tx) (err error) {
		e, err = Elevate(context.Background(), tx, p, feature.AdminRole, d, reason)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestLifeOfAnElevation(t *testing.T) {
	ctx, pool := context.Background(), testenv.Postgres(t)
	out := &strings.Builder{}
	clock := &clock{}
	// What was seen stays in force, however long the test takes.
	clock.stop()
	e := &Elevations{db: pool, log: slog.New(slog.NewTextHandler(out, nil)), now: clock.now}
	look := func() {
		t.Helper()
		if err := e.look(ctx); err != nil {
			t.Fatal(err)
		}
	}
	look()
	dev, other := NewPrincipal("dev", []string{"oncall"}, map[string][]string{"team": {"a"}}), NewPrincipal("other", []string{"oncall"}, nil)
	if e.Apply(dev, clock.now()) != dev {
		t.Error("elevated without having taken anything")
	}
	taken := elevate(t, pool, dev, time.Hour, "the store is down")
	look()
	up := e.Apply(dev, clock.now())
	if !reflect.DeepEqual(up.Roles, []string{"oncall", "admin"}) || up.Name != "dev" || !reflect.DeepEqual(up.Attributes, dev.Attributes) || up.key() == dev.key() {
		t.Fatalf("got %+v", up)
	}
	if e.Apply(dev, clock.now()) != up || e.Apply(other, clock.now()) != other {
		t.Error("a principal changes while nothing does, or another one is elevated too")
	}
	if !strings.Contains(out.String(), `level=WARN msg="BREAK GLASS: a principal has taken a role for a time" principal=dev role=admin reason="the store is down"`) {
		t.Errorf("the log does not say so: %s", out)
	}
	look()
	if strings.Count(out.String(), "BREAK GLASS") != 1 {
		t.Errorf("the log says it again: %s", out)
	}

	// All that is recorded meanwhile says so.
	audit, err := OpenAuditLog(t.TempDir(), pool, AuditOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer audit.Close()
	_, s := Begin(ctx, Call{Audit: audit, Principal: up, Policy: oncallPolicy(), Method: "/m", Began: time.Now(), ReadID: "rd_1"})
	service := &feature.ServiceVersion{Version: 1, Service: feature.Service{Name: "s"}}
	if s.Require(ActionAdminister, KindSystem, Whole) != nil || s.RequireService(ActionReadOnline, "s", service) != nil {
		t.Error("the role that was taken does not allow what it does")
	}
	if err := s.End(); err != nil {
		t.Error(err)
	}
	if err := audit.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	records, err := audit.List(ctx, AuditFilter{Principal: "dev", Limit: 10})
	if err != nil || len(records) != 3 {
		t.Fatalf("got %v, %v", records, err)
	}
	for i, r := range records {
		want := "break glass: the store is down; role admin allows everything"
		if i == 0 {
			want = "break glass: the store is down; until " + taken.Until.Format(time.RFC3339)
		}
		if r.Reason != want || i > 0 && !reflect.DeepEqual(r.Roles, []string{"oncall", "admin"}) {
			t.Errorf("recorded %q with the roles %v, want %q", r.Reason, r.Roles, want)
		}
	}

	// It ends when it is ended, and then nothing is left to end.
	end := func() (ended []Elevation) {
		t.Helper()
		err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) (err error) {
			ended, err = EndElevations(ctx, tx, "dev", other)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return ended
	}
	if ended := end(); len(ended) != 1 || ended[0].EndedBy != "other" || ended[0].EndedAt.IsZero() || len(end()) != 0 {
		t.Errorf("ended %v", ended)
	}
	look()
	if e.Apply(dev, clock.now()) != dev {
		t.Error("elevated after the end")
	}

	// It ends by itself on the dot, whatever was seen last.
	taken = elevate(t, pool, dev, time.Hour, "again")
	look()
	e.away.Store(true)
	clock.advance(taken.Until.Sub(clock.now()) - time.Nanosecond)
	e.asked.Store(clock.now().UnixNano())
	if e.Apply(dev, clock.now()) == dev {
		t.Error("not elevated before the end of its time")
	}
	clock.advance(time.Nanosecond)
	if e.Apply(dev, clock.now()) != dev {
		t.Error("elevated after its time")
	}
	if list, err := ListElevations(ctx, pool, 10); err != nil || len(list) != 2 || list[0].Reason != "the store is down" || list[1].Reason != "again" {
		t.Errorf("listed %v, %v", list, err)
	}
	var n int
	if err := pool.QueryRow(ctx, `SELECT count(*) FROM headwater.audit_record WHERE method = 'elevate'`).Scan(&n); err != nil || n != 3 {
		t.Errorf("%d records of what was taken and ended, want 3 (%v)", n, err)
	}
}

func TestAnElevationThatMayHaveEndedIsNotInForce(t *testing.T) {
	ctx, direct := context.Background(), testenv.Postgres(t)
	pool, outage := withOutage(t, direct)
	clock := &clock{}
	e := &Elevations{db: pool, log: slog.New(slog.DiscardHandler), now: clock.now}
	dev := NewPrincipal("dev", []string{"oncall"}, nil)
	elevate(t, direct, dev, time.Hour, "r")
	if err := e.look(ctx); err != nil {
		t.Fatal(err)
	}
	clock.advance(RevocationBound)
	if e.Apply(dev, clock.now()) != dev {
		t.Error("in force although Postgres was not asked for too long")
	}
	outage.begin()
	if err := e.look(ctx); err == nil {
		t.Fatal("Postgres was reached")
	}
	if e.Apply(dev, clock.now()) == dev {
		t.Error("an outage of Postgres ends what was taken, when it may be needed")
	}
	clock.advance(OutageBound)
	if e.Apply(dev, clock.now()) != dev {
		t.Error("in force beyond the bound of an outage")
	}
}

func TestElevationsNeedAReason(t *testing.T) {
	_, secret := newSecret()
	for _, reason := range []string{"", " ", "a\nb", strings.Repeat("x", 501), "hw_abcdefghijklmnop_" + secret} {
		_, err := Elevate(context.Background(), nil, NewPrincipal("dev", nil, nil), "admin", time.Hour, reason)
		wantFault(t, err, fault.InvalidArgument, "an elevation needs a reason\n  reason: found none that can be kept, expected 1 to 500 bytes on one line, without secrets")
	}
}
