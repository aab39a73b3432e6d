package server

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/test/bufconn"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// logged is a log that tests read.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// guarded is a server behind a Guard, with the roles and services of the fixture.
type guarded struct {
	t     *testing.T
	pool  *pgxpool.Pool
	audit *access.AuditLog
	guard *Guard
	conn  *grpc.ClientConn
	log   *logged
	// seen is the number of the last audit record that records returned.
	seen int64
}

func fixtureRoles() []*feature.RoleVersion {
	role := func(name string, grants ...string) *feature.RoleVersion {
		r := &feature.RoleVersion{Version: 1, Role: feature.Role{Name: name}}
		for _, text := range grants {
			what, on, _ := strings.Cut(text, " on ")
			g := feature.Grant{Actions: strings.Split(what, ",")}
			for _, pattern := range strings.Split(on, ",") {
				kind, name, _ := strings.Cut(pattern, ":")
				g.Resources = append(g.Resources, feature.ResourcePattern{Kind: kind, Name: name})
			}
			r.Grants = append(r.Grants, g)
		}
		return r
	}
	return []*feature.RoleVersion{
		role("engineer", "register on catalog:*", "list on view:*,source:*,dataset:*,service:*", "materialize on view:*",
			"ingest on source:*", "read_lineage on view:*"),
		role("scientist", "read_offline,list on service:*,view:*,dataset:*", "read_lineage on view:*"),
		role("model", "read_online on service:delay_model_v1"),
		role("auditor", "read_audit on system:*"),
		{Version: 1, Role: feature.Role{Name: "oncall", MayElevateTo: []string{feature.AdminRole}}},
	}
}

func fixtureService(ref string) *feature.ServiceVersion {
	pin := feature.ServicePin{View: &feature.ViewVersion{Version: 1, View: feature.View{Name: "airport_delays"}}}
	for _, s := range []*feature.ServiceVersion{
		{Version: 2, Service: feature.Service{Name: "delay_model_v1", ServesAsGrant: true}, Pins: []feature.ServicePin{pin}},
		{Version: 1, Service: feature.Service{Name: "open_service"}, Pins: []feature.ServicePin{pin}},
	} {
		if ref == s.Name || ref == s.Ref() {
			return s
		}
	}
	return nil
}

// serve starts a server; register puts services on it.
func serve(t *testing.T, register func(*guarded, *grpc.Server)) *guarded {
	t.Helper()
	g := &guarded{t: t, pool: testenv.Postgres(t), log: &logged{}}
	out := slog.New(slog.NewTextHandler(g.log, nil))
	var err error
	if g.audit, err = access.OpenAuditLog(t.TempDir(), g.pool, access.AuditOptions{Log: out}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.audit.Close() })
	authenticator := access.NewAuthenticator(g.pool)
	t.Cleanup(authenticator.Close)
	policy := access.NewPolicy(fixtureRoles())
	g.guard, err = NewGuard(GuardConfig{
		Authenticator: authenticator, Policies: func() *access.Policy { return policy }, Audit: g.audit,
		Service: fixtureService, Log: out,
	})
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(g.guard.Options()...)
	register(g, server)
	if err := CheckMethods(server.GetServiceInfo()); err != nil {
		t.Fatal(err)
	}
	listener := bufconn.Listen(1 << 20)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		<-served
	})
	g.conn, err = grpc.NewClient("passthrough:///bufconn", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.conn.Close() })
	return g
}

// token makes a token of a principal named after its first role.
func (g *guarded) token(roles ...string) (access.Token, string) {
	g.t.Helper()
	name := "nobody"
	if len(roles) > 0 {
		name = "the_" + roles[0]
	} else {
		roles = []string{}
	}
	token, text, err := access.CreateToken(context.Background(), g.pool,
		access.NewToken{Principal: name, Roles: roles, TTL: time.Hour, CreatedBy: "test"}, func(string) bool { return true })
	if err != nil {
		g.t.Fatal(err)
	}
	return token, text
}

func withToken(text string) context.Context {
	return metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+text)
}

// as is a context of a principal with these roles.
func (g *guarded) as(roles ...string) context.Context {
	g.t.Helper()
	_, text := g.token(roles...)
	return withToken(text)
}

// records are the audit records since the last call.
func (g *guarded) records() []access.Record {
	g.t.Helper()
	if err := g.audit.Flush(context.Background()); err != nil {
		g.t.Fatal(err)
	}
	all, err := g.audit.List(context.Background(), access.AuditFilter{Limit: 1 << 20})
	if err != nil {
		g.t.Fatal(err)
	}
	var fresh []access.Record
	for _, r := range all {
		if r.Number > g.seen {
			fresh = append(fresh, r)
		}
	}
	for _, r := range fresh {
		g.seen = max(g.seen, r.Number)
	}
	return fresh
}

// wantRecords expects the records since the last call, as `DECISION PRINCIPAL ACTION RESOURCE: REASON`.
func (g *guarded) wantRecords(want ...string) []access.Record {
	g.t.Helper()
	records := g.records()
	var got []string
	for _, r := range records {
		got = append(got, fmt.Sprintf("%s %s %s %s: %s", r.Decision, r.Principal, r.Action, r.Resource, r.Reason))
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		g.t.Errorf("got the records\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
	return records
}

// wantFault expects what a caller is told.
func wantFault(t *testing.T, err error, reason fault.Reason, message string) {
	t.Helper()
	f := fault.FromError(err)
	if f == nil {
		t.Fatalf("got no error, want %s", reason)
	}
	if f.Reason != reason || f.Error() != message {
		t.Errorf("got %s %q\nwant %s %q", f.Reason, f.Error(), reason, message)
	}
}
