package server

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/expr"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/wire"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/online"
	"github.com/headwaterhq/headwater/quality"
	"github.com/headwaterhq/headwater/read"
)

// A trace is of one row of one read. It is held to what its caller may see at each step: that the read's service has a lineage for them,
// which of its values they may read, which rows a policy hides from them. What is told of what is left out depends on who asks and on
// definitions, and never on rows: nobody learns from it whether a row that is hidden is there.

// defaultTracedRows is how many rows of the entity are shown of each thing that has any.
const defaultTracedRows = 20

// tracer is one trace on its way.
type tracer struct {
	*lineageService
	request *headwaterv1.TraceReadRequest
	resp    *headwaterv1.TraceReadResponse
	most    int

	check *readCheck
	row   int
	// readable says that the caller may read the service offline, and not wherever a policy hides something. unreadable is why not.
	readable   bool
	unreadable string
	// beyond are the rules by which the caller sees less than was read.
	beyond []read.Rule
	// restriction is what the caller is held to in a read that was not logged.
	restriction *access.Restriction
	// unchecked is why nothing is computed again.
	unchecked string

	columns []int
	runs    map[string]*headwaterv1.TracedRun
	met     map[string]bool
	left    map[string]bool
}

// TraceRead says what is behind a read.
func (s *lineageService) TraceRead(ctx context.Context, req *headwaterv1.TraceReadRequest) (*headwaterv1.TraceReadResponse, error) {
	t := &tracer{
		lineageService: s, request: req, resp: &headwaterv1.TraceReadResponse{}, most: cmp.Or(int(req.GetSourceRows()), defaultTracedRows),
		runs: map[string]*headwaterv1.TracedRun{}, met: map[string]bool{}, left: map[string]bool{},
	}
	take := t.takeLogged
	if req.GetReadId() == "" {
		take = t.takeUnlogged
	}
	if err := take(ctx); err != nil {
		return nil, err
	}
	if err := t.pick(); err != nil {
		return nil, err
	}
	if t.readable {
		if err := t.recompute(ctx); err != nil {
			return nil, err
		}
		t.tellEntity(ctx)
	}
	verdicts, err := t.verdicts()
	if err != nil {
		return nil, err
	}
	for _, c := range t.columns {
		f, err := t.featureOf(ctx, c, verdicts[c])
		if err != nil {
			return nil, err
		}
		t.resp.Features = append(t.resp.Features, f)
	}
	if err := t.behind(ctx); err != nil {
		return nil, err
	}
	return t.resp, t.record(ctx)
}

// record records what is about to be shown: values of the read, and rows behind them.
func (t *tracer) record(ctx context.Context) error {
	session := access.SessionFrom(ctx)
	switch {
	case !t.readable:
	case t.check.unlogged:
		hash := t.reads.reads.AppendEntitiesHash(nil, func(yield func(string, []byte) bool) {
			for i := range t.check.plan.Views {
				if key := t.check.keys[i][0]; key.OK && !yield(t.check.plan.Views[i].Version.Entity, []byte(key.Text)) {
					return
				}
			}
		})
		err := session.Read(&access.Read{
			Plan: t.check.plan, Restriction: t.restriction, Rows: 1, EntitiesHash: string(hash), AsOf: feature.TimeOf(t.request.GetAt().AsTime()).String(),
		})
		if err != nil {
			return err
		}
	default:
		shown := &access.Shown{Kind: access.KindService, Ref: t.resp.GetService(), Rows: 1, ReadID: t.resp.GetReadId()}
		sources := map[string]bool{}
		for _, c := range t.columns {
			if column := &t.check.plan.Columns[c]; !t.hidesValue(ctx, column) {
				shown.Features = append(shown.Features, column.Ref())
				column.Version.SourceColumns(column.Version.Features[column.Feature].Name, sources)
			}
		}
		shown.SourceColumns = slices.Sorted(maps.Keys(sources))
		if err := session.Show(shown); err != nil {
			return err
		}
	}
	// Rows of subjects, by the view version that they are of.
	given := map[string]map[string]int64{}
	count := func(view, subject string) {
		if given[view] == nil {
			given[view] = map[string]int64{}
		}
		given[view][subject]++
	}
	for _, run := range t.resp.GetRuns() {
		view, _, _ := strings.Cut(run.GetRun(), "/")
		for _, in := range run.GetInputs() {
			for _, row := range in.GetRows() {
				if of, ok := strings.CutPrefix(row.GetSubject(), "view:"); ok {
					count(of, quality.Output)
				} else {
					count(view, row.GetSubject())
				}
			}
		}
		for _, row := range run.GetQuarantined() {
			count(view, row.GetSubject())
		}
	}
	for _, ref := range slices.Sorted(maps.Keys(given)) {
		view, err := t.registry.Catalog().PastView(ref)
		if err != nil {
			return err
		}
		if err := recordShown(ctx, t.registry.Catalog(), view.Name, view.Version, given[ref]); err != nil {
			return err
		}
	}
	return nil
}

func badTrace(field, format string, args ...any) error {
	description := fmt.Sprintf(format, args...)
	return fault.New(fault.InvalidArgument, "%s: %s", field, description).Violating(fault.Violation{Field: field, Description: description})
}

// takeLogged finds a logged read, and what of it the caller may see.
func (t *tracer) takeLogged(ctx context.Context) error {
	req := t.request
	r, err := t.reads.find(ctx, access.ActionReadLineage, req.GetReadId())
	if err != nil {
		return err
	}
	switch {
	case req.GetService() != "":
		return badTrace("service", "found %q beside a read id, expected one of them: what was logged says which service it was of", shorten(req.GetService(), maxShownName))
	case req.GetAt() != nil:
		return badTrace("at", "found a time beside a read id, expected one of them: what was logged says when it was answered")
	case len(req.GetInputs()) > 0:
		return badTrace("inputs", "found some beside a read id, expected none: what was logged says what they were")
	}
	service, err := t.reads.serviceAsRead(r)
	if err != nil {
		return err
	}
	if err := t.mayRead(ctx, service, r); err != nil {
		return err
	}
	session := access.SessionFrom(ctx)
	t.check, err = t.reads.newReadCheck(session.Policy(), service, r)
	if fault.ReasonOf(err) == fault.FailedPrecondition {
		// What was read by it is not known any more, and what was served is.
		t.unchecked = fault.As(err).Message
		plain := proto.CloneOf(r)
		plain.Policy = nil
		t.check, err = t.reads.newReadCheck(session.Policy(), service, plain)
	}
	if err != nil {
		return err
	}
	t.check.read = r
	if err := t.takeRow(r); err != nil {
		return err
	}
	t.resp.ReadId, t.resp.ServedAt, t.resp.Service, t.resp.Position = r.GetReadId(), r.GetServedAt(), serviceOf(r), r.GetPosition()
	t.resp.Principal, t.resp.Purpose, t.resp.PredictionId = r.GetPrincipal(), r.GetPurpose(), r.GetPredictionId()
	t.resp.Row, t.resp.Rows = int32(t.row), r.GetEntities()
	for _, rule := range r.GetPolicy().GetRules() {
		t.resp.Policies = append(t.resp.Policies, fmt.Sprintf("%s on %s: %s", rule.GetPolicy(), rule.GetAbout(), rule.GetDoes()))
	}
	if t.check.erased[t.row] {
		t.leave("what was read of this row was erased")
	}
	return nil
}

// mayRead decides on the values of a logged read. Who gives its entity has it confirmed, which is to read it.
func (t *tracer) mayRead(ctx context.Context, service *feature.ServiceVersion, r *headwaterv1.LoggedRead) error {
	rules, _ := rulesOf(r.GetPolicy())
	t.beyond, t.unreadable = access.SessionFrom(ctx).Beyond(service, rules)
	if t.unreadable == "" && !access.AllowsService(ctx, access.ActionReadOffline, service) {
		t.unreadable = fmt.Sprintf("you may not read_offline service:%s and all of its views", service.Name)
	}
	t.readable = t.unreadable == ""
	if t.readable || len(t.request.GetEntity()) > 0 {
		if err := access.RequireService(ctx, access.ActionReadOffline, service); err != nil {
			return err
		}
	}
	if !t.readable {
		if len(t.request.GetEntity()) > 0 {
			return access.SessionFrom(ctx).Deny(access.ActionReadOffline, access.KindService, service.Ref(), t.unreadable, "trace it without the entity, which leaves values out")
		}
		t.leave("values, keys and request inputs, and rows of the entity: %s", t.unreadable)
	}
	for _, rule := range t.beyond {
		t.leave("what policy %s hides from you of %s", rule.Policy, rule.About)
	}
	return nil
}

// takeRow finds the row that is meant.
func (t *tracer) takeRow(r *headwaterv1.LoggedRead) error {
	n := int(r.GetEntities())
	t.row = int(t.request.GetRow())
	if t.row >= n {
		return badTrace("row", "found row %d, expected one of the %d of read %s", t.row+1, n, r.GetReadId())
	}
	given := keyColumnsOf(t.request.GetEntity())
	if len(given) > 0 {
		keys, err := encodeKeys(t.check.plan, given, 1)
		if err != nil {
			return err
		}
		for t.row < n && !t.isOf(r, keys) {
			t.row++
		}
		if t.row == n {
			return badTrace("entity", "found another than those that read %s was of, expected one of them", r.GetReadId())
		}
	}
	t.check.rows = []int{t.row}
	if !t.readable {
		for i := range t.check.views {
			t.check.views[i].unknown, t.check.keys[i] = t.unreadable, make([]online.Key, n)
		}
		return nil
	}
	if err := t.check.takeKeys(given, t.reads.reads); err != nil {
		return err
	}
	if t.unchecked != "" {
		return nil
	}
	return t.check.takeInputs()
}

// keyColumnsOf is one entity as columns of keys.
func keyColumnsOf(entity map[string]*headwaterv1.Value) map[string]*headwaterv1.KeyColumn {
	columns := map[string]*headwaterv1.KeyColumn{}
	for name, v := range entity {
		columns[name] = &headwaterv1.KeyColumn{Values: []*headwaterv1.Value{v}}
	}
	return columns
}

// isOf reports whether the row was read with keys, one for each view.
func (t *tracer) isOf(r *headwaterv1.LoggedRead, keys [][]online.Key) bool {
	if t.check.erased[t.row] {
		return false
	}
	for i := range t.check.plan.Views {
		view := &t.check.plan.Views[i]
		at := slices.IndexFunc(r.GetKeys(), func(k *headwaterv1.LoggedKeys) bool {
			return k.GetEntity() == view.Version.Entity && slices.Equal(k.GetColumns(), view.KeyColumns)
		})
		if at < 0 {
			return false
		}
		k, key := r.GetKeys()[at], keys[i][0]
		without := slices.Contains(k.GetWithout(), int32(t.row))
		switch {
		case key.OK == without:
			return false
		case without:
		case len(k.GetHashes()) > 0:
			if !slices.Equal(t.reads.reads.Hash(r.GetHashVersion(), k.GetEntity(), key.Text), k.GetHashes()[t.row]) {
				return false
			}
		case k.GetKeys()[t.row] != key.Text:
			return false
		}
	}
	return true
}

// takeUnlogged makes a read that nobody kept: as the caller reads, at the position of the time that they say.
func (t *tracer) takeUnlogged(ctx context.Context) error {
	req := t.request
	if req.GetService() == "" {
		return errorsAfterAny(ctx, badTrace("read_id", "found neither a read id nor a service, expected a logged read, or a service with an entity and a time"))
	}
	name := nameOf(req.GetService())
	if err := access.Require(ctx, access.ActionReadLineage, access.KindService, name); err != nil {
		return err
	}
	catalog := t.registry.Catalog()
	service, err := catalog.PastService(req.GetService())
	if err != nil {
		return err
	}
	if err := access.RequireService(ctx, access.ActionReadOffline, service); err != nil {
		return err
	}
	switch {
	case req.GetAt() == nil:
		return badTrace("at", "found no time, expected when it was read: without it nothing says which values were the newest")
	case req.GetAt().AsTime().After(time.Now()):
		return badTrace("at", "found %s, which is yet to come, expected when it was read", feature.TimeOf(req.GetAt().AsTime()))
	case req.GetRow() != 0:
		return badTrace("row", "found row %d, expected none: a read that was not logged is of one entity", req.GetRow()+1)
	case len(req.GetEntity()) == 0:
		return badTrace("entity", "found none, expected the join keys of one entity")
	}
	at := feature.TimeOf(req.GetAt().AsTime())
	position, err := offline.ResolveAsOf(ctx, t.pool, at.String())
	if err != nil {
		return err
	}
	if service.Follows() {
		service, err = service.Follow(catalog.VersionsOf, func(v *feature.ViewVersion) (bool, error) {
			found, err := offline.At(ctx, t.pool, v.ID, position)
			return found.Seq > 0, err
		})
		if err != nil {
			return err
		}
	}
	plan, restriction, err := restrictPlan(ctx, service, nil, nil, req.GetPurpose())
	if err != nil {
		return err
	}
	t.restriction = restriction
	c := &readCheck{
		read: &headwaterv1.LoggedRead{Service: service.Name, ServiceVersion: int32(service.Version), ServedAt: req.GetAt(), Position: position, Entities: 1},
		plan: plan, n: 1, at: at, rows: []int{0}, unlogged: true, erased: map[int]bool{}, views: make([]recomputed, len(plan.Views)), hashed: make([]bool, len(plan.Views)),
	}
	if c.keys, err = encodeKeys(plan, keyColumnsOf(req.GetEntity()), 1); err != nil {
		return err
	}
	if err := c.giveInputs(keyColumnsOf(req.GetInputs())); err != nil {
		return err
	}
	t.check, t.readable = c, true
	t.resp.ServedAt, t.resp.Service, t.resp.Position, t.resp.Rows = req.GetAt(), service.Ref(), position, 1
	for _, rule := range plan.Rules() {
		t.resp.Policies = append(t.resp.Policies, fmt.Sprintf("%s on %s: %s", rule.Policy, rule.About, rule.Does))
	}
	return nil
}

// errorsAfterAny is an error for who may trace anything: others are denied.
func errorsAfterAny(ctx context.Context, err error) error {
	if denied := access.RequireAny(ctx, access.ActionReadLineage, access.KindService); denied != nil {
		return denied
	}
	return err
}

// giveInputs takes the inputs of a read that was not logged. Where one is missing, nothing is computed of any.
func (v *readCheck) giveInputs(columns map[string]*headwaterv1.KeyColumn) error {
	for i := range v.plan.Inputs {
		if name := v.plan.Inputs[i].Name; columns[name] == nil {
			v.inputsUnknown = fmt.Sprintf("request input %s was not given", name)
			return nil
		}
	}
	if len(columns) == 0 {
		return nil
	}
	inputs, _, err := takeInputs(v.plan, columns, v.n)
	v.inputs = inputs
	return err
}

// pick finds the columns that are traced.
func (t *tracer) pick() error {
	asked := t.request.GetFeatures()
	var names []string
	for c := range t.check.plan.Columns {
		name := t.check.plan.Columns[c].Name
		names = append(names, name)
		if len(asked) == 0 || slices.Contains(asked, name) {
			t.columns = append(t.columns, c)
		}
	}
	for _, name := range asked {
		if !slices.Contains(names, name) {
			guess := "expected one of " + strings.Join(names[:min(len(names), maxShownReasons)], ", ")
			if near, ok := feature.Nearest(name, names); ok {
				guess = "did you mean " + near + "?"
			}
			return badTrace("features", "found %q, which the read does not have, %s", shorten(name, maxShownName), guess)
		}
	}
	return nil
}

func (t *tracer) recompute(ctx context.Context) error {
	if t.unchecked != "" {
		for i := range t.check.views {
			t.check.views[i].unknown = t.unchecked
			t.check.views[i].winners, t.check.views[i].lag = make([]read.Winner, t.check.n), make([]string, t.check.n)
		}
		return nil
	}
	conn, err := pgx.ConnectConfig(ctx, t.pool.Config().ConnConfig.Copy())
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for view := range t.check.plan.Views {
		if err := t.check.recompute(ctx, conn, view); err != nil {
			return err
		}
	}
	return nil
}

// verdicts hold what was served to what is found, by column. Empty where values are not to be read.
func (t *tracer) verdicts() (map[int]*headwaterv1.ReadDifference, error) {
	found := map[int]*headwaterv1.ReadDifference{}
	switch {
	case !t.readable:
		return found, nil
	case t.check.unlogged:
		t.check.compose()
		for c := range t.check.plan.Columns {
			why := "the read was not logged: nothing says what was served"
			if unknown := t.check.unknown(&t.check.plan.Columns[c], 0); unknown != "" {
				why = unknown
			}
			found[c] = &headwaterv1.ReadDifference{Verdict: headwaterv1.ReadVerdict_READ_VERDICT_NOT_CHECKED, Why: why}
		}
		return found, nil
	}
	err := t.check.hold(t.reads.reads, func(c, _ int, d *headwaterv1.ReadDifference) { found[c] = d })
	return found, err
}

// leave tells of something that is not shown, once.
func (t *tracer) leave(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if !t.left[line] {
		t.left[line] = true
		t.resp.LeftOut = append(t.resp.LeftOut, line)
	}
}

// hidesRows reports whether the caller sees less of the rows of a view of the plan than the read did.
func (t *tracer) hidesRows(ctx context.Context, view int) bool {
	v := t.check.plan.Views[view].Version
	return hidesRowsOf(ctx, v.Ref(), v.Name, t.readable, t.beyond)
}

// hidesRowsOf reports whether somebody sees less of the rows of a view than a read did, by the rules beyond those of the read.
func hidesRowsOf(ctx context.Context, view, name string, readable bool, beyond []read.Rule) bool {
	if !readable {
		// What is hidden is not told where nothing may be read.
		return access.Hides(ctx, access.KindView, name)
	}
	return slices.ContainsFunc(beyond, func(r read.Rule) bool { return r.About == view })
}

// hidesValue reports whether the caller may not see the value of a column. What is computed of a view is hidden with any of its values.
func (t *tracer) hidesValue(ctx context.Context, c *read.Column) bool {
	if !t.readable {
		return true
	}
	for _, view := range t.check.plan.ViewsOf(c) {
		of := t.check.plan.Views[view].Version.Ref()
		if t.hidesRows(ctx, view) || c.View == read.Computed && slices.ContainsFunc(t.beyond, func(r read.Rule) bool { return strings.HasPrefix(r.About, of+".") }) {
			return true
		}
	}
	return slices.ContainsFunc(t.beyond, func(r read.Rule) bool { return r.About == c.Ref() })
}

// wrote is the run that wrote the row of a view of the plan, and the row's event time. 0: there is none, or the caller may not know.
func (t *tracer) wrote(ctx context.Context, view int) (seq int64, at feature.Time) {
	v := t.check.plan.Views[view].Version
	if t.hidesRows(ctx, view) || !access.Allows(ctx, access.ActionReadLineage, access.KindView, v.Name) {
		return 0, 0
	}
	if t.check.unlogged {
		w := &t.check.views[view].winners[0]
		return w.RunSeq, w.EventTime
	}
	p := t.check.read.GetProvenance()[view]
	if t.row >= len(p.GetRunSeqs()) {
		return 0, 0
	}
	return p.GetRunSeqs()[t.row], feature.Time(p.GetEventTimes()[t.row])
}

// tellEntity tells the keys, unless a policy hides rows by them.
func (t *tracer) tellEntity(ctx context.Context) {
	t.resp.Entity = map[string]*headwaterv1.Value{}
	for i := range t.check.plan.Views {
		view := &t.check.plan.Views[i]
		values, ok := t.keyOf(ctx, i)
		for k, column := range view.KeyColumns {
			if ok {
				t.resp.Entity[column] = wire.ToValue(values[k])
			}
		}
	}
}

// keyOf is the key of a view of the plan, by its join keys.
func (t *tracer) keyOf(ctx context.Context, view int) (values []feature.Value, ok bool) {
	key := t.check.keys[view]
	if !t.readable || t.hidesRows(ctx, view) || t.row >= len(key) || !key[t.row].OK {
		return nil, false
	}
	values, err := t.check.plan.Views[view].Version.EntityVersion.ParseKey(key[t.row].Text)
	return values, err == nil
}

func microTime(t feature.Time) *timestamppb.Timestamp { return timestamppb.New(t.Time()) }

// featureOf is one feature of the read.
func (t *tracer) featureOf(ctx context.Context, c int, d *headwaterv1.ReadDifference) (*headwaterv1.TracedFeature, error) {
	column := &t.check.plan.Columns[c]
	f := &headwaterv1.TracedFeature{Name: column.Name, Feature: column.Ref(), Columns: columnsBehind(ctx, column.Version, column.Version.Features[column.Feature].Name)}
	if access.Allows(ctx, access.ActionList, access.KindView, column.Version.Name) {
		f.Description, f.Owner = column.Version.Features[column.Feature].Description, column.Version.Owner
	}
	if column.View != read.Computed {
		if seq, at := t.wrote(ctx, column.View); seq > 0 {
			f.Run, f.EventTime = column.Version.RunRef(seq), microTime(at)
		}
	}
	if t.hidesValue(ctx, column) {
		f.Verdict, f.Why = "not_checked", "it is left out"
		return f, nil
	}
	f.Verdict, f.Why = strings.ToLower(strings.TrimPrefix(d.GetVerdict().String(), "READ_VERDICT_")), d.GetWhy()
	recomputed := ""
	if t.check.unknown(column, t.row) == "" {
		value, status := t.check.found[t.row].Value(column)
		recomputed = valueText(value, status)
		f.Recomputed = &recomputed
		if t.check.unlogged {
			f.Status = status.String()
		}
	}
	if err := t.servedOf(f, c, d); err != nil {
		return nil, err
	}
	if column.View == read.Computed {
		return f, t.argumentsOf(ctx, f, column)
	}
	return f, nil
}

// servedOf tells what was served. A value of which a digest is kept is the one that has it.
func (t *tracer) servedOf(f *headwaterv1.TracedFeature, c int, d *headwaterv1.ReadDifference) error {
	if t.check.unlogged {
		return nil
	}
	column, logged := &t.check.plan.Columns[c], t.check.read.GetFeatures()[c]
	if t.check.erased[t.row] {
		return nil
	}
	f.Status = read.Status(logged.GetValues().GetStatus()[t.row]).String()
	var value feature.Value
	var err error
	switch {
	case len(logged.GetDigest()) == 0:
		value, err = wire.FromVector(logged.GetValues(), t.row)
	case d.GetVerdict() == headwaterv1.ReadVerdict_READ_VERDICT_MATCH:
		value, _ = t.check.found[t.row].Value(column)
	default:
		return nil
	}
	text := value.Text()
	f.Served = &text
	return err
}

// argumentsOf tells what an on-demand feature is computed of, each once.
func (t *tracer) argumentsOf(ctx context.Context, f *headwaterv1.TracedFeature, column *read.Column) error {
	met := map[string]bool{}
	var follow func(v *feature.ViewVersion, at int) error
	follow = func(v *feature.ViewVersion, at int) error {
		compiled, err := expr.Of(v)
		if err != nil {
			return err
		}
		for _, r := range compiled.Features[at].Reads {
			a := &headwaterv1.TracedArgument{Node: "input:" + r.Name}
			var of *feature.ViewVersion
			if r.View != "" {
				i := slices.IndexFunc(v.ViewVersions, func(w *feature.ViewVersion) bool { return w.Name == r.View })
				if i < 0 {
					continue
				}
				of = v.ViewVersions[i]
				a.Node = of.Ref() + "." + r.Name
			}
			if met[a.Node] {
				continue
			}
			met[a.Node] = true
			f.Arguments = append(f.Arguments, a)
			if of == nil {
				a.Value = t.inputOf(r.Name)
				continue
			}
			a.Value = t.valueOf(ctx, of, r.Name, column.Prefix)
			if of.OnDemand != nil {
				if err := follow(of, of.FeatureIndex(r.Name)); err != nil {
					return err
				}
				continue
			}
			if i := t.viewRead(of, column.Prefix); i >= 0 {
				if seq, at := t.wrote(ctx, i); seq > 0 {
					a.Run, a.EventTime = of.RunRef(seq), microTime(at)
				}
			}
		}
		return nil
	}
	return follow(column.Version, column.Feature)
}

// viewRead is the view of the plan that is read by a join or, where none touches it, by the caller's keys. -1: it is not read.
func (t *tracer) viewRead(v *feature.ViewVersion, prefix string) int {
	found := -1
	for i := range t.check.plan.Views {
		if view := &t.check.plan.Views[i]; view.Version.ID == v.ID && (view.Prefix == prefix || view.Prefix == "" && found < 0) {
			found = i
		}
	}
	return found
}

// valueOf is what was served of a feature that another one is computed of, where it was.
func (t *tracer) valueOf(ctx context.Context, v *feature.ViewVersion, name, prefix string) *string {
	if t.check.unlogged {
		return nil
	}
	for c := range t.check.plan.Columns {
		column := &t.check.plan.Columns[c]
		logged := t.check.read.GetFeatures()[c]
		if column.Version.ID != v.ID || column.Version.Features[column.Feature].Name != name || column.Prefix != prefix || len(logged.GetDigest()) > 0 || t.hidesValue(ctx, column) || t.check.erased[t.row] {
			continue
		}
		value, err := wire.FromVector(logged.GetValues(), t.row)
		if err != nil {
			continue
		}
		text := valueText(value, read.Status(logged.GetValues().GetStatus()[t.row]))
		return &text
	}
	return nil
}

// inputOf is an input of the request, as text. nil: it is not kept.
func (t *tracer) inputOf(name string) *string {
	i := slices.IndexFunc(t.check.plan.Inputs, func(c feature.Column) bool { return c.Name == name })
	if i < 0 || t.check.inputs == nil || t.row >= len(t.check.inputs) || t.check.erased[t.row] {
		return nil
	}
	text := "NULL"
	if v := t.check.inputs[t.row][i]; !v.IsNull() {
		text = v.Text()
	}
	return &text
}
