package server

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/status"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// oneOf is a server of several, which can be stopped and started again at its address.
type oneOf struct {
	t       *testing.T
	config  Config
	address string
	server  *Server
	served  chan error
}

func (o *oneOf) start() {
	o.t.Helper()
	var err error
	if o.server, err = Open(context.Background(), o.config); err != nil {
		o.t.Fatal(err)
	}
	listener, err := net.Listen("tcp", o.address)
	if err != nil {
		o.t.Fatal(err)
	}
	o.address, o.served = listener.Addr().String(), make(chan error, 1)
	go func() { o.served <- o.server.Serve(listener) }()
}

func (o *oneOf) stop() {
	o.t.Helper()
	if o.server == nil {
		return
	}
	if err := o.server.Close(context.Background()); err != nil {
		o.t.Errorf("closing a server: %v", err)
	}
	if err := <-o.served; err != nil {
		o.t.Errorf("serving: %v", err)
	}
	o.server = nil
}

// Clients that spread their calls over two servers see none fail while each of them is stopped and started again, with and without
// a look at the servers' health.
func TestARollingStopFailsNoCall(t *testing.T) {
	p := newProduct(t)
	p.someData()
	var servers []*oneOf
	r := manual.NewBuilderWithScheme("several")
	var addresses []resolver.Address
	for range 2 {
		o := &oneOf{t: t, address: "127.0.0.1:0", config: Config{
			PostgresURL: p.url, RedisURL: p.redisURL, AuditDir: t.TempDir(), Version: "test", DrainDelay: 50 * time.Millisecond, DrainTime: time.Minute,
			Log: slog.New(slog.DiscardHandler),
		}}
		o.start()
		t.Cleanup(o.stop)
		servers = append(servers, o)
		addresses = append(addresses, resolver.Address{Addr: o.address})
	}
	r.InitialState(resolver.State{Addresses: addresses})

	// answers counts by client and server.
	var mu sync.Mutex
	answers := map[string]int{}
	var failed atomic.Bool
	var callers sync.WaitGroup
	stop := make(chan struct{})
	clients := map[string]string{"plain": "", "watching": `,"healthCheckConfig":{"serviceName":"headwater.v1.OnlineService"}`}
	for name, health := range clients {
		conn, err := grpc.NewClient("several:///", grpc.WithResolvers(r), grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"round_robin":{}}]`+health+`}`))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		online := headwaterv1.NewOnlineServiceClient(conn)
		for range 4 {
			callers.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					var by peer.Peer
					_, err := online.GetFeatures(p.admin, &headwaterv1.GetFeaturesRequest{
						Service: "small", Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("ORD")},
					}, grpc.Peer(&by))
					if err != nil {
						t.Errorf("%s: %v", name, err)
						failed.Store(true)
						return
					}
					mu.Lock()
					answers[name+" "+by.Addr.String()]++
					mu.Unlock()
				}
			})
		}
	}
	// answered returns when each client has got further answers of each of these servers.
	answered := func(by ...*oneOf) {
		t.Helper()
		mu.Lock()
		clear(answers)
		mu.Unlock()
		enough := func() bool {
			mu.Lock()
			defer mu.Unlock()
			for name := range clients {
				for _, o := range by {
					if answers[name+" "+o.address] < 20 {
						return false
					}
				}
			}
			return true
		}
		for !enough() && !failed.Load() {
			time.Sleep(time.Millisecond)
		}
	}
	answered(servers...)
	for i, o := range servers {
		o.stop()
		answered(servers[1-i])
		o.start()
		answered(servers...)
	}
	close(stop)
	callers.Wait()
}

// Whoever watches a server's health is told of its end, and does not hold it up.
func TestHealthTellsOfTheEndFirst(t *testing.T) {
	p := openProductWith(t, Config{PostgresURL: testenv.PostgresURL(t), RedisURL: testenv.RedisURL(t), DrainTime: time.Hour})
	watch, err := healthv1.NewHealthClient(p.conn).Watch(context.Background(), &healthv1.HealthCheckRequest{Service: "headwater.v1.OnlineService"})
	if err != nil {
		t.Fatal(err)
	}
	next := func() healthv1.HealthCheckResponse_ServingStatus {
		t.Helper()
		r, err := watch.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return r.GetStatus()
	}
	if s := next(); s != healthv1.HealthCheckResponse_SERVING {
		t.Errorf("got %s", s)
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		p.close()
	}()
	if s := next(); s != healthv1.HealthCheckResponse_NOT_SERVING {
		t.Errorf("got %s", s)
	}
	<-closed
}

func TestHealthIsThatOfEachService(t *testing.T) {
	postgres, postgresWay := newProxy(t, testenv.PostgresURL(t))
	redis, redisWay := newProxy(t, testenv.RedisURL(t))
	p := openProduct(t, postgresWay, redisWay)
	health := healthv1.NewHealthClient(p.conn)
	serves := func(service string) bool {
		t.Helper()
		r, err := health.Check(context.Background(), &healthv1.HealthCheckRequest{Service: service})
		if err != nil {
			t.Fatal(err)
		}
		return r.GetStatus() == healthv1.HealthCheckResponse_SERVING
	}
	const online, registry = "headwater.v1.OnlineService", "headwater.v1.RegistryService"
	if !serves("") || !serves(online) || !serves(registry) {
		t.Fatal("not everything serves at the start")
	}
	redis.setGone(true)
	eventually(t, "online reads not to be served", func() bool { return !serves(online) })
	if !serves("") || !serves(registry) {
		t.Error("without Redis the registry or the server as a whole is not served")
	}
	redis.setGone(false)
	eventually(t, "online reads to be served again", func() bool { return serves(online) })
	postgres.setGone(true)
	eventually(t, "the registry not to be served", func() bool { return !serves(registry) })
	if !serves("") || !serves(online) {
		t.Error("without Postgres online reads or the server as a whole are not served")
	}
	postgres.setGone(false)
	eventually(t, "the registry to be served again", func() bool { return serves(registry) })
	if _, err := health.Check(context.Background(), &healthv1.HealthCheckRequest{Service: "unknown"}); status.Code(err) != codes.NotFound {
		t.Errorf("got %v", err)
	}
}

func listServices(t *testing.T, p *product) (names []string, err error) {
	t.Helper()
	stream, err := grpc_reflection_v1.NewServerReflectionClient(p.conn).ServerReflectionInfo(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	_ = stream.Send(&grpc_reflection_v1.ServerReflectionRequest{MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_ListServices{}})
	r, err := stream.Recv()
	for _, s := range r.GetListServicesResponse().GetService() {
		names = append(names, s.GetName())
	}
	return names, err
}

func TestReflectionCanBeTurnedOff(t *testing.T) {
	if names, err := listServices(t, newProduct(t)); err != nil || !strings.Contains(fmt.Sprint(names), "headwater.v1.OnlineService") {
		t.Errorf("got %v, %v", names, err)
	}
	hidden := openProductWith(t, Config{PostgresURL: testenv.PostgresURL(t), RedisURL: testenv.RedisURL(t), NoReflection: true})
	if names, err := listServices(t, hidden); status.Code(err) != codes.Unimplemented {
		t.Errorf("got %v, %v, want UNIMPLEMENTED", names, err)
	}
}

func TestAServerThatAsksNobody(t *testing.T) {
	p := openProductWith(t, Config{PostgresURL: testenv.PostgresURL(t), RedisURL: testenv.RedisURL(t), InsecureNoAuth: true})
	if got := p.log.String(); !strings.Contains(got, "THIS SERVER ASKS NOBODY WHO CALLS") || !strings.Contains(got, "level=WARN") {
		t.Errorf("the log does not say so: %s", got)
	}
	p.admin = context.Background()
	p.someData()
	for name, ctx := range map[string]context.Context{
		"no token": context.Background(), "a wrong one": withToken("letmein"), "one of another": withToken("hw_" + strings.Repeat("a", 16) + "_" + strings.Repeat("0", 43)),
	} {
		p.admin = ctx
		if got := p.delayOf("small", "ORD"); got != "1/PRESENT" {
			t.Errorf("%s: found %s", name, got)
		}
	}
	for _, r := range p.records(context.Background()) {
		if r.GetMethod() != "publish" || r.GetPrincipal() != "anonymous" {
			t.Errorf("found the record %v, expected publications alone", r)
		}
	}
	if n := p.count(`SELECT count(*) FROM headwater.audit_record WHERE method = 'publish'`); n == 0 {
		t.Error("publications are not recorded")
	}
	scraped := httptest.NewRecorder()
	p.server.MetricsHandler().ServeHTTP(scraped, httptest.NewRequest("GET", "/metrics", nil))
	if !bytes.Contains(scraped.Body.Bytes(), []byte("\nheadwater_authentication 0\n")) {
		t.Errorf("the metrics do not say so:\n%s", scraped.Body)
	}
	// Another server on the same stores asks.
	other := openProduct(t, p.url, p.redisURL)
	_, err := other.online.GetFeatures(context.Background(), &headwaterv1.GetFeaturesRequest{Service: "small"})
	if status.Code(err) != codes.Unauthenticated {
		t.Errorf("got %v, want UNAUTHENTICATED", err)
	}
	if strings.Contains(other.log.String(), "ASKS NOBODY") {
		t.Error("a server that asks says that it does not")
	}
}

func TestMessagesOverTheLimits(t *testing.T) {
	p := openProductWith(t, Config{
		PostgresURL: testenv.PostgresURL(t), RedisURL: testenv.RedisURL(t), Limits: Limits{RequestBytes: 20_000, AnswerBytes: 20_000},
	})
	p.someData()
	all := definitions()
	all.Services = append(all.Services, feature.Service{Name: "wide", Views: []feature.ServiceView{{View: "delays"}}})
	p.apply(all)
	read := func(service, key string, n int) error {
		keys := make([]string, n)
		for i := range keys {
			keys[i] = key
		}
		_, err := p.online.GetFeatures(p.admin, &headwaterv1.GetFeaturesRequest{
			Service: service, Keys: map[string]*headwaterv1.KeyColumn{"origin": texts(keys...)},
		})
		return err
	}
	if err := read("small", "ORD", 100); err != nil {
		t.Fatal(err)
	}
	large := func(err error) {
		t.Helper()
		if status.Code(err) != codes.ResourceExhausted || fault.FromError(err).Reason != fault.ResourceExhausted {
			t.Errorf("got %v, want RESOURCE_EXHAUSTED", err)
		}
	}
	large(read("small", strings.Repeat("x", 20_000), 1))
	// Within what a request may have, and beyond what an answer may.
	if err := read("small", "ORD", 1000); err != nil {
		t.Fatal(err)
	}
	large(read("wide", "ORD", 1000))
}
