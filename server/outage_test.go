package server

import (
	"context"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// proxy stands between the server and a store, so that the store can be gone.
type proxy struct {
	listener net.Listener
	to       string
	mu       sync.Mutex
	gone     bool
	conns    map[net.Conn]bool
	running  sync.WaitGroup
}

// newProxy returns the store's URL by way of the proxy.
func newProxy(t testing.TB, store string) (*proxy, string) {
	t.Helper()
	u, err := url.Parse(store)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, to: u.Host, conns: map[net.Conn]bool{}}
	if socket := u.Query().Get("host"); socket != "" {
		p.to = socket + "/.s.PGSQL." + u.Query().Get("port")
		u.RawQuery = ""
	}
	u.Host = l.Addr().String()
	p.running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.running.Go(func() { p.carry(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.setGone(true)
		p.running.Wait()
	})
	return p, u.String()
}

func (p *proxy) carry(c net.Conn) {
	defer c.Close()
	network := "tcp"
	if strings.HasPrefix(p.to, "/") {
		network = "unix"
	}
	s, err := net.Dial(network, p.to)
	if err != nil {
		return
	}
	defer s.Close()
	p.mu.Lock()
	if p.gone {
		p.mu.Unlock()
		return
	}
	p.conns[c], p.conns[s] = true, true
	p.mu.Unlock()
	p.running.Go(func() {
		io.Copy(s, c)
		s.Close()
	})
	io.Copy(c, s)
	p.mu.Lock()
	delete(p.conns, c)
	delete(p.conns, s)
	p.mu.Unlock()
}

func (p *proxy) setGone(gone bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone = gone
	if gone {
		for c := range p.conns {
			c.Close()
		}
	}
}

// calls is one call of each method that needs Postgres.
func (p *product) calls(ctx context.Context) map[string]func() error {
	content := flights(flight("ORD", 7, time.Now(), feature.Float64(1))).arrow(p.t)
	spine := spineOf(asked("ORD", 7, time.Now())).arrow(p.t)
	view := headwaterv1.DefinitionKind_DEFINITION_KIND_VIEW
	return map[string]func() error{
		"Plan": func() error {
			_, err := p.registry.Plan(ctx, &headwaterv1.PlanRequest{Files: files(definitions())})
			return err
		},
		"Apply": func() error {
			_, err := p.registry.Apply(ctx, &headwaterv1.ApplyRequest{Files: files(definitions())})
			return err
		},
		"GetDefinition": func() error {
			_, err := p.registry.GetDefinition(ctx, &headwaterv1.GetDefinitionRequest{Kind: view, Name: "delays"})
			return err
		},
		"Ingest": func() error { _, err := p.send(ctx, "flights", p.header([]byte("y"), 0), content, 1000); return err },
		"ListLoads": func() error {
			_, err := p.loads.ListLoads(ctx, &headwaterv1.ListLoadsRequest{Source: "flights"})
			return err
		},
		"GetLoad": func() error { _, err := p.loads.GetLoad(ctx, &headwaterv1.GetLoadRequest{Id: 1}); return err },
		"RetractLoad": func() error {
			_, err := p.loads.RetractLoad(ctx, &headwaterv1.RetractLoadRequest{Id: 1, Reason: "r"})
			return err
		},
		"Materialize": func() error {
			_, err := p.materialization.Materialize(ctx, &headwaterv1.MaterializeRequest{Views: []string{"delays"}})
			return err
		},
		"ListRuns": func() error { _, err := p.materialization.ListRuns(ctx, &headwaterv1.ListRunsRequest{}); return err },
		"GetRun": func() error {
			_, err := p.materialization.GetRun(ctx, &headwaterv1.GetRunRequest{Run: "1"})
			return err
		},
		"WatchRun": func() error { _, err := p.watch(ctx, 1); return err },
		"BuildDataset": func() error {
			_, _, err := p.build(ctx, "small", &headwaterv1.BuildDatasetHeader{AllowPartial: true}, spine)
			return err
		},
		"FetchDataset": func() error { _, _, err := p.fetch(ctx, "small@1"); return err },
		"VerifyDataset": func() error {
			_, err := p.datasets.VerifyDataset(ctx, &headwaterv1.VerifyDatasetRequest{Dataset: "small@1"})
			return err
		},
		"GetDataset": func() error {
			_, err := p.datasets.GetDataset(ctx, &headwaterv1.GetDatasetRequest{Dataset: "small@1"})
			return err
		},
		"ListDatasets": func() error { _, err := p.datasets.ListDatasets(ctx, &headwaterv1.ListDatasetsRequest{}); return err },
		"GetLineage": func() error {
			_, err := p.lineage.GetLineage(ctx, &headwaterv1.GetLineageRequest{Node: "view:delays", Direction: headwaterv1.LineageDirection_LINEAGE_DIRECTION_UP})
			return err
		},
		"CreateToken": func() error {
			_, err := p.access.CreateToken(ctx, &headwaterv1.CreateTokenRequest{Principal: "x", Roles: []string{"admin"}})
			return err
		},
		"ListTokens": func() error { _, err := p.access.ListTokens(ctx, &headwaterv1.ListTokensRequest{}); return err },
		"ListAuditRecords": func() error {
			_, err := p.access.ListAuditRecords(ctx, &headwaterv1.ListAuditRecordsRequest{})
			return err
		},
	}
}

func (p *product) someData() {
	p.t.Helper()
	p.apply(definitions())
	p.ingest(flights(flight("ORD", 7, time.Now().Add(-time.Hour), feature.Float64(1))), 0)
	p.materialize("delays")
	if _, _, err := p.build(p.admin, "small", &headwaterv1.BuildDatasetHeader{AllowPartial: true}, spineOf(asked("ORD", 7, time.Now())).arrow(p.t)); err != nil {
		p.t.Fatal(err)
	}
}

// noDriver fails for words that a caller has no use of.
func noDriver(t testing.TB, name string, err error) {
	t.Helper()
	for _, word := range []string{"pgx", "pgconn", "SQLSTATE 4", "dial tcp", "EOF", "goroutine", "redis:", "failed to connect", "read tcp", "broken pipe", "i/o timeout", "panic"} {
		if strings.Contains(err.Error(), word) {
			t.Errorf("%s: found %q in %v", name, word, err)
		}
	}
}

func TestPostgresGone(t *testing.T) {
	direct := testenv.PostgresURL(t)
	between, way := newProxy(t, direct)
	p := openProduct(t, way, testenv.RedisURL(t))
	p.someData()
	for name, call := range p.calls(p.admin) {
		if name != "Ingest" && name != "RetractLoad" {
			if err := call(); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
	stranger := p.as("new", "admin")
	between.setGone(true)
	// The first call after it finds its connection broken, the later ones find none.
	for range 2 {
		for name, call := range p.calls(p.admin) {
			err := call()
			f := fault.FromError(err)
			if f == nil || f.Reason != fault.PostgresUnavailable || status.Code(err) != codes.Unavailable {
				t.Errorf("%s: found %v, expected POSTGRES_UNAVAILABLE", name, f)
				continue
			}
			noDriver(t, name, err)
		}
	}
	// What needs no Postgres is answered.
	if got := p.delayOf("small", "ORD"); got != "1/PRESENT" {
		t.Errorf("found %s", got)
	}
	_, err := p.online.GetFeatures(stranger, &headwaterv1.GetFeaturesRequest{Service: "small", Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("ORD")}})
	wantFault(t, err, fault.PostgresUnavailable, "the token cannot be checked, for Postgres does not answer; try again, and if it goes on see the server's log")
	if strings.Contains(p.log.String(), "internal error") {
		t.Errorf("found internal errors: %s", p.log)
	}
	between.setGone(false)
	eventually(t, "Postgres to be back", func() bool {
		_, err := p.loads.ListLoads(p.admin, &headwaterv1.ListLoadsRequest{Source: "flights"})
		return err == nil
	})
	p.materialize("delays")
}

func TestRedisGone(t *testing.T) {
	between, way := newProxy(t, testenv.RedisURL(t))
	p := openProduct(t, testenv.PostgresURL(t), way)
	p.someData()
	between.setGone(true)
	// An answer in which nothing is known is an error, also to who would take a part.
	for _, partial := range []bool{false, true} {
		_, err := p.online.GetFeatures(p.admin, &headwaterv1.GetFeaturesRequest{Service: "small", AllowPartial: partial, Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("ORD")}})
		f := fault.FromError(err)
		if f == nil || f.Reason != fault.RedisUnavailable || status.Code(err) != codes.Unavailable {
			t.Fatalf("found %v", err)
		}
		noDriver(t, "GetFeatures", err)
	}
	// Everything else goes on, and the rows get there when Redis is back.
	p.ingest(flights(flight("ORD", 7, time.Now().Add(-time.Minute), feature.Float64(2))), 0)
	r, err := p.materialization.Materialize(p.admin, &headwaterv1.MaterializeRequest{Views: []string{"delays"}})
	if err != nil {
		t.Fatal(err)
	}
	id := r.GetRuns()[0].GetId()
	eventually(t, "the run to be published", func() bool {
		r, err := p.materialization.GetRun(p.admin, &headwaterv1.GetRunRequest{Run: "delays@1/2"})
		return err == nil && r.GetRun().GetState() == headwaterv1.RunState_RUN_STATE_PUBLISHED && r.GetRun().GetOnlineState() == headwaterv1.OnlineState_ONLINE_STATE_PENDING
	})
	between.setGone(false)
	last, err := p.watch(p.admin, id)
	if err != nil || last.GetOnlineState() != headwaterv1.OnlineState_ONLINE_STATE_LOADED {
		t.Fatalf("found %v, %v", last, err)
	}
	if got := p.delayOf("small", "ORD"); got != "2/PRESENT" {
		t.Errorf("found %s", got)
	}
}

// Text that Postgres cannot hold is the caller's mistake in every method, and never an internal error.
func TestNULInRequests(t *testing.T) {
	p := newProduct(t)
	p.someData()
	const nul = "a\x00b"
	content := flights(flight("ORD", 7, time.Now(), feature.Float64(1))).arrow(t)
	header := p.header([]byte("y"), 0)
	header.FileName = nul
	for name, call := range map[string]func() error{
		"file name": func() error { _, err := p.send(p.admin, "flights", header, content, 1000); return err },
		"reason": func() error {
			_, err := p.loads.RetractLoad(p.admin, &headwaterv1.RetractLoadRequest{Id: 1, Reason: nul})
			return err
		},
		"dataset": func() error {
			_, err := p.datasets.GetDataset(p.admin, &headwaterv1.GetDatasetRequest{Dataset: nul})
			return err
		},
		"fetch": func() error { _, _, err := p.fetch(p.admin, nul+"@1"); return err },
		"dataset name": func() error {
			_, err := p.datasets.ListDatasets(p.admin, &headwaterv1.ListDatasetsRequest{Name: nul})
			return err
		},
		"run": func() error {
			_, err := p.materialization.GetRun(p.admin, &headwaterv1.GetRunRequest{Run: nul + "@1/1"})
			return err
		},
		"view": func() error {
			_, err := p.materialization.ListRuns(p.admin, &headwaterv1.ListRunsRequest{View: nul})
			return err
		},
		"service": func() error {
			_, err := p.online.GetFeatures(p.admin, &headwaterv1.GetFeaturesRequest{Service: nul, Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("x")}})
			return err
		},
		"node": func() error {
			_, err := p.lineage.GetLineage(p.admin, &headwaterv1.GetLineageRequest{Node: "source:" + nul, Direction: headwaterv1.LineageDirection_LINEAGE_DIRECTION_UP})
			return err
		},
		"origin": func() error {
			d := definitions()
			d.Services = append(d.Services, feature.Service{Name: "more", Views: []feature.ServiceView{{View: "delays"}}})
			_, err := p.registry.Apply(p.admin, &headwaterv1.ApplyRequest{Files: files(d), Origin: nul})
			return err
		},
		"description": func() error {
			d := definitions()
			d.Views[0].Description = nul
			_, err := p.registry.Apply(p.admin, &headwaterv1.ApplyRequest{Files: files(d)})
			return err
		},
		"principal": func() error {
			_, err := p.access.CreateToken(p.admin, &headwaterv1.CreateTokenRequest{Principal: nul, Roles: []string{"admin"}})
			return err
		},
		"token": func() error {
			_, err := p.access.RevokeToken(p.admin, &headwaterv1.RevokeTokenRequest{Id: nul})
			return err
		},
		"audit": func() error {
			_, err := p.access.ListAuditRecords(p.admin, &headwaterv1.ListAuditRecordsRequest{Principal: nul, Resource: nul})
			return err
		},
	} {
		err := call()
		if code := status.Code(err); code != codes.InvalidArgument && code != codes.NotFound {
			t.Errorf("%s: found %v", name, err)
		}
	}
	// The records of these calls do not hold up those after them.
	if records := p.records(p.admin); len(records) == 0 {
		t.Error("found no records")
	}
}

// What a caller names is not repeated to it at length: statuses travel in headers.
func TestLongNames(t *testing.T) {
	p := newProduct(t)
	p.someData()
	long := strings.Repeat("x", 1<<20)
	for name, call := range map[string]func() error{
		"service": func() error {
			_, err := p.online.GetFeatures(p.admin, &headwaterv1.GetFeaturesRequest{Service: long, Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("x")}})
			return err
		},
		"key": func() error {
			_, err := p.online.GetFeatures(p.admin, &headwaterv1.GetFeaturesRequest{Service: "small", Keys: map[string]*headwaterv1.KeyColumn{long: texts("x")}})
			return err
		},
		"dataset": func() error {
			_, err := p.datasets.GetDataset(p.admin, &headwaterv1.GetDatasetRequest{Dataset: long})
			return err
		},
		"spine": func() error {
			s := spineOf(asked("ORD", 7, time.Now()))
			s.columns[2].Name = long[:500_000]
			_, _, err := p.build(p.admin, "small", &headwaterv1.BuildDatasetHeader{}, s.arrow(t))
			return err
		},
	} {
		f := fault.FromError(call())
		if f == nil || f.Reason == fault.Internal || len(f.Error()) > 16<<10 {
			t.Errorf("%s: found %s and a message of %d bytes", name, f.Reason, len(f.Error()))
		}
	}
}
