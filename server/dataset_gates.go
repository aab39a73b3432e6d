package server

import (
	"cmp"
	"context"
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
	"github.com/headwaterhq/headwater/internal/notify"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/quality"
	"github.com/headwaterhq/headwater/quality/bias"
	"github.com/headwaterhq/headwater/read"
)

// requirements are what must hold before the rows of a dataset are given out, in the order in which they are told of. Each looks at the
// manifest, the database and definitions alone; the tags that hold a dataset are noted in the manifest by the build (impactTags).
func (s *datasetService) requirements() []dataset.Requirement {
	return []dataset.Requirement{requireArrival, requireChecks, requireDrift, requireFresh, s.requireBiasReport()}
}

// gateKnowledge is the gate of datasets whose release is gated and in which values may come from the future. Nobody can approve that: no model
// has such values when it serves.
const gateKnowledge = "knowledge"

var requireArrival = dataset.Requirement{
	Gate: gateKnowledge,
	Look: func(_ context.Context, _ database.Querier, m *dataset.Manifest) (*dataset.Finding, error) {
		if len(m.ImpactTags) == 0 || !m.MayLeak {
			return nil, nil
		}
		return &dataset.Finding{Found: "knowledge event, by which values may come from the future", Remedy: "build it again with knowledge arrival"}, nil
	},
}

// gateBiasReport is the gate of datasets that carry an impact tag, or whose service asks for an impact report.
const gateBiasReport = "bias_report"

// requireBiasReport holds no dataset back that carries no impact tag, unless its service asks for it. Of the others it never holds by itself: there has to be a report on exactly this content that is about its
// outcomes, and somebody else than who built it looks at it, and approves it until some time.
func (s *datasetService) requireBiasReport() dataset.Requirement {
	return dataset.Requirement{
		Gate: gateBiasReport,
		Look: func(ctx context.Context, q database.Querier, m *dataset.Manifest) (*dataset.Finding, error) {
			if len(m.ImpactTags) == 0 && !m.Asks(feature.GateImpactReport) {
				return nil, nil
			}
			why := tagsText(m.ImpactTags)
			if why == "" {
				why = "that service " + m.Service + " asks for an impact report"
			}
			reports, none, err := s.reportsAbout(ctx, q, m)
			if err != nil {
				return nil, err
			}
			if len(reports) == 0 {
				return &dataset.Finding{Found: why + ", and " + none, Remedy: "to make one: " + reportCommand(m)}, nil
			}
			return &dataset.Finding{
				Found:  why + ", and no approval of what it has in it, on which there is " + reportsText(reports),
				Remedy: "to look at it: headwater bias show " + reports[0].ID,
			}, nil
		},
		MayApprove: func(ctx context.Context, q database.Querier, m *dataset.Manifest) error {
			reports, none, err := s.reportsAbout(ctx, q, m)
			if err == nil && len(reports) == 0 {
				err = fault.New(fault.GateRefused, "gate %s of dataset %s: found %s, expected one to look at before it is approved; %s", gateBiasReport, m.ID, none, reportCommand(m)).
					With("dataset", m.ID)
			}
			return err
		},
	}
}

// reportsAbout are the reports on what a dataset has in it that are about its outcomes, and by a protected column where one can be asked for: any other one opens
// nothing. none says what there is none of.
func (s *datasetService) reportsAbout(ctx context.Context, q database.Querier, m *dataset.Manifest) (about []*quality.BiasReport, none string, err error) {
	none = "no report on what it has in it"
	reports, err := quality.BiasReportsOn(ctx, q, m.Digest())
	if err != nil || len(reports) == 0 {
		return nil, none, err
	}
	outcomes, err := s.outcomes(m)
	if err != nil {
		return nil, none, err
	}
	protected, err := s.protected(ctx, q, m)
	if err != nil {
		return nil, none, err
	}
	isOutcome := func(name string) bool { return strings.Contains(name, ".") || slices.Contains(outcomes, name) }
	for _, r := range reports {
		if of := &r.Question; (len(outcomes) == 0 || isOutcome(of.Label) || isOutcome(of.Prediction)) &&
			(len(protected) == 0 || slices.ContainsFunc(of.By, func(name string) bool { return slices.Contains(protected, name) })) {
			about = append(about, r)
		}
	}
	if len(outcomes) > 0 {
		none += " of " + strings.Join(outcomes, " or ")
	}
	if len(protected) > 0 {
		// Which these are is for who may list their views.
		none += " by a column with the tag " + feature.ProtectedTag
	}
	return about, none, nil
}

// outcomes are the columns of a dataset that a report may be about: those with an impact tag, and those of the spine by which nothing is read. Columns of views beside it are others. None: a report
// may be about any.
func (s *datasetService) outcomes(m *dataset.Manifest) (names []string, err error) {
	taken := map[string]bool{m.TimestampColumn: true}
	for i := range m.Views {
		v := &m.Views[i]
		version, err := s.registry.Catalog().PastView(fmt.Sprintf("%s@%d", v.View, v.Version))
		if err != nil {
			return nil, err
		}
		for _, k := range version.EntityVersion.JoinKeys {
			taken[cmp.Or(m.KeyMapping[k.Name], k.Name)] = true
		}
		for _, in := range version.Inputs() {
			taken[in.Name] = true
		}
	}
	for i := range m.Joins {
		for _, column := range m.Joins[i].KeyMapping {
			taken[column] = true
		}
	}
	for i := range m.Columns {
		c := &m.Columns[i]
		t, err := feature.ParseType(c.Type)
		if err != nil {
			return nil, err
		}
		tagged := slices.ContainsFunc(m.ImpactTags, func(t dataset.ImpactTag) bool { return t.Column == c.Name })
		if (tagged || c.Origin == "spine" && !taken[c.Name]) && (bias.CanGroup(t) || t == feature.TypeFloat64) {
			names = append(names, c.Name)
		}
	}
	return names, nil
}

// protected are the columns that people must not be told apart by, of views that have rows for the keys in a dataset's spine by its position, as reports name them.
func (s *datasetService) protected(ctx context.Context, q database.Querier, m *dataset.Manifest) (names []string, err error) {
	catalog := s.registry.Catalog()
	for _, v := range catalog.Views() {
		for i := range m.Views {
			if of := &m.Views[i]; of.View == v.Name {
				if v, err = catalog.PastView(fmt.Sprintf("%s@%d", of.View, of.Version)); err != nil {
					return nil, err
				}
			}
		}
		if v.OnDemand != nil {
			continue
		}
		keys := read.KeyColumns(v, m.KeyMapping, nil)
		if slices.ContainsFunc(keys, func(key string) bool {
			return !slices.ContainsFunc(m.Columns, func(c dataset.ManifestColumn) bool { return c.Origin == "spine" && c.Name == key })
		}) {
			continue
		}
		at := len(names)
		for _, c := range v.Stored() {
			if !bias.CanGroup(c.Type) || !catalog.Tags().Has(v, c.Name, feature.ProtectedTag) {
				continue
			}
			names = append(names, v.Name+"."+c.Name)
			for i := range m.Columns {
				if m.Columns[i].Origin == "feature:"+v.Ref()+"."+c.Name {
					names = append(names, m.Columns[i].Name)
				}
			}
		}
		if len(names) == at {
			continue
		}
		published, err := offline.At(ctx, q, v.ID, m.Position)
		if err != nil {
			return nil, err
		}
		if published.Seq == 0 {
			names = names[:at]
		}
	}
	return names, nil
}

func reportCommand(m *dataset.Manifest) string {
	return fmt.Sprintf("headwater bias report %s --label L --favourable V --by A", m.ID)
}

// reportsText is reports in words with what they say of the label, the newest first.
func reportsText(reports []*quality.BiasReport) string {
	var parts []string
	for _, r := range reports {
		parts = append(parts, fmt.Sprintf("report %s by %s: %s %s", r.ID, r.Principal, r.Question.Label, strings.ToLower(strings.ReplaceAll(string(r.Verdict()), "_", " "))))
	}
	return someOf(parts)
}

// maxTold is how many of several things a message names.
const maxTold = 3

// tagsText is impact tags in words.
func tagsText(tags []dataset.ImpactTag) string {
	var parts []string
	for _, t := range tags {
		of := "as a whole"
		if t.Column != "" {
			of = "in column " + t.Column
		}
		parts = append(parts, fmt.Sprintf("tag %s %s, from %s", t.Tag, of, someOf(t.From)))
	}
	return someOf(parts)
}

// someOf is the first of texts, and how many there are besides.
func someOf(texts []string) string {
	if more := len(texts) - maxTold; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(texts[:maxTold], ", "), more)
	}
	return strings.Join(texts, ", ")
}

// impactTags are the tags by which a dataset is held until somebody has looked at its impact on people: of the service, of every view and
// source that its values may come from, through whatever views, of every source that the spine was read from, and of columns, along the values that they are made of. Those
// that definitions have today count for older versions too.
func (s *datasetService) impactTags(plan *read.Plan, spine []feature.Column, events *headwaterv1.SpineEvents, sources []*feature.SourceVersion) []dataset.ImpactTag {
	catalog := s.registry.Catalog()
	tags := catalog.Tags()
	found := map[[2]string][]string{}
	add := func(tag, column, from string) {
		if at := [2]string{tag, column}; feature.IsImpactTag(tag) && !slices.Contains(found[at], from) {
			found[at] = append(found[at], from)
		}
	}
	column := func(name string, of []feature.ColumnTag) {
		for _, t := range of {
			for _, from := range t.From {
				add(t.Tag, name, from.String())
			}
		}
	}
	whole := func(kind feature.Kind, name string, version []string) {
		for _, tag := range slices.Concat(version, catalog.OwnTags(kind, name)) {
			add(tag, "", kind.String()+":"+name)
		}
	}
	source := func(v *feature.SourceVersion) { whole(feature.KindSource, v.Name, v.Tags) }
	var views func(*feature.ViewVersion)
	views = func(v *feature.ViewVersion) {
		whole(feature.KindView, v.Name, v.Tags)
		for _, of := range v.ViewVersions {
			views(of)
		}
	}
	if service := plan.Service; service.Name != "" {
		whole(feature.KindService, service.Name, service.Tags)
		for _, v := range s.declared(service) {
			for _, l := range v.Labels {
				if !slices.ContainsFunc(spine, func(c feature.Column) bool { return c.Name == l.Name }) {
					continue
				}
				for _, tag := range l.Tags {
					add(tag, l.Name, feature.KindService.String()+":"+service.Name+"."+l.Name)
				}
			}
		}
	}
	for i := range plan.Columns {
		c := &plan.Columns[i]
		column(c.Name, tags.Column(c.Version, c.Version.Features[c.Feature].Name))
		views(c.Version)
		c.Version.EachSource(source)
	}
	for i := range plan.Views {
		v := &plan.Views[i]
		for k, key := range v.KeyColumns {
			column(key, tags.Column(v.Version, v.Version.EntityVersion.JoinKeys[k].Name))
		}
	}
	for _, v := range sources {
		source(v)
		for i := range v.Columns {
			name := v.Columns[i].Name
			switch {
			case events == nil:
				// A query may make any of its columns of any of theirs.
				column("", tags.Source(v, name))
			case slices.ContainsFunc(spine, func(c feature.Column) bool { return c.Name == name }):
				column(name, tags.Source(v, name))
			}
		}
	}
	var list []dataset.ImpactTag
	for at, from := range found {
		slices.Sort(from)
		list = append(list, dataset.ImpactTag{Tag: at[0], Column: at[1], From: from})
	}
	slices.SortFunc(list, func(a, b dataset.ImpactTag) int {
		return cmp.Or(strings.Compare(a.Tag, b.Tag), strings.Compare(a.Column, b.Column))
	})
	return list
}

// approvedGate is dataset.Approved.
func approvedGate(ctx context.Context, q database.Querier, m *dataset.Manifest, gate string) (int64, error) {
	a, err := access.ApprovalOf(ctx, q, datasetResource(m), gate, m.Digest(), m.ID, m.Principal)
	if a == nil {
		return 0, err
	}
	return a.ID, nil
}

// datasetResource is what approving a dataset is decided on.
func datasetResource(m *dataset.Manifest) string { return string(access.KindDataset) + ":" + m.Name }

// heldFrom reports whether a dataset is held, so that what tells of values in it is withheld from the caller: from all but who may approve it, which who built it may not.
// Of few rows their least value is the value of a row.
func heldFrom(ctx context.Context, m *dataset.Manifest) bool {
	if m.State != dataset.Built && (m.State != dataset.Deleted || m.ReleasedAt != nil || dataset.Hold(m.Gates)) {
		return false
	}
	return m.Principal == access.PrincipalFrom(ctx).Name || !access.Allows(ctx, access.ActionApprove, access.KindDataset, m.Name)
}

// withoutHeld takes out of a manifest what tells of values of rows that are not given out: summaries of columns, how many rows each rule left out, and with such rules how
// many are left.
func withoutHeld(m *headwaterv1.Manifest) {
	for _, c := range m.Columns {
		if c.Summary != nil {
			c.Summary = &headwaterv1.ColumnSummary{}
		}
	}
	for _, rule := range m.LeftOut {
		rule.Rows, m.Rows = 0, 0
	}
}

// withheldHeld says that a dataset is held, where that is why something is not shown.
const withheldHeld = "what tells of values in it is withheld until then from all but who may approve it"

// refuseHeld refuses to give out rows of a dataset that is held, with what is missing now.
func (s *datasetService) refuseHeld(ctx context.Context, m *dataset.Manifest) error {
	if m.State != dataset.Built {
		return nil
	}
	results, err := s.builder.Look(ctx, s.pool, m)
	if err != nil {
		return err
	}
	return s.held(ctx, s.pool, m, results)
}

// held is the fault of a dataset that is held.
func (s *datasetService) held(ctx context.Context, q access.DB, m *dataset.Manifest, results []dataset.GateResult) error {
	text, err := s.heldText(ctx, q, m, results)
	if err != nil {
		return err
	}
	f := fault.New(fault.GateRefused, "%s", text).With("dataset", m.ID)
	var gates []string
	for i := range results {
		if !results[i].Holds {
			gates = append(gates, results[i].Gate)
		}
	}
	return f.With("gates", strings.Join(gates, ","))
}

// heldText says of a dataset that is held which gates do not hold, what was found, what to do, and who can approve.
func (s *datasetService) heldText(ctx context.Context, q access.DB, m *dataset.Manifest, results []dataset.GateResult) (string, error) {
	text := fmt.Sprintf("dataset %s (%s) is held, and its rows are not given out before it is released", m.ID, m.Ref())
	if dataset.Hold(results) {
		return text + fmt.Sprintf(": all of its gates hold now; headwater dataset release %s", m.ID), nil
	}
	approvable := false
	for i := range results {
		g := &results[i]
		if g.Holds {
			continue
		}
		text += fmt.Sprintf("; gate %s: found %s", g.Gate, g.Found)
		if g.Remedy != "" {
			text += "; " + g.Remedy
		}
		if g.Approvable {
			approvable = true
			text += fmt.Sprintf("; to approve: headwater dataset approve %s --gate %s --reason R --expires T", m.ID, g.Gate)
		} else {
			text += "; nobody can approve that"
		}
	}
	if approvable {
		who, err := s.whoCanApprove(ctx, q, access.KindDataset, m.Name, m.Principal, m.Service)
		if err != nil {
			return "", err
		}
		text += "; " + who
	}
	return text + fmt.Sprintf("; then: headwater dataset release %s", m.ID), nil
}

// whoCanApprove says who can approve what author made: by roles, and who has those; and who owns the service that it is of, where the
// caller may know of it.
func (s *datasetService) whoCanApprove(ctx context.Context, q access.DB, kind access.Kind, name, author, service string) (string, error) {
	owner := ""
	if service != "" && access.Allows(ctx, access.ActionList, access.KindService, service) {
		if v, err := s.registry.Catalog().Service(service); err == nil {
			owner = v.Owner
		}
	}
	return whoCanApprove(ctx, q, kind, name, author, owner)
}

func whoCanApprove(ctx context.Context, q access.DB, kind access.Kind, name, author, owner string) (string, error) {
	roles := access.SessionFrom(ctx).Policy().RolesFor(access.ActionApprove, kind, name)
	holders, more, err := access.Holders(ctx, q, roles, author)
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf("whoever has one of the roles [%s] can approve it, but not %s, who made it", strings.Join(roles, " "), author)
	switch {
	case more:
		text += ": " + strings.Join(holders, ", ") + " and others"
	case len(holders) > 0:
		text += ": " + strings.Join(holders, ", ")
	}
	if owner != "" {
		text += "; " + owner + " owns it"
	}
	return text, nil
}

// releaseWriter begins the writer of the audit record that a release is; the dataset's id is the rest of it.
const releaseWriter = "dataset-released:"

func (s *datasetService) ReleaseDataset(ctx context.Context, req *headwaterv1.ReleaseDatasetRequest) (*headwaterv1.ReleaseDatasetResponse, error) {
	m, err := s.releasable(ctx, req.GetDataset())
	if err != nil {
		return nil, err
	}
	principal := access.SessionFrom(ctx).Principal()
	m, err = s.builder.Release(ctx, m.ID, principal.Name, func(ctx context.Context, tx pgx.Tx, m *dataset.Manifest, results []dataset.GateResult) error {
		return s.held(ctx, tx, m, results)
	}, func(ctx context.Context, tx pgx.Tx, m *dataset.Manifest) error {
		var gates []string
		for i := range m.Gates {
			by := ""
			if m.Gates[i].Approval != 0 {
				by = fmt.Sprintf(" by approval %d", m.Gates[i].Approval)
			}
			gates = append(gates, m.Gates[i].Gate+by)
		}
		var at int64
		if err := tx.QueryRow(ctx, `SELECT count(*) + 1 FROM headwater.audit_record WHERE writer = $1`, releaseWriter+m.ID).Scan(&at); err != nil {
			return err
		}
		return access.WriteTx(ctx, tx, access.Record{
			Writer: releaseWriter + m.ID, Number: at, Principal: principal.Name, Credential: principal.Credential, Roles: principal.Roles, Method: "release",
			Action: access.ActionApprove, Resource: datasetResource(m), Decision: access.Allowed, Dataset: m.ID,
			Reason: principal.Because("released " + m.ID + ", " + m.Ref() + ": gates hold: " + strings.Join(gates, ", ")),
		})
	})
	if err != nil {
		if f := fault.As(err); f != nil && f.Reason == fault.GateRefused && m != nil {
			s.tellRefused(ctx, m)
		}
		return nil, database.Fault(err)
	}
	shown, err := s.shownTo(ctx, m)
	if err != nil {
		shown = withoutValues(manifestOf(ctx, m))
	}
	return &headwaterv1.ReleaseDatasetResponse{Manifest: shown}, nil
}

// datasetNotice is what webhooks are told of a dataset.
func datasetNotice(kind notify.Kind, m *dataset.Manifest) notify.Notice {
	return notify.Notice{Kind: kind, Node: "dataset:" + m.ID, OwnedKind: "service", OwnedName: m.Service, Remedy: "headwater dataset show " + m.ID}
}

// tellRefused tells of a release that was refused, in a commit of its own: a refusal changes nothing. Where it cannot be told the caller knows.
func (s *datasetService) tellRefused(ctx context.Context, m *dataset.Manifest) {
	results, err := s.builder.Look(ctx, s.pool, m)
	if err == nil {
		n := datasetNotice(notify.GateRefused, m)
		var found, expected []string
		for i := range results {
			if g := &results[i]; !g.Holds {
				found, expected = append(found, g.Gate+": "+g.Found), append(expected, g.Gate)
			}
		}
		n.Found, n.Expected = strings.Join(found, "; "), "gates that hold: "+strings.Join(expected, ", ")
		err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return notify.Add(ctx, tx, n) })
	}
	if err != nil {
		s.log.WarnContext(ctx, "webhooks are not told that a release was refused", "dataset", m.ID, "error", err)
	}
}

// releasable reads the manifest of a dataset that the caller may release: who may APPROVE or ADMINISTER it, and who built it and may read
// still what it was built of.
func (s *datasetService) releasable(ctx context.Context, ref string) (*dataset.Manifest, error) {
	m, err := dataset.Find(ctx, s.pool, ref)
	if err != nil {
		return nil, missing(ctx, access.ActionApprove, access.KindDataset, err)
	}
	approves := access.Allows(ctx, access.ActionApprove, access.KindDataset, m.Name)
	switch {
	case !approves && m.Principal == access.PrincipalFrom(ctx).Name:
		_, err = s.builtOf(ctx, m)
	case !approves && access.Allows(ctx, access.ActionAdminister, access.KindDataset, m.Name):
		err = access.Require(ctx, access.ActionAdminister, access.KindDataset, m.Name)
	default:
		err = s.requireApprove(ctx, m, ref)
	}
	return m, err
}

// requireApprove decides on ActionApprove. Who may list the dataset is told what is missing; to all others it looks like one that is not there.
func (s *datasetService) requireApprove(ctx context.Context, m *dataset.Manifest, ref string) error {
	if access.Allows(ctx, access.ActionList, access.KindDataset, m.Name) {
		return access.Require(ctx, access.ActionApprove, access.KindDataset, m.Name)
	}
	return requireOr(ctx, access.ActionApprove, access.KindDataset, m.Name, dataset.Missing(ref))
}

func (s *datasetService) ApproveDataset(ctx context.Context, req *headwaterv1.ApproveDatasetRequest) (*headwaterv1.ApproveDatasetResponse, error) {
	m, err := dataset.Find(ctx, s.pool, req.GetDataset())
	if err != nil {
		return nil, missing(ctx, access.ActionApprove, access.KindDataset, err)
	}
	if err := s.requireApprove(ctx, m, req.GetDataset()); err != nil {
		return nil, err
	}
	principal := access.SessionFrom(ctx).Principal()
	var a access.Approval
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		// What is approved is what is there: an erasure waits.
		if err := tx.QueryRow(ctx, `SELECT manifest FROM headwater.dataset WHERE id = $1 FOR SHARE`, m.ID).Scan(&m); err != nil {
			return err
		}
		if err := m.CheckKept(); err != nil {
			return err
		}
		result, err := s.approvable(ctx, tx, m, req.GetGate())
		if err != nil {
			return err
		}
		a, err = access.Approve(ctx, tx, principal, access.Approval{
			Kind: access.KindDataset, Subject: m.ID, Resource: datasetResource(m), Inputs: m.Digest(), Gate: req.GetGate(), Found: result.Found, Author: m.Principal,
			Reason: req.GetReason(), ExpiresAt: expiryOf(req.GetExpiresAt().AsTime(), req.GetExpiresAt() != nil),
		})
		if err != nil {
			return err
		}
		n := datasetNotice(notify.DatasetApproved, m)
		n.Found, n.Expected, n.Remedy = "gate "+req.GetGate()+" is approved by "+principal.Name, "nothing is wrong", "headwater approvals list"
		return notify.Add(ctx, tx, n)
	})
	if err != nil {
		return nil, database.Fault(err)
	}
	s.warnBrokenGlass(ctx, &a)
	shown, err := s.shownTo(ctx, m)
	if err != nil {
		shown = withoutValues(manifestOf(ctx, m))
	}
	return &headwaterv1.ApproveDatasetResponse{Approval: s.approvalOf(ctx, &a), Manifest: shown}, nil
}

// expiryOf is when an approval expires as it was asked for: nothing asked for is never in the future.
func expiryOf(at time.Time, asked bool) time.Time {
	if !asked {
		return time.Time{}
	}
	return at
}

// approvable finds what a gate that an approval can open found of a dataset.
func (s *datasetService) approvable(ctx context.Context, tx pgx.Tx, m *dataset.Manifest, gate string) (*dataset.GateResult, error) {
	results, err := s.builder.Look(ctx, tx, m)
	if err != nil {
		return nil, err
	}
	var names []string
	for i := range results {
		g := &results[i]
		if names = append(names, g.Gate); g.Gate != gate {
			continue
		}
		switch {
		case g.Approval != 0:
			// That of another is refused where it is made.
			return g, nil
		case g.Holds:
			return nil, fault.New(fault.FailedPrecondition, "gate %s of dataset %s holds by itself: found %s; there is nothing to approve", gate, m.ID, g.Found)
		case !g.Approvable:
			return nil, fault.New(fault.GateRefused, "gate %s of dataset %s: found %s; nobody can approve that; %s", gate, m.ID, g.Found, g.Remedy).With("dataset", m.ID)
		}
		return g, s.builder.Requirement(gate).MayApprove(ctx, tx, m)
	}
	if len(names) == 0 {
		return nil, fault.New(fault.FailedPrecondition, "dataset %s (%s) has no gates; there is nothing to approve", m.ID, m.Ref())
	}
	return nil, fault.New(fault.InvalidArgument, "gate: found %q, expected one of dataset %s: %s", shorten(gate, maxShownName), m.ID, strings.Join(names, ", ")).
		Violating(fault.Violation{Field: "gate", Description: "expected " + strings.Join(names, " or ")})
}

// gatesNow adds to a manifest what is found at the gates: now, where it is held and that is asked for, else as it was.
func (s *datasetService) gatesNow(ctx context.Context, m *dataset.Manifest, shown *headwaterv1.Manifest) error {
	results := m.Gates
	if m.State == dataset.Built {
		var err error
		if results, err = s.builder.Look(ctx, s.pool, m); err != nil {
			return err
		}
		if shown.Held, err = s.heldText(ctx, s.pool, m, results); err != nil {
			return err
		}
		if heldFrom(ctx, m) {
			shown.Held += "; " + withheldHeld
		}
	}
	shown.Gates = gatesOf(results)
	for i := range results {
		if id := results[i].Approval; id != 0 {
			a, err := access.GetApproval(ctx, s.pool, id)
			if err != nil {
				return err
			}
			if shown.Gates[i].Approval = approvalOf(&a); shown.GetContentDigest() == "" {
				shown.Gates[i].Approval.Inputs = ""
			}
		}
	}
	return nil
}

func gatesOf(results []dataset.GateResult) (gates []*headwaterv1.GateResult) {
	for i := range results {
		g := &results[i]
		gates = append(gates, &headwaterv1.GateResult{Gate: g.Gate, Holds: g.Holds, Found: g.Found, Remedy: g.Remedy, Approvable: g.Approvable})
	}
	return gates
}

func carriedTags(tags []dataset.ImpactTag) (list []*headwaterv1.CarriedTag) {
	for _, t := range tags {
		list = append(list, &headwaterv1.CarriedTag{Tag: t.Tag, Column: t.Column, From: t.From})
	}
	return list
}
