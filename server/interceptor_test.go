package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/headwaterhq/headwater/access"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// scripted handles a few methods as a test says.
type scripted struct {
	headwaterv1.UnimplementedOnlineServiceServer
	headwaterv1.UnimplementedMaterializationServiceServer
	headwaterv1.UnimplementedIngestServiceServer
	headwaterv1.UnimplementedDatasetServiceServer
	getFeatures func(context.Context) error
	getRun      func(context.Context) error
	watchRun    func(context.Context, func() error) error
	ingest      func(recv func() (*headwaterv1.IngestRequest, error)) error
	build       func(context.Context, func() (*headwaterv1.BuildDatasetRequest, error), func() error) error
}

func (s *scripted) GetFeatures(ctx context.Context, _ *headwaterv1.GetFeaturesRequest) (*headwaterv1.GetFeaturesResponse, error) {
	return &headwaterv1.GetFeaturesResponse{ReadId: access.SessionFrom(ctx).ReadID()}, s.getFeatures(ctx)
}

func (s *scripted) GetRun(ctx context.Context, _ *headwaterv1.GetRunRequest) (*headwaterv1.GetRunResponse, error) {
	return &headwaterv1.GetRunResponse{}, s.getRun(ctx)
}

func (s *scripted) WatchRun(_ *headwaterv1.WatchRunRequest, stream grpc.ServerStreamingServer[headwaterv1.WatchRunResponse]) error {
	return s.watchRun(stream.Context(), func() error { return stream.Send(&headwaterv1.WatchRunResponse{}) })
}

func (s *scripted) Ingest(stream grpc.ClientStreamingServer[headwaterv1.IngestRequest, headwaterv1.IngestResponse]) error {
	if err := s.ingest(stream.Recv); err != nil {
		return err
	}
	return stream.SendAndClose(&headwaterv1.IngestResponse{})
}

func (s *scripted) BuildDataset(stream grpc.BidiStreamingServer[headwaterv1.BuildDatasetRequest, headwaterv1.BuildDatasetResponse]) error {
	return s.build(stream.Context(), stream.Recv, func() error { return stream.Send(&headwaterv1.BuildDatasetResponse{}) })
}

func serveScripted(t *testing.T, s *scripted) *guarded {
	t.Helper()
	return serve(t, func(_ *guarded, server *grpc.Server) {
		headwaterv1.RegisterOnlineServiceServer(server, s)
		headwaterv1.RegisterMaterializationServiceServer(server, s)
		headwaterv1.RegisterIngestServiceServer(server, s)
		headwaterv1.RegisterDatasetServiceServer(server, s)
		healthv1.RegisterHealthServer(server, health.NewServer())
	})
}

func nothing(context.Context) error { return nil }

func features(service string) *headwaterv1.GetFeaturesRequest {
	return &headwaterv1.GetFeaturesRequest{
		Service: service, Purpose: "scoring",
		Keys: map[string]*headwaterv1.KeyColumn{"origin": {Values: []*headwaterv1.Value{{}}}},
	}
}

func TestAReadOfAService(t *testing.T) {
	g := serveScripted(t, &scripted{getFeatures: nothing})
	online := headwaterv1.NewOnlineServiceClient(g.conn)
	ctx := g.as("model")
	response, err := online.GetFeatures(ctx, features("delay_model_v1"))
	if err != nil {
		t.Fatal(err)
	}
	r := g.wantRecords("allowed the_model read_online service:delay_model_v1@2: role model allows read_online on " +
		"service:delay_model_v1, which serves as the grant of its views")[0]
	if r.Purpose != "scoring" || r.ReadID != response.GetReadId() || !strings.HasPrefix(r.ReadID, "rd_") ||
		r.Method != headwaterv1.OnlineService_GetFeatures_FullMethodName || r.ClientAddress != "bufconn" || r.Credential == "" ||
		!slices.Equal(r.Roles, []string{"model"}) {
		t.Errorf("the record does not say who and what for: %+v", r)
	}

	_, hidden := online.GetFeatures(ctx, features("open_service"))
	wantFault(t, hidden, fault.PermissionDenied, "the_model may not read_online service:open_service: no grant of read_online on "+
		"service:open_service in roles [model]; whoever administers the roles can change that")
	_, missing := online.GetFeatures(ctx, features("missing_serv"))
	if got := strings.ReplaceAll(missing.Error(), "missing_serv", "open_service"); got != hidden.Error() {
		t.Errorf("a hidden service is told from a missing one:\n%s\n%s", hidden, missing)
	}
	g.records()

	// The views of a service that is no grant are decided on too.
	_, err = online.GetFeatures(g.as("admin"), features("open_service@1"))
	if err != nil {
		t.Error(err)
	}
	g.wantRecords("allowed the_admin read_online service:open_service@1: role admin allows everything")
}

func TestValidationComesAfterTheDecision(t *testing.T) {
	g := serveScripted(t, &scripted{getFeatures: nothing})
	online := headwaterv1.NewOnlineServiceClient(g.conn)
	bad := &headwaterv1.GetFeaturesRequest{Service: "delay_model_v1", Purpose: strings.Repeat("x", 129)}
	_, err := online.GetFeatures(g.as("scientist"), bad)
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("got %v, want PERMISSION_DENIED", err)
	}
	_, err = online.GetFeatures(g.as("model"), bad)
	wantFault(t, err, fault.InvalidArgument, "the request does not hold to its rules\n"+
		"  purpose: found a text of 129 bytes: must be at most 128 characters")
}

func TestAllOfSeveralResourcesAreDecidedOn(t *testing.T) {
	g := serve(t, func(_ *guarded, s *grpc.Server) {
		headwaterv1.RegisterMaterializationServiceServer(s, headwaterv1.UnimplementedMaterializationServiceServer{})
	})
	runs := headwaterv1.NewMaterializationServiceClient(g.conn)
	_, err := runs.Materialize(g.as("engineer"), &headwaterv1.MaterializeRequest{Views: []string{"a", "b@2", "a"}})
	if status.Code(err) != codes.Unimplemented && status.Code(err) != codes.InvalidArgument {
		t.Errorf("got %v", err)
	}
	g.wantRecords(
		"allowed the_engineer materialize view:a: role engineer allows materialize on view:*",
		"allowed the_engineer materialize view:b@2: role engineer allows materialize on view:*",
	)
}

func TestWrongHeaders(t *testing.T) {
	g := serveScripted(t, &scripted{getFeatures: nothing})
	online := headwaterv1.NewOnlineServiceClient(g.conn)
	_, text := g.token("model")
	for _, c := range []struct {
		headers []string
		message string
	}{
		{[]string{text}, "found an authorization header of another scheme, expected `Bearer hw_…`"},
		{[]string{"Basic " + text}, "found an authorization header of another scheme, expected `Bearer hw_…`"},
		{[]string{"Bearer " + text, "Bearer " + text}, "found 2 authorization headers, expected one"},
		{[]string{"Bearer  " + text}, "found something that is not a token, expected hw_, an id of 16 characters, _ and a secret of 43; " +
			"check that it was copied whole"},
	} {
		ctx := context.Background()
		for _, h := range c.headers {
			ctx = metadata.AppendToOutgoingContext(ctx, "authorization", h)
		}
		_, err := online.GetFeatures(ctx, features("delay_model_v1"))
		wantFault(t, err, fault.Unauthenticated, c.message)
		g.wantRecords("denied  read_online : " + c.message)
	}
	ctx := metadata.AppendToOutgoingContext(context.Background(), "authorization", "bearer "+text)
	if _, err := online.GetFeatures(ctx, features("delay_model_v1")); err != nil {
		t.Errorf("the scheme in lower case: %v", err)
	}
}

func TestTripwire(t *testing.T) {
	s := &scripted{getRun: nothing, watchRun: func(_ context.Context, send func() error) error {
		send()
		return nil
	}}
	g := serveScripted(t, s)
	runs := headwaterv1.NewMaterializationServiceClient(g.conn)
	internal := regexp.MustCompile(`^internal error ([0-9a-f]{16}); the server's log says more under this id$`)
	wantInternal := func(err error, method string) {
		t.Helper()
		f := fault.FromError(err)
		if f == nil || f.Reason != fault.Internal {
			t.Fatalf("got %v, want INTERNAL", err)
		}
		id := internal.FindStringSubmatch(f.Message)
		if id == nil || f.Metadata["id"] != id[1] {
			t.Fatalf("got %q with %v", f.Message, f.Metadata)
		}
		want := fmt.Sprintf(`error="method %s answered without having asked for a decision"`, method)
		if log := g.log.String(); !strings.Contains(log, "id="+id[1]) || !strings.Contains(log, want) {
			t.Errorf("the log does not say %s under %s: %s", want, id[1], log)
		}
		g.wantRecords("denied the_admin list : the call failed before a decision")
	}
	ctx := g.as("admin")
	_, err := runs.GetRun(ctx, &headwaterv1.GetRunRequest{Run: "1"})
	wantInternal(err, headwaterv1.MaterializationService_GetRun_FullMethodName)

	watch, err := runs.WatchRun(ctx, &headwaterv1.WatchRunRequest{Id: 1})
	if err != nil {
		t.Fatal(err)
	}
	message, err := watch.Recv()
	if message != nil {
		t.Error("a message left without a decision")
	}
	wantInternal(err, headwaterv1.MaterializationService_WatchRun_FullMethodName)

	// One that says that it failed, fails as it says.
	s.getRun = func(context.Context) error { return fault.New(fault.NotFound, "there is no run 1") }
	_, err = runs.GetRun(ctx, &headwaterv1.GetRunRequest{Run: "1"})
	wantFault(t, err, fault.NotFound, "there is no run 1")
	g.wantRecords("denied the_admin list : there is no run 1")

	// An outage of Postgres is told as one, whoever met it.
	s.getRun = func(context.Context) error { return fmt.Errorf("read a run: %w", &pgconn.PgError{Code: "57P01"}) }
	_, err = runs.GetRun(ctx, &headwaterv1.GetRunRequest{Run: "1"})
	wantFault(t, err, fault.PostgresUnavailable, "Postgres is shutting down or starting (SQLSTATE 57P01); try again in a moment")
	g.wantRecords("denied the_admin list : the call failed before a decision")

	s.watchRun = func(ctx context.Context, send func() error) error {
		return errors.Join(access.Require(ctx, access.ActionList, access.KindView, "airport_delays"), send())
	}
	if watch, err = runs.WatchRun(ctx, &headwaterv1.WatchRunRequest{Id: 1}); err == nil {
		_, err = watch.Recv()
	}
	if err != nil {
		t.Error(err)
	}
	g.wantRecords("allowed the_admin list view:airport_delays: role admin allows everything")
}

func TestClientStreams(t *testing.T) {
	var received []string
	s := &scripted{ingest: func(recv func() (*headwaterv1.IngestRequest, error)) error {
		received = nil
		for {
			m, err := recv()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				// A handler that makes light of a refusal must not get away with it.
				if len(received) > 0 {
					return nil
				}
				return err
			}
			received = append(received, m.GetSource()+"/"+string(m.GetArrow()))
		}
	}}
	g := serveScripted(t, s)
	ingest := headwaterv1.NewIngestServiceClient(g.conn)
	header := &headwaterv1.IngestHeader{FileName: "f", FileSha256: strings.Repeat("0", 64)}
	send := func(ctx context.Context, messages ...*headwaterv1.IngestRequest) error {
		t.Helper()
		stream, err := ingest.Ingest(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range messages {
			if stream.Send(m) != nil {
				break
			}
		}
		_, err = stream.CloseAndRecv()
		return err
	}
	rows := &headwaterv1.IngestRequest{Arrow: []byte("rows")}
	engineer, scientist := g.as("engineer"), g.as("scientist")

	if err := send(engineer, &headwaterv1.IngestRequest{Source: "flights", Header: header}, rows, rows); err != nil {
		t.Error(err)
	}
	if want := []string{"flights/", "/rows", "/rows"}; !slices.Equal(received, want) {
		t.Errorf("received %q, want %q", received, want)
	}
	g.wantRecords("allowed the_engineer ingest source:flights: role engineer allows ingest on source:*")

	err := send(scientist, &headwaterv1.IngestRequest{Source: "flights", Header: header}, rows)
	if status.Code(err) != codes.PermissionDenied || len(received) != 0 {
		t.Errorf("got %v after %q, want PERMISSION_DENIED before the first message", err, received)
	}
	g.wantRecords("denied the_scientist ingest source:flights: no grant of ingest on source:flights in roles [scientist]")

	err = send(engineer, rows)
	wantFault(t, err, fault.InvalidArgument, "the request does not say what it is about\n  source: found nothing, expected the name of a source")
	err = send(engineer)
	wantFault(t, err, fault.InvalidArgument,
		"the request does not say what it is about\n  source: the stream ended before its first message, expected the name of a source")
	if err := send(scientist); status.Code(err) != codes.PermissionDenied {
		t.Errorf("got %v, want PERMISSION_DENIED", err)
	}
	g.records()

	bad := &headwaterv1.IngestRequest{Header: &headwaterv1.IngestHeader{FileSha256: "0"}}
	err = send(engineer, &headwaterv1.IngestRequest{Source: "flights", Header: header}, bad)
	if status.Code(err) != codes.InvalidArgument || len(received) != 1 {
		t.Errorf("got %v after %q, want INVALID_ARGUMENT for the second message", err, received)
	}
}

func TestEachMessageThatNamesSomethingIsDecidedOn(t *testing.T) {
	s := &scripted{build: func(_ context.Context, recv func() (*headwaterv1.BuildDatasetRequest, error), send func() error) error {
		for {
			if _, err := recv(); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return nil
			}
			if err := send(); err != nil {
				return err
			}
		}
	}}
	g := serveScripted(t, s)
	stream, err := headwaterv1.NewDatasetServiceClient(g.conn).BuildDataset(g.as("scientist"))
	if err != nil {
		t.Fatal(err)
	}
	header := &headwaterv1.BuildDatasetHeader{Purpose: "training"}
	for _, m := range []*headwaterv1.BuildDatasetRequest{{Service: "open_service", Header: header}, {Arrow: []byte("spine")}} {
		if err := stream.Send(m); err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	records := g.wantRecords("allowed the_scientist read_offline service:open_service@1: role scientist allows read_offline on service:*")
	if records[0].Purpose != "training" || records[0].ReadID != "" {
		t.Errorf("got purpose %q and read id %q", records[0].Purpose, records[0].ReadID)
	}
	// The handler makes nothing of the refusal, and the call is refused all the same.
	if err := stream.Send(&headwaterv1.BuildDatasetRequest{Header: &headwaterv1.BuildDatasetHeader{Name: "Not Lower"}}); err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("got %v, want INVALID_ARGUMENT although the handler returned nil", err)
	}
}

func TestPanicsAndErrorsTellTheLogAlone(t *testing.T) {
	const secret = "the password is hunter2"
	s := &scripted{}
	g := serveScripted(t, s)
	online := headwaterv1.NewOnlineServiceClient(g.conn)
	ctx := g.as("model")
	for name, handler := range map[string]func(context.Context) error{
		"panic":       func(context.Context) error { panic(secret) },
		"plain error": func(context.Context) error { return errors.New(secret) },
		"fault": func(context.Context) error {
			return fault.New(fault.Internal, "the run's record is missing").Because(errors.New(secret))
		},
		"outage": func(context.Context) error {
			return fault.New(fault.RedisUnavailable, "Redis cannot be reached").Because(errors.New(secret))
		},
		"no room": func(context.Context) error {
			return fmt.Errorf("write the spine: %w", &fs.PathError{Op: "write", Path: "/srv/" + secret, Err: syscall.ENOSPC})
		},
	} {
		s.getFeatures = handler
		before := len(g.log.String())
		_, err := online.GetFeatures(ctx, features("delay_model_v1"))
		f := fault.FromError(err)
		if f == nil || strings.Contains(fmt.Sprint(status.Convert(err).Proto()), "hunter2") {
			t.Fatalf("%s: the caller got %v", name, err)
		}
		log := g.log.String()[before:]
		if !strings.Contains(log, secret) || !strings.Contains(log, headwaterv1.OnlineService_GetFeatures_FullMethodName) {
			t.Errorf("%s: the log does not tell: %s", name, log)
		}
		if name == "no room" && (f.Reason != fault.ResourceExhausted || !strings.HasPrefix(f.Message, "the server's disk is full where it keeps temporary files; make room there")) {
			t.Errorf("%s: the caller got %v", name, f)
		}
		if name != "outage" && name != "no room" && (f.Reason != fault.Internal || f.Metadata["id"] == "" || !strings.Contains(log, "id="+f.Metadata["id"])) {
			t.Errorf("%s: the caller got %v with %v, the log %s", name, f, f.Metadata, log)
		}
	}
	s.getFeatures = func(ctx context.Context) error { return context.DeadlineExceeded }
	_, err := online.GetFeatures(ctx, features("delay_model_v1"))
	if status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("got %v, want DEADLINE_EXCEEDED", err)
	}
}

func TestNothingIsServedUnrecorded(t *testing.T) {
	g := serveScripted(t, &scripted{})
	ctx := g.as("model")
	if err := g.audit.Close(); err != nil {
		t.Fatal(err)
	}
	online := headwaterv1.NewOnlineServiceClient(g.conn)
	for _, ctx := range []context.Context{ctx, context.Background()} {
		_, err := online.GetFeatures(ctx, features("delay_model_v1"))
		wantFault(t, err, fault.AuditUnavailable, "the decision cannot be recorded in the server's audit log, so the call is refused; "+
			"see the server's log, and whether its disk is full")
	}
}

func TestHealthNeedsNoToken(t *testing.T) {
	g := serveScripted(t, &scripted{})
	response, err := healthv1.NewHealthClient(g.conn).Check(context.Background(), &healthv1.HealthCheckRequest{})
	if err != nil || response.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		t.Errorf("got %v, %v", response, err)
	}
	g.wantRecords()
}
