package server

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/dataset"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/lineage"
	"github.com/headwaterhq/headwater/materialize"
	"github.com/headwaterhq/headwater/quality"
)

// baselineWriter and baselineRemovedWriter begin the writers of audit records of what baselines are; the name is the rest, and the number its version.
const (
	baselineWriter        = "baseline-set:"
	baselineRemovedWriter = "baseline-removed:"
)

// baselineNode is a baseline, of a version that held once or the one that holds.
var baselineNode = regexp.MustCompile(`^baseline:([a-z][a-z0-9_]*)(?:@([1-9][0-9]{0,8}))?$`)

// subjectKinds are the kinds of what can be held to a baseline.
var subjectKinds = map[lineage.NodeKind]access.Kind{lineage.View: access.KindView, lineage.Service: access.KindService, lineage.Model: access.KindModel}

// subjectOf is what a baseline is for, and the kind of resource that it is.
func subjectOf(subject string) (access.Kind, lineage.NodeRef, error) {
	ref, err := lineage.Parse(subject)
	kind, ok := subjectKinds[ref.Kind]
	if err != nil || !ok {
		return "", ref, fault.New(fault.InvalidArgument, "subject: found %q, expected `view:NAME[@VERSION]`, `service:NAME[@VERSION]` or `model:NAME[@VERSION]`", shorten(subject, maxShownName)).
			Violating(fault.Violation{Field: "subject", Description: "expected a view, a service or a model"})
	}
	return kind, ref, nil
}

// SetBaseline is for who may register what is held to the baseline, and list what it is made of.
func (s *qualityService) SetBaseline(ctx context.Context, req *headwaterv1.SetBaselineRequest) (*headwaterv1.SetBaselineResponse, error) {
	b := &quality.Baseline{Name: req.GetName(), Reason: req.GetReason(), SetBy: access.PrincipalFrom(ctx).Name}
	ref, err := lineage.Parse(req.GetNode())
	if err != nil || ref.Kind != lineage.Run && ref.Kind != lineage.Dataset {
		const expected = "`run:VIEW@VERSION/SEQ`, `dataset:ID` or `dataset:NAME@VERSION`"
		return nil, fault.New(fault.InvalidArgument, "node: found %q, expected %s: a baseline is the profile that is kept of a run or a dataset", shorten(req.GetNode(), maxShownName), expected).
			Violating(fault.Violation{Field: "node", Description: "expected " + expected})
	}
	subject := req.GetSubject()
	if ref.Kind == lineage.Run {
		var r *materialize.Run
		if r, _, err = s.profileOfRun(ctx, ref); err != nil {
			return nil, err
		}
		b.Run, b.Node = r.ID, ref.String()
		if subject == "" {
			subject = fmt.Sprintf("view:%s@%d", r.View, r.ViewVersion)
		}
	} else {
		var m *dataset.Manifest
		if m, _, err = s.profileOfDataset(ctx, ref); err != nil {
			return nil, err
		}
		b.Dataset, b.Node = m.ID, "dataset:"+m.ID
		if subject == "" {
			if m.Service == "" {
				return nil, fault.New(fault.InvalidArgument, "subject: found none, and dataset %s was built of features by reference, expected what is held to the baseline: "+
					"`--for model:NAME` or `--for service:NAME`", m.ID).Violating(fault.Violation{Field: "subject", Description: "expected a service or a model"})
			}
			subject = fmt.Sprintf("service:%s@%d", m.Service, m.ServiceVersion)
		}
	}
	kind, of, err := subjectOf(subject)
	if err != nil {
		return nil, err
	}
	if (ref.Kind == lineage.Run) != (kind == access.KindView) || ref.Kind == lineage.Run && of.Name != ref.Name {
		return nil, fault.New(fault.InvalidArgument, "subject: found %s for %s, expected the view of a run, and a service or a model for a dataset", subject, b.Node).
			Violating(fault.Violation{Field: "subject", Description: "expected what has such rows"})
	}
	if err := access.Require(ctx, access.ActionRegister, kind, of.Name); err != nil {
		return nil, err
	}
	if err := s.resolveSubject(ctx, &of); err != nil {
		return nil, err
	}
	b.Subject = of.String()
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if err := quality.SetBaseline(ctx, tx, b); err != nil {
			return err
		}
		return access.WriteTx(ctx, tx, access.Record{
			Writer: baselineWriter + b.Name, Number: int64(b.Version), Principal: b.SetBy, Method: "baseline set", Action: access.ActionRegister,
			Resource: string(kind) + ":" + of.Name, Decision: access.Allowed, Reason: fmt.Sprintf("holds %s to baseline %s, of %s", b.Subject, b.Ref(), b.Node),
		})
	})
	var taken *quality.TakenError
	if errors.As(err, &taken) {
		kind, of, err := subjectOf(taken.Other)
		return nil, taken.Fault(err == nil && access.Allows(ctx, access.ActionList, kind, of.Name))
	}
	if err != nil {
		return nil, database.Fault(err)
	}
	return &headwaterv1.SetBaselineResponse{Baseline: s.baselineOf(ctx, b), Replaced: b.Replaced}, nil
}

// resolveSubject gives it the version that it has now, where it names none. It is an error where there is no such thing.
func (s *qualityService) resolveSubject(ctx context.Context, of *lineage.NodeRef) error {
	name := of.Name
	if of.Version != 0 {
		name += "@" + strconv.Itoa(of.Version)
	}
	switch of.Kind {
	case lineage.View:
		view, err := s.registry.Catalog().View(name)
		if err != nil {
			return err
		}
		of.Version = view.Version
	case lineage.Service:
		service, err := s.registry.Catalog().Service(name)
		if err != nil {
			return err
		}
		of.Version = service.Version
	default:
		models, err := lineage.Models(ctx, s.pool, of.Name, of.Version)
		if err != nil {
			return database.Fault(err)
		}
		if len(models) == 0 {
			return lineage.NotFound(*of)
		}
		of.Version = models[0].Version
	}
	return nil
}

func (s *qualityService) ListBaselines(ctx context.Context, _ *headwaterv1.ListBaselinesRequest) (*headwaterv1.ListBaselinesResponse, error) {
	kinds := []access.Kind{access.KindView, access.KindService, access.KindModel}
	kind := kinds[max(0, slices.IndexFunc(kinds, func(k access.Kind) bool { return access.AllowsAny(ctx, access.ActionList, k) }))]
	if err := access.RequireAny(ctx, access.ActionList, kind); err != nil {
		return nil, err
	}
	all, err := quality.Baselines(ctx, s.pool)
	if err != nil {
		return nil, database.Fault(err)
	}
	resp := &headwaterv1.ListBaselinesResponse{}
	for _, b := range all {
		if kind, of, err := subjectOf(b.Subject); err == nil && access.Allows(ctx, access.ActionList, kind, of.Name) {
			resp.Baselines = append(resp.Baselines, s.baselineOf(ctx, b))
		}
	}
	return resp, nil
}

// found are the baselines of a name, the newest first, of one version unless that is 0, and what the newest is for, for who may act on that.
func (s *qualityService) found(ctx context.Context, action access.Action, name string, version int) ([]*quality.Baseline, error) {
	history, err := quality.BaselineHistory(ctx, s.pool, name, version)
	if err != nil {
		return nil, database.Fault(err)
	}
	none := quality.NoSuchBaseline(shorten(name, maxShownName))
	if len(history) == 0 {
		return nil, missing(ctx, action, access.KindView, none)
	}
	kind, of, err := subjectOf(history[0].Subject)
	if err != nil {
		return nil, err
	}
	if action != access.ActionList && access.Allows(ctx, access.ActionList, kind, of.Name) {
		return history, access.Require(ctx, action, kind, of.Name)
	}
	return history, requireOr(ctx, action, kind, of.Name, none)
}

func (s *qualityService) GetBaseline(ctx context.Context, req *headwaterv1.GetBaselineRequest) (*headwaterv1.GetBaselineResponse, error) {
	history, err := s.found(ctx, access.ActionList, req.GetName(), 0)
	if err != nil {
		return nil, err
	}
	resp := &headwaterv1.GetBaselineResponse{}
	for _, b := range history {
		// A name may have been of something else once.
		if kind, of, err := subjectOf(b.Subject); err == nil && access.Allows(ctx, access.ActionList, kind, of.Name) {
			resp.Versions = append(resp.Versions, s.baselineOf(ctx, b))
		}
	}
	return resp, nil
}

func (s *qualityService) RemoveBaseline(ctx context.Context, req *headwaterv1.RemoveBaselineRequest) (*headwaterv1.RemoveBaselineResponse, error) {
	history, err := s.found(ctx, access.ActionRegister, req.GetName(), 0)
	if err != nil {
		return nil, err
	}
	b := history[0]
	kind, of, err := subjectOf(b.Subject)
	if err != nil {
		return nil, err
	}
	by := access.PrincipalFrom(ctx).Name
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if err := quality.RemoveBaseline(ctx, tx, b, by); err != nil {
			return err
		}
		return access.WriteTx(ctx, tx, access.Record{
			Writer: baselineRemovedWriter + b.Name, Number: int64(b.Version), Principal: by, Method: "baseline remove", Action: access.ActionRegister,
			Resource: string(kind) + ":" + of.Name, Decision: access.Allowed, Reason: fmt.Sprintf("holds %s to baseline %s no longer", b.Subject, b.Ref()),
		})
	})
	if err != nil {
		return nil, database.Fault(err)
	}
	return &headwaterv1.RemoveBaselineResponse{}, nil
}

// ofBaseline is what a baseline holds things to: for whom the profile of what it was made of is.
func (s *qualityService) ofBaseline(ctx context.Context, node string) (*described, error) {
	groups := baselineNode.FindStringSubmatch(node)
	if groups == nil {
		return nil, badProfileNode(node)
	}
	version, _ := strconv.Atoi(groups[2])
	history, err := s.found(ctx, access.ActionList, groups[1], version)
	if err != nil {
		return nil, err
	}
	b := history[0]
	if version == 0 && b.EndedAt != nil {
		return nil, fault.New(fault.NotFound, "baseline %s: found it replaced or removed at %s, and none that holds; `headwater profile baseline:%s` shows what it was", b.Name,
			b.EndedAt.UTC().Format(time.RFC3339), b.Ref())
	}
	return s.showBaseline(ctx, b)
}

// showBaseline decides whether what is of values of a baseline is shown.
func (s *qualityService) showBaseline(ctx context.Context, b *quality.Baseline) (*described, error) {
	ref, err := lineage.Parse(b.Node)
	if err != nil {
		return nil, err
	}
	none := quality.NoSuchBaseline(b.Name)
	d := &described{node: "baseline:" + b.Ref()}
	var m *dataset.Manifest
	if ref.Kind == lineage.Run {
		err = requireOr(ctx, access.ActionList, access.KindView, ref.Name, none)
	} else if m, err = dataset.Find(ctx, s.pool, b.Dataset); err == nil {
		err = requireOr(ctx, access.ActionList, access.KindDataset, m.Name, none)
	}
	if err != nil {
		return nil, err
	}
	if d.profile, err = b.Profile(); err != nil {
		return nil, err
	}
	if d.profile == nil {
		return nil, fault.New(fault.NotFound, "baseline %s: an erasure took its profile away at %s, since values of it may have been the entity's; set it anew: `headwater baseline set %s NODE`",
			b.Ref(), b.Erased.UTC().Format(time.RFC3339), b.Name)
	}
	if ref.Kind == lineage.Run {
		d.withheld, err = s.showView(ctx, ref.Name, ref.Version, b.Rows)
		return d, err
	}
	return d, s.showDataset(ctx, d, m)
}

// baselineOf is a baseline as it is sent to who may list what it is for.
func (s *qualityService) baselineOf(ctx context.Context, b *quality.Baseline) *headwaterv1.Baseline {
	out := &headwaterv1.Baseline{
		Name: b.Name, Version: int32(b.Version), Subject: b.Subject, Rows: b.Rows, Reason: b.Reason, SetAt: timestamppb.New(b.SetAt), SetBy: b.SetBy, EndedBy: b.EndedBy,
	}
	if b.EndedAt != nil {
		out.EndedAt = timestamppb.New(*b.EndedAt)
	}
	if b.Erased != nil {
		out.ErasedAt = timestamppb.New(*b.Erased)
	}
	ref, err := lineage.Parse(b.Node)
	switch {
	case err != nil:
	case ref.Kind == lineage.Run:
		if access.Allows(ctx, access.ActionList, access.KindView, ref.Name) {
			out.Node = b.Node
		}
	default:
		if m, err := dataset.Find(ctx, s.pool, strings.TrimPrefix(b.Node, "dataset:")); err == nil && access.Allows(ctx, access.ActionList, access.KindDataset, m.Name) {
			out.Node = b.Node
		}
	}
	return out
}
