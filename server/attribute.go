package server

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/headwaterhq/headwater/access"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/materialize"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/quality"
	"github.com/headwaterhq/headwater/quality/drift"
	"github.com/headwaterhq/headwater/quality/performance"
	"github.com/headwaterhq/headwater/quality/profile"
)

const (
	// maxAttributed is how many slices an answer has, maxEvidence of how many that stand out it has evidence, and maxEvidenceRuns of how many runs of each.
	maxAttributed, maxEvidence, maxEvidenceRuns = 100, 5, 3
	// hoursUpTo is up to which span of time predictions are compared within hours. Beyond it they are within days.
	hoursUpTo = 48 * time.Hour
	// leastBefore is how long before predictions are compared with, at least.
	leastBefore = 14 * 24 * time.Hour
)

// attribution is one call.
type attribution struct {
	*evaluation
	// places are, by position, those of labelled predictions in their period; -1 of others.
	places []int
	since  time.Time
	slices map[string]*slice
	// evidence is what is known of runs already.
	evidence map[string]*headwaterv1.RunEvidence
}

// AttributeLoss finds what a model's loss since a time comes from.
func (s *feedbackService) AttributeLoss(ctx context.Context, req *headwaterv1.AttributeLossRequest) (*headwaterv1.AttributeLossResponse, error) {
	since, until, err := spanOf(req.GetSince(), req.GetUntil())
	if err != nil {
		return nil, err
	}
	if !until.IsZero() && !since.Before(until) {
		return nil, badImpact("until", "found %s, which is not after %s, expected a span of time", until.Format(time.RFC3339), since.Format(time.RFC3339))
	}
	// What is usual is told by as long a time before.
	end := until
	if end.IsZero() {
		end = time.Now()
	}
	before := since.Add(-max(end.Sub(since), leastBefore))
	e, err := s.evaluate(ctx, req.GetModel(), before, since, until, req.GetTask(), req.GetPositive(), map[string]bool{"": true})
	if err != nil {
		return nil, err
	}
	a := &attribution{evaluation: e, since: since, slices: map[string]*slice{}, evidence: map[string]*headwaterv1.RunEvidence{}}
	earlier, after := a.periods()
	list, err := a.gather()
	if err != nil {
		return nil, err
	}
	found := e.model.Attribute(earlier, after, list)
	resp := &headwaterv1.AttributeLossResponse{
		Model: req.GetModel(), Verdict: headwaterv1.LossVerdict(headwaterv1.LossVerdict_value["LOSS_VERDICT_"+string(found.Verdict)]), Reason: found.Reason,
		Before: estimateOf(found.Before), Since: estimateOf(found.Since), LabelsMoved: numberOrNone(found.LabelsMoved), PredictionsMoved: numberOrNone(found.PredictionsMoved),
		Task: taskOf(e.model), Positive: e.model.Positive,
	}
	evidence := 0
	for i := range found.Slices {
		j := &found.Slices[i]
		if j.Tested {
			resp.Tested++
		}
		if i >= maxAttributed || !j.Tested && len(j.In) == 0 {
			continue
		}
		told := a.attributed(j)
		if j.StandsOut() && j.Kind.Upstream() && evidence < maxEvidence {
			evidence++
			if told.Evidence, err = a.evidenceOf(a.slices[j.Name]); err != nil {
				return nil, err
			}
		}
		resp.Slices = append(resp.Slices, told)
	}
	if found.Suspect != nil {
		if resp.Suspect, err = a.suspect(found); err != nil {
			return nil, err
		}
	}
	if e.withoutRead > 0 {
		e.note("%d predictions have no read in the log, and count in no slice", e.withoutRead)
	}
	resp.Hidden, resp.WithoutRead, resp.Notes = e.hidden, e.withoutRead, e.notes
	return resp, nil
}

func numberOrNone(f float64) *float64 {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil
	}
	return &f
}

// periods are the labelled predictions before and since.
func (a *attribution) periods() (before, since performance.Period) {
	first, last := a.since, a.all[len(a.all)-1].At
	span := 24 * time.Hour
	if last.Sub(first) <= hoursUpTo {
		span = time.Hour
	}
	a.places = make([]int, len(a.all))
	numbers := map[string]int32{}
	for i, p := range a.all {
		a.places[i] = -1
		to := &since
		if p.At.Before(a.since) {
			to = &before
		}
		if to.Predictions++; !p.labelled {
			continue
		}
		a.places[i] = len(to.Points)
		point := performance.Point{Span: p.At.UnixMicro() / span.Microseconds(), Loss: a.model.Loss(p.example)}
		for _, hash := range p.Entities {
			number, known := numbers[string(hash)]
			if !known {
				number = int32(len(numbers))
				numbers[string(hash)] = number
			}
			point.Entities = append(point.Entities, number)
		}
		to.Points = append(to.Points, point)
		to.Examples = append(to.Examples, p.example)
	}
	return before, since
}

// gather makes all slices that the caller may know of.
func (a *attribution) gather() ([]performance.Slice, error) {
	runs := a.byRun()
	loads, sources, err := a.byLoad()
	if err != nil {
		return nil, err
	}
	a.hidden += a.hiddenLoads + a.hiddenSources
	all := slices.Concat(loads, runs, sources)
	switch err := a.requireValues(); {
	case fault.ReasonOf(err) == fault.PermissionDenied:
		a.note("slices by features are left out: they tell of values, which are for who may read the service offline with nothing of it hidden")
	case err != nil:
		return nil, err
	default:
		if all = slices.Concat(all, a.byMissing(), a.byFeature()); a.tooMany {
			a.note("slices by values of features are left out: there are more than %d of them", maxValues)
		}
	}
	// What is usual of a run is what rows of its view were before, and of a load those of its source.
	usual := map[string][]int{}
	for _, s := range all {
		usual[s.usual] = mergeSorted(usual[s.usual], a.placesOf(s.in, false))
	}
	var list []performance.Slice
	for _, s := range all {
		in := a.placesOf(s.in, true)
		if len(in) == 0 {
			continue
		}
		a.slices[s.name] = s
		list = append(list, performance.Slice{Kind: s.kind, Name: s.name, In: in, Before: usual[s.usual]})
	}
	return list, nil
}

// placesOf are the places of the labelled ones since, or before.
func (a *attribution) placesOf(in []int, since bool) (places []int) {
	for _, i := range in {
		if a.places[i] >= 0 && a.all[i].At.Before(a.since) != since {
			places = append(places, a.places[i])
		}
	}
	return places
}

func (a *attribution) attributed(j *performance.Judged) *headwaterv1.AttributedSlice {
	s := a.slices[j.Name]
	out := &headwaterv1.AttributedSlice{
		Slice: s.name, Title: s.title, Labelled: j.Excess.In, P: j.P, Q: j.Q, Usual: j.Usual, StandsOut: j.StandsOut(), Tested: j.Tested, Exact: s.exact, Why: s.why,
	}
	if j.Excess.In > 0 {
		out.Excess = &headwaterv1.Estimate{Value: j.Excess.Value, N: j.Excess.In}
		if j.Tested {
			low, high := j.Excess.Value-1.959963984540054*j.Excess.SE, j.Excess.Value+1.959963984540054*j.Excess.SE
			out.Excess.Low, out.Excess.High = &low, &high
		}
	}
	return out
}

// runsBehind are the runs that most predictions of a slice have rows of, among those that read its load, the most first.
func (a *attribution) runsBehind(s *slice) (refs []string, err error) {
	if s.kind == performance.OfRun {
		return []string{strings.TrimPrefix(s.name, "run:")}, nil
	}
	counts := map[string]int{}
	for _, i := range s.in {
		if a.all[i].At.Before(a.since) {
			continue
		}
		for _, w := range a.all[i].winners {
			if access.Allows(a.ctx, access.ActionReadLineage, access.KindView, w.view) {
				counts[fmt.Sprintf("%s@%d/%d", w.view, w.version, w.seq)]++
			}
		}
	}
	refs = sortedKeys(counts)
	slices.SortStableFunc(refs, func(x, y string) int { return counts[y] - counts[x] })
	if s.load == nil {
		return refs, nil
	}
	// Runs that did not read the load themselves are not behind it, unless none did.
	var readers []string
	for _, ref := range refs {
		view, version, seq, _ := offline.ParseRunRef(ref)
		var reads bool
		err := a.pool.QueryRow(a.ctx, `SELECT EXISTS (SELECT FROM headwater.run r JOIN headwater.definition d ON d.id = r.view_id JOIN headwater.run_load l ON l.run_id = r.id
			WHERE d.kind = 'view' AND d.name = $1 AND d.version = $2 AND r.seq = $3 AND l.load_id = $4)`, view, version, seq, s.load.ID).Scan(&reads)
		if err != nil {
			return nil, database.Fault(err)
		}
		if reads {
			readers = append(readers, ref)
		}
	}
	if len(readers) > 0 {
		return readers, nil
	}
	return refs, nil
}

// evidenceOf is what checks and drift of the runs behind a slice say.
func (a *attribution) evidenceOf(s *slice) (list []*headwaterv1.RunEvidence, err error) {
	refs, err := a.runsBehind(s)
	if err != nil {
		return nil, err
	}
	for _, ref := range refs[:min(len(refs), maxEvidenceRuns)] {
		known := a.evidence[ref]
		if known == nil {
			if known, err = a.evidenceOfRun(ref); err != nil {
				return nil, err
			}
			a.evidence[ref] = known
		}
		list = append(list, known)
	}
	return list, nil
}

// evidenceOfRun is what checks and drift of a run say. Drift tells of values, and is for who may read all of the view.
func (a *attribution) evidenceOfRun(ref string) (*headwaterv1.RunEvidence, error) {
	out := &headwaterv1.RunEvidence{Run: ref}
	r, err := materialize.Find(a.ctx, a.pool, ref)
	if err != nil {
		return nil, err
	}
	if access.Allows(a.ctx, access.ActionList, access.KindView, r.View) {
		for _, c := range r.Checks {
			if c.State.Blocks() || c.State == quality.Warned {
				out.Checks = append(out.Checks, fmt.Sprintf("%s of %s %s", c.Name, c.Subject, strings.ToLower(string(c.State))))
			}
		}
	}
	view, err := a.registry.Catalog().PastView(fmt.Sprintf("%s@%d", r.View, r.ViewVersion))
	if err != nil || !access.AllowsRows(a.ctx, access.KindView, r.View) || !access.AllowsWholeView(a.ctx, access.ActionReadOffline, view) {
		return out, nil
	}
	now, err := quality.RunProfile(a.ctx, a.pool, r.ID)
	if err != nil {
		return nil, database.Fault(err)
	}
	var before *int64
	err = a.pool.QueryRow(a.ctx, `SELECT max(r.id) FROM headwater.run r JOIN headwater.profile p ON p.run_id = r.id
		WHERE r.view_id = $1 AND r.state = 'published' AND r.seq = (SELECT max(b.seq) FROM headwater.run b JOIN headwater.profile q ON q.run_id = b.id
			WHERE b.view_id = $1 AND b.state = 'published' AND b.seq < $2)`, r.ViewID, r.Seq).Scan(&before)
	if err != nil {
		return nil, database.Fault(err)
	}
	if now == nil || now.Profile == nil || before == nil {
		return out, nil
	}
	was, err := quality.RunProfile(a.ctx, a.pool, *before)
	if err != nil || was == nil || was.Profile == nil {
		return out, database.Fault(err)
	}
	if err := access.RequireRows(a.ctx, access.KindView, r.View); err != nil {
		return nil, err
	}
	for _, c := range now.Profile.Columns() {
		at := slices.IndexFunc(was.Profile.Columns(), func(w *profile.Column) bool { return w.Name == c.Name })
		if c.Key || at < 0 {
			continue
		}
		d := drift.Compare(was.Profile.Columns()[at], c, drift.DefaultThresholds)
		if d.Verdict == drift.Warn || d.Verdict == drift.Fail {
			out.Drift = append(out.Drift, fmt.Sprintf("%s %s, PSI %.3f against the run before", c.Name, d.Verdict, d.PSI))
		}
	}
	return out, nil
}

// suspect names the source, the load and the run of what stands out most, with the commands that show what it reached and would mend it.
func (a *attribution) suspect(found *performance.Attribution) (*headwaterv1.LossSuspect, error) {
	s := a.slices[found.Suspect.Name]
	out := &headwaterv1.LossSuspect{Slice: s.name}
	refs, err := a.runsBehind(s)
	if err != nil {
		return nil, err
	}
	if len(refs) > 0 {
		out.Run = refs[0]
	}
	load := s.load
	if s.kind == performance.OfRun {
		// The load that stands out most of those that the run's rows are made of.
		for i := range found.Slices {
			if j := &found.Slices[i]; j.Kind == performance.OfLoad && j.StandsOut() && contains(s.in, a.slices[j.Name].in) {
				load = a.slices[j.Name].load
				break
			}
		}
	}
	if s.kind == performance.OfSource {
		out.Source = strings.TrimPrefix(s.name, "source:")
	}
	ask := &headwaterv1.GetImpactRequest{Source: out.Source}
	if load != nil {
		out.Source, out.Load, out.File = load.Source, load.ID, load.FileName
		ask.Source, ask.Load = load.Source, load.ID
	}
	switch {
	case ask.Source == "" && out.Run != "":
		view, _, _ := strings.Cut(out.Run, "/")
		out.Commands = []string{"headwater lineage show run:" + out.Run, "headwater runs verify " + out.Run, "headwater materialize " + view + " --full --wait"}
		return out, nil
	case load != nil:
		out.Commands = append(out.Commands, fmt.Sprintf("headwater impact %s --load %d --repair", ask.Source, ask.Load))
	default:
		out.Commands = append(out.Commands, fmt.Sprintf("headwater impact %s --repair", ask.Source))
	}
	impact, err := a.lineage.GetImpact(a.ctx, ask)
	switch {
	case a.ctx.Err() != nil:
		return nil, a.ctx.Err()
	case err != nil:
		// What is found holds without it.
		a.note("what would mend it was not found: %s", fault.FromError(err).Message)
	}
	for _, step := range impact.GetRepairs() {
		out.Commands = append(out.Commands, step.GetCommand())
	}
	return out, nil
}

// contains reports whether most of some predictions are among others.
func contains(all, some []int) bool {
	n := 0
	for _, i := range some {
		if _, is := slices.BinarySearch(all, i); is {
			n++
		}
	}
	return 2*n > len(some)
}
