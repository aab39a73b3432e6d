package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/headwaterhq/headwater/definition"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/tabular"
	"github.com/headwaterhq/headwater/internal/testenv"
	"github.com/headwaterhq/headwater/internal/wire"
)

// product is a server on a database and a Redis of its own, called over the network.
type product struct {
	t        testing.TB
	url      string
	redisURL string
	pool     *pgxpool.Pool
	server   *Server
	served   chan error
	conn     *grpc.ClientConn
	log      *logged
	// step is told of each step of runs, loads and erasures before it is taken.
	step atomic.Pointer[func(string) error]
	// admin is a context of who may do everything.
	admin context.Context

	registry        headwaterv1.RegistryServiceClient
	loads           headwaterv1.IngestServiceClient
	materialization headwaterv1.MaterializationServiceClient
	online          headwaterv1.OnlineServiceClient
	datasets        headwaterv1.DatasetServiceClient
	lineage         headwaterv1.LineageServiceClient
	access          headwaterv1.AccessServiceClient
	retention       headwaterv1.RetentionServiceClient
}

// newProduct opens a server with nothing applied.
func newProduct(t testing.TB) *product {
	t.Helper()
	return openProduct(t, testenv.PostgresURL(t), testenv.RedisURL(t))
}

func openProduct(t testing.TB, url, redisURL string) *product {
	t.Helper()
	return openProductWith(t, Config{PostgresURL: url, RedisURL: redisURL})
}

// openProductWith opens a server that is configured as is said, and else as tests are.
func openProductWith(t testing.TB, c Config) *product {
	t.Helper()
	ctx := context.Background()
	p := &product{t: t, url: c.PostgresURL, redisURL: c.RedisURL, log: &logged{}, served: make(chan error, 1)}
	c.AuditDir, c.Version, c.Reached = t.TempDir(), "test", p.reached
	if c.Log == nil {
		c.Log = slog.New(slog.NewTextHandler(p.log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	var err error
	p.server, err = Open(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { p.served <- p.server.Serve(listener) }()
	if p.pool, err = database.Open(ctx, c.PostgresURL); err != nil {
		t.Fatal(err)
	}
	p.conn, err = grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20), grpc.MaxCallSendMsgSize(64<<20)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.conn.Close()
		p.close()
		p.pool.Close()
	})
	p.registry, p.loads = headwaterv1.NewRegistryServiceClient(p.conn), headwaterv1.NewIngestServiceClient(p.conn)
	p.materialization, p.online = headwaterv1.NewMaterializationServiceClient(p.conn), headwaterv1.NewOnlineServiceClient(p.conn)
	p.datasets, p.lineage = headwaterv1.NewDatasetServiceClient(p.conn), headwaterv1.NewLineageServiceClient(p.conn)
	p.access = headwaterv1.NewAccessServiceClient(p.conn)
	p.retention = headwaterv1.NewRetentionServiceClient(p.conn)
	secret, err := p.server.CreateAdminToken(ctx, "ada")
	if err != nil {
		t.Fatal(err)
	}
	p.admin = withToken(secret)
	return p
}

func (p *product) reached(step string) error {
	if do := p.step.Load(); do != nil {
		return (*do)(step)
	}
	return nil
}

// close ends the server, once.
func (p *product) close() {
	if p.server == nil {
		return
	}
	if err := p.server.Close(context.Background()); err != nil {
		p.t.Errorf("closing the server: %v", err)
	}
	if err := <-p.served; err != nil {
		p.t.Errorf("serving: %v", err)
	}
	p.server = nil
}

// as is a context of a new principal with these roles, which are applied.
func (p *product) as(principal string, roles ...string) context.Context {
	p.t.Helper()
	r, err := p.access.CreateToken(p.admin, &headwaterv1.CreateTokenRequest{Principal: principal, Roles: roles, Ttl: durationpb.New(time.Hour)})
	if err != nil {
		p.t.Fatal(err)
	}
	return withToken(r.Secret)
}

// definitions are a source, three views of two entities, and a service of them.
func definitions() *feature.Definitions {
	columns := []feature.Column{{Name: "delay", Type: feature.TypeFloat64}, {Name: "words", Type: feature.TypeString},
		{Name: "late", Type: feature.TypeBool}, {Name: "left_at", Type: feature.TypeTimestamp}, {Name: "number", Type: feature.TypeInt64}}
	sql := func(select1 string) *feature.SQLTransform {
		return &feature.SQLTransform{Sources: []string{"flights"}, Query: "SELECT " + select1 + ", event_time, available_at FROM flights " +
			"WHERE event_time >= {{interval.start}} AND event_time < {{interval.end}} AND origin IS NOT NULL"}
	}
	return &feature.Definitions{
		Entities: []feature.Entity{
			{Name: "airport", JoinKeys: []feature.Column{{Name: "origin", Type: feature.TypeString}}},
			{Name: "route", JoinKeys: []feature.Column{{Name: "origin", Type: feature.TypeString}, {Name: "number", Type: feature.TypeInt64}}},
		},
		Sources: []feature.Source{{Name: "flights", EventTime: "date", ArrivalColumn: "known", Columns: []feature.Column{
			{Name: "date", Type: feature.TypeTimestamp}, {Name: "known", Type: feature.TypeTimestamp}, {Name: "origin", Type: feature.TypeString},
			{Name: "number", Type: feature.TypeInt64}, {Name: "delay", Type: feature.TypeFloat64}, {Name: "words", Type: feature.TypeString},
		}}},
		Views: []feature.View{
			{Name: "delays", Entity: "airport", Features: columns,
				SQL: sql("origin, delay, words, delay > 15 AS late, event_time AS left_at, number")},
			{Name: "recent", Entity: "airport", Features: columns[:1], TTL: 24 * time.Hour, SQL: sql("origin, delay")},
			{Name: "traffic", Entity: "route", Features: columns[:1], SQL: sql("origin, number, delay")},
		},
		Services: []feature.Service{
			{Name: "model", Views: []feature.ServiceView{{View: "delays"}, {View: "recent"}, {View: "traffic"}}},
			{Name: "small", ServesAsGrant: true, Views: []feature.ServiceView{{View: "delays", Features: []string{"delay"}}}},
		},
	}
}

func role(name string, grants ...string) feature.Role {
	r := feature.Role{Name: name}
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

func (p *product) apply(d *feature.Definitions) *headwaterv1.ApplyResponse {
	p.t.Helper()
	r, err := p.registry.Apply(p.admin, &headwaterv1.ApplyRequest{Files: []*headwaterv1.DefinitionSource{{Path: "all.yaml", File: definition.ToProto(d)}}})
	if err != nil {
		p.t.Fatal(fault.FromError(err))
	}
	return r
}

// table is rows that a client sends.
type table struct {
	columns []feature.Column
	rows    [][]feature.Value
}

func (s table) arrow(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tabular.NewStreamWriter(&b, s.columns, false)
	for _, row := range s.rows {
		if err := w.Append(row); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// flight is one row of the source flights, known when it left.
func flight(origin string, number int64, left time.Time, delay feature.Value) []feature.Value {
	at := feature.Timestamp(feature.TimeOf(left))
	return []feature.Value{at, at, feature.String(origin), feature.Int64(number), delay, feature.String("from " + origin)}
}

func flights(rows ...[]feature.Value) table {
	return table{columns: definitions().Sources[0].Columns, rows: rows}
}

func sha(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func (p *product) header(content []byte, replaces int64) *headwaterv1.IngestHeader {
	return &headwaterv1.IngestHeader{FileName: "flights.csv", FileSize: int64(len(content)), FileSha256: sha(content), Replaces: replaces}
}

// send ingests a stream in parts of a size, after the header.
func (p *product) send(ctx context.Context, source string, header *headwaterv1.IngestHeader, arrow []byte, part int) (*headwaterv1.Load, error) {
	stream, err := p.loads.Ingest(ctx)
	if err != nil {
		return nil, err
	}
	err = stream.Send(&headwaterv1.IngestRequest{Source: source, Header: header})
	for len(arrow) > 0 && err == nil {
		n := min(part, len(arrow))
		err = stream.Send(&headwaterv1.IngestRequest{Arrow: arrow[:n]})
		arrow = arrow[n:]
	}
	r, err := stream.CloseAndRecv()
	return r.GetLoad(), err
}

func (p *product) ingest(rows table, replaces int64) *headwaterv1.Load {
	p.t.Helper()
	content := rows.arrow(p.t)
	load, err := p.send(p.admin, "flights", p.header(content, replaces), content, 1000)
	if err != nil {
		p.t.Fatal(err)
	}
	return load
}

// materialize runs views and waits until they are online.
func (p *product) materialize(views ...string) []*headwaterv1.Run {
	p.t.Helper()
	r, err := p.materialization.Materialize(p.admin, &headwaterv1.MaterializeRequest{Views: views, Full: true})
	if err != nil {
		p.t.Fatal(err)
	}
	runs := r.GetRuns()
	for i := range runs {
		if runs[i], err = p.watch(p.admin, runs[i].GetId()); err != nil {
			p.t.Fatal(err)
		}
		if runs[i].GetState() != headwaterv1.RunState_RUN_STATE_PUBLISHED || runs[i].GetOnlineState() != headwaterv1.OnlineState_ONLINE_STATE_LOADED {
			p.t.Fatalf("run %d ended %s, %s: %s", runs[i].GetId(), runs[i].GetState(), runs[i].GetOnlineState(), runs[i].GetError())
		}
	}
	return runs
}

// watch is a run as it was last shown.
func (p *product) watch(ctx context.Context, id int64) (last *headwaterv1.Run, err error) {
	stream, err := p.materialization.WatchRun(ctx, &headwaterv1.WatchRunRequest{Id: id})
	for err == nil {
		var r *headwaterv1.WatchRunResponse
		if r, err = stream.Recv(); err == nil {
			last = r.GetRun()
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return last, err
}

func texts(values ...string) *headwaterv1.KeyColumn {
	c := &headwaterv1.KeyColumn{}
	for _, v := range values {
		c.Values = append(c.Values, &headwaterv1.Value{Kind: &headwaterv1.Value_StringValue{StringValue: v}})
	}
	return c
}

func numbers(values ...int64) *headwaterv1.KeyColumn {
	c := &headwaterv1.KeyColumn{}
	for _, v := range values {
		c.Values = append(c.Values, &headwaterv1.Value{Kind: &headwaterv1.Value_Int64Value{Int64Value: v}})
	}
	return c
}

func null() *headwaterv1.Value { return &headwaterv1.Value{} }

// vectors is an answer as `NAME VALUE/STATUS …`, a line per feature.
func vectors(r *headwaterv1.GetFeaturesResponse) string {
	var b strings.Builder
	for _, f := range r.GetFeatures() {
		v := f.GetValues()
		b.WriteString(f.GetName())
		for i := range wire.VectorLen(v) {
			status, value := wire.StatusAt(v, i), ""
			switch v.GetType() {
			case headwaterv1.ValueType_VALUE_TYPE_BOOL:
				value = fmt.Sprint(v.GetBools()[i])
			case headwaterv1.ValueType_VALUE_TYPE_INT64:
				value = fmt.Sprint(v.GetInt64S()[i])
			case headwaterv1.ValueType_VALUE_TYPE_FLOAT64:
				value = fmt.Sprint(v.GetFloat64S()[i])
			case headwaterv1.ValueType_VALUE_TYPE_STRING:
				value = fmt.Sprintf("%q", v.GetStrings()[i])
			case headwaterv1.ValueType_VALUE_TYPE_TIMESTAMP:
				value = fmt.Sprint(v.GetTimestamps()[i])
			}
			fmt.Fprintf(&b, " %s/%s", value, strings.TrimPrefix(status.String(), "VALUE_STATUS_"))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// delayOf is the answer of the service small for one airport, as `VALUE/STATUS`.
func (p *product) delayOf(service, origin string) string {
	p.t.Helper()
	r, err := p.online.GetFeatures(p.admin, &headwaterv1.GetFeaturesRequest{Service: service, Keys: map[string]*headwaterv1.KeyColumn{"origin": texts(origin)}})
	if err != nil {
		p.t.Fatal(err)
	}
	_, value, _ := strings.Cut(strings.TrimSpace(vectors(r)), " ")
	return value
}

// part is what both streams of datasets carry.
type part interface {
	GetArrow() []byte
	GetManifest() *headwaterv1.Manifest
}

func collect[P part](receive func() (P, error)) (arrow []byte, m *headwaterv1.Manifest, err error) {
	for {
		r, err := receive()
		if errors.Is(err, io.EOF) {
			return arrow, m, nil
		}
		if err != nil {
			return arrow, m, err
		}
		arrow = append(arrow, r.GetArrow()...)
		if r.GetManifest() != nil {
			m = r.GetManifest()
		}
	}
}

func (p *product) build(ctx context.Context, service string, header *headwaterv1.BuildDatasetHeader, spine []byte) ([]byte, *headwaterv1.Manifest, error) {
	stream, err := p.datasets.BuildDataset(ctx)
	if err != nil {
		return nil, nil, err
	}
	// What Send fails with, Recv explains.
	err = stream.Send(&headwaterv1.BuildDatasetRequest{Service: service, Header: header})
	for len(spine) > 0 && err == nil {
		n := min(1000, len(spine))
		err = stream.Send(&headwaterv1.BuildDatasetRequest{Arrow: spine[:n]})
		spine = spine[n:]
	}
	stream.CloseSend()
	return collect(stream.Recv)
}

func (p *product) fetch(ctx context.Context, ref string) ([]byte, *headwaterv1.Manifest, error) {
	p.t.Helper()
	return p.fetchFor(ctx, ref, "")
}

func (p *product) fetchFor(ctx context.Context, ref, purpose string) ([]byte, *headwaterv1.Manifest, error) {
	stream, err := p.datasets.FetchDataset(ctx, &headwaterv1.FetchDatasetRequest{Dataset: ref, Purpose: purpose})
	if err != nil {
		return nil, nil, err
	}
	return collect(stream.Recv)
}

// spineOf asks for airports and a route at times.
func spineOf(rows ...[]feature.Value) table {
	return table{rows: rows, columns: []feature.Column{
		{Name: "origin", Type: feature.TypeString}, {Name: "number", Type: feature.TypeInt64}, {Name: "timestamp", Type: feature.TypeTimestamp},
	}}
}

func asked(origin string, number int64, at time.Time) []feature.Value {
	return []feature.Value{feature.String(origin), feature.Int64(number), feature.Timestamp(feature.TimeOf(at))}
}

// records are the newest audit records.
func (p *product) records(ctx context.Context) []*headwaterv1.AuditRecord {
	p.t.Helper()
	r, err := p.access.ListAuditRecords(ctx, &headwaterv1.ListAuditRecordsRequest{})
	if err != nil {
		p.t.Fatal(err)
	}
	return r.GetRecords()
}

func (p *product) count(sql string, args ...any) (n int64) {
	p.t.Helper()
	if err := p.pool.QueryRow(context.Background(), sql, args...).Scan(&n); err != nil {
		p.t.Fatal(err)
	}
	return n
}

// eventually waits for what another process does.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited for %s in vain", what)
		}
	}
}
