package client_test

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"

	"github.com/headwaterhq/headwater/client"
	"github.com/headwaterhq/headwater/definition"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
	"github.com/headwaterhq/headwater/server"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// gate stands before an address: it can be shut, so that nothing goes through, and cut, so that all connections end.
type gate struct {
	listener net.Listener
	to       string
	running  sync.WaitGroup

	mu   sync.Mutex
	open *sync.Cond
	shut bool
	// held is how many pieces wait until it opens.
	held  int
	ended bool
	conns map[net.Conn]bool
}

func newGate(t *testing.T, at, to string) *gate {
	t.Helper()
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	return newGateOn(t, l, to)
}

func newGateOn(t *testing.T, l net.Listener, to string) *gate {
	t.Helper()
	g := &gate{listener: l, to: to, conns: map[net.Conn]bool{}}
	g.open = sync.NewCond(&g.mu)
	g.running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			g.running.Go(func() { g.carry(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		g.mu.Lock()
		g.ended = true
		g.mu.Unlock()
		g.setShut(false)
		g.cut()
		g.running.Wait()
	})
	return g
}

func (g *gate) carry(c net.Conn) {
	defer c.Close()
	to, err := net.Dial("tcp", g.to)
	if err != nil {
		return
	}
	defer to.Close()
	g.mu.Lock()
	if g.ended {
		g.mu.Unlock()
		return
	}
	g.conns[c], g.conns[to] = true, true
	g.mu.Unlock()
	g.running.Go(func() { g.pass(to, c) })
	g.pass(c, to)
	g.mu.Lock()
	delete(g.conns, c)
	delete(g.conns, to)
	g.mu.Unlock()
}

// pass carries bytes while the gate is open.
func (g *gate) pass(to, from net.Conn) {
	defer to.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		g.mu.Lock()
		g.held++
		for g.shut {
			g.open.Wait()
		}
		g.held--
		g.mu.Unlock()
		if _, werr := to.Write(buffer[:n]); err != nil || werr != nil {
			return
		}
	}
}

func (g *gate) setShut(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = shut
	g.open.Broadcast()
}

// holds reports whether something waits.
func (g *gate) holds() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.held > 0
}

func (g *gate) cut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.conns {
		c.Close()
	}
}

// store is a server on a Postgres and a Redis, which others may share.
type store struct {
	t       *testing.T
	config  server.Config
	server  *server.Server
	served  chan error
	address string
	token   string
}

// openStore starts a server at an address, with nothing applied.
func openStore(t *testing.T, at string, c server.Config) *store {
	t.Helper()
	c.Version, c.Log = "test", slog.New(slog.DiscardHandler)
	s := &store{t: t, config: c, address: at}
	s.start()
	t.Cleanup(s.stop)
	var err error
	if s.token, err = s.server.CreateAdminToken(context.Background(), "ada"); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *store) start() {
	s.t.Helper()
	var err error
	s.config.AuditDir = s.t.TempDir()
	if s.server, err = server.Open(context.Background(), s.config); err != nil {
		s.t.Fatal(err)
	}
	l, err := net.Listen("tcp", s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.address, s.served = l.Addr().String(), make(chan error, 1)
	go func() { s.served <- s.server.Serve(l) }()
}

func (s *store) stop() {
	s.t.Helper()
	if s.server == nil {
		return
	}
	if err := errors.Join(s.server.Close(context.Background()), <-s.served); err != nil {
		s.t.Error(err)
	}
	s.server = nil
}

// metric is the value of a metric without labels.
func (s *store) metric(name string) (value string) {
	s.t.Helper()
	w := httptest.NewRecorder()
	s.server.MetricsHandler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for line := range strings.Lines(w.Body.String()) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(rest)
		}
	}
	s.t.Fatalf("found no metric %s", name)
	return ""
}

func dial(t *testing.T, address, token string, o client.Options) *client.Client {
	t.Helper()
	c, err := client.Dial(address, token, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// apply defines a service whose view has no rows.
func (s *store) apply(c *client.Client) {
	s.t.Helper()
	d := &feature.Definitions{
		Entities: []feature.Entity{{Name: "airport", JoinKeys: []feature.Column{{Name: "origin", Type: feature.TypeString}}}},
		Sources: []feature.Source{{Name: "flights", EventTime: "date", ArrivalColumn: "known", Columns: []feature.Column{
			{Name: "date", Type: feature.TypeTimestamp}, {Name: "known", Type: feature.TypeTimestamp}, {Name: "origin", Type: feature.TypeString},
			{Name: "delay", Type: feature.TypeFloat64},
		}}},
		Views: []feature.View{{Name: "delays", Entity: "airport", Features: []feature.Column{{Name: "delay", Type: feature.TypeFloat64}},
			SQL: &feature.SQLTransform{Sources: []string{"flights"}, Query: "SELECT origin, delay, event_time, available_at FROM flights " +
				"WHERE event_time >= {{interval.start}} AND event_time < {{interval.end}}"}}},
		Services: []feature.Service{{Name: "small", Views: []feature.ServiceView{{View: "delays"}}}},
	}
	_, err := c.Registry.Apply(context.Background(), &headwaterv1.ApplyRequest{
		Files: []*headwaterv1.DefinitionSource{{Path: "all.yaml", File: definition.ToProto(d)}},
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

func ofOrigin(origin string) *headwaterv1.GetFeaturesRequest {
	return &headwaterv1.GetFeaturesRequest{Service: "small", Keys: map[string]*headwaterv1.KeyColumn{"origin": {Strings: []string{origin}}}}
}

func read(c *client.Client, origin string, options ...grpc.CallOption) error {
	r, err := c.Online.GetFeatures(context.Background(), ofOrigin(origin), options...)
	if err != nil {
		return err
	}
	if value, status, err := client.NewFeatures(r).Float64("delays__delay", 0); err != nil || value != 0 || status != headwaterv1.ValueStatus_VALUE_STATUS_NO_ROW {
		return fmt.Errorf("found %v, %s, %v, expected no row", value, status, err)
	}
	return nil
}

func until(what func() bool) {
	for !what() {
		time.Sleep(time.Millisecond)
	}
}

// A server that is full says when to try again, and the client does, as often as it does.
func TestAReadThatIsRefusedForNowIsTriedAgain(t *testing.T) {
	redisURL := testenv.RedisURL(t)
	u, err := url.Parse(redisURL)
	if err != nil {
		t.Fatal(err)
	}
	redis := newGate(t, "127.0.0.1:0", u.Host)
	u.Host = redis.listener.Addr().String()
	s := openStore(t, "127.0.0.1:0", server.Config{
		PostgresURL: testenv.PostgresURL(t), RedisURL: u.String(), Limits: server.Limits{Reads: 1, WaitingReads: 1, ReadWait: time.Hour},
	})
	c := dial(t, s.address, s.token, client.Options{ReadTimeout: time.Hour})
	once := dial(t, s.address, s.token, client.Options{NoRetries: true})
	s.apply(c)
	if err := read(c, "ORD"); err != nil {
		t.Fatal(err)
	}

	redis.setShut(true)
	var reads sync.WaitGroup
	start := func(origin string) {
		reads.Go(func() {
			if err := read(c, origin); err != nil {
				t.Error(err)
			}
		})
	}
	start("JFK")
	until(func() bool { return s.metric("headwater_reads_running") == "1" })
	start("SFO")
	until(func() bool { return s.metric("headwater_reads_waiting") == "1" })
	if err := fault.As(read(once, "LAX")); err == nil || err.Reason != fault.ResourceExhausted || err.RetryAfter <= 0 {
		t.Errorf("found %v, expected a refusal that says when to try again", err)
	}
	if refused := s.metric("headwater_reads_refused_total"); refused != "1" {
		t.Errorf("found %s refusals of a read that is tried once, expected 1", refused)
	}
	// The server stays full until all tries are over, so that how many there were does not depend on how quick they are.
	if err := fault.As(read(c, "LAX")); err == nil || err.Reason != fault.ResourceExhausted {
		t.Errorf("found %v, expected that the server stays full", err)
	}
	if refused := s.metric("headwater_reads_refused_total"); refused != "5" {
		t.Errorf("found %s refusals in all, expected 4 of the read that is tried again", refused)
	}
	redis.setShut(false)
	reads.Wait()
	if err := read(c, "LAX"); err != nil {
		t.Error(err)
	}

	// What changes something is not tried again: a load that was refused may be there.
	var refused []string
	for _, method := range []string{"/headwater.v1.IngestService/Ingest", "/headwater.v1.MaterializationService/Materialize",
		"/headwater.v1.RegistryService/Apply", "/headwater.v1.RetentionService/Forget", "/headwater.v1.AccessService/CreateToken"} {
		if client.TriedAgain(method) {
			refused = append(refused, method)
		}
	}
	if len(refused) > 0 || !client.TriedAgain("/headwater.v1.OnlineService/GetFeatures") || !client.TriedAgain("/headwater.v1.MaterializationService/GetRun") {
		t.Errorf("found that %v are tried again, expected reads alone to be", refused)
	}
}

// A server that ended and came back is found again by the same client.
func TestAClientOutlivesItsServer(t *testing.T) {
	s := openStore(t, "127.0.0.1:0", server.Config{PostgresURL: testenv.PostgresURL(t), RedisURL: testenv.RedisURL(t)})
	c := dial(t, s.address, s.token, client.Options{})
	s.apply(c)
	if err := read(c, "ORD"); err != nil {
		t.Fatal(err)
	}
	s.stop()
	if err := fault.As(read(c, "ORD")); err == nil || err.Reason != fault.ServerUnavailable ||
		!strings.HasPrefix(err.Message, "no server answers at "+s.address+" (connection refused)") {
		t.Errorf("found %v, expected that no server answers", err)
	}
	s.start()
	until(func() bool {
		err := read(c, "ORD")
		if err != nil && fault.ReasonOf(err) != fault.ServerUnavailable {
			t.Errorf("found %v, expected an answer, or none yet", err)
			return true
		}
		return err == nil
	})
}

// A server's certificate must be of an authority that is trusted, and of the name that is expected.
func TestAServerIsKnownByItsCertificate(t *testing.T) {
	s := openStore(t, "127.0.0.1:0", server.Config{PostgresURL: testenv.PostgresURL(t), RedisURL: testenv.RedisURL(t)})
	s.apply(dial(t, s.address, s.token, client.Options{}))
	// Its certificate, of its own authority, is for example.com and 127.0.0.1.
	other := httptest.NewTLSServer(nil)
	defer other.Close()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: other.TLS.Certificates, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	before := newGateOn(t, l, s.address)
	authority := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: other.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	address := before.listener.Addr().String()
	for name, c := range map[string]struct {
		tls  client.TLS
		want string
	}{
		"its authority":            {client.TLS{CAFile: authority}, ""},
		"another name that it has": {client.TLS{CAFile: authority, ServerName: "example.com"}, ""},
		"an authority of others":   {client.TLS{}, "what answers at " + address + " cannot be trusted, or speaks no TLS ("},
		"another name": {client.TLS{CAFile: authority, ServerName: "store.test"},
			"what answers at " + address + " cannot be trusted, or speaks no TLS (tls: failed to verify certificate: x509: certificate is valid for example.com, "},
	} {
		t.Run(name, func(t *testing.T) {
			transport, err := c.tls.Credentials()
			if err != nil {
				t.Fatal(err)
			}
			switch err := read(dial(t, address, s.token, client.Options{Transport: transport}), "ORD"); {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (fault.ReasonOf(err) != fault.ServerUnavailable || !strings.HasPrefix(err.Error(), c.want)):
				t.Errorf("found %v, expected %s", err, c.want)
			}
		})
	}
	if _, err := (client.TLS{CertFile: authority}).Credentials(); fault.ReasonOf(err) != fault.InvalidArgument ||
		err.Error() != "found one of HEADWATER_CERT_FILE and HEADWATER_KEY_FILE, expected both, or neither" {
		t.Errorf("found %v, expected that the key is missing", err)
	}
}

// names answers for the addresses of every name, until the test ends.
func names(t *testing.T, addresses ...[4]byte) (address string) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		buffer := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if err := m.Unpack(buffer[:n]); err != nil || len(m.Questions) != 1 {
				continue
			}
			m.Response, m.Additionals = true, nil
			if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
				for _, a := range addresses {
					m.Answers = append(m.Answers, dnsmessage.Resource{
						Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 1}, Body: &dnsmessage.AResource{A: a},
					})
				}
			}
			if b, err := m.Pack(); err == nil {
				_, _ = conn.WriteTo(b, from)
			}
		}
	})
	t.Cleanup(func() {
		conn.Close()
		running.Wait()
	})
	return conn.LocalAddr().String()
}

// Calls go round over the addresses that a name has. Where the connections of one break while reads are under way, these are read
// from another.
func TestReadsGoOnWhereConnectionsBreak(t *testing.T) {
	config := server.Config{PostgresURL: testenv.PostgresURL(t), RedisURL: testenv.RedisURL(t)}
	first := openStore(t, "127.0.0.1:0", config)
	second := openStore(t, "127.0.0.1:0", config)
	before := newGate(t, "127.0.0.1:0", first.address)
	_, port, _ := net.SplitHostPort(before.listener.Addr().String())
	beside := newGate(t, "127.0.0.2:"+port, second.address)
	first.apply(dial(t, first.address, first.token, client.Options{}))

	c := dial(t, "dns://"+names(t, [4]byte{127, 0, 0, 1}, [4]byte{127, 0, 0, 2})+"/headwater.test:"+port, first.token, client.Options{ReadTimeout: time.Hour})
	seen := map[string]bool{}
	until(func() bool {
		var by peer.Peer
		if err := read(c, "ORD", grpc.Peer(&by)); err != nil {
			// The second server hears of what was applied a moment later.
			return fault.ReasonOf(err) != fault.NotFound
		}
		seen[by.Addr.String()] = true
		return len(seen) == 2
	})
	if len(seen) != 2 {
		t.Fatalf("found answers of %v, expected both", seen)
	}
	for _, g := range []*gate{before, beside} {
		g.setShut(true)
		var reads sync.WaitGroup
		for i := range 2 {
			reads.Go(func() {
				if err := read(c, fmt.Sprint(i)); err != nil {
					t.Error(err)
				}
			})
		}
		until(g.holds)
		g.cut()
		g.setShut(false)
		reads.Wait()
	}
}
