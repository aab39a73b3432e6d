package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/ipc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/timestamppb"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// canned is a server that knows one small repository and answers from it. What it is asked is kept.
type canned struct {
	headwaterv1.UnimplementedRegistryServiceServer
	headwaterv1.UnimplementedIngestServiceServer
	headwaterv1.UnimplementedMaterializationServiceServer
	headwaterv1.UnimplementedOnlineServiceServer
	headwaterv1.UnimplementedDatasetServiceServer
	headwaterv1.UnimplementedLineageServiceServer
	headwaterv1.UnimplementedAccessServiceServer

	// refuse, when set, answers every call.
	refuse error
	// changes are those of every plan and apply.
	changes []*headwaterv1.Change
	// run is what every run ends as.
	run *headwaterv1.Run
	// same is the answer of every verification.
	same bool
	// verdicts are those of the runs that are verified.
	verdicts []headwaterv1.Verdict
	// blind hides the definitions from the caller.
	blind bool

	mu       sync.Mutex
	tokens   []string
	ingested []*headwaterv1.IngestHeader
	rows     []string
	applied  []*headwaterv1.ApplyRequest
	built    *headwaterv1.BuildDatasetHeader
	spine    string
	content  []byte
	asked    *headwaterv1.GetFeaturesRequest
	asksRun  *headwaterv1.MaterializeRequest
}

func at(s string) *timestamppb.Timestamp {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return timestamppb.New(t)
}

// serve starts c and returns a function that runs the program against it.
func (c *canned) serve(t *testing.T) func(args ...string) result {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	check := func(ctx context.Context) error {
		md, _ := metadata.FromIncomingContext(ctx)
		c.mu.Lock()
		c.tokens = append(c.tokens, md.Get("authorization")...)
		c.mu.Unlock()
		if c.refuse != nil {
			return fault.Status(c.refuse, "").Err()
		}
		return nil
	}
	g := grpc.NewServer(
		grpc.UnaryInterceptor(func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
			if err := check(ctx); err != nil {
				return nil, err
			}
			response, err := handle(ctx, request)
			if fault.As(err) != nil {
				err = fault.Status(err, "").Err()
			}
			return response, err
		}),
		grpc.StreamInterceptor(func(s any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
			if err := check(stream.Context()); err != nil {
				return err
			}
			err := handle(s, stream)
			if fault.As(err) != nil {
				err = fault.Status(err, "").Err()
			}
			return err
		}))
	headwaterv1.RegisterRegistryServiceServer(g, c)
	headwaterv1.RegisterIngestServiceServer(g, c)
	headwaterv1.RegisterMaterializationServiceServer(g, c)
	headwaterv1.RegisterOnlineServiceServer(g, c)
	headwaterv1.RegisterDatasetServiceServer(g, c)
	headwaterv1.RegisterLineageServiceServer(g, c)
	headwaterv1.RegisterAccessServiceServer(g, c)
	served := make(chan error, 1)
	go func() { served <- g.Serve(l) }()
	t.Cleanup(func() {
		g.Stop()
		<-served
	})
	t.Setenv("HEADWATER_SERVER", l.Addr().String())
	t.Setenv("HEADWATER_TOKEN", "hw_secret\n")
	return headwater
}

// result is what one run of the program left.
type result struct {
	code     int
	out, err string
}

// headwater runs the program without standard input.
func headwater(args ...string) result { return headwaterWith("", args...) }

func headwaterWith(stdin string, args ...string) result {
	var out, err bytes.Buffer
	code := run(context.Background(), args, strings.NewReader(stdin), &out, &err)
	return result{code, out.String(), err.String()}
}

// expect compares an outcome; a text of "*" is any.
func (r result) expect(t *testing.T, code int, out, err string) {
	t.Helper()
	if r.code != code {
		t.Errorf("found exit status %d, expected %d", r.code, code)
	}
	if out != "*" && r.out != out {
		t.Errorf("found on standard output\n%s\nexpected\n%s", r.out, out)
	}
	if err != "*" && r.err != err {
		t.Errorf("found on standard error\n%s\nexpected\n%s", r.err, err)
	}
}

func file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (c *canned) Plan(_ context.Context, r *headwaterv1.PlanRequest) (*headwaterv1.PlanResponse, error) {
	for _, f := range r.Files {
		for i, e := range f.File.Entities {
			if e.Name == "taken" {
				return nil, fault.New(fault.InvalidDefinition, "one definition does not fit").Violating(fault.Violation{
					Field: fmt.Sprintf("entities[%d].name", i), Description: "found taken, expected another name",
				})
			}
		}
	}
	return &headwaterv1.PlanResponse{Changes: c.changes, RegistryRevision: 4}, nil
}

func (c *canned) Apply(_ context.Context, r *headwaterv1.ApplyRequest) (*headwaterv1.ApplyResponse, error) {
	c.applied = append(c.applied, r)
	if r.ExpectedRegistryRevision != nil && r.GetExpectedRegistryRevision() != 4 {
		return nil, fault.New(fault.StalePlan, "the registry moved on")
	}
	return &headwaterv1.ApplyResponse{Changes: c.changes, RegistryRevision: 5}, nil
}

func (c *canned) ListDefinitions(_ context.Context, r *headwaterv1.ListDefinitionsRequest) (*headwaterv1.ListDefinitionsResponse, error) {
	return &headwaterv1.ListDefinitionsResponse{Definitions: []*headwaterv1.DefinitionSummary{
		{Kind: r.Kind, Name: "airport", Version: 1, Fingerprint: strings.Repeat("ab", 32), Owner: "ops", AppliedAt: at("2001-02-03T04:05:06Z"), AppliedBy: "ann", Description: "An airport.\nBy its code."},
		{Kind: r.Kind, Name: "route", Version: 12, Fingerprint: strings.Repeat("cd", 32), AppliedAt: at("2001-02-03T04:05:06Z"), AppliedBy: "ann",
			Origin: "git:0123456789abcdef0123 with changes", Deprecated: &headwaterv1.Deprecation{Date: "2027-01-31", Replacement: "airport_pair"}},
	}}, nil
}

func (c *canned) DiffDefinitions(_ context.Context, r *headwaterv1.DiffDefinitionsRequest) (*headwaterv1.DiffDefinitionsResponse, error) {
	before := &headwaterv1.DefinitionSummary{Kind: r.Kind, Name: "delays", Version: 1}
	if r.Before == r.After {
		return &headwaterv1.DiffDefinitionsResponse{Before: before, After: before, WordsOnly: true}, nil
	}
	return &headwaterv1.DiffDefinitionsResponse{
		Before: before, After: &headwaterv1.DefinitionSummary{Kind: r.Kind, Name: "delays", Version: 2},
		Details:   []string{"asked for " + r.Before + " and " + r.After + " of " + kindName(r.Kind), "sql.query |   SELECT", "sql.query | -   a\x1b"},
		WordsOnly: strings.HasSuffix(r.After, "@2"),
	}, nil
}

func (c *canned) GetDefinition(_ context.Context, r *headwaterv1.GetDefinitionRequest) (*headwaterv1.GetDefinitionResponse, error) {
	if c.blind {
		return nil, fault.New(fault.PermissionDenied, "you may not list %s", r.Name)
	}
	name, _, _ := strings.Cut(r.Name, "@")
	definition, inputs := &headwaterv1.DefinitionFile{}, []string(nil)
	var columns []*headwaterv1.ColumnInput
	switch name {
	case "flights":
		definition.Sources = []*headwaterv1.Source{{Name: name, EventTime: "date", Columns: []*headwaterv1.Column{
			{Name: "date", Type: "timestamp"}, {Name: "delay", Type: "int64"}, {Name: "origin", Type: "string"},
		}}}
	case "delays":
		definition.FeatureServices = []*headwaterv1.FeatureService{{Name: name, Views: []*headwaterv1.ServiceView{{View: "airport_delays"}, {View: "gate_delays"}}}}
		inputs = []string{"view:airport_delays@1", "view:gate_delays@2"}
	case "airport_delays":
		definition.FeatureViews = []*headwaterv1.FeatureView{{Name: name, Entity: "airport"}}
	case "gate_delays":
		definition.FeatureViews = []*headwaterv1.FeatureView{{Name: name, Entity: "gate"}}
		columns = []*headwaterv1.ColumnInput{
			{Column: "late", Kind: headwaterv1.ColumnInputKind_COLUMN_INPUT_KIND_VALUE, Input: "source:flights", InputColumn: "delay"},
			{Column: "late", Kind: headwaterv1.ColumnInputKind_COLUMN_INPUT_KIND_FILTER, Input: "source:flights", InputColumn: "date"},
			{Column: "late", Kind: headwaterv1.ColumnInputKind_COLUMN_INPUT_KIND_FILTER, Input: "view:delays@2", InputColumn: "mean"},
		}
	case "airport":
		definition.Entities = []*headwaterv1.Entity{{Name: name, JoinKeys: []*headwaterv1.JoinKey{{Name: "origin", Type: "string"}}}}
	case "gate":
		definition.Entities = []*headwaterv1.Entity{{Name: name, JoinKeys: []*headwaterv1.JoinKey{{Name: "origin", Type: "string"}, {Name: "gate", Type: "int64"}}}}
	default:
		return nil, fault.New(fault.NotFound, "there is no %s %s; `headwater list` shows what there is", kindName(r.Kind), r.Name)
	}
	return &headwaterv1.GetDefinitionResponse{
		Summary: &headwaterv1.DefinitionSummary{Kind: r.Kind, Name: name, Version: 1, Fingerprint: strings.Repeat("ab", 32),
			AppliedAt: at("2001-02-03T04:05:06Z"), AppliedBy: "ann"},
		Definition: definition, Inputs: inputs, ColumnInputs: columns,
	}, nil
}

// ipcRows is the rows of an Arrow IPC stream as text.
func ipcRows(content []byte) ([]string, error) {
	r, err := ipc.NewReader(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, f := range r.Schema().Fields() {
		names = append(names, f.Name+":"+f.Type.Name())
	}
	rows := []string{strings.Join(names, " ")}
	for r.Next() {
		b := r.RecordBatch()
		for i := range int(b.NumRows()) {
			var cells []string
			for _, a := range b.Columns() {
				cells = append(cells, a.ValueStr(i))
			}
			rows = append(rows, strings.Join(cells, " "))
		}
	}
	return rows, r.Err()
}

func (c *canned) Ingest(stream grpc.ClientStreamingServer[headwaterv1.IngestRequest, headwaterv1.IngestResponse]) error {
	var content []byte
	var header *headwaterv1.IngestHeader
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if m.Header != nil {
			header = m.Header
		}
		content = append(content, m.Arrow...)
	}
	rows, err := ipcRows(content)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ingested, c.rows = append(c.ingested, header), append(c.rows, rows...)
	n := int64(len(c.ingested))
	return stream.SendAndClose(&headwaterv1.IngestResponse{Load: &headwaterv1.Load{
		Id: 10 + n, Source: "flights", Number: n, State: headwaterv1.LoadState_LOAD_STATE_LIVE, FileName: header.FileName,
		FileSize: header.FileSize, FileSha256: header.FileSha256, Rows: int64(len(rows) - 1), Replaces: header.Replaces,
		EventTimeMin: at("2001-01-01T00:05:00Z"), EventTimeMax: at("2001-01-31T23:59:00Z"), CommittedAt: at("2001-02-03T04:05:06Z"),
	}})
}

func (c *canned) Materialize(_ context.Context, r *headwaterv1.MaterializeRequest) (*headwaterv1.MaterializeResponse, error) {
	c.asksRun = r
	response := &headwaterv1.MaterializeResponse{}
	for i, v := range r.Views {
		response.Runs = append(response.Runs, &headwaterv1.Run{Id: int64(i + 1), View: v, ViewVersion: 1, State: headwaterv1.RunState_RUN_STATE_QUEUED})
	}
	return response, nil
}

func (c *canned) WatchRun(r *headwaterv1.WatchRunRequest, stream grpc.ServerStreamingServer[headwaterv1.WatchRunResponse]) error {
	return stream.Send(&headwaterv1.WatchRunResponse{Run: c.run})
}

func (c *canned) GetRun(context.Context, *headwaterv1.GetRunRequest) (*headwaterv1.GetRunResponse, error) {
	return &headwaterv1.GetRunResponse{Run: c.run}, nil
}

func (c *canned) ListRuns(context.Context, *headwaterv1.ListRunsRequest) (*headwaterv1.ListRunsResponse, error) {
	return &headwaterv1.ListRunsResponse{Runs: []*headwaterv1.Run{c.run}}, nil
}

func (c *canned) GetFeatures(_ context.Context, r *headwaterv1.GetFeaturesRequest) (*headwaterv1.GetFeaturesResponse, error) {
	c.asked = r
	present, missing := headwaterv1.ValueStatus_VALUE_STATUS_PRESENT, headwaterv1.ValueStatus_VALUE_STATUS_NO_ROW
	return &headwaterv1.GetFeaturesResponse{
		ReadId: "r-1", Service: "delays", ServiceVersion: 3, ServedAt: at("2001-02-03T04:05:06Z"),
		Features: []*headwaterv1.FeatureVector{
			{Name: "airport_delays__departures", View: "airport_delays", ViewVersion: 1, Feature: "departures", Values: &headwaterv1.ValueVector{Type: headwaterv1.ValueType_VALUE_TYPE_INT64,
				Status: []headwaterv1.ValueStatus{present, missing}, Int64S: []int64{41, 0}}},
			{Name: "airport_delays__mean_delay", View: "airport_delays", ViewVersion: 1, Feature: "mean_delay", Values: &headwaterv1.ValueVector{Type: headwaterv1.ValueType_VALUE_TYPE_FLOAT64,
				Status: []headwaterv1.ValueStatus{present, missing}, Float64S: []float64{7.25, 0}}},
		},
		Provenance: []*headwaterv1.ViewProvenance{{View: "airport_delays", ViewVersion: 1,
			EventTimes: []int64{978307200000000, 0}, RunSeqs: []int64{2, 0}}},
	}, nil
}

func manifest(sum string) *headwaterv1.Manifest {
	return &headwaterv1.Manifest{
		Id: "ds_1", Name: "delays", Version: 1, State: headwaterv1.DatasetState_DATASET_STATE_RELEASED, Service: "delays", ServiceVersion: 3,
		Position: 2, Rows: 2, TimestampColumn: "timestamp", SpineDigest: "5p", ContentDigest: "c0", ArrowSha256: sum, ArrowWriter: "w1",
		Principal: "ann", CreatedAt: at("2001-02-03T04:05:06Z"), ServerVersion: "v0",
		Views: []*headwaterv1.ManifestView{{View: "airport_delays", Version: 1, Seq: 2, Fingerprint: "f1"}},
		Columns: []*headwaterv1.ManifestColumn{{Name: "origin", Type: headwaterv1.ValueType_VALUE_TYPE_STRING, Origin: "spine"},
			{Name: "airport_delays__departures", Type: headwaterv1.ValueType_VALUE_TYPE_INT64, Origin: "feature:airport_delays.departures", Nulls: 1,
				Statuses: []*headwaterv1.StatusCount{{Status: headwaterv1.ValueStatus_VALUE_STATUS_NO_ROW, Rows: 1}}}},
	}
}

// BuildDataset sends the spine back as the result.
func (c *canned) BuildDataset(stream grpc.BidiStreamingServer[headwaterv1.BuildDatasetRequest, headwaterv1.BuildDatasetResponse]) error {
	var content []byte
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if m.Header != nil {
			c.built = m.Header
		}
		content = append(content, m.Arrow...)
	}
	if c.built.GetSpine() != nil && len(content) == 0 {
		// What the server would read is what was sent last.
		content = c.content
	}
	rows, err := ipcRows(content)
	if err != nil {
		return err
	}
	c.spine, c.content = strings.Join(rows, "\n"), content
	sum := sha256.Sum256(content)
	if err := stream.Send(&headwaterv1.BuildDatasetResponse{Part: &headwaterv1.BuildDatasetResponse_Arrow{Arrow: content}}); err != nil {
		return err
	}
	if c.built.Name == "dies" {
		return fault.New(fault.PostgresUnavailable, "Postgres went away")
	}
	m := manifest(hex.EncodeToString(sum[:]))
	m.MayLeak = c.built.Knowledge == headwaterv1.KnowledgeMode_KNOWLEDGE_MODE_EVENT
	if c.built.AllowPartial {
		m.Partial = []*headwaterv1.PartialCoverage{{View: "airport_delays", ViewVersion: 1, Rows: 2, First: at("2001-02-03T04:05:06Z"), Last: at("2001-02-04T00:00:00Z")}}
	}
	return stream.Send(&headwaterv1.BuildDatasetResponse{Part: &headwaterv1.BuildDatasetResponse_Manifest{Manifest: m}})
}

// FetchDataset sends the last spine again.
func (c *canned) FetchDataset(r *headwaterv1.FetchDatasetRequest, stream grpc.ServerStreamingServer[headwaterv1.FetchDatasetResponse]) error {
	if r.Dataset != "ds_1" {
		return fault.New(fault.NotFound, "there is no dataset %s; `headwater dataset list` shows what there is", r.Dataset)
	}
	sum := sha256.Sum256(c.content)
	if err := stream.Send(&headwaterv1.FetchDatasetResponse{Part: &headwaterv1.FetchDatasetResponse_Arrow{Arrow: c.content}}); err != nil {
		return err
	}
	return stream.Send(&headwaterv1.FetchDatasetResponse{Part: &headwaterv1.FetchDatasetResponse_Manifest{Manifest: manifest(hex.EncodeToString(sum[:]))}})
}

func (c *canned) ListDatasets(context.Context, *headwaterv1.ListDatasetsRequest) (*headwaterv1.ListDatasetsResponse, error) {
	return &headwaterv1.ListDatasetsResponse{Datasets: []*headwaterv1.Manifest{manifest("a0")}}, nil
}

func (c *canned) RetractLoad(_ context.Context, r *headwaterv1.RetractLoadRequest) (*headwaterv1.RetractLoadResponse, error) {
	return &headwaterv1.RetractLoadResponse{Load: &headwaterv1.Load{Id: 12, Source: "flights", Number: 2, State: headwaterv1.LoadState_LOAD_STATE_RETRACTION,
		Replaces: r.Id, RetractReason: r.Reason, CommittedAt: at("2001-02-03T04:05:06Z"), Principal: "ann"}}, nil
}

func (c *canned) ListLoads(_ context.Context, r *headwaterv1.ListLoadsRequest) (*headwaterv1.ListLoadsResponse, error) {
	return &headwaterv1.ListLoadsResponse{Loads: []*headwaterv1.Load{{Id: 11, Source: r.Source, Number: 1, State: headwaterv1.LoadState_LOAD_STATE_REPLACED,
		ReplacedBy: 13, FileName: "jan.csv", FileSha256: "abcdefabcdefabcdef", Rows: 2, Quarantined: 3, Dropped: 1, CommittedAt: at("2001-02-03T04:05:06Z")}}}, nil
}

func (c *canned) VerifyDataset(context.Context, *headwaterv1.VerifyDatasetRequest) (*headwaterv1.VerifyDatasetResponse, error) {
	r := &headwaterv1.VerifyDatasetResponse{Manifest: manifest("a0"), Same: c.same, FoundContentDigest: "c0", FoundArrowSha256: "a0"}
	if !c.same {
		r.FoundContentDigest, r.Differences = "c1", []string{"row 3, column delay"}
	}
	return r, nil
}

func (c *canned) GetLineage(_ context.Context, r *headwaterv1.GetLineageRequest) (*headwaterv1.GetLineageResponse, error) {
	kind := func(s string) headwaterv1.LineageEdgeKind {
		return headwaterv1.LineageEdgeKind(headwaterv1.LineageEdgeKind_value["LINEAGE_EDGE_KIND_"+s])
	}
	return &headwaterv1.GetLineageResponse{
		Root: r.Node,
		Nodes: []*headwaterv1.LineageNode{
			{Id: "load:1", Title: "a.parquet, 500000 rows"}, {Id: "run:delays@1/1", Title: "published"}, {Id: "run:delays@1/2", Title: "published"},
			{Id: "source:flights"}, {Id: "view:delays@1", Title: "3 features"},
		},
		Edges: []*headwaterv1.LineageEdge{
			{From: "load:1", To: "run:delays@1/1", Kind: kind("READ")}, {From: "load:1", To: "run:delays@1/2", Kind: kind("READ")},
			{From: "source:flights", To: "load:1", Kind: kind("DEFINITION")},
			{From: "run:delays@1/1", To: "view:delays@1", Kind: kind("WROTE")}, {From: "run:delays@1/2", To: "view:delays@1", Kind: kind("WROTE")},
			{From: "source:flights", To: "view:delays@1", Kind: kind("DEFINITION")},
		},
	}, nil
}

func (c *canned) CreateToken(_ context.Context, r *headwaterv1.CreateTokenRequest) (*headwaterv1.CreateTokenResponse, error) {
	return &headwaterv1.CreateTokenResponse{Secret: "hw_abc", Token: &headwaterv1.Token{Id: "t1", Principal: r.Principal, Roles: r.Roles}}, nil
}

func (c *canned) ListAuditRecords(context.Context, *headwaterv1.ListAuditRecordsRequest) (*headwaterv1.ListAuditRecordsResponse, error) {
	return &headwaterv1.ListAuditRecordsResponse{Records: []*headwaterv1.AuditRecord{
		{Time: at("2001-02-03T04:05:06Z"), Principal: "model", Action: headwaterv1.Action_ACTION_READ_ONLINE, Resource: "service:delays",
			Decision: headwaterv1.Decision_DECISION_ALLOWED, Method: "/headwater.v1.OnlineService/GetFeatures", Reason: "role model", ReadId: "r-1",
			Calls: 42, Entities: 100, RowsReturned: 90, RowsHidden: 7, LastTime: at("2001-02-03T04:05:59Z"), LastReadId: "r-9"},
		{Time: at("2001-02-03T04:05:07Z"), Principal: "model", Action: headwaterv1.Action_ACTION_READ_OFFLINE, Resource: "service:delays",
			Decision: headwaterv1.Decision_DECISION_DENIED, Method: "/headwater.v1.DatasetService/BuildDataset", Reason: "no role allows it", Calls: 1},
	}}, nil
}

func (c *canned) GetAccessMatrix(_ context.Context, r *headwaterv1.GetAccessMatrixRequest) (*headwaterv1.GetAccessMatrixResponse, error) {
	cell := &headwaterv1.AccessMatrixCell{Role: "model", Resource: "view:delays", Action: r.Actions[0], Decision: headwaterv1.Decision_DECISION_ALLOWED,
		Reason: "role model allows it, asked of " + strings.Join(append(r.Roles, r.Resources...), " "), Policies: []string{"own@1", "round@3"}}
	return &headwaterv1.GetAccessMatrixResponse{Cells: []*headwaterv1.AccessMatrixCell{cell}}, nil
}

func (c *canned) ExplainAccess(_ context.Context, r *headwaterv1.ExplainAccessRequest) (*headwaterv1.ExplainAccessResponse, error) {
	allowed, denied := headwaterv1.Decision_DECISION_ALLOWED, headwaterv1.Decision_DECISION_DENIED
	if r.GetResource() != "service:delays" {
		return &headwaterv1.ExplainAccessResponse{
			Principal: "model", KnownBy: "caller", Roles: []string{"model"}, Decision: denied, Reason: "no grant", Missing: enumName(r.Action, "ACTION_") + " on " + r.Resource,
		}, nil
	}
	return &headwaterv1.ExplainAccessResponse{
		Principal: r.Principal, KnownBy: "request", Roles: r.Roles, Attributes: r.Attributes, Decision: allowed, Reason: "role model allows it", Owner: "ops",
		Definition: "service:delays@2", ServesAsGrant: true,
		Views:        []*headwaterv1.ExplainedView{{View: "delays@1", Decision: allowed, Reason: "by its service", Owner: "flights"}},
		Requirements: []*headwaterv1.ExplainedRequirement{{Policy: "for@1", About: "view:delays@1", Requires: "a purpose of " + r.Purpose, Met: true}},
		Filters: []*headwaterv1.ExplainedFilter{
			{Policy: "own@1", About: "delays@1", Words: "row.region is UK", Sql: "r.region = $1", Parameters: []string{`"UK"`}},
			{Policy: "all@1", About: "delays@1", Words: "true", Sql: "TRUE", HidesNothing: true},
		},
		Masks:    []*headwaterv1.AppliedRule{{Policy: "round@3", About: "delays@1.delay", Does: "round to 10 for " + r.Use}},
		Policies: []string{"all@1", "for@1", "own@1", "round@3"},
	}, nil
}
