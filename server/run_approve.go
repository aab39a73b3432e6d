package server

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/headwaterhq/headwater/access"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/materialize"
)

// defaultWaiver is how long an approval of a run counts where it is not said: the run that it is for begins at once.
const defaultWaiver = 24 * time.Hour

func (s *materializationService) ApproveRun(ctx context.Context, req *headwaterv1.ApproveRunRequest) (*headwaterv1.ApproveRunResponse, error) {
	r, err := materialize.Find(ctx, s.pool, req.GetRun())
	if err != nil {
		return nil, missing(ctx, access.ActionApprove, access.KindView, err)
	}
	if access.Allows(ctx, access.ActionList, access.KindView, r.View) {
		err = access.Require(ctx, access.ActionApprove, access.KindView, r.View)
	} else {
		none := fault.New(fault.NotFound, "there is no run %s; `headwater runs list` shows those there are", req.GetRun())
		err = requireOr(ctx, access.ActionApprove, access.KindView, r.View, none)
	}
	if err != nil {
		return nil, err
	}
	view, err := s.registry.Catalog().View(fmt.Sprintf("%s@%d", r.View, r.ViewVersion))
	if err != nil {
		return nil, err
	}
	w := materialize.Waiver{Check: req.GetCheck(), Reason: req.GetReason(), ExpiresAt: time.Now().Add(defaultWaiver)}
	if req.GetExpiresAt() != nil {
		w.ExpiresAt = req.GetExpiresAt().AsTime()
	}
	approvals, again, err := s.materializer.ApproveRun(ctx, r, view, access.SessionFrom(ctx).Principal(), w)
	if err != nil {
		return nil, err
	}
	resp := &headwaterv1.ApproveRunResponse{}
	for i := range approvals {
		warnBrokenGlass(ctx, s.log, &approvals[i])
		shown := approvalOf(&approvals[i])
		shown.Inputs = ""
		resp.Approvals = append(resp.Approvals, shown)
	}
	resp.Run, err = runFor(ctx, s.registry.Catalog(), again)
	return resp, err
}

// toApprove says of a run that failed by checks that can be waived how, and who can.
func (s *materializationService) toApprove(ctx context.Context, r *materialize.Run) (string, error) {
	checks := r.Waivable()
	if len(checks) == 0 {
		return "", nil
	}
	owner := ""
	if v := s.registry.Catalog().NewestView(r.View); v != nil {
		owner = v.Owner
	}
	who, err := whoCanApprove(ctx, s.pool, access.KindView, r.View, r.Principal, owner)
	return fmt.Sprintf("headwater runs approve %d --check %s --reason R waives it for exactly what it has looked at, and runs it again; %s", r.ID, strings.Join(checks, " or --check "), who), err
}
