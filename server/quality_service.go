package server

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/dataset"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/wire"
	"github.com/headwaterhq/headwater/lineage"
	"github.com/headwaterhq/headwater/materialize"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/quality"
	"github.com/headwaterhq/headwater/quality/drift"
	"github.com/headwaterhq/headwater/quality/profile"
	"github.com/headwaterhq/headwater/readlog"
	"github.com/headwaterhq/headwater/registry"
)

// qualityService answers what rows are like.
type qualityService struct {
	headwaterv1.UnimplementedQualityServiceServer
	registry *registry.Registry
	pool     *pgxpool.Pool
	datasets *datasetService
	reads    *readlog.Log
	// readLog computes reads again.
	readLog *readLogService
	// head knows how new what is online is.
	head *head
	// maxViewRows is how many rows of a view are read for a profile at most.
	maxViewRows int64
	// lineage has the places and the time of what looks through many reads.
	lineage *lineageService
	// skewReads and skewEntities are maxSkewReads and maxSkewEntities.
	skewReads, skewEntities int64
	scores                  *scorer
}

// maxViewRows takes some minutes to read.
const maxViewRows = 20_000_000

// described is a profile, as the caller may see it.
type described struct {
	node    string
	profile *profile.Profile
	// withheld is why what is of values is not shown. Empty: it is.
	withheld string
}

// readsNode is the reads of a service on a day.
var readsNode = regexp.MustCompile(`^reads:([a-z][a-z0-9_]*)@([1-9][0-9]{0,8})/([0-9]{4}-[0-9]{2}-[0-9]{2})$`)

const profiledNodes = "`run:VIEW@VERSION/SEQ`, `view:NAME[@VERSION]`, `dataset:ID`, `dataset:NAME@VERSION`, `baseline:NAME[@VERSION]` or " +
	"`reads:SERVICE@VERSION/YYYY-MM-DD`"

// GetProfile shows counts to who may know of what they are of, and what is of values to who may read all of its rows.
func (s *qualityService) GetProfile(ctx context.Context, req *headwaterv1.GetProfileRequest) (*headwaterv1.GetProfileResponse, error) {
	d, err := s.profileOf(ctx, req.GetNode())
	if err != nil {
		return nil, err
	}
	if req.GetAgainst() == "" {
		return &headwaterv1.GetProfileResponse{Profile: profileMessage(d, nil)}, nil
	}
	against, err := s.profileOf(ctx, req.GetAgainst())
	if err != nil {
		return nil, err
	}
	return &headwaterv1.GetProfileResponse{Profile: profileMessage(d, against), Against: profileMessage(against, nil)}, nil
}

// CompareProfiles tells of values, so that both profiles must be for the caller whole.
func (s *qualityService) CompareProfiles(ctx context.Context, req *headwaterv1.CompareProfilesRequest) (*headwaterv1.CompareProfilesResponse, error) {
	thresholds := drift.DefaultThresholds
	if req.GetWarn() > 0 {
		thresholds.Warn = req.GetWarn()
	}
	if req.GetFail() > 0 {
		thresholds.Fail = req.GetFail()
	}
	if thresholds.Warn > thresholds.Fail {
		return nil, fault.New(fault.InvalidArgument, "warn: found %v, expected no more than fail, which is %v", thresholds.Warn, thresholds.Fail).
			Violating(fault.Violation{Field: "warn", Description: "expected no more than fail"})
	}
	baseline, err := s.wholeProfile(ctx, req.GetBaseline())
	if err != nil {
		return nil, err
	}
	current, err := s.wholeProfile(ctx, req.GetCurrent())
	if err != nil {
		return nil, err
	}
	resp := &headwaterv1.CompareProfilesResponse{Baseline: baseline.node, Current: current.node}
	for _, c := range quality.Compare(baseline.profile, current.profile, func(string) drift.Thresholds { return thresholds }) {
		resp.Columns = append(resp.Columns, driftMessage(c.Name, c.Report))
	}
	return resp, nil
}

// wholeProfile is one of which nothing is withheld, or a denial.
func (s *qualityService) wholeProfile(ctx context.Context, node string) (*described, error) {
	d, err := s.profileOf(ctx, node)
	if err == nil && d.withheld != "" {
		err = fault.New(fault.PermissionDenied, "%s: its profile is not compared for you: %s; `headwater profile %s` shows its counts", d.node, d.withheld, d.node)
	}
	return d, err
}

func driftMessage(name string, r *drift.Report) *headwaterv1.ColumnDrift {
	out := &headwaterv1.ColumnDrift{
		Name: name, Verdict: verdictOf(r.Verdict), Reason: r.Reason,
		BaselineRows: r.Baseline, CurrentRows: r.Current, Psi: r.PSI, PsiFloor: r.Floor, JensenShannonDistanceNats: r.JSDistanceNats,
		JensenShannonDivergenceBits: r.JSDivergenceBits, LInfinity: r.LInfinity, ChiSquare: r.ChiSquare, ChiSquareFreedom: int32(r.ChiSquareFreedom),
		ChiSquareP: r.ChiSquareP, KolmogorovSmirnov: r.KS, KolmogorovSmirnovFloor: r.KSFloor, Wasserstein: r.Wasserstein, Unseen: r.Unseen,
		CompletenessChange: r.Completeness,
	}
	for _, b := range r.Buckets {
		out.Buckets = append(out.Buckets, &headwaterv1.DriftBucket{Label: b.Label, Baseline: b.Baseline, Current: b.Current})
	}
	return out
}

func (s *qualityService) profileOf(ctx context.Context, node string) (*described, error) {
	if strings.HasPrefix(node, "reads:") {
		groups := readsNode.FindStringSubmatch(node)
		if groups == nil {
			return nil, badProfileNode(node)
		}
		on, err := time.Parse(time.DateOnly, groups[3])
		if err != nil {
			return nil, badProfileNode(node)
		}
		return s.ofReads(ctx, node, groups[1], groups[2], on)
	}
	if strings.HasPrefix(node, "baseline:") {
		return s.ofBaseline(ctx, node)
	}
	ref, err := lineage.Parse(node)
	if err != nil {
		return nil, badProfileNode(node)
	}
	switch ref.Kind {
	case lineage.Run:
		return s.ofRun(ctx, ref)
	case lineage.View:
		return s.ofView(ctx, ref)
	case lineage.Dataset:
		return s.ofDataset(ctx, ref)
	}
	return nil, badProfileNode(node)
}

func badProfileNode(node string) error {
	return fault.New(fault.InvalidArgument, "node: found %q, expected %s: nothing else has a profile", shorten(node, maxShownName), profiledNodes).
		Violating(fault.Violation{Field: "node", Description: "expected " + profiledNodes})
}

// taken is the profile that is kept of something, or why there is none.
func taken(what string, k *quality.KeptProfile, again string) (*profile.Profile, error) {
	switch {
	case k == nil:
		return nil, fault.New(fault.NotFound, "%s: no profile of it is kept: it is older than profiles are, it was collected (headwater gc), or its server keeps none (profiles: off); %s", what, again)
	case k.Profile == nil:
		return nil, fault.New(fault.NotFound, "%s: an erasure took its profile away at %s, since values of it may have been the entity's; %s", what,
			k.Erased.UTC().Format(time.RFC3339), again)
	}
	return k.Profile, nil
}

func (s *qualityService) ofRun(ctx context.Context, ref lineage.NodeRef) (*described, error) {
	r, p, err := s.profileOfRun(ctx, ref)
	if err != nil {
		return nil, err
	}
	d := &described{node: ref.String(), profile: p}
	d.withheld, err = s.showView(ctx, r.View, r.ViewVersion, p.Rows())
	return d, err
}

// profileOfRun is what is kept of a run, for who may list its view.
func (s *qualityService) profileOfRun(ctx context.Context, ref lineage.NodeRef) (*materialize.Run, *profile.Profile, error) {
	name := fmt.Sprintf("%s@%d/%d", ref.Name, ref.Version, ref.Seq)
	r, err := materialize.Find(ctx, s.pool, name)
	if err != nil {
		return nil, nil, missing(ctx, access.ActionList, access.KindView, err)
	}
	none := fault.New(fault.NotFound, "there is no run %s; `headwater runs list` shows those there are", name)
	if err := requireOr(ctx, access.ActionList, access.KindView, r.View, none); err != nil {
		return nil, nil, err
	}
	if r.State != materialize.Published {
		return nil, nil, fault.New(fault.FailedPrecondition, "run %s: found it %s, expected one that is published: only those have a profile", name, r.State)
	}
	kept, err := quality.RunProfile(ctx, s.pool, r.ID)
	if err != nil {
		return nil, nil, database.Fault(err)
	}
	p, err := taken("run "+name, kept, "`headwater profile view:"+ref.Name+"` makes one of what the view holds now")
	return r, p, err
}

// showView decides whether what is of values of a view is shown, and records it where it is.
func (s *qualityService) showView(ctx context.Context, name string, version int, rows int64) (withheld string, err error) {
	view, err := s.registry.Catalog().PastView(fmt.Sprintf("%s@%d", name, version))
	if err != nil {
		return "", err
	}
	if !access.AllowsRows(ctx, access.KindView, name) || !access.AllowsWholeView(ctx, access.ActionReadOffline, view) {
		return "what tells of values is for who may read view " + name + " offline, with nothing of it hidden", nil
	}
	if err := access.RequireRows(ctx, access.KindView, name); err != nil {
		return "", err
	}
	shown := access.Shown{Kind: access.KindView, Ref: view.Ref(), Rows: rows}
	shown.Features, shown.SourceColumns = access.StoredOf(view)
	return "", access.SessionFrom(ctx).Show(&shown)
}

// ofView describes what a view holds now, which is read for it: so it is for who may read it.
func (s *qualityService) ofView(ctx context.Context, ref lineage.NodeRef) (*described, error) {
	if err := access.RequireRows(ctx, access.KindView, ref.Name); err != nil {
		return nil, err
	}
	name := ref.Name
	if ref.Version != 0 {
		name += "@" + strconv.Itoa(ref.Version)
	}
	view, err := s.registry.Catalog().PastView(name)
	if err != nil {
		return nil, err
	}
	if view.OnDemand != nil {
		return nil, fault.New(fault.FailedPrecondition, "view %s: its features are computed on demand, so it holds no rows; ask for a dataset, or for the reads of a service", view.Ref())
	}
	var rows int64
	if err := s.pool.QueryRow(ctx, `SELECT coalesce((SELECT live_rows FROM headwater.view_state WHERE view_id = $1), 0)`, view.ID).Scan(&rows); err != nil {
		return nil, database.Fault(err)
	}
	if rows > s.maxViewRows {
		return nil, fault.New(fault.FailedPrecondition, "view %s: found %d rows, expected at most %d to be read for a profile; `headwater profile run:VIEW@VERSION/SEQ` shows what a run made, which is kept",
			view.Ref(), rows, s.maxViewRows)
	}
	p, err := profile.New(materialize.ProfileSpecs(view))
	if err != nil {
		return nil, err
	}
	var encoding []byte
	var values []feature.Value
	err = offline.RowsNow(ctx, s.pool, view, func(r *feature.Row) error {
		encoding = r.AppendCanonical(encoding[:0])
		values = materialize.ProfileRow(p, r, encoding, values)
		return ctx.Err()
	})
	if err != nil {
		return nil, database.Fault(err)
	}
	ref.Version = view.Version
	d := &described{node: ref.String(), profile: p}
	d.withheld, err = s.showView(ctx, view.Name, view.Version, p.Rows())
	return d, err
}

func (s *qualityService) ofDataset(ctx context.Context, ref lineage.NodeRef) (*described, error) {
	m, p, err := s.profileOfDataset(ctx, ref)
	if err != nil {
		return nil, err
	}
	d := &described{node: "dataset:" + m.ID, profile: p}
	return d, s.showDataset(ctx, d, m)
}

// profileOfDataset is what is kept of a dataset, for who may list it.
func (s *qualityService) profileOfDataset(ctx context.Context, ref lineage.NodeRef) (*dataset.Manifest, *profile.Profile, error) {
	name := ref.DatasetID
	if name == "" {
		name = fmt.Sprintf("%s@%d", ref.Name, ref.Version)
	}
	m, err := dataset.Find(ctx, s.pool, name)
	if err != nil {
		return nil, nil, missing(ctx, access.ActionList, access.KindDataset, err)
	}
	if err := requireOr(ctx, access.ActionList, access.KindDataset, m.Name, dataset.Missing(name)); err != nil {
		return nil, nil, err
	}
	kept, err := quality.DatasetProfile(ctx, s.pool, m.ID)
	if err != nil {
		return nil, nil, database.Fault(err)
	}
	p, err := taken("dataset "+name, kept, "build it again")
	return m, p, err
}

// showDataset decides whether what is of values of a dataset is shown, and records it where it is.
func (s *qualityService) showDataset(ctx context.Context, d *described, m *dataset.Manifest) error {
	if !s.datasets.readableTo(ctx, m) {
		d.withheld = "what tells of values is for who may read the dataset"
		return nil
	}
	if heldFrom(ctx, m) {
		d.withheld = "dataset " + m.ID + " is held until it is released: " + withheldHeld
		return nil
	}
	_, err := s.datasets.builtOf(ctx, m)
	return err
}

// ofReads describes the logged reads of a service on a day in UTC: what was served, a row for each entity. Features whose values are hashed are left out.
func (s *qualityService) ofReads(ctx context.Context, node, name, version string, on time.Time) (*described, error) {
	none := fault.New(fault.NotFound, "there is no service %s@%s; `headwater list services` shows those there are", name, version)
	if err := requireOr(ctx, access.ActionReadLineage, access.KindService, name, none); err != nil {
		return nil, err
	}
	service, err := s.registry.Catalog().PastService(name + "@" + version)
	if err != nil {
		return nil, none
	}
	n, err := strconv.ParseInt(version, 10, 32)
	if err != nil {
		return nil, badProfileNode(node)
	}
	served := &readProfile{}
	if err = s.reads.EachOf(ctx, name, int32(n), on, served.add); err != nil {
		return nil, err
	}
	p := served.p
	if p == nil {
		return nil, fault.New(fault.NotFound, "service %s@%s: no reads of %s are kept: the service keeps no log of reads, there were none, or they are older than reads are kept; "+
			"`headwater reads list --service %s` shows those that are", name, version, on.Format(time.DateOnly), name)
	}
	d := &described{node: node, profile: p}
	if !access.AllowsServiceRows(ctx, service) {
		d.withheld = "what tells of values is for who may read service " + name + " offline, with nothing of it hidden"
		return d, nil
	}
	if err := access.RequireService(ctx, access.ActionReadOffline, service); err != nil {
		return nil, err
	}
	shown := access.Shown{Kind: access.KindService, Ref: service.Ref(), Rows: p.Rows()}
	return d, access.SessionFrom(ctx).Show(&shown)
}

// profileMessage is a profile as it is sent. Histograms are on the edges of those of a baseline, unless that is nil or its values are withheld: edges are values.
func profileMessage(d, baseline *described) *headwaterv1.Profile {
	p := d.profile
	grain, steps := p.ByTime()
	out := &headwaterv1.Profile{Node: d.node, Rows: p.Rows(), TimeStep: grain.String(), Withheld: d.withheld}
	for _, step := range steps {
		out.ByTime = append(out.ByTime, &headwaterv1.TimeCompleteness{
			From: timestamppb.New(calendar(step.From)), To: timestamppb.New(calendar(step.To)), Rows: step.Rows, Present: step.Present,
		})
	}
	for _, c := range p.Columns() {
		d := c.Describe()
		column := &headwaterv1.ColumnProfile{
			Name: d.Name, TypeName: d.Type.String(), Key: d.Key, Nulls: d.Nulls, Nans: d.NaNs, PositiveInfinities: d.PositiveInfinities,
			NegativeInfinities: d.NegativeInfinities, Empty: d.Empty, Distinct: d.Distinct, DistinctExact: d.DistinctExact,
		}
		if out.Withheld == "" {
			if baseline != nil && baseline.withheld == "" {
				same := func(b *profile.Column) bool { return b.Name == d.Name }
				if i := slices.IndexFunc(baseline.profile.Columns(), same); i >= 0 {
					if bins := c.HistogramOn(baseline.profile.Columns()[i]); bins != nil {
						d.Values.Histogram = bins
					}
				}
			}
			column.Values = valueProfile(d)
		}
		out.Columns = append(out.Columns, column)
	}
	if out.Withheld != "" {
		return out
	}
	out.Digest = p.Digest().String()
	for _, name := range p.GroupedBy() {
		groups, ok := p.ByGroup(name)
		grouped := &headwaterv1.GroupedCompleteness{Column: name, TooMany: !ok}
		for _, g := range groups {
			grouped.Groups = append(grouped.Groups, &headwaterv1.GroupCompleteness{Value: literalValue(g.Group, typeIn(p, name)), Rows: g.Rows, Present: g.Present})
		}
		out.ByGroup = append(out.ByGroup, grouped)
	}
	return out
}

// calendar is a time cut to the years that can be sent.
func calendar(t time.Time) time.Time {
	switch {
	case t.Year() < 1:
		return time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	case t.Year() > 9999:
		return feature.Time(1<<63 - 1).Calendar()
	}
	return t
}

func typeIn(p *profile.Profile, name string) feature.Type {
	for _, c := range p.Columns() {
		if c.Name == name {
			return c.Type
		}
	}
	return feature.TypeInvalid
}

// literalValue is nil for none.
func literalValue(l feature.Literal, t feature.Type) *headwaterv1.Value {
	v, err := feature.ValueOf(l, t)
	if l == nil || err != nil {
		return nil
	}
	return wire.ToValue(v)
}

func valueProfile(d *profile.Description) *headwaterv1.ValueProfile {
	v := d.Values
	if v == nil {
		return nil
	}
	out := &headwaterv1.ValueProfile{
		Min: literalValue(v.Min, d.Type), Max: literalValue(v.Max, d.Type), Mean: v.Mean, StandardDeviation: v.StdDev, QuantileError: v.QuantileError,
		TopExact: v.TopExact, TrueShare: v.TrueShare,
	}
	for i, q := range v.Quantiles {
		out.Quantiles = append(out.Quantiles, &headwaterv1.QuantileValue{Q: profile.Quantiles[i], Value: q})
	}
	binType := feature.TypeFloat64
	if d.Type == feature.TypeTimestamp {
		binType = d.Type
	}
	for _, b := range v.Histogram {
		out.Histogram = append(out.Histogram, &headwaterv1.HistogramBin{From: literalValue(b.From, binType), To: literalValue(b.To, binType), Rows: b.Rows})
	}
	for _, f := range v.Top {
		out.Top = append(out.Top, &headwaterv1.FrequentValue{Value: literalValue(f.Value, d.Type), Rows: f.Rows})
	}
	if l := v.Lengths; l != nil {
		out.Lengths = &headwaterv1.Lengths{Min: l.Min, Max: l.Max, Mean: l.Mean}
	}
	return out
}
