package server

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/quality/feedback"
	"github.com/headwaterhq/headwater/quality/performance"
)

// judgedWorld is forty airports, of which ten came with a bad load and the others with a good one, at last, and models that predict whether their flights are late.
type judgedWorld struct {
	*product
	start, since time.Time
	good, bad    *headwaterv1.Load
	before, now  string
	random       *rand.Rand
}

const badFrom = 30

func newJudgedWorld(t *testing.T) *judgedWorld {
	p := newProduct(t)
	d := logging("all", "small")
	d.Roles = append(d.Roles, role("watcher", "read_lineage on model:*,view:*,source:*"), role("stranger", "read_lineage on model:*"))
	p.apply(d)
	w := &judgedWorld{product: p, start: time.Now().UTC().Truncate(time.Hour).Add(-30 * time.Hour), random: rand.New(rand.NewPCG(11, 12))}
	w.since = w.start.Add(14 * time.Hour)
	rows := func(from, to int, at time.Time) (list [][]feature.Value) {
		for k := from; k < to; k++ {
			delay := feature.Float64(float64(10 * (k % 4)))
			if k == 5 {
				delay = feature.Null()
			}
			list = append(list, flight(fmt.Sprintf("A%02d", k), 1, at.Add(time.Duration(k)*time.Second), delay))
		}
		return list
	}
	w.ingestFile("first.csv", flights(rows(0, 40, w.start.Add(-10*time.Hour))...))
	w.materialize("delays")
	w.before = w.readAll()
	w.good = w.ingestFile("good.csv", flights(rows(0, badFrom, w.start)...))
	w.bad = w.ingestFile("bad.csv", flights(rows(badFrom, 40, w.start)...))
	w.materialize("delays")
	w.now = w.readAll()
	return w
}

func (w *judgedWorld) readAll() string {
	var names []string
	for k := range 40 {
		names = append(names, fmt.Sprintf("A%02d", k))
	}
	return w.read("small", "origin", names...).GetReadId()
}

// predict registers a model and logs 14 hours of predictions before and after. wrong says by how much the score of an airport is off, and flipped whether the
// outcome is turned over.
func (w *judgedWorld) predict(model string, labels int, wrong func(since bool, k int) float64, flipped func(since bool, k int) bool) {
	w.t.Helper()
	if _, err := w.lineage.RegisterModel(w.admin, &headwaterv1.RegisterModelRequest{Name: model, Service: "small"}); err != nil {
		w.t.Fatal(err)
	}
	for hour := range 28 {
		read, since := w.before, hour >= 14
		if since {
			read = w.now
		}
		var all []*headwaterv1.Prediction
		var outcomes []*headwaterv1.Outcome
		for k := range 40 {
			chance := 0.1 + 0.6*float64(k%2)
			late := w.random.Float64() < chance
			if flipped(since, k) {
				late = !late
			}
			score := min(1, max(0, chance+wrong(since, k)))
			id := fmt.Sprintf("%d-%d", hour, k)
			p := &headwaterv1.Prediction{Id: id, ReadId: read, Row: int32(k), Time: timestamppb.New(w.start.Add(time.Duration(hour)*time.Hour + time.Duration(k)*time.Second)), Score: &score}
			all = append(all, p)
			if len(outcomes) < labels {
				outcomes = append(outcomes, &headwaterv1.Outcome{Id: id, Actual: &headwaterv1.Value{Kind: &headwaterv1.Value_BoolValue{BoolValue: late}}})
			}
		}
		// Outcomes come first, and wait.
		if found := w.reportOutcomes(w.admin, model, outcomes...); !strings.Contains(found, fmt.Sprintf(" %d 0", labels)) {
			w.t.Fatal(found)
		}
		if found := w.logPredictions(w.admin, model, all...); found != fmt.Sprintf("40 0 0 %d 0", labels) {
			w.t.Fatal(found)
		}
	}
}

func (w *judgedWorld) attribute(ctx context.Context, model string) *headwaterv1.AttributeLossResponse {
	w.t.Helper()
	r, err := w.feedback().AttributeLoss(ctx, &headwaterv1.AttributeLossRequest{Model: model, Since: timestamppb.New(w.since)})
	if err != nil {
		w.t.Fatal(fault.FromError(err))
	}
	return r
}

func (w *judgedWorld) performance(ctx context.Context, req *headwaterv1.GetPerformanceRequest) *headwaterv1.GetPerformanceResponse {
	w.t.Helper()
	r, err := w.feedback().GetPerformance(ctx, req)
	if err != nil {
		w.t.Fatal(fault.FromError(err))
	}
	return r
}

func sliceTexts(r *headwaterv1.GetPerformanceResponse) (list []string) {
	for _, s := range r.GetSlices() {
		list = append(list, fmt.Sprintf("%s %d/%d %v", s.GetSlice(), s.GetLabelled(), s.GetPredictions(), s.GetExact()))
	}
	slices.Sort(list)
	return list
}

func TestLossIsAttributed(t *testing.T) {
	if testing.Short() {
		t.Skip("logs thousands of predictions")
	}
	w := newJudgedWorld(t)
	never := func(bool, int) bool { return false }
	w.predict("bad_load", 40, func(since bool, k int) float64 {
		if since && k >= badFrom {
			return 0.8 - 1.6*float64(k%2)
		}
		return 0
	}, never)
	badLoad, goodLoad := fmt.Sprintf("load:%d", w.bad.GetId()), fmt.Sprintf("load:%d", w.good.GetId())

	t.Run("one bad load ranks first and is named", func(t *testing.T) {
		r := w.attribute(w.admin, "bad_load")
		if r.GetVerdict() != headwaterv1.LossVerdict_LOSS_VERDICT_UPSTREAM_SUSPECT || !strings.HasPrefix(r.GetReason(), badLoad+" has a loss of 0.") {
			t.Fatalf("found %s: %s", r.GetVerdict(), r.GetReason())
		}
		s := r.GetSuspect()
		if s.GetSlice() != badLoad || s.GetSource() != "flights" || s.GetLoad() != w.bad.GetId() || s.GetFile() != "bad.csv" || s.GetRun() != "delays@1/2" {
			t.Errorf("found the suspect %v", s)
		}
		want := []string{fmt.Sprintf("headwater impact flights --load %d --repair", w.bad.GetId()), fmt.Sprintf("headwater loads retract %d --reason REASON", w.bad.GetId())}
		if len(s.GetCommands()) < 3 || !slices.Equal(s.GetCommands()[:2], want) {
			t.Errorf("found the commands %q, expected %q first", s.GetCommands(), want)
		}
		first := r.GetSlices()[0]
		if first.GetSlice() != badLoad || !first.GetStandsOut() || !first.GetExact() || first.GetLabelled() != 140 || first.GetExcess().GetLow() < 0.1 || first.GetQ() > 1e-6 {
			t.Errorf("found first %v", first)
		}
		if e := first.GetEvidence(); len(e) != 1 || e[0].GetRun() != "delays@1/2" {
			t.Errorf("found the evidence %v", e)
		}
		for _, s := range r.GetSlices() {
			if s.GetSlice() == goodLoad && s.GetStandsOut() {
				t.Errorf("found %v blamed", s)
			}
		}
	})
	t.Run("by slices", func(t *testing.T) {
		by := func(ctx context.Context, by headwaterv1.PerformanceBy, column string) *headwaterv1.GetPerformanceResponse {
			t.Helper()
			return w.performance(ctx, &headwaterv1.GetPerformanceRequest{Model: "bad_load", By: by, Column: column, Since: timestamppb.New(w.since)})
		}
		loads := by(w.admin, headwaterv1.PerformanceBy_PERFORMANCE_BY_LOAD, "")
		if found := strings.Join(sliceTexts(loads), ", "); found != fmt.Sprintf("%s 420/420 true, %s 140/140 true", goodLoad, badLoad) {
			t.Errorf("found %s", found)
		}
		if worst := loads.GetSlices()[0]; worst.GetSlice() != badLoad || worst.GetTitle() != "bad.csv" || worst.GetAuc().GetHigh() > 0.5 || worst.GetBrier().GetValue() != worst.GetLoss().GetValue() {
			t.Errorf("found the worst %v", worst)
		}
		if o := loads.GetOverall(); o.GetPredictions() != 560 || o.GetCoverage().GetValue() != 1 || loads.GetPositive() != "true" || loads.GetParked() != 0 || loads.GetWithoutRead() != 0 {
			t.Errorf("found %v of all, %v", o, loads)
		}
		for _, c := range []struct {
			by     headwaterv1.PerformanceBy
			column string
			want   string
		}{
			{headwaterv1.PerformanceBy_PERFORMANCE_BY_RUN, "", "run:delays@1/2 560/560 true"},
			{headwaterv1.PerformanceBy_PERFORMANCE_BY_SOURCE, "", "source:flights 560/560 true"},
			{headwaterv1.PerformanceBy_PERFORMANCE_BY_NULL_PATTERN, "", "missing delays__delay 14/14 true, no feature missing 546/546 true"},
			{headwaterv1.PerformanceBy_PERFORMANCE_BY_FEATURE_BUCKET, "", "delays__delay = 0 140/140 true, delays__delay = 10 126/126 true, delays__delay = 20 140/140 true, " +
				"delays__delay = 30 140/140 true, delays__delay missing 14/14 true"},
			{headwaterv1.PerformanceBy_PERFORMANCE_BY_COLUMN, "delays__delay", "delays__delay = 0 140/140 true, delays__delay = 10 126/126 true, delays__delay = 20 140/140 true, " +
				"delays__delay = 30 140/140 true, delays__delay missing 14/14 true"},
		} {
			if found := strings.Join(sliceTexts(by(w.admin, c.by, c.column)), ", "); found != c.want {
				t.Errorf("%s: found %s, expected %s", c.by, found, c.want)
			}
		}
		// Who may not see the rows is told by runs, and who may not know of sources is told how many there are.
		watcher, stranger := w.as("wanda", "watcher"), w.as("sam", "stranger")
		if found := strings.Join(sliceTexts(by(watcher, headwaterv1.PerformanceBy_PERFORMANCE_BY_LOAD, "")), ", "); !strings.Contains(found, badLoad+" 560/560 false") {
			t.Errorf("found %s", found)
		}
		if r := by(stranger, headwaterv1.PerformanceBy_PERFORMANCE_BY_RUN, ""); len(r.GetSlices()) != 0 || r.GetHidden() != 1 || r.GetOverall().GetLabelled() != 560 {
			t.Errorf("found %v", r)
		}
		if r := by(stranger, headwaterv1.PerformanceBy_PERFORMANCE_BY_SOURCE, ""); len(r.GetSlices()) != 0 || r.GetHidden() != 1 {
			t.Errorf("found %v", r)
		}
		if r := w.attribute(stranger, "bad_load"); r.GetSuspect() != nil || len(r.GetSlices()) != 0 || r.GetHidden() == 0 || !strings.Contains(strings.Join(r.GetNotes(), ";"), "slices by features are left out") {
			t.Errorf("found %v", r)
		}
		if r := w.attribute(watcher, "bad_load"); r.GetSuspect() != nil {
			t.Errorf("found %v named to somebody for whom it is all of a run", r.GetSuspect())
		}
		_, err := w.feedback().GetPerformance(watcher, &headwaterv1.GetPerformanceRequest{Model: "bad_load", By: headwaterv1.PerformanceBy_PERFORMANCE_BY_NULL_PATTERN})
		if f := fault.FromError(err); f.Reason != fault.PermissionDenied || !strings.HasPrefix(f.Message, "model bad_load: what tells of values of features is for who may read service small offline") {
			t.Errorf("found %v", err)
		}
	})
	t.Run("slices by load have the time of an impact", func(t *testing.T) {
		s := w.server.lineage
		byLoad := func() *fault.Fault {
			_, err := w.feedback().GetPerformance(w.admin, &headwaterv1.GetPerformanceRequest{Model: "bad_load", By: headwaterv1.PerformanceBy_PERFORMANCE_BY_LOAD})
			return fault.FromError(err)
		}
		s.impactTime = 50 * time.Millisecond
		for range maxImpacts {
			s.impacts <- struct{}{}
		}
		if f := byLoad(); f == nil || f.Reason != fault.ResourceExhausted || f.Message != "model bad_load: slices by load are found as impact is, of which this server tells 2 at a time, and none of those had ended after 50ms; ask again later" {
			t.Errorf("found %v", f)
		}
		for range maxImpacts {
			<-s.impacts
		}
		// Another holds what a slice by load reads, so that it cannot end.
		lock, err := w.pool.Begin(w.admin)
		if err != nil {
			t.Fatal(err)
		}
		defer lock.Rollback(w.admin)
		if _, err := lock.Exec(w.admin, `LOCK TABLE headwater.run_load IN ACCESS EXCLUSIVE MODE`); err != nil {
			t.Fatal(err)
		}
		s.impactTime = 500 * time.Millisecond
		if f := byLoad(); f == nil || f.Reason != fault.DeadlineExceeded || !strings.HasSuffix(f.Message, "takes longer than 500ms to tell, which is how long one answer may take; ask for less time, with since and until") {
			t.Errorf("found %v", f)
		}
		s.impactTime = maxImpactTime
		if err := lock.Rollback(w.admin); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("a suspect is named without what mends it", func(t *testing.T) {
		a := &attribution{
			evaluation: &evaluation{feedbackService: &feedbackService{registry: w.server.registry, pool: w.server.pool, lineage: w.server.lineage}, ctx: t.Context()},
			slices:     map[string]*slice{"load:99": {name: "load:99", load: &offline.Load{ID: 99, Source: "flights", FileName: "gone.csv"}}},
		}
		found, err := a.suspect(&performance.Attribution{Suspect: &performance.Judged{Slice: performance.Slice{Name: "load:99"}}})
		if err != nil || found.GetFile() != "gone.csv" || len(found.GetCommands()) != 1 || len(a.notes) != 1 || !strings.HasPrefix(a.notes[0], "what would mend it was not found: ") {
			t.Errorf("found %v, %q, %v", found, a.notes, err)
		}
	})
	t.Run("a decay of all blames none", func(t *testing.T) {
		w.predict("decayed", 40, func(since bool, k int) float64 {
			if !since {
				return 0
			}
			return 0.25 - 0.5*float64(k%2)
		}, never)
		r := w.attribute(w.admin, "decayed")
		if r.GetVerdict() != headwaterv1.LossVerdict_LOSS_VERDICT_UNIFORM_DECAY || r.GetSuspect() != nil || r.GetTested() == 0 || !(r.GetSince().GetLow() > r.GetBefore().GetHigh()) {
			t.Errorf("found %s: %s", r.GetVerdict(), r.GetReason())
		}
		for _, s := range r.GetSlices() {
			if s.GetStandsOut() && (strings.HasPrefix(s.GetSlice(), "load:") || strings.HasPrefix(s.GetSlice(), "run:") || strings.HasPrefix(s.GetSlice(), "source:")) {
				t.Errorf("found %v blamed", s)
			}
		}
	})
	t.Run("labels that shifted are told", func(t *testing.T) {
		w.predict("shifted", 40, func(bool, int) float64 { return 0 }, func(since bool, k int) bool { return since && k%4 == 0 })
		r := w.attribute(w.admin, "shifted")
		if r.GetVerdict() != headwaterv1.LossVerdict_LOSS_VERDICT_LABEL_ISSUE || r.GetSuspect() != nil || !strings.HasPrefix(r.GetReason(), "outcomes moved (stability index ") {
			t.Errorf("found %s: %s", r.GetVerdict(), r.GetReason())
		}
	})
	t.Run("few labels are too few", func(t *testing.T) {
		w.predict("few", 3, func(bool, int) float64 { return 0 }, never)
		r := w.attribute(w.admin, "few")
		if r.GetVerdict() != headwaterv1.LossVerdict_LOSS_VERDICT_INSUFFICIENT_LABELS || r.GetReason() != "42 outcomes of predictions since are known, and at least 50 are needed" {
			t.Errorf("found %s: %s", r.GetVerdict(), r.GetReason())
		}
	})
	t.Run("by keys", func(t *testing.T) {
		if _, err := w.lineage.RegisterModel(w.admin, &headwaterv1.RegisterModelRequest{Name: "keyed", Service: "small"}); err != nil {
			t.Fatal(err)
		}
		w.read("small", "origin", "A31", "A01")
		for k, name := range []string{"A31", "A01", "A99"} {
			p := &headwaterv1.Prediction{Id: name, Time: timestamppb.Now(), Prediction: real64(float64(k)), Keys: map[string]*headwaterv1.Value{"origin": class(name)}}
			if found := w.logPredictions(w.admin, "keyed", p); found != "1 0 0 0 0" {
				t.Fatal(found)
			}
		}
		w.reportOutcomes(w.admin, "keyed", &headwaterv1.Outcome{Id: "A31", Actual: real64(2)}, &headwaterv1.Outcome{Id: "A01", Actual: real64(1)}, &headwaterv1.Outcome{Id: "nobody", Actual: real64(1)})
		r := w.performance(w.admin, &headwaterv1.GetPerformanceRequest{Model: "keyed@1", By: headwaterv1.PerformanceBy_PERFORMANCE_BY_LOAD})
		if found := strings.Join(sliceTexts(r), ", "); found != fmt.Sprintf("%s 1/1 true, %s 1/1 true", goodLoad, badLoad) {
			t.Errorf("found %s", found)
		}
		if o := r.GetOverall(); r.GetTask() != headwaterv1.ModelTask_MODEL_TASK_REGRESSION || r.GetWithoutRead() != 1 || r.GetParked() != 1 || o.GetMae().GetValue() != 1 || o.GetBias().GetValue() != -1 || o.GetAuc() != nil {
			t.Errorf("found %v", r)
		}
	})
}

func TestPerformanceIsRefused(t *testing.T) {
	p, now := feedbackWorld(t)
	read := p.read("small", "origin", "ORD").GetReadId()
	ask := func(req *headwaterv1.GetPerformanceRequest) string {
		t.Helper()
		req.Model = "late"
		_, err := p.feedback().GetPerformance(p.admin, req)
		return fault.FromError(err).Message
	}
	if found := ask(&headwaterv1.GetPerformanceRequest{}); found != "model late: found no prediction in this time, expected some; `headwater predictions log` logs them" {
		t.Errorf("found %s", found)
	}
	score := 0.3
	p.logPredictions(p.admin, "late", &headwaterv1.Prediction{Id: "a", ReadId: read, Time: timestamppb.New(now), Score: &score}, predicted("b", read, 0, now, class("on time")))
	p.reportOutcomes(p.admin, "late", &headwaterv1.Outcome{Id: "a", Actual: class("late")}, &headwaterv1.Outcome{Id: "b", Actual: class("on time")})
	column := headwaterv1.PerformanceBy_PERFORMANCE_BY_COLUMN
	for _, c := range []struct {
		want string
		req  *headwaterv1.GetPerformanceRequest
	}{
		{"positive: found predictions that are scores only, expected the class that they are of: one of late, on time", &headwaterv1.GetPerformanceRequest{}},
		{`positive: found "early", which is no class that was predicted or found; there is late, on time`, &headwaterv1.GetPerformanceRequest{Positive: "early"}},
		{`column: found "", expected a feature with by: column, and none without`, &headwaterv1.GetPerformanceRequest{By: column}},
		{`column: found "x", of which no read has a value, expected a feature as the service names it`, &headwaterv1.GetPerformanceRequest{By: column, Column: "x", Positive: "late"}},
		{`positive: found "late" for a regression, expected none: it has no classes`, &headwaterv1.GetPerformanceRequest{Task: headwaterv1.ModelTask_MODEL_TASK_REGRESSION, Positive: "late"}},
		{`model late: prediction "a" or its outcome is no number, expected numbers of a regression; ask for a classification, or log numbers`,
			&headwaterv1.GetPerformanceRequest{Task: headwaterv1.ModelTask_MODEL_TASK_REGRESSION}},
		{"since: found a time that there is not, expected one from the year 1 to 9999", &headwaterv1.GetPerformanceRequest{Since: &timestamppb.Timestamp{Seconds: 1 << 60}}},
		{"until: found 2001-01-01T00:00:00Z, which is not after 2002-01-01T00:00:00Z, expected a span of time", &headwaterv1.GetPerformanceRequest{
			Since: timestamppb.New(time.Date(2002, 1, 1, 0, 0, 0, 0, time.UTC)), Until: timestamppb.New(time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC))}},
	} {
		if found := ask(c.req); found != c.want {
			t.Errorf("found %s\nexpected %s", found, c.want)
		}
	}
	if _, err := p.feedback().AttributeLoss(p.admin, &headwaterv1.AttributeLossRequest{Model: "late", Since: timestamppb.New(now), Until: timestamppb.New(now)}); !strings.Contains(fault.FromError(err).Message, "expected a span of time") {
		t.Errorf("found %v", err)
	}
}

// Loads are followed through views over views and windows, and told by runs where a policy hides rows.
func TestPerformanceFollowsViews(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a store")
	}
	w := newImpactWorld(t, func(d *feature.Definitions) {
		for i := range d.Services {
			d.Services[i].Log = "all"
		}
		d.Roles = append(d.Roles, role("analyst", "read_lineage,read_offline on model:*,view:*,source:*,service:*,feature:*"))
		d.Policies = append(d.Policies, feature.Policy{Name: "others", Resources: []feature.ResourcePattern{{Kind: "view", Name: "late"}}, Roles: []string{"analyst"}, RowFilter: "row.late"})
	})
	if _, err := w.lineage.RegisterModel(w.admin, &headwaterv1.RegisterModelRequest{Name: "through", Service: "quiet"}); err != nil {
		t.Fatal(fault.FromError(err))
	}
	read := w.read("quiet", "origin", "JFK", "ORD").GetReadId()
	if found := w.logPredictions(w.admin, "through", predicted("jfk", read, 0, time.Now(), class("a")), predicted("ord", read, 1, time.Now(), class("a"))); found != "2 0 0 0 0" {
		t.Fatal(found)
	}
	byLoad := func(ctx context.Context) string {
		t.Helper()
		r, err := w.feedback().GetPerformance(ctx, &headwaterv1.GetPerformanceRequest{Model: "through", By: headwaterv1.PerformanceBy_PERFORMANCE_BY_LOAD})
		if err != nil {
			t.Fatal(fault.FromError(err))
		}
		return strings.Join(sliceTexts(r), "\n")
	}
	bad := fmt.Sprintf("load:%d ", w.bad.GetId())
	if found := byLoad(w.admin); !strings.Contains(found, bad+"0/1 true") || !strings.Contains(found, "0/1 true\n") || strings.Contains(found, "false") {
		t.Errorf("found\n%s\nexpected the bad load behind one prediction", found)
	}
	if found := byLoad(w.as("ann", "analyst")); !strings.Contains(found, bad+"0/2 false") && !strings.Contains(found, bad+"0/1 false") {
		t.Errorf("found\n%s\nexpected the bad load told by runs", found)
	}
}

// As much of the time before is looked at as there may be beside that since, the newest first.
func TestTheTimeBeforeIsBounded(t *testing.T) {
	p, now := feedbackWorld(t)
	var all []*headwaterv1.Prediction
	for _, id := range []string{"-5", "-4", "-3", "-2", "-1", "+0", "+1"} {
		hours, _ := strconv.Atoi(id)
		all = append(all, &headwaterv1.Prediction{Id: id, Time: timestamppb.New(now.Add(time.Duration(hours-2) * time.Hour)), Prediction: class("late"), Keys: map[string]*headwaterv1.Value{"origin": class("ORD")}})
	}
	if found := p.logPredictions(p.admin, "late", all...); found != "7 0 0 0 0" {
		t.Fatal(found)
	}
	p.reportOutcomes(p.admin, "late", &headwaterv1.Outcome{Id: "-2", Actual: class("on time")}, &headwaterv1.Outcome{Id: "-2", Actual: class("late")}, &headwaterv1.Outcome{Id: "nobody", Actual: class("late")})
	since := now.Add(-2 * time.Hour)
	ask := func(most int, before time.Time) (string, error) {
		s := &feedbackService{registry: p.server.registry, pool: p.server.pool, store: p.server.feedback, reads: p.server.reads, lineage: p.server.lineage, maxEvaluated: most}
		e, err := s.evaluate(t.Context(), "late", before, since, time.Time{}, headwaterv1.ModelTask_MODEL_TASK_UNSPECIFIED, "", nil)
		if err != nil {
			return "", err
		}
		var list []string
		for _, p := range e.all {
			list = append(list, p.ID)
			if p.labelled {
				list = append(list, *p.Actual.Class)
			}
		}
		return strings.Join(append(list, e.notes...), " "), nil
	}
	for _, c := range []struct {
		most   int
		before time.Duration
		want   string
	}{{100, 100 * time.Hour, "-5 -4 -3 -2 late -1 +0 +1"}, {100, 3 * time.Hour, "-3 -2 late -1 +0 +1"}, {4, 100 * time.Hour, "-2 late -1 +0 +1 of the time before, the newest 2 predictions are looked at, of more"}} {
		if found, err := ask(c.most, since.Add(-c.before)); err != nil || !strings.HasPrefix(found, c.want) || c.most == 100 && strings.Contains(found, "of the time before") {
			t.Errorf("found %s, %v, expected %s", found, err, c.want)
		}
	}
	_, err := ask(1, since.Add(-time.Hour))
	if f := fault.FromError(err); f.Reason != fault.ResourceExhausted || f.Message != fmt.Sprintf("model late: found more than 1 predictions since %s, expected at most as many for one answer; ask for less time, with until", since.Format(time.RFC3339)) {
		t.Errorf("found %v", err)
	}
	for at, want := range map[time.Time]int64{{}: 1, now: 1, now.AddDate(0, 0, 2): 0} {
		if n, err := feedback.Parked(t.Context(), p.pool, "late", at); err != nil || n != want {
			t.Errorf("found %d parked since %s, %v, expected %d", n, at, err, want)
		}
	}
}

// Of several entities a read of all of them is what a prediction was made of.
func TestReadsAreFoundByAllKeys(t *testing.T) {
	p, now := feedbackWorld(t)
	p.apply(logging("all", "small", "model"))
	if _, err := p.lineage.RegisterModel(p.admin, &headwaterv1.RegisterModelRequest{Name: "both", Service: "model"}); err != nil {
		t.Fatal(err)
	}
	for _, key := range []struct {
		origin string
		number int64
	}{{"ORD", 7}, {"ORD", 8}, {"JFK", 7}} {
		p.readModel(&headwaterv1.GetFeaturesRequest{Service: "model", Keys: map[string]*headwaterv1.KeyColumn{"origin": texts(key.origin), "number": numbers(key.number)}})
	}
	keys := map[string]*headwaterv1.Value{"origin": class("ORD"), "number": {Kind: &headwaterv1.Value_Int64Value{Int64Value: 7}}}
	if found := p.logPredictions(p.admin, "both", &headwaterv1.Prediction{Id: "a", Time: timestamppb.New(now.Add(30 * time.Minute)), Prediction: class("late"), Keys: keys}); found != "1 0 0 0 0" {
		t.Fatal(found)
	}
	r, err := p.feedback().GetPerformance(p.admin, &headwaterv1.GetPerformanceRequest{Model: "both"})
	if err != nil || r.GetWithoutRead() != 0 || r.GetOverall().GetPredictions() != 1 {
		t.Errorf("found %v, %v, expected the read of both keys to be found", r, err)
	}
}
