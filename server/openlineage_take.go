package server

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/headwaterhq/headwater/access"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/lineage/openlineage"
)

// TakeEvent keeps what an event of another system says of how sources came about. Who may send rows to a source may say where they are from.
func (s *lineageService) TakeEvent(ctx context.Context, req *headwaterv1.TakeEventRequest) (*headwaterv1.TakeEventResponse, error) {
	if err := access.RequireAny(ctx, access.ActionIngest, access.KindSource); err != nil {
		return nil, err
	}
	told, err := openlineage.ReadTold(req.GetEvent())
	if err != nil {
		return nil, err
	}
	resp := &headwaterv1.TakeEventResponse{Sources: s.written(told)}
	for _, source := range resp.Sources {
		if err := access.Require(ctx, access.ActionIngest, access.KindSource, source); err != nil {
			return nil, err
		}
	}
	principal := access.PrincipalFrom(ctx).Name
	return resp, pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return openlineage.Keep(ctx, tx, s.names, told, principal) })
}

// written are the sources that an event is about by what it says was written, or, where it says that of no job, by what it is of.
func (s *lineageService) written(told *openlineage.Told) []string {
	relations := map[string]bool{}
	for _, t := range slices.Concat(told.Outputs, told.Alone()) {
		for _, name := range append(slices.Clone(t.Aliases), t.Name) {
			relations[s.names.Relation(name)] = true
		}
	}
	var sources []string
	for _, src := range s.registry.Catalog().Sources() {
		relation := openlineage.LandingRelation(src.Name)
		if src.Postgres != nil {
			relation = src.Postgres.String()
		}
		if relations[relation] {
			sources = append(sources, src.Name)
		}
	}
	slices.Sort(sources)
	return sources
}

// EventsHandler takes OpenLineage events of other systems by POST on /api/v1/lineage, as LineageService.TakeEvent: with the same tokens and
// decisions.
func (s *Server) EventsHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/lineage", s.takeEvent)
	return mux
}

// EventsTLS is how the address for events is encrypted, or nil: as calls are.
func (s *Server) EventsTLS() *tls.Config {
	if s.certificates == nil {
		return nil
	}
	return s.certificates.config("http/1.1")
}

func (s *Server) takeEvent(w http.ResponseWriter, req *http.Request) {
	ctx := req.Context()
	if address, err := net.ResolveTCPAddr("tcp", req.RemoteAddr); err == nil {
		p := &peer.Peer{Addr: address}
		if req.TLS != nil {
			p.AuthInfo = credentials.TLSInfo{State: *req.TLS}
		}
		ctx = peer.NewContext(ctx, p)
	}
	if header := req.Header.Values("Authorization"); len(header) > 0 {
		ctx = metadata.NewIncomingContext(ctx, metadata.MD{"authorization": header})
	}
	event, err := io.ReadAll(http.MaxBytesReader(w, req.Body, openlineage.MaxEvent))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		// Decided on and refused as one that is too large.
		event = make([]byte, openlineage.MaxEvent+1)
	case err != nil:
		return
	}
	info := &grpc.UnaryServerInfo{FullMethod: headwaterv1.LineageService_TakeEvent_FullMethodName}
	resp, err := s.guard.unary(ctx, &headwaterv1.TakeEventRequest{Event: event}, info, func(ctx context.Context, r any) (any, error) {
		return s.lineage.TakeEvent(ctx, r.(*headwaterv1.TakeEventRequest))
	})
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		told := status.Convert(err)
		w.WriteHeader(httpStatus(told.Code()))
		_ = json.NewEncoder(w).Encode(map[string]string{"error": told.Message()})
		return
	}
	w.WriteHeader(http.StatusCreated)
	sources := resp.(*headwaterv1.TakeEventResponse).GetSources()
	_ = json.NewEncoder(w).Encode(map[string][]string{"sources": append([]string{}, sources...)})
}

// httpStatus is what a status of gRPC is over HTTP.
func httpStatus(code codes.Code) int {
	switch code {
	case codes.InvalidArgument, codes.FailedPrecondition, codes.OutOfRange:
		return http.StatusBadRequest
	case codes.Unauthenticated:
		return http.StatusUnauthorized
	case codes.PermissionDenied:
		return http.StatusForbidden
	case codes.NotFound:
		return http.StatusNotFound
	case codes.ResourceExhausted:
		return http.StatusTooManyRequests
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}
