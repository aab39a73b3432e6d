package server

import (
	"context"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/access"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/database"
)

// BindCertificate says what whoever has a certificate may do.
func (s *AccessService) BindCertificate(ctx context.Context, r *headwaterv1.BindCertificateRequest) (*headwaterv1.BindCertificateResponse, error) {
	b, err := access.Bind(ctx, s.pool, access.Binding{
		Certificate: r.GetCertificate(), Roles: r.GetRoles(), Attributes: attributesOf(r.GetAttributes()), CreatedBy: access.PrincipalFrom(ctx).Name,
	}, s.policies().HasRole)
	if err != nil {
		return nil, err
	}
	return &headwaterv1.BindCertificateResponse{Binding: protoBinding(b)}, nil
}

// UnbindCertificate ends what a certificate is good for within access.RevocationBound.
func (s *AccessService) UnbindCertificate(ctx context.Context, r *headwaterv1.UnbindCertificateRequest) (*headwaterv1.UnbindCertificateResponse, error) {
	b, err := access.Unbind(ctx, s.pool, r.GetCertificate())
	if err != nil {
		return nil, err
	}
	return &headwaterv1.UnbindCertificateResponse{Binding: protoBinding(b)}, nil
}

// ListBindings lists what certificates are bound to.
func (s *AccessService) ListBindings(ctx context.Context, _ *headwaterv1.ListBindingsRequest) (*headwaterv1.ListBindingsResponse, error) {
	bindings, err := access.ListBindings(ctx, s.pool)
	if err != nil {
		return nil, err
	}
	response := &headwaterv1.ListBindingsResponse{}
	for _, b := range bindings {
		response.Bindings = append(response.Bindings, protoBinding(b))
	}
	return response, nil
}

// Elevate gives the caller a role for a time, on every server within access.RevocationBound.
func (s *AccessService) Elevate(ctx context.Context, r *headwaterv1.ElevateRequest) (*headwaterv1.ElevateResponse, error) {
	session := access.SessionFrom(ctx)
	if err := session.RequireElevation(r.GetRole(), r.GetDuration().AsDuration()); err != nil {
		return nil, err
	}
	var e access.Elevation
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) (err error) {
		e, err = access.Elevate(ctx, tx, session.Principal(), r.GetRole(), r.GetDuration().AsDuration(), r.GetReason())
		return err
	})
	if err != nil {
		return nil, database.Fault(err)
	}
	return &headwaterv1.ElevateResponse{Elevation: protoElevation(e)}, nil
}

// EndElevation ends what a principal, the caller unless another is named, has taken.
func (s *AccessService) EndElevation(ctx context.Context, r *headwaterv1.EndElevationRequest) (*headwaterv1.EndElevationResponse, error) {
	session := access.SessionFrom(ctx)
	principal := r.GetPrincipal()
	if principal == "" {
		principal = session.Principal().Name
	}
	if err := session.RequireEnd(principal); err != nil {
		return nil, err
	}
	response := &headwaterv1.EndElevationResponse{}
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		ended, err := access.EndElevations(ctx, tx, principal, session.Principal())
		for _, e := range ended {
			response.Elevations = append(response.Elevations, protoElevation(e))
		}
		return err
	})
	switch {
	case err != nil:
		return nil, database.Fault(err)
	case len(response.Elevations) == 0:
		return nil, access.ErrNotElevated(principal)
	}
	return response, nil
}

// ListElevations lists who has taken which roles, the newest last.
func (s *AccessService) ListElevations(ctx context.Context, r *headwaterv1.ListElevationsRequest) (*headwaterv1.ListElevationsResponse, error) {
	limit := int(r.GetPageSize())
	if limit == 0 {
		limit = 100
	}
	list, err := access.ListElevations(ctx, s.pool, limit)
	if err != nil {
		return nil, err
	}
	response := &headwaterv1.ListElevationsResponse{}
	for _, e := range list {
		response.Elevations = append(response.Elevations, protoElevation(e))
	}
	return response, nil
}

func protoBinding(b access.Binding) *headwaterv1.Binding {
	return &headwaterv1.Binding{
		Certificate: b.Certificate, Roles: b.Roles, Attributes: protoAttributes(b.Attributes), CreatedAt: timestamppb.New(b.CreatedAt), CreatedBy: b.CreatedBy,
	}
}

func protoElevation(e access.Elevation) *headwaterv1.Elevation {
	return &headwaterv1.Elevation{
		Principal: e.Principal, Credential: e.Credential, Role: e.Role, Reason: e.Reason, From: timestamppb.New(e.From), Until: timestamppb.New(e.Until),
		EndedAt: protoTime(e.EndedAt), EndedBy: e.EndedBy,
	}
}
