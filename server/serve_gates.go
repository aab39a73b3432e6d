package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/dataset"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/materialize"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/quality"
	"github.com/headwaterhq/headwater/quality/drift"
	"github.com/headwaterhq/headwater/registry"
)

// serveFinding is what a gate on serving found. Parts are empty where it holds, and Runs are those that it went by.
type serveFinding struct {
	parts            []string
	runs             []int64
	expected, remedy string
}

// servedBy is registry.Config.Serve: the gates of a version of a service that do not hold of the views that it would read now, and that nobody else than who applies has approved.
func servedBy(ctx context.Context, tx pgx.Tx, of registry.Serving) (holds []registry.Hold, err error) {
	views, err := viewsToServe(ctx, tx, of)
	if err != nil {
		return nil, err
	}
	for _, gate := range of.Service.Gates.Serve {
		f := &serveFinding{}
		switch gate {
		case feature.GateChecks:
			err = f.checks(ctx, tx, views)
		case feature.GateDrift:
			err = f.drift(ctx, tx, views)
		case feature.GateFreshness:
			err = f.freshness(ctx, tx, views, of.First)
		case feature.GateImpactReport:
			err = f.impactReport(ctx, tx, of, views)
		}
		if err != nil {
			return nil, err
		}
		if len(f.parts) == 0 {
			continue
		}
		h := registry.Hold{Service: of.Service.Name, Version: of.Service.Version, Gate: gate, Found: someOf(f.parts), Expected: f.expected, Remedy: f.remedy}
		if h.Inputs, err = f.inputs(of.Service, gate, views); err != nil {
			return nil, err
		}
		a, err := access.ApprovalOf(ctx, tx, serviceResource(h.Service), string(gate), h.Inputs, heldRef(&h), access.PrincipalFrom(ctx).Name)
		if err != nil {
			return nil, err
		}
		if a == nil {
			holds = append(holds, h)
		}
	}
	return holds, nil
}

// serviceResource is what approving a version of a service is decided on.
func serviceResource(name string) string { return string(access.KindService) + ":" + name }

func heldRef(h *registry.Hold) string { return fmt.Sprintf("%s@%d", h.Service, h.Version) }

// viewsToServe are the view versions with rows that a version of a service would read now: those that it follows at what is read online, and what on-demand features are computed of.
func viewsToServe(ctx context.Context, q database.Querier, of registry.Serving) (views []*feature.ViewVersion, err error) {
	service, err := of.Service.Follow(of.Versions, func(v *feature.ViewVersion) (online bool, err error) {
		err = q.QueryRow(ctx, `SELECT EXISTS (SELECT FROM headwater.run WHERE view_id = $1 AND state = 'published' AND online_state = 'loaded')`, v.ID).Scan(&online)
		return online, err
	})
	if err != nil {
		return nil, err
	}
	add := func(v *feature.ViewVersion) {
		if v.Materialized() && !slices.ContainsFunc(views, func(w *feature.ViewVersion) bool { return w.Ref() == v.Ref() }) {
			views = append(views, v)
		}
	}
	for i := range service.Pins {
		v := service.Pins[i].View
		if add(v); v.OnDemand == nil {
			continue
		}
		for _, w := range v.ViewVersions {
			add(w)
		}
	}
	return views, nil
}

// inputs is what an approval of a gate is for: what is to be served, what was found, and the runs that this was found of. Those of other views may be others by then.
func (f *serveFinding) inputs(s *feature.ServiceVersion, gate feature.Gate, views []*feature.ViewVersion) (string, error) {
	of := struct {
		Service, Fingerprint, Gate, Expected string
		Found, Views                         []string
		Runs                                 []int64
	}{Service: s.Name, Fingerprint: s.Fingerprint.String(), Gate: string(gate), Expected: f.expected, Found: f.parts, Runs: f.runs}
	for _, v := range views {
		of.Views = append(of.Views, v.Ref()+" "+v.Fingerprint.String())
	}
	text, err := json.Marshal(of)
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), err
}

// newestRun is the newest published run of a view, or of those of which drift was judged; 0: there is none.
func newestRun(ctx context.Context, q database.Querier, view *feature.ViewVersion, judged bool) (id, seq int64, d *materialize.Drift, err error) {
	err = q.QueryRow(ctx, `SELECT id, seq, drift FROM headwater.run WHERE view_id = $1 AND state = 'published' AND (drift IS NOT NULL OR NOT $2) ORDER BY seq DESC LIMIT 1`, view.ID, judged).
		Scan(&id, &seq, &d)
	if errors.Is(err, pgx.ErrNoRows) {
		err = nil
	}
	return id, seq, d, err
}

func (f *serveFinding) checks(ctx context.Context, q database.Querier, views []*feature.ViewVersion) error {
	f.expected = "no check that warned unwaived in the newest published run of each view, and none that failed in a later one"
	for _, v := range views {
		id, _, _, err := newestRun(ctx, q, v, false)
		if err != nil {
			return err
		}
		rows, err := q.Query(ctx, `SELECT r.id, c.name, r.state FROM headwater.run r JOIN headwater.check_result c ON c.run_id = r.id
			WHERE r.id = $2 AND c.state = $3 AND NOT r.gates @> jsonb_build_array(jsonb_build_object('name', $6 || c.name))
				OR r.view_id = $1 AND r.id > $2 AND r.state = 'failed' AND c.state IN ($4, $5)
			ORDER BY r.id, c.place`, v.ID, id, quality.Warned, quality.Failed, quality.Errored, materialize.CheckGate(""))
		if err != nil {
			return err
		}
		var run int64
		var name, state string
		before := len(f.parts)
		if _, err := pgx.ForEachRow(rows, []any{&run, &name, &state}, func() error {
			did := "failed"
			if run == id {
				did = "warned"
			}
			f.parts, f.runs = append(f.parts, fmt.Sprintf("check %s %s in run %d of view %s", name, did, run, v.Ref())), append(f.runs, run)
			return nil
		}); err != nil {
			return err
		}
		if len(f.parts) > before && f.remedy == "" {
			f.remedy = fmt.Sprintf("to look at it: headwater runs show %d; a run that mends it lets it pass: headwater materialize %s", f.runs[before], v.Ref())
		}
	}
	return nil
}

func (f *serveFinding) drift(ctx context.Context, q database.Querier, views []*feature.ViewVersion) error {
	f.expected = "no column that failed against the baseline of its view in the newest published run"
	for _, v := range views {
		id, seq, d, err := newestRun(ctx, q, v, true)
		if err != nil {
			return err
		}
		if d == nil || d.Verdict != drift.Fail {
			continue
		}
		failed := 0
		for _, c := range d.Columns {
			if c.Verdict == drift.Fail {
				failed++
			}
		}
		run := fmt.Sprintf("%s/%d", v.Ref(), seq)
		f.parts, f.runs = append(f.parts, fmt.Sprintf("%d FAIL against baseline %s in run %s", failed, d.Baseline, run)), append(f.runs, id)
		if f.remedy == "" {
			f.remedy = fmt.Sprintf("to look at it: headwater drift baseline:%s run:%s", d.Baseline, run)
		}
	}
	return nil
}

// freshness lets a first version pass of views of which nothing was published: there is nobody who reads it yet, and it may come with them.
func (f *serveFinding) freshness(ctx context.Context, q database.Querier, views []*feature.ViewVersion, first bool) error {
	f.expected = "views as new as they declare"
	now := feature.TimeOf(time.Now())
	for _, v := range views {
		if v.Freshness == nil {
			continue
		}
		id, seq, _, err := newestRun(ctx, q, v, false)
		if err != nil {
			return err
		}
		if id == 0 && first {
			continue
		}
		found := "that nothing of view " + v.Ref() + " is published"
		if id > 0 {
			newest, err := offline.Current{View: v, Seq: seq, Now: now}.Newest(ctx, q)
			if err != nil {
				return err
			}
			if newest != nil && offline.Age(now, *newest) <= v.Freshness.MaxAge {
				continue
			}
			// An age is for who may read the rows.
			found = fmt.Sprintf("view %s older than %s", v.Ref(), feature.DurationText(v.Freshness.MaxAge))
		}
		f.parts, f.runs = append(f.parts, found), append(f.runs, id)
		if f.remedy == "" {
			f.remedy = "to have newer rows: headwater materialize " + v.Ref()
			if v.ID == 0 {
				f.remedy = "apply the view without that version of the service, and run it: headwater materialize " + v.Name
			}
		}
	}
	return nil
}

// impactReport asks for a dataset of what is to be served that somebody has released by a report. Its name is that of the service, which says what it is for and who may approve it: what it was built by
// may be another service, that reads these versions before this one does. A first version has nothing that a dataset could have been built by.
func (f *serveFinding) impactReport(ctx context.Context, q database.Querier, of registry.Serving, views []*feature.ViewVersion) error {
	if of.First {
		return nil
	}
	list, err := dataset.ReleasedBy(ctx, q, of.Service.Name, gateBiasReport)
	if err != nil {
		return err
	}
	var refs []string
	for _, v := range views {
		refs = append(refs, v.Ref())
	}
	for _, m := range list {
		if slices.ContainsFunc(views, func(v *feature.ViewVersion) bool { return !m.Reads(v) }) {
			continue
		}
		for i := range m.Gates {
			if g := &m.Gates[i]; g.Gate == gateBiasReport && g.Approval != 0 {
				a, err := access.GetApproval(ctx, q, g.Approval)
				if err != nil {
					return err
				}
				if a.InForce(time.Now()) {
					return nil
				}
			}
		}
	}
	f.parts = []string{fmt.Sprintf("no dataset named %s of %s", of.Service.Name, strings.Join(refs, ", "))}
	f.expected = "one that was released by an approved report of outcomes by group, the approval in force"
	f.remedy = fmt.Sprintf("to build one: headwater dataset build --service S --name %s, of a service that reads these versions", of.Service.Name)
	return nil
}

// held is the fault of an apply that gates on serving refuse; other errors are as they are. What was refused is kept, so that it can be approved.
func (s *registryService) held(ctx context.Context, err error) error {
	var held *registry.HeldError
	if !errors.As(err, &held) {
		return err
	}
	author := access.PrincipalFrom(ctx).Name
	var gates []string
	for i := range held.Holds {
		h := &held.Holds[i]
		gates = append(gates, string(h.Gate))
		if _, err := s.pool.Exec(ctx, `INSERT INTO headwater.held_service (service, version, gate, inputs, found, principal, refused_at) VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp())
			ON CONFLICT (service, gate, inputs) DO UPDATE SET version = excluded.version, principal = excluded.principal, refused_at = excluded.refused_at`,
			h.Service, h.Version, h.Gate, h.Inputs, h.Found, author); err != nil {
			return database.Fault(fmt.Errorf("keep what a gate refused: %w", err))
		}
	}
	// No approval could count for longer.
	if _, err := s.pool.Exec(ctx, `DELETE FROM headwater.held_service WHERE refused_at < clock_timestamp() - $1::interval`, access.MaxApproval); err != nil {
		return database.Fault(err)
	}
	text, err := held.Text(func(h *registry.Hold) (string, error) {
		owner := ""
		if v, err := s.registry.Catalog().Service(h.Service); err == nil && access.Allows(ctx, access.ActionList, access.KindService, h.Service) {
			owner = v.Owner
		}
		who, err := whoCanApprove(ctx, s.pool, access.KindService, h.Service, author, owner)
		return fmt.Sprintf("to approve: headwater approve service %s --gate %s --inputs %s --reason R --expires T; %s", h.Service, h.Gate, h.Inputs, who), err
	})
	if err != nil {
		return err
	}
	return fault.New(fault.GateRefused, "%s", text).With("gates", strings.Join(gates, ","))
}

func (s *approvalService) ApproveService(ctx context.Context, req *headwaterv1.ApproveServiceRequest) (*headwaterv1.ApproveServiceResponse, error) {
	name := req.GetService()
	none := fault.New(fault.NotFound, "there is nothing of service %q to approve at gate %s with the inputs %s; definitions that such a gate refuses say the command that approves it",
		shorten(name, maxShownName), shorten(req.GetGate(), maxShownName), req.GetInputs())
	var err error
	if access.Allows(ctx, access.ActionList, access.KindService, name) {
		err = access.Require(ctx, access.ActionApprove, access.KindService, name)
	} else {
		err = requireOr(ctx, access.ActionApprove, access.KindService, name, none)
	}
	if err != nil {
		return nil, err
	}
	var a access.Approval
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		a = access.Approval{
			Kind: access.KindService, Resource: serviceResource(name), Inputs: req.GetInputs(), Gate: req.GetGate(), Reason: req.GetReason(),
			ExpiresAt: expiryOf(req.GetExpiresAt().AsTime(), req.GetExpiresAt() != nil),
		}
		err := tx.QueryRow(ctx, `SELECT service || '@' || version, found, principal FROM headwater.held_service WHERE service = $1 AND gate = $2 AND inputs = $3 FOR SHARE`, name, a.Gate, a.Inputs).
			Scan(&a.Subject, &a.Found, &a.Author)
		if errors.Is(err, pgx.ErrNoRows) {
			return none
		}
		if err == nil {
			a, err = access.Approve(ctx, tx, access.SessionFrom(ctx).Principal(), a)
		}
		return err
	})
	if err != nil {
		return nil, database.Fault(err)
	}
	s.datasets.warnBrokenGlass(ctx, &a)
	return &headwaterv1.ApproveServiceResponse{Approval: s.datasets.approvalOf(ctx, &a)}, nil
}
