package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/access"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// matrixRow is what the matrix expects of one method.
type matrixRow struct {
	request proto.Message
	// action and resource are what is decided on: by the guard, or by the handler of the test.
	action   access.Action
	resource string
	// allowed are the roles of the fixture, besides admin, that may call it.
	allowed string
}

// matrix lists every method there is.
var matrix = map[string]matrixRow{
	"AccessService/CreateToken": {
		&headwaterv1.CreateTokenRequest{Principal: "p", Roles: []string{"model"}, Ttl: durationpb.New(time.Hour)},
		access.ActionAdminister, "system:*", "",
	},
	"AccessService/ListTokens":       {&headwaterv1.ListTokensRequest{}, access.ActionAdminister, "system:*", ""},
	"AccessService/RevokeToken":      {&headwaterv1.RevokeTokenRequest{Id: "x"}, access.ActionAdminister, "system:*", ""},
	"AccessService/RotateMaskKey":    {&headwaterv1.RotateMaskKeyRequest{Name: "k"}, access.ActionAdminister, "system:*", ""},
	"AccessService/ListMaskKeys":     {&headwaterv1.ListMaskKeysRequest{}, access.ActionAdminister, "system:*", ""},
	"AccessService/ListAuditRecords": {&headwaterv1.ListAuditRecordsRequest{}, access.ActionReadAudit, "system:*", "auditor"},
	"AccessService/GetAccessMatrix":  {&headwaterv1.GetAccessMatrixRequest{}, access.ActionAdminister, "system:*", ""},
	"AccessService/VerifyAudit":      {&headwaterv1.VerifyAuditRequest{}, access.ActionReadAudit, "system:*", "auditor"},
	"AccessService/ListAuditKeys":    {&headwaterv1.ListAuditKeysRequest{}, access.ActionReadAudit, "system:*", "auditor"},
	"AccessService/BindCertificate": {
		&headwaterv1.BindCertificateRequest{Certificate: "dns:x", Roles: []string{"model"}}, access.ActionAdminister, "system:*", "",
	},
	"AccessService/UnbindCertificate": {&headwaterv1.UnbindCertificateRequest{Certificate: "dns:x"}, access.ActionAdminister, "system:*", ""},
	"AccessService/ListBindings":      {&headwaterv1.ListBindingsRequest{}, access.ActionAdminister, "system:*", ""},
	"AccessService/Elevate": {
		&headwaterv1.ElevateRequest{Role: "model", Duration: durationpb.New(time.Hour), Reason: "r"}, access.ActionAdminister, "role:model", "",
	},
	"AccessService/ExplainAccess": {
		&headwaterv1.ExplainAccessRequest{Principal: "p", Action: headwaterv1.Action_ACTION_LIST, Resource: "view:v"}, access.ActionAdminister, "system:*", "",
	},
	"AccessService/EndElevation":   {&headwaterv1.EndElevationRequest{}, access.ActionAdminister, "system:*", ""},
	"AccessService/ListElevations": {&headwaterv1.ListElevationsRequest{}, access.ActionReadAudit, "system:*", "auditor"},
	"BiasService/ReportBias": {
		&headwaterv1.ReportBiasRequest{Dataset: "d", Question: &headwaterv1.BiasQuestion{Label: "l", Favourable: "yes", By: []string{"race"}}},
		access.ActionReadOffline, "service:open_service", "scientist",
	},
	"BiasService/GetBiasReport":   {&headwaterv1.GetBiasReportRequest{Id: "r"}, access.ActionReadOffline, "service:open_service", "scientist"},
	"BiasService/ListBiasReports": {&headwaterv1.ListBiasReportsRequest{}, access.ActionList, "dataset:*", "engineer scientist"},
	"DatasetService/BuildDataset": {
		&headwaterv1.BuildDatasetRequest{Service: "open_service"}, access.ActionReadOffline, "service:open_service", "scientist",
	},
	"DatasetService/FetchDataset": {
		&headwaterv1.FetchDatasetRequest{Dataset: "d"}, access.ActionReadOffline, "service:open_service", "scientist",
	},
	"DatasetService/VerifyDataset": {
		&headwaterv1.VerifyDatasetRequest{Dataset: "d"}, access.ActionReadOffline, "service:open_service", "scientist",
	},
	"DatasetService/GetDataset":   {&headwaterv1.GetDatasetRequest{Dataset: "d"}, access.ActionList, "dataset:d", "engineer scientist"},
	"DatasetService/ListDatasets": {&headwaterv1.ListDatasetsRequest{}, access.ActionList, "dataset:*", "engineer scientist"},
	"DatasetService/DiffDatasets": {
		&headwaterv1.DiffDatasetsRequest{A: "d", B: "e"}, access.ActionReadOffline, "service:open_service", "scientist",
	},
	"DatasetService/ReleaseDataset": {&headwaterv1.ReleaseDatasetRequest{Dataset: "d"}, access.ActionApprove, "dataset:d", ""},
	"DatasetService/ApproveDataset": {
		&headwaterv1.ApproveDatasetRequest{Dataset: "d", Gate: "g", Reason: "r"}, access.ActionApprove, "dataset:d", "",
	},
	"ApprovalService/ListApprovals": {&headwaterv1.ListApprovalsRequest{}, access.ActionList, "dataset:*", "engineer scientist"},
	"ApprovalService/ApproveService": {
		&headwaterv1.ApproveServiceRequest{Service: "s", Gate: "g", Inputs: strings.Repeat("0", 64), Reason: "r"}, access.ActionApprove, "service:s", "",
	},
	"ApprovalService/WithdrawApproval": {&headwaterv1.WithdrawApprovalRequest{Id: 1, Reason: "r"}, access.ActionApprove, "dataset:d", ""},
	"DatasetService/DeleteDataset":     {&headwaterv1.DeleteDatasetRequest{Dataset: "d"}, access.ActionAdminister, "dataset:d", ""},
	"RetentionService/Forget": {
		&headwaterv1.ForgetRequest{Entity: "e", Keys: map[string]*headwaterv1.Value{"k": {}}, Reason: "r"}, access.ActionAdminister, "system:*", "",
	},
	"RetentionService/ListErasures":   {&headwaterv1.ListErasuresRequest{}, access.ActionAdminister, "system:*", ""},
	"RetentionService/CollectHistory": {&headwaterv1.CollectHistoryRequest{}, access.ActionAdminister, "system:*", ""},
	"IngestService/Ingest":            {&headwaterv1.IngestRequest{Source: "flights"}, access.ActionIngest, "source:flights", "engineer"},
	"IngestService/ListLoads":         {&headwaterv1.ListLoadsRequest{Source: "flights"}, access.ActionList, "source:flights", "engineer"},
	"IngestService/GetLoad":           {&headwaterv1.GetLoadRequest{Id: 1}, access.ActionList, "source:flights", "engineer"},
	"IngestService/RetractLoad": {
		&headwaterv1.RetractLoadRequest{Id: 1, Reason: "r"}, access.ActionIngest, "source:flights", "engineer",
	},
	"LineageService/GetLineage": {
		&headwaterv1.GetLineageRequest{Node: "view:v@1", Direction: headwaterv1.LineageDirection_LINEAGE_DIRECTION_UP},
		access.ActionReadLineage, "view:v", "engineer scientist",
	},
	"LineageService/TraceRead":    {&headwaterv1.TraceReadRequest{ReadId: "r"}, access.ActionReadLineage, "service:open_service", ""},
	"LineageService/GetImpact":    {&headwaterv1.GetImpactRequest{Source: "flights"}, access.ActionReadLineage, "source:flights", ""},
	"LineageService/DiffRuns":     {&headwaterv1.DiffRunsRequest{A: "1", B: "2"}, access.ActionReadLineage, "view:v", "engineer scientist"},
	"LineageService/CheckLineage": {&headwaterv1.CheckLineageRequest{}, access.ActionReadLineage, "catalog:*", ""},
	"LineageService/ListUses":     {&headwaterv1.ListUsesRequest{Node: "source:flights"}, access.ActionReadAudit, "system:*", "auditor"},
	"LineageService/ResendOutbox": {&headwaterv1.ResendOutboxRequest{}, access.ActionAdminister, "system:*", ""},
	"LineageService/GetOutbox":    {&headwaterv1.GetOutboxRequest{}, access.ActionAdminister, "system:*", ""},
	"LineageService/RegisterModel": {
		&headwaterv1.RegisterModelRequest{Name: "m", Service: "open_service"}, access.ActionRegister, "model:m", "",
	},
	"LineageService/GetModel":   {&headwaterv1.GetModelRequest{Model: "m"}, access.ActionList, "model:m", ""},
	"LineageService/TakeEvent":  {&headwaterv1.TakeEventRequest{Event: []byte("{}")}, access.ActionIngest, "source:flights", "engineer"},
	"LineageService/ListModels": {&headwaterv1.ListModelsRequest{}, access.ActionList, "model:*", ""},
	"MaterializationService/Materialize": {
		&headwaterv1.MaterializeRequest{Views: []string{"airport_delays"}}, access.ActionMaterialize, "view:airport_delays", "engineer",
	},
	"MaterializationService/ListRuns": {&headwaterv1.ListRunsRequest{}, access.ActionList, "view:*", "engineer scientist"},
	"MaterializationService/GetRun":   {&headwaterv1.GetRunRequest{Run: "1"}, access.ActionList, "view:v", "engineer scientist"},
	"MaterializationService/RebuildOnline": {
		&headwaterv1.RebuildOnlineRequest{Views: []string{"airport_delays"}}, access.ActionMaterialize, "view:v", "engineer",
	},
	"MaterializationService/WatchRun": {&headwaterv1.WatchRunRequest{Id: 1}, access.ActionList, "view:v", "engineer scientist"},
	"MaterializationService/CancelRuns": {
		&headwaterv1.CancelRunsRequest{Runs: []string{"1"}}, access.ActionMaterialize, "view:v", "engineer",
	},
	"MaterializationService/ApproveRun": {
		&headwaterv1.ApproveRunRequest{Run: "1", Check: "c", Reason: "r"}, access.ActionApprove, "view:v", "",
	},
	"MaterializationService/VerifyRuns": {
		&headwaterv1.VerifyRunsRequest{Runs: []string{"1"}}, access.ActionMaterialize, "view:v", "engineer",
	},
	"MaterializationService/RunStats": {&headwaterv1.RunStatsRequest{}, access.ActionList, "view:*", "engineer scientist"},
	"MaterializationService/ListCheckResults": {
		&headwaterv1.ListCheckResultsRequest{View: "v"}, access.ActionList, "view:v", "engineer scientist",
	},
	"MaterializationService/CheckOnline": {
		&headwaterv1.CheckOnlineRequest{Views: []string{"airport_delays"}}, access.ActionMaterialize, "view:v", "engineer",
	},
	"QuarantineService/ListQuarantine": {&headwaterv1.ListQuarantineRequest{}, access.ActionList, "view:*", "engineer scientist"},
	"QuarantineService/ShowQuarantine": {
		&headwaterv1.ShowQuarantineRequest{Run: "1"}, access.ActionReadOffline, "source:flights", "",
	},
	"QuarantineService/ReplayQuarantine": {
		&headwaterv1.ReplayQuarantineRequest{View: "v"}, access.ActionMaterialize, "view:v", "engineer",
	},
	"QualityService/GetProfile": {&headwaterv1.GetProfileRequest{Node: "run:v@1/1"}, access.ActionList, "view:v", "engineer scientist"},
	"QualityService/CompareProfiles": {
		&headwaterv1.CompareProfilesRequest{Baseline: "run:v@1/1", Current: "run:v@1/2"}, access.ActionList, "view:v", "engineer scientist",
	},
	"QualityService/GetQuality":      {&headwaterv1.GetQualityRequest{}, access.ActionList, "view:*", "engineer scientist"},
	"QualityService/GetSkew":         {&headwaterv1.GetSkewRequest{Model: "m"}, access.ActionList, "model:m", ""},
	"QualityService/SetBaseline":     {&headwaterv1.SetBaselineRequest{Name: "b", Node: "run:v@1/1"}, access.ActionRegister, "view:v", ""},
	"QualityService/ListBaselines":   {&headwaterv1.ListBaselinesRequest{}, access.ActionList, "view:*", "engineer scientist"},
	"QualityService/GetBaseline":     {&headwaterv1.GetBaselineRequest{Name: "b"}, access.ActionList, "view:v", "engineer scientist"},
	"QualityService/RemoveBaseline":  {&headwaterv1.RemoveBaselineRequest{Name: "b"}, access.ActionRegister, "view:v", ""},
	"OnlineService/GetFeatures":      {features("delay_model_v1"), access.ActionReadOnline, "service:delay_model_v1", "model"},
	"FeedbackService/GetPerformance": {&headwaterv1.GetPerformanceRequest{Model: "m"}, access.ActionReadLineage, "model:m", ""},
	"FeedbackService/AttributeLoss": {
		&headwaterv1.AttributeLossRequest{Model: "m", Since: timestamppb.Now()}, access.ActionReadLineage, "model:m", "",
	},
	"FeedbackService/LogPredictions": {
		&headwaterv1.LogPredictionsRequest{Model: "m", Predictions: []*headwaterv1.Prediction{{Id: "p", Time: timestamppb.Now()}}}, access.ActionIngest, "model:m", "",
	},
	"FeedbackService/ReportOutcomes": {
		&headwaterv1.ReportOutcomesRequest{Model: "m", Outcomes: []*headwaterv1.Outcome{{Id: "p", Actual: &headwaterv1.Value{}}}}, access.ActionIngest, "model:m", "",
	},
	"OnlineService/StreamFeatures": {
		&headwaterv1.StreamFeaturesRequest{Id: 1, Request: features("delay_model_v1")}, access.ActionReadOnline, "service:delay_model_v1", "model",
	},
	"ReadLogService/GetRead": {&headwaterv1.GetReadRequest{ReadId: "r"}, access.ActionReadLineage, "service:open_service", ""},
	"ReadLogService/ListReads": {
		&headwaterv1.ListReadsRequest{Service: "open_service"}, access.ActionReadLineage, "service:open_service", "",
	},
	"ReadLogService/VerifyRead": {&headwaterv1.VerifyReadRequest{ReadId: "r"}, access.ActionReadOffline, "service:open_service", "scientist"},
	"RegistryService/Plan":      {&headwaterv1.PlanRequest{}, access.ActionRegister, "catalog:*", "engineer"},
	"RegistryService/Apply":     {&headwaterv1.ApplyRequest{}, access.ActionRegister, "catalog:*", "engineer"},
	"RegistryService/ListDefinitions": {
		&headwaterv1.ListDefinitionsRequest{Kind: headwaterv1.DefinitionKind_DEFINITION_KIND_VIEW}, access.ActionList, "view:*", "engineer scientist",
	},
	"RegistryService/DiffDefinitions": {
		&headwaterv1.DiffDefinitionsRequest{Kind: headwaterv1.DefinitionKind_DEFINITION_KIND_VIEW, Before: "v@1", After: "v@2"},
		access.ActionList, "view:v", "engineer scientist",
	},
	"RegistryService/GetDefinition": {
		&headwaterv1.GetDefinitionRequest{Kind: headwaterv1.DefinitionKind_DEFINITION_KIND_VIEW, Name: "v"},
		access.ActionList, "view:v", "engineer scientist",
	},
}

// ownMethods are all methods of our package, by SERVICE/METHOD.
func ownMethods() map[string]protoreflect.MethodDescriptor {
	methods := map[string]protoreflect.MethodDescriptor{}
	protoregistry.GlobalFiles.RangeFilesByPackage(ownPackage, func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				m := service.Methods().Get(j)
				methods[fmt.Sprintf("%s/%s", service.Name(), m.Name())] = m
			}
		}
		return true
	})
	return methods
}

func newMessage(t *testing.T, m protoreflect.MessageDescriptor) proto.Message {
	t.Helper()
	mt, err := protoregistry.GlobalTypes.FindMessageByName(m.FullName())
	if err != nil {
		t.Fatal(err)
	}
	return mt.New().Interface()
}

// registerEverything puts all methods on a server. A handler asks for its own decision where its method leaves it to the
// handler, and answers with an empty message.
func registerEverything(t *testing.T, server *grpc.Server) {
	services := map[string]*grpc.ServiceDesc{}
	for name, m := range ownMethods() {
		service, _, _ := strings.Cut(name, "/")
		desc := services[service]
		if desc == nil {
			desc = &grpc.ServiceDesc{ServiceName: ownPackage + "." + service, HandlerType: (*any)(nil)}
			services[service] = desc
		}
		full := "/" + ownPackage + "." + name
		rule, err := ruleOf(m.Parent().FullName(), string(m.Name()))
		if err != nil {
			t.Fatal(err)
		}
		handle := func(ctx context.Context) (proto.Message, error) {
			row := matrix[name]
			if rule.inHandler && rule.field == "" {
				kind, resource, _ := strings.Cut(row.resource, ":")
				if err := access.Require(ctx, row.action, access.Kind(kind), resource); err != nil {
					return nil, err
				}
			}
			return newMessage(t, m.Output()), nil
		}
		if m.IsStreamingClient() || m.IsStreamingServer() {
			desc.Streams = append(desc.Streams, grpc.StreamDesc{
				StreamName: string(m.Name()), ClientStreams: m.IsStreamingClient(), ServerStreams: m.IsStreamingServer(),
				Handler: func(_ any, stream grpc.ServerStream) error {
					for {
						err := stream.RecvMsg(newMessage(t, m.Input()))
						if errors.Is(err, io.EOF) {
							break
						}
						if err != nil {
							return err
						}
						if !m.IsStreamingClient() {
							break
						}
					}
					response, err := handle(stream.Context())
					if err != nil {
						return err
					}
					return stream.SendMsg(response)
				},
			})
			continue
		}
		desc.Methods = append(desc.Methods, grpc.MethodDesc{
			MethodName: string(m.Name()),
			Handler: func(_ any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
				request := newMessage(t, m.Input())
				if err := decode(request); err != nil {
					return nil, err
				}
				return interceptor(ctx, request, &grpc.UnaryServerInfo{FullMethod: full}, func(ctx context.Context, _ any) (any, error) {
					return handle(ctx)
				})
			},
		})
	}
	for _, desc := range services {
		server.RegisterService(desc, struct{}{})
	}
}

// call calls a method of any shape with one request.
func (g *guarded) call(ctx context.Context, m protoreflect.MethodDescriptor, request proto.Message) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	full := fmt.Sprintf("/%s/%s", m.Parent().FullName(), m.Name())
	stream, err := g.conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: m.IsStreamingClient(), ServerStreams: true}, full)
	if err != nil {
		return err
	}
	// What Send fails with, Recv explains.
	if stream.SendMsg(request) == nil {
		stream.CloseSend()
	}
	for {
		if err := stream.RecvMsg(newMessage(g.t, m.Output())); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func TestEveryMethodWithEveryCredential(t *testing.T) {
	methods := ownMethods()
	listed, there := slices.Sorted(maps.Keys(matrix)), slices.Sorted(maps.Keys(methods))
	if !slices.Equal(listed, there) {
		t.Fatalf("the matrix lists\n%q\nand there are\n%q", listed, there)
	}
	g := serve(t, func(_ *guarded, server *grpc.Server) { registerEverything(t, server) })
	ctx := context.Background()

	expired, expiredText := g.token("admin")
	if _, err := g.pool.Exec(ctx, `UPDATE headwater.token SET expires_at = created_at WHERE id = $1`, expired.ID); err != nil {
		t.Fatal(err)
	}
	revoked, revokedText := g.token("admin")
	if _, err := access.RevokeToken(ctx, g.pool, revoked.ID); err != nil {
		t.Fatal(err)
	}
	_, good := g.token("admin")
	type credential struct {
		name, principal, id string
		ctx                 context.Context
		// role is empty when the caller is not let in.
		role string
	}
	credentials := []credential{
		{"none", "", "", ctx, ""},
		{"malformed", "", "", withToken("letmein"), ""},
		{"wrong secret", "", "", withToken(good[:len(good)-4] + "0000"), ""},
		{"unknown", "", "", withToken("hw_" + strings.Repeat("a", 16) + "_" + strings.Repeat("0", 43)), ""},
		{"expired", "the_admin", expired.ID, withToken(expiredText), ""},
		{"revoked", "the_admin", revoked.ID, withToken(revokedText), ""},
	}
	for _, role := range []string{"no role", "admin", "engineer", "scientist", "model", "auditor"} {
		roles := []string{role}
		if role == "no role" {
			roles = nil
		}
		token, text := g.token(roles...)
		credentials = append(credentials, credential{role, token.Principal, token.ID, withToken(text), role})
	}

	for _, name := range there {
		row := matrix[name]
		for _, c := range credentials {
			t.Run(name+" "+c.name, func(t *testing.T) {
				want, decision := codes.PermissionDenied, access.Denied
				resource := row.resource
				switch {
				case c.role == "":
					want, resource = codes.Unauthenticated, ""
				case c.role == "admin" || slices.Contains(strings.Fields(row.allowed), c.role):
					want, decision = codes.OK, access.Allowed
				}
				err := g.call(c.ctx, methods[name], row.request)
				if status.Code(err) != want {
					t.Errorf("got %v, want %s", err, want)
				}
				records := g.records()
				if len(records) != 1 {
					t.Fatalf("got %d audit records, want 1: %+v", len(records), records)
				}
				r := records[0]
				gotResource, _, _ := strings.Cut(r.Resource, "@")
				got := fmt.Sprint(r.Decision, " ", r.Principal, " ", r.Credential, " ", r.Action, " ", gotResource, " ", r.Method)
				wanted := fmt.Sprint(decision, " ", c.principal, " ", c.id, " ", row.action, " ", resource, " /", ownPackage, ".", name)
				if got != wanted {
					t.Errorf("recorded %s\nwant     %s", got, wanted)
				}
				if r.Reason == "" {
					t.Error("the record does not say why")
				}
			})
		}
	}
}
