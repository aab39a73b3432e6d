package server

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/wire"
	"github.com/headwaterhq/headwater/lineage"
	"github.com/headwaterhq/headwater/quality/feedback"
	"github.com/headwaterhq/headwater/quality/performance"
	"github.com/headwaterhq/headwater/readlog"
)

const (
	// defaultMaxEvaluated is how many predictions are looked at for one answer.
	defaultMaxEvaluated = 200_000
	// maxValues is how many values of features are kept for it.
	maxValues = 2_000_000
	// readBefore is how long before a prediction that was logged by its keys a read of them may be what it was made of.
	readBefore = "1 hour"
)

// evaluated is a prediction with what its read says of what it was made of.
type evaluated struct {
	*feedback.Told
	labelled bool
	example  performance.Example
	// read says that its read is in the log. What follows is of the read's row.
	read        bool
	position    int64
	hashVersion int32
	winners     []givenRow
	// missing are the features without a value, by their names, and values those of the others that are wanted.
	missing []string
	values  map[string]feature.Value
}

// givenRow is the row of a history that a prediction was made of.
type givenRow struct {
	view      string
	version   int
	seq       int64
	eventTime feature.Time
	key       string
	hash      []byte
}

// evaluation is the predictions of one answer.
type evaluation struct {
	*feedbackService
	ctx   context.Context
	model performance.Model
	name  string
	all   []*evaluated
	// services are those whose reads they are, by NAME@VERSION.
	services map[string]bool
	// features are those whose values are kept: nil none, else by name, or all of them with "".
	features map[string]bool
	// kept is how many values are, and tooMany that there were more than maxValues, so that none is.
	kept    int
	tooMany bool
	notes   []string
	// hidden are slices of what the caller may not know of, hiddenLoads and hiddenSources those of byLoad.
	hidden, hiddenLoads, hiddenSources int64
	// withoutRead is how many have no read in the log.
	withoutRead int64
}

func (e *evaluation) note(format string, args ...any) {
	if line := fmt.Sprintf(format, args...); !slices.Contains(e.notes, line) {
		e.notes = append(e.notes, line)
	}
}

// evaluate reads predictions with outcomes and reads, and finds out what the model does. Of those from before on, where it is given, as many of the newest before since are
// read as there may be beside.
func (s *feedbackService) evaluate(ctx context.Context, model string, before, since, until time.Time, task headwaterv1.ModelTask, positive string, features map[string]bool) (*evaluation, error) {
	ref, err := lineage.Parse("model:" + model)
	if err != nil {
		return nil, err
	}
	if _, err := s.model(ctx, model); err != nil {
		return nil, err
	}
	if err := s.reads.Flush(ctx); err != nil {
		return nil, database.Fault(err)
	}
	e := &evaluation{feedbackService: s, ctx: ctx, name: ref.Name, services: map[string]bool{}, features: features}
	if !since.IsZero() && !until.IsZero() && !since.Before(until) {
		return nil, badImpact("until", "found %s, which is not after %s, expected a span of time", until.Format(time.RFC3339), since.Format(time.RFC3339))
	}
	filter := feedback.Filter{Model: ref.Name, Version: ref.Version, Since: since, Until: until}
	add := func(t *feedback.Told) error {
		e.all = append(e.all, &evaluated{Told: t, labelled: !t.Actual.None()})
		return nil
	}
	more, err := feedback.Each(ctx, s.pool, filter, s.maxEvaluated, add)
	if err != nil {
		return nil, database.Fault(err)
	}
	switch {
	case more && !before.IsZero():
		return nil, fault.New(fault.ResourceExhausted, "model %s: found more than %d predictions since %s, expected at most as many for one answer; ask for less time, with until", model, s.maxEvaluated,
			since.Format(time.RFC3339))
	case more:
		return nil, fault.New(fault.ResourceExhausted, "model %s: found more than %d predictions, expected at most as many for one answer; ask for less time, with since and until", model, s.maxEvaluated)
	case !before.IsZero():
		after := e.all
		e.all = nil
		filter.Since, filter.Until, filter.Newest = before, since, true
		if more, err = feedback.Each(ctx, s.pool, filter, s.maxEvaluated-len(after), add); err != nil {
			return nil, database.Fault(err)
		}
		slices.Reverse(e.all)
		if more {
			e.note("of the time before, the newest %d predictions are looked at, of more", len(e.all))
		}
		e.all = append(e.all, after...)
	}
	if len(e.all) == 0 {
		return nil, fault.New(fault.FailedPrecondition, "model %s: found no prediction in this time, expected some; `headwater predictions log` logs them", model)
	}
	if err := e.decideTask(task, positive); err != nil {
		return nil, err
	}
	for page := range slices.Chunk(e.all, readsAtOnce) {
		if err := e.takeReads(page); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// decideTask finds out what the model does, and what its predictions and outcomes are as such.
func (e *evaluation) decideTask(task headwaterv1.ModelTask, positive string) error {
	classes := map[string]bool{}
	regression := false
	for _, p := range e.all {
		regression = regression || p.Number != nil || p.Actual.Number != nil
	}
	if task != headwaterv1.ModelTask_MODEL_TASK_UNSPECIFIED {
		regression = task == headwaterv1.ModelTask_MODEL_TASK_REGRESSION
	}
	if regression {
		e.model.Task = performance.Regression
		if positive != "" {
			return badImpact("positive", "found %s for a regression, expected none: it has no classes", quoted(positive))
		}
		for _, p := range e.all {
			if !p.labelled {
				continue
			}
			value, ok := numberOf(p.Answer)
			found, known := numberOf(p.Actual)
			if !ok || !known {
				return fault.New(fault.FailedPrecondition, "model %s: prediction %s or its outcome is no number, expected numbers of a regression; ask for a classification, or log numbers", e.name, quoted(p.ID))
			}
			p.example = performance.Example{Value: value, Found: found, Score: math.NaN()}
		}
		return nil
	}
	e.model.Scored = true
	for _, p := range e.all {
		if !p.labelled {
			continue
		}
		p.example = performance.Example{Predicted: classOf(p.Answer), Actual: classOf(p.Actual), Score: math.NaN()}
		if p.Score != nil {
			p.example.Score = *p.Score
		} else {
			e.model.Scored = false
		}
		classes[p.example.Actual] = true
		if p.example.Predicted != "" {
			classes[p.example.Predicted] = true
		}
	}
	switch {
	case positive != "" && !classes[positive] && len(classes) > 0:
		return badImpact("positive", "found %s, which is no class that was predicted or found; there is %s", quoted(positive), strings.Join(sortedKeys(classes), ", "))
	case positive != "":
		e.model.Positive = positive
	case len(classes) <= 2 && classes["true"]:
		e.model.Positive = "true"
	case len(classes) <= 2 && classes["1"]:
		e.model.Positive = "1"
	case len(classes) <= 2 && (classes["false"] || classes["0"]):
		// Only the other was found.
		e.model.Positive = map[bool]string{true: "true", false: "1"}[classes["false"]]
	}
	if e.model.Positive == "" {
		if scoreless := slices.ContainsFunc(e.all, func(p *evaluated) bool { return p.labelled && p.example.Predicted == "" }); scoreless {
			return badImpact("positive", "found predictions that are scores only, expected the class that they are of: one of %s", strings.Join(sortedKeys(classes), ", "))
		}
		e.model.Scored = false
		if len(classes) > 0 {
			e.note("which class is positive is not said, so precision, recall and what goes by scores are not told; one of %s", strings.Join(sortedKeys(classes), ", "))
		}
	}
	return nil
}

func numberOf(a feedback.Answer) (float64, bool) {
	switch {
	case a.Number != nil:
		return *a.Number, true
	case a.Class != nil:
		n, err := strconv.ParseFloat(*a.Class, 64)
		return n, err == nil && !math.IsNaN(n) && !math.IsInf(n, 0)
	}
	return 0, false
}

func classOf(a feedback.Answer) string {
	switch {
	case a.Class != nil:
		return *a.Class
	case a.Number != nil:
		return strconv.FormatFloat(*a.Number, 'g', -1, 64)
	}
	return ""
}

// takeReads finds the reads of predictions, and keeps what slices need of them.
func (e *evaluation) takeReads(page []*evaluated) error {
	if err := e.findByKeys(page); err != nil {
		return err
	}
	var ids []string
	for _, p := range page {
		if p.ReadID != "" {
			ids = append(ids, p.ReadID)
		}
	}
	slices.Sort(ids)
	found, err := readlog.FindAll(e.ctx, e.pool, slices.Compact(ids))
	if err != nil {
		return err
	}
	for _, p := range page {
		r := found[p.ReadID]
		if r == nil || p.Row >= int(r.GetEntities()) || r.GetService() != p.Service || p.Row >= 0 && slices.Contains(r.GetErased(), int32(p.Row)) {
			e.withoutRead++
			continue
		}
		if err := e.takeRead(p, r); err != nil {
			return err
		}
	}
	return nil
}

// findByKeys finds the newest reads shortly before of predictions that were logged by their keys.
func (e *evaluation) findByKeys(page []*evaluated) error {
	var places []int64
	var services, shorts []string
	var times []time.Time
	for i, p := range page {
		if p.ReadID == "" && len(p.Entities) > 0 {
			places, services, times = append(places, int64(i)), append(services, p.Service), append(times, p.At)
			var all []string
			for _, hash := range p.Entities {
				all = append(all, strconv.FormatInt(readlog.Short(hash), 10))
			}
			shorts = append(shorts, "{"+strings.Join(all, ",")+"}")
		}
	}
	if len(places) == 0 {
		return nil
	}
	rows, err := e.pool.Query(e.ctx, `
		SELECT w.place, r.read_id FROM unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::text[]) AS w (place, service, at, hashes),
			LATERAL (SELECT read_id FROM headwater.read_log r WHERE r.entity_hashes @> w.hashes::bigint[] AND r.service = w.service AND r.served_at <= w.at
				AND r.served_at > w.at - interval '`+readBefore+`'
				AND r.day >= ((w.at - interval '`+readBefore+`') AT TIME ZONE 'UTC')::date AND r.day <= (w.at AT TIME ZONE 'UTC')::date ORDER BY r.served_at DESC, r.read_id DESC LIMIT 1) AS r`, places, services, times, shorts)
	if err != nil {
		return database.Fault(err)
	}
	var place int64
	var id string
	if _, err = pgx.ForEachRow(rows, []any{&place, &id}, func() error {
		page[place].ReadID, page[place].Row = id, -1
		return nil
	}); err != nil {
		return database.Fault(err)
	}
	return nil
}

// takeRead keeps what slices need of a read's row.
func (e *evaluation) takeRead(p *evaluated, r *headwaterv1.LoggedRead) error {
	if p.Row < 0 {
		for i := range int(r.GetEntities()) {
			if sameHashes(e.reads.HashesOfRow(r, i), p.Entities) {
				p.Row = i
				break
			}
		}
		if p.Row < 0 {
			e.withoutRead++
			return nil
		}
	}
	if len(p.Entities) == 0 {
		// The read was not in the log yet when it was predicted.
		p.Entities = e.reads.HashesOfRow(r, p.Row)
	}
	p.read, p.position, p.hashVersion = true, r.GetPosition(), r.GetHashVersion()
	e.services[serviceOf(r)] = true
	catalog := e.registry.Catalog()
	for _, g := range r.GetProvenance() {
		if p.Row >= len(g.GetRunSeqs()) || g.GetRunSeqs()[p.Row] == 0 || p.Row >= len(g.GetEventTimes()) {
			continue
		}
		given := givenRow{view: g.GetView(), version: int(g.GetViewVersion()), seq: g.GetRunSeqs()[p.Row], eventTime: feature.Time(g.GetEventTimes()[p.Row])}
		if v, err := catalog.PastView(fmt.Sprintf("%s@%d", given.view, given.version)); err == nil {
			if keys := keysOfRead(r, v, g.GetPrefix()); len(keys.GetHashes()) > p.Row {
				given.hash = keys.GetHashes()[p.Row]
			} else if len(keys.GetKeys()) > p.Row {
				given.key = keys.GetKeys()[p.Row]
			}
		}
		p.winners = append(p.winners, given)
	}
	if e.features == nil {
		return nil
	}
	for _, f := range r.GetFeatures() {
		if !wire.HasValue(wire.StatusAt(f.GetValues(), p.Row)) {
			p.missing = append(p.missing, f.GetName())
			continue
		}
		if len(f.GetDigest()) > 0 || !e.features[f.GetName()] && !e.features[""] {
			continue
		}
		v, err := wire.FromVector(f.GetValues(), p.Row)
		if err != nil {
			return fmt.Errorf("feature %s of read %s: %w", f.GetName(), r.GetReadId(), err)
		}
		if p.values == nil {
			p.values = map[string]feature.Value{}
		}
		p.values[f.GetName()] = v.Clone()
		e.kept++
	}
	if e.kept > maxValues {
		e.tooMany, e.features = true, map[string]bool{}
		for _, p := range e.all {
			p.values = nil
		}
	}
	return nil
}

func sameHashes(row, prediction [][]byte) bool {
	for _, h := range prediction {
		if !slices.ContainsFunc(row, func(r []byte) bool { return slices.Equal(r, h) }) {
			return false
		}
	}
	return len(prediction) > 0
}

// requireValues decides whether what tells of values of features may be told, of every service version whose reads it is of, and records that it is.
func (e *evaluation) requireValues() error {
	for _, ref := range sortedKeys(e.services) {
		service, err := e.registry.Catalog().PastService(ref)
		if err != nil {
			return err
		}
		if !access.AllowsServiceRows(e.ctx, service) {
			return fault.New(fault.PermissionDenied, "model %s: what tells of values of features is for who may read service %s offline, with nothing of it hidden; slices by run, load and source are not of values",
				e.name, service.Name).With("action", string(access.ActionReadOffline)).With("resource", "service:"+service.Name)
		}
		if err := access.RequireService(e.ctx, access.ActionReadOffline, service); err != nil {
			return err
		}
	}
	return nil
}

// GetPerformance measures predictions as a whole, and slices of them.
func (s *feedbackService) GetPerformance(ctx context.Context, req *headwaterv1.GetPerformanceRequest) (*headwaterv1.GetPerformanceResponse, error) {
	by := req.GetBy()
	if (req.GetColumn() != "") != (by == headwaterv1.PerformanceBy_PERFORMANCE_BY_COLUMN) {
		return nil, badImpact("column", "found %s, expected a feature with by: column, and none without", quoted(req.GetColumn()))
	}
	since, until, err := spanOf(req.GetSince(), req.GetUntil())
	if err != nil {
		return nil, err
	}
	var features map[string]bool
	switch by {
	case headwaterv1.PerformanceBy_PERFORMANCE_BY_NULL_PATTERN:
		features = map[string]bool{}
	case headwaterv1.PerformanceBy_PERFORMANCE_BY_FEATURE_BUCKET:
		features = map[string]bool{"": true}
	case headwaterv1.PerformanceBy_PERFORMANCE_BY_COLUMN:
		features = map[string]bool{req.GetColumn(): true}
	}
	e, err := s.evaluate(ctx, req.GetModel(), time.Time{}, since, until, req.GetTask(), req.GetPositive(), features)
	if err != nil {
		return nil, err
	}
	if features != nil {
		if err := e.requireValues(); err != nil {
			return nil, err
		}
		if e.tooMany {
			return nil, fault.New(fault.ResourceExhausted, "model %s: found more than %d values of features, expected at most as many for one answer; ask for less time, or for one feature (column)", req.GetModel(), maxValues)
		}
	}
	resp := &headwaterv1.GetPerformanceResponse{Model: req.GetModel(), Task: taskOf(e.model), Positive: e.model.Positive}
	everything := &slice{title: "all predictions", exact: true}
	for i := range e.all {
		everything.in = append(everything.in, i)
	}
	resp.Overall = e.measured(everything)
	cut, err := e.cut(by, req.GetColumn())
	if err != nil {
		return nil, err
	}
	for _, c := range cut {
		resp.Slices = append(resp.Slices, e.measured(c))
	}
	slices.SortStableFunc(resp.Slices, func(a, b *headwaterv1.PerformanceSlice) int {
		return cmp.Or(cmp.Compare(lossOf(b), lossOf(a)), cmp.Compare(a.GetSlice(), b.GetSlice()))
	})
	if resp.Parked, err = feedback.Parked(ctx, s.pool, e.name, since); err != nil {
		return nil, database.Fault(err)
	}
	resp.Hidden, resp.WithoutRead, resp.Notes = e.hidden, e.withoutRead, e.notes
	return resp, nil
}

func lossOf(s *headwaterv1.PerformanceSlice) float64 {
	if s.GetLoss() == nil {
		return math.Inf(-1)
	}
	return s.GetLoss().GetValue()
}

func taskOf(m performance.Model) headwaterv1.ModelTask {
	if m.Task == performance.Regression {
		return headwaterv1.ModelTask_MODEL_TASK_REGRESSION
	}
	return headwaterv1.ModelTask_MODEL_TASK_CLASSIFICATION
}

// spanOf is the times of a request. Zero: as far as there is.
func spanOf(since, until *timestamppb.Timestamp) (from, to time.Time, err error) {
	if since != nil {
		if since.CheckValid() != nil {
			return from, to, badImpact("since", "found a time that there is not, expected one from the year 1 to 9999")
		}
		from = since.AsTime()
	}
	if until != nil {
		if until.CheckValid() != nil {
			return from, to, badImpact("until", "found a time that there is not, expected one from the year 1 to 9999")
		}
		to = until.AsTime()
	}
	return from, to, nil
}
