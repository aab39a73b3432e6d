package server

import (
	"context"
	"log/slog"
	"math"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/dataset"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/database"
)

// approvalService shows approvals, and takes them back.
type approvalService struct {
	headwaterv1.UnimplementedApprovalServiceServer
	pool     *pgxpool.Pool
	datasets *datasetService
}

func (s *approvalService) ListApprovals(ctx context.Context, req *headwaterv1.ListApprovalsRequest) (*headwaterv1.ListApprovalsResponse, error) {
	limit := int(req.GetPageSize())
	if limit == 0 {
		limit = 100
	}
	// Datasets, views and services have names of their own, and who may list nothing of any is denied.
	kind := access.KindDataset
	for _, other := range []access.Kind{access.KindView, access.KindService} {
		if !access.AllowsAny(ctx, access.ActionList, kind) {
			kind = other
		}
	}
	if err := access.RequireAny(ctx, access.ActionList, kind); err != nil {
		return nil, err
	}
	resp := &headwaterv1.ListApprovalsResponse{}
	// What the caller may not know of takes no place of what they may.
	for before := int64(math.MaxInt64); ; {
		list, err := access.ListApprovals(ctx, s.pool, req.GetOf(), before, limit)
		if err != nil {
			return nil, err
		}
		for i := range list {
			if kind, name := resourceOf(&list[i]); access.Allows(ctx, access.ActionList, kind, name) {
				resp.Approvals = append(resp.Approvals, s.datasets.approvalOf(ctx, &list[i]))
			}
			if len(resp.Approvals) == limit {
				return resp, nil
			}
		}
		if len(list) < limit {
			return resp, nil
		}
		before = list[len(list)-1].ID
	}
}

func (s *approvalService) WithdrawApproval(ctx context.Context, req *headwaterv1.WithdrawApprovalRequest) (*headwaterv1.WithdrawApprovalResponse, error) {
	a, err := access.GetApproval(ctx, s.pool, req.GetId())
	if err != nil {
		return nil, missing(ctx, access.ActionApprove, access.KindDataset, err)
	}
	kind, name := resourceOf(&a)
	if access.Allows(ctx, access.ActionList, kind, name) {
		err = access.Require(ctx, access.ActionApprove, kind, name)
	} else {
		err = requireOr(ctx, access.ActionApprove, kind, name, access.MissingApproval(a.ID))
	}
	if err != nil {
		return nil, err
	}
	resp := &headwaterv1.WithdrawApprovalResponse{}
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) (err error) {
		if a, err = access.Withdraw(ctx, tx, access.SessionFrom(ctx).Principal(), a.ID, req.GetReason()); err != nil {
			return err
		}
		if a.Kind == access.KindDataset {
			resp.HeldAgain, err = dataset.HoldAgain(ctx, tx, a.ID)
		}
		return err
	})
	if err != nil {
		return nil, database.Fault(err)
	}
	resp.Approval = s.datasets.approvalOf(ctx, &a)
	return resp, nil
}

// resourceOf is what an approval is decided on.
func resourceOf(a *access.Approval) (kind access.Kind, name string) {
	k, name, _ := strings.Cut(a.Resource, ":")
	return access.Kind(k), name
}

// approvalOf is an approval as the caller may see it who may know of what it is about: the digest of what it holds for is for who may read that.
func (s *datasetService) approvalOf(ctx context.Context, a *access.Approval) *headwaterv1.Approval {
	shown := approvalOf(a)
	if a.Kind == access.KindService {
		return shown
	}
	if a.Kind == access.KindDataset {
		if m, err := dataset.Find(ctx, s.pool, a.Subject); err == nil && s.readableTo(ctx, m) {
			return shown
		}
	}
	shown.Inputs = ""
	return shown
}

func approvalOf(a *access.Approval) *headwaterv1.Approval {
	return &headwaterv1.Approval{
		Id: a.ID, Subject: string(a.Kind) + ":" + a.Subject, Resource: a.Resource, Inputs: a.Inputs, Gate: a.Gate, Found: a.Found, Author: a.Author, Approver: a.Approver,
		Reason: a.Reason, BreakGlass: a.BreakGlass, ApprovedAt: timestamppb.New(a.ApprovedAt), ExpiresAt: timestamppb.New(a.ExpiresAt),
		WithdrawnAt: protoTime(a.WithdrawnAt), WithdrawnBy: a.WithdrawnBy, WithdrawReason: a.WithdrawReason, InForce: a.InForce(time.Now()),
	}
}

// warnBrokenGlass says in the log that a gate was opened by who had taken a role for that.
func warnBrokenGlass(ctx context.Context, log *slog.Logger, a *access.Approval) {
	if a.BreakGlass != "" {
		log.WarnContext(ctx, "BREAK GLASS: a gate was opened by who had taken a role for a time", "principal", a.Approver, "made_by", a.Author, "gate", a.Gate,
			"subject", string(a.Kind)+":"+a.Subject, "reason", a.BreakGlass, "approval", a.ID, "until", a.ExpiresAt)
	}
}

func (s *datasetService) warnBrokenGlass(ctx context.Context, a *access.Approval) {
	warnBrokenGlass(ctx, s.log, a)
}
