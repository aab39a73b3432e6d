package server

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/zeebo/xxh3"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/wire"
	"github.com/headwaterhq/headwater/lineage"
	"github.com/headwaterhq/headwater/quality"
	"github.com/headwaterhq/headwater/quality/drift"
	"github.com/headwaterhq/headwater/quality/profile"
	"github.com/headwaterhq/headwater/readlog"
)

const (
	// defaultSkewAge is how far back skew looks, and defaultSkewSample how many reads it computes again, unless asked otherwise.
	defaultSkewAge    = 7 * 24 * time.Hour
	defaultSkewSample = 200
	// maxSkewAge bounds for how many days reads are looked through.
	maxSkewAge = 366 * 24 * time.Hour
	// maxSkewReads bounds how many reads are looked through, and maxSkewEntities how many entities of a sample are computed again.
	maxSkewReads    = maxImpactReads
	maxSkewEntities = 1_000_000
	// maxSkewExamples is how many reads are named of each feature.
	maxSkewExamples = 5
)

// readProfile describes reads as rows of their features, a row for each entity.
type readProfile struct {
	p       *profile.Profile
	columns []string
	// hashed are features of which the log keeps hashes.
	hashed   []string
	values   []feature.Value
	encoding []byte
}

// add takes a read. The first says what columns there are.
func (b *readProfile) add(r *headwaterv1.LoggedRead) error {
	if b.p == nil {
		var specs []profile.Spec
		for _, f := range r.GetFeatures() {
			t, err := wire.VectorType(f.GetValues())
			if err != nil || len(f.GetDigest()) > 0 {
				b.hashed = append(b.hashed, f.GetName())
				continue
			}
			specs, b.columns = append(specs, profile.Spec{Name: f.GetName(), Type: t}), append(b.columns, f.GetName())
		}
		var err error
		if b.p, err = profile.New(specs); err != nil {
			return err
		}
		b.values = make([]feature.Value, len(specs))
	}
	at := feature.TimeOf(r.GetServedAt().AsTime())
	for i := range int(r.GetEntities()) {
		if slices.Contains(r.GetErased(), int32(i)) {
			continue
		}
		clear(b.values)
		for _, f := range r.GetFeatures() {
			k := slices.Index(b.columns, f.GetName())
			if k < 0 || len(f.GetDigest()) > 0 || i >= wire.VectorLen(f.GetValues()) {
				continue
			}
			v, err := wire.FromVector(f.GetValues(), i)
			if err != nil {
				return err
			}
			if v.IsNull() || v.Type() == b.p.Columns()[k].Type {
				b.values[k] = v
			}
		}
		b.encoding = binary.BigEndian.AppendUint32(append(b.encoding[:0], r.GetReadId()...), uint32(i))
		b.p.Add(at, xxh3.Hash(b.encoding), b.values)
	}
	return nil
}

// leastHashes keeps the reads whose ids have the least hashes: a sample that depends on the reads alone.
type leastHashes struct {
	n   int
	ids []hashedRead
}

type hashedRead struct {
	hash uint64
	id   string
}

func (l *leastHashes) add(id string) {
	l.ids = append(l.ids, hashedRead{xxh3.HashString(id), id})
	if len(l.ids) >= 2*l.n+64 {
		l.cut()
	}
}

func (l *leastHashes) cut() {
	slices.SortFunc(l.ids, func(a, b hashedRead) int { return cmp.Or(cmp.Compare(a.hash, b.hash), strings.Compare(a.id, b.id)) })
	l.ids = l.ids[:min(len(l.ids), l.n)]
}

// list are the ids, ascending.
func (l *leastHashes) list() []string {
	l.cut()
	ids := make([]string, len(l.ids))
	for i, h := range l.ids {
		ids[i] = h.id
	}
	slices.Sort(ids)
	return ids
}

// GetSkew holds what was served to a model to what it was trained on, and a sample of it to the history. It tells of values of both, so that they must be for the caller whole.
// It takes a place of those of impacts, and as long as one of them at most.
func (s *qualityService) GetSkew(ctx context.Context, req *headwaterv1.GetSkewRequest) (*headwaterv1.GetSkewResponse, error) {
	within := s.lineage.impactTime
	ctx, cancel := context.WithTimeoutCause(ctx, within, errImpactTime)
	defer cancel()
	began := false
	resp, err := s.skew(ctx, req, &began)
	switch {
	case err == nil || context.Cause(ctx) != errImpactTime:
		return resp, err
	case !began:
		return nil, fault.New(fault.ResourceExhausted, "skew: this server tells of %d skews and impacts at a time, and none of those had ended after %s; ask again later", maxImpacts, within)
	}
	return nil, fault.New(fault.DeadlineExceeded, "skew: found that what model %s is served takes longer than %s to tell, which is how long one may take; ask for less: "+
		"for a shorter time (--since, --until) or for a smaller sample (--sample)", req.GetModel(), within)
}

// skew sets began once it has its place.
func (s *qualityService) skew(ctx context.Context, req *headwaterv1.GetSkewRequest, began *bool) (*headwaterv1.GetSkewResponse, error) {
	ref, err := lineage.Parse("model:" + req.GetModel())
	if err != nil {
		return nil, err
	}
	if err := access.Require(ctx, access.ActionList, access.KindModel, ref.Name); err != nil {
		return nil, err
	}
	models, err := lineage.Models(ctx, s.pool, ref.Name, ref.Version)
	if err != nil {
		return nil, database.Fault(err)
	}
	if len(models) == 0 {
		return nil, lineage.NotFound(ref)
	}
	m := models[0]
	ref.Version = m.Version
	until := time.Now()
	if t := req.GetUntil(); t != nil {
		until = t.AsTime()
	}
	since := until.Add(-defaultSkewAge)
	if t := req.GetSince(); t != nil {
		since = t.AsTime()
	}
	if !since.Before(until) || until.Sub(since) > maxSkewAge {
		return nil, fault.New(fault.InvalidArgument, "since: found %s until %s, expected a time before that, by no more than 366 days", since.UTC().Format(time.RFC3339), until.UTC().Format(time.RFC3339)).
			Violating(fault.Violation{Field: "since", Description: "expected a time before until, by no more than 366 days"})
	}
	name := fmt.Sprintf("%s@%d", m.Service, m.ServiceVersion)
	service, err := s.registry.Catalog().PastService(name)
	if err != nil {
		return nil, err
	}
	if err := access.RequireService(ctx, access.ActionReadOffline, service); err != nil {
		return nil, err
	}
	if !access.AllowsServiceRows(ctx, service) {
		return nil, access.SessionFrom(ctx).Deny(access.ActionReadOffline, access.KindService, service.Ref(), "policies hide some of what it serves from you",
			"ask who may see all of it")
	}
	select {
	case s.lineage.impacts <- struct{}{}:
		*began = true
		defer func() { <-s.lineage.impacts }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	resp := &headwaterv1.GetSkewResponse{Model: ref.String(), Service: "service:" + name, Since: timestamppb.New(since), Until: timestamppb.New(until)}
	baseline, err := s.modelBaseline(ctx, ref.String(), m)
	if err != nil {
		return nil, err
	}
	sample := leastHashes{n: int(req.GetSample())}
	if sample.n == 0 {
		sample.n = defaultSkewSample
	}
	served := &readProfile{}
	first, last := since.UTC().Truncate(24*time.Hour), until.UTC()
	for day := first; day.Before(last); day = day.Add(24 * time.Hour) {
		err := s.reads.EachOf(ctx, m.Service, int32(m.ServiceVersion), day, func(r *headwaterv1.LoggedRead) error {
			if at := r.GetServedAt().AsTime(); at.Before(since) || !at.Before(until) {
				return nil
			}
			if resp.Reads++; resp.Reads > s.skewReads {
				return fault.New(fault.ResourceExhausted, "skew: found more than %d reads of service %s from %s until %s, which is how many are looked through; ask for a shorter time: --since, --until",
					s.skewReads, name, since.UTC().Format(time.RFC3339), until.UTC().Format(time.RFC3339))
			}
			sample.add(r.GetReadId())
			return served.add(r)
		})
		if err != nil {
			return nil, err
		}
	}
	if resp.Reads == 0 {
		return nil, fault.New(fault.NotFound, "%s: no reads of service %s from %s until %s are kept: the service keeps no log of reads (`log: all`), there were none, or they are older than reads are kept; "+
			"`headwater reads list --service %s` shows those that are", ref.String(), name, since.UTC().Format(time.RFC3339), until.UTC().Format(time.RFC3339), m.Service)
	}
	resp.Entities = served.p.Rows()
	if err := access.SessionFrom(ctx).Show(&access.Shown{Kind: access.KindService, Ref: service.Ref(), Rows: served.p.Rows()}); err != nil {
		return nil, err
	}
	var with *profile.Profile
	if baseline != nil {
		resp.Baseline, with = baseline.node, baseline.profile
	}
	of := map[string]*headwaterv1.FeatureSkew{}
	for _, c := range quality.Compare(with, served.p, quality.DefaultThresholds) {
		// Of a dataset there are other columns too.
		if slices.Contains(served.columns, c.Name) {
			of[c.Name] = &headwaterv1.FeatureSkew{Drift: driftMessage(c.Name, c.Report)}
			resp.Features = append(resp.Features, of[c.Name])
		}
	}
	for _, c := range served.hashed {
		of[c] = &headwaterv1.FeatureSkew{Drift: driftMessage(c, &drift.Report{Verdict: drift.NotEnoughData, Reason: "the log keeps hashes of its values"})}
		resp.Features = append(resp.Features, of[c])
	}
	if err := s.recomputeSample(ctx, service, sample.list(), resp, of); err != nil {
		return nil, err
	}
	return resp, database.Fault(quality.KeepSkew(ctx, s.pool, skewVerdict(m, until, resp.GetFeatures())))
}

// skewVerdict is what scores of the service know of it: numbers of features alone.
func skewVerdict(m *lineage.ModelVersion, until time.Time, features []*headwaterv1.FeatureSkew) quality.SkewVerdict {
	v := quality.SkewVerdict{Model: m.Name, ModelVersion: m.Version, Service: m.Service, ServiceVersion: m.ServiceVersion, At: until}
	for _, f := range features {
		switch verdict := f.GetDrift().GetVerdict(); {
		case f.GetDifferent()+f.GetOnlyOnline()+f.GetOnlyOffline() > 0, verdict == headwaterv1.DriftVerdict_DRIFT_VERDICT_FAIL:
			v.Failed++
		case verdict == headwaterv1.DriftVerdict_DRIFT_VERDICT_WARN:
			v.Warned++
		case verdict == headwaterv1.DriftVerdict_DRIFT_VERDICT_OK:
			v.OK++
		}
	}
	return v
}

// modelBaseline is what a model is held to: the baseline that was set for it, or else the dataset that it was trained on. nil: there is neither.
func (s *qualityService) modelBaseline(ctx context.Context, subject string, m *lineage.ModelVersion) (*described, error) {
	b, err := quality.BaselineOf(ctx, s.pool, subject)
	if err != nil {
		return nil, database.Fault(err)
	}
	var d *described
	switch {
	case b != nil:
		d, err = s.showBaseline(ctx, b)
	case m.Dataset != "":
		d, err = s.ofDataset(ctx, lineage.NodeRef{Kind: lineage.Dataset, DatasetID: m.Dataset})
	}
	if err == nil && d != nil && d.withheld != "" {
		err = fault.New(fault.PermissionDenied, "%s: what the model was trained on is not compared for you: %s", d.node, d.withheld)
	}
	return d, err
}

// recomputeSample computes reads again from the history, and counts what became of their values.
func (s *qualityService) recomputeSample(ctx context.Context, service *feature.ServiceVersion, ids []string, resp *headwaterv1.GetSkewResponse, of map[string]*headwaterv1.FeatureSkew) error {
	session := access.SessionFrom(ctx)
	conn, err := pgx.ConnectConfig(ctx, s.pool.Config().ConnConfig.Copy())
	if err != nil {
		return database.Fault(err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	named := access.Allows(ctx, access.ActionReadLineage, access.KindService, service.Name)
	entities := int64(0)
	const batch = 50
	for part := range slices.Chunk(ids, batch) {
		reads, err := readlog.FindAll(ctx, s.pool, part)
		if err != nil {
			return err
		}
		for _, id := range part {
			r := reads[id]
			if r == nil {
				continue
			}
			if rules, _ := rulesOf(r.GetPolicy()); !session.MayHave(service, rules) {
				resp.Hidden++
				continue
			}
			if entities += int64(r.GetEntities()); entities > s.skewEntities {
				return fault.New(fault.ResourceExhausted, "skew: found more than %d entities in the reads of the sample, which is how many are computed again; ask for a smaller sample: --sample", s.skewEntities)
			}
			why, err := s.recomputeRead(ctx, conn, r, of, named)
			if err != nil {
				return err
			}
			if why != "" {
				resp.NotComputed++
				resp.Why = why
				continue
			}
			resp.Computed++
		}
	}
	return nil
}

// recomputeRead is for one read; named says that its id is told. why says why it cannot be computed.
func (s *qualityService) recomputeRead(ctx context.Context, conn *pgx.Conn, r *headwaterv1.LoggedRead, of map[string]*headwaterv1.FeatureSkew, named bool) (why string, err error) {
	service, err := s.readLog.serviceAsRead(r)
	if err != nil {
		return "", err
	}
	session := access.SessionFrom(ctx)
	v, err := s.readLog.newReadCheck(session.Policy(), service, r)
	if f := fault.As(err); f != nil && f.Reason == fault.FailedPrecondition {
		return f.Message, nil
	}
	if err != nil {
		return "", err
	}
	if err := session.Read(&access.Read{Plan: v.plan, Rows: int64(v.n), ReadID: r.GetReadId()}); err != nil {
		return "", err
	}
	if err := v.takeKeys(nil, s.reads); err != nil {
		return "", err
	}
	if err := v.takeInputs(); err != nil {
		return "", err
	}
	for view := range v.plan.Views {
		if err := v.recompute(ctx, conn, view); err != nil {
			return "", err
		}
	}
	return "", v.hold(s.reads, func(c, row int, d *headwaterv1.ReadDifference) {
		f := of[v.plan.Columns[c].Name]
		if f == nil {
			return
		}
		switch d.GetVerdict() {
		case headwaterv1.ReadVerdict_READ_VERDICT_MATCH:
			f.Matching++
			return
		case headwaterv1.ReadVerdict_READ_VERDICT_LAG:
			f.Lagging++
			return
		case headwaterv1.ReadVerdict_READ_VERDICT_NOT_CHECKED:
			f.NotChecked++
			return
		}
		served, here := v.thereOnline(c, row), v.thereOffline(c, row)
		switch {
		case served && !here:
			f.OnlyOnline++
		case !served && here:
			f.OnlyOffline++
		default:
			f.Different++
		}
		if len(f.Examples) < maxSkewExamples {
			example := &headwaterv1.SkewExample{
				Row: int32(row), Served: d.GetServed(), Recomputed: d.GetRecomputed(), ServedRun: d.GetServedRun(), RecomputedRun: d.GetRecomputedRun(),
			}
			if named {
				example.ReadId = r.GetReadId()
			}
			f.Examples = append(f.Examples, example)
		}
	})
}

// thereOnline reports whether a value was served, and thereOffline whether the history has one.
func (v *readCheck) thereOnline(c, row int) bool {
	logged := v.read.GetFeatures()[c]
	if len(logged.GetDigest()) > 0 {
		return true
	}
	value, err := wire.FromVector(logged.GetValues(), row)
	return err == nil && !value.IsNull()
}

func (v *readCheck) thereOffline(c, row int) bool {
	if len(v.read.GetFeatures()[c].GetDigest()) > 0 {
		return true
	}
	value, _ := v.found[row].Value(&v.plan.Columns[c])
	return !value.IsNull()
}
