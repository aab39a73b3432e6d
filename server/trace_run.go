package server

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/definition"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/materialize"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/quality"
	"github.com/headwaterhq/headwater/retention"
)

const (
	// maxTracedRuns bounds the runs of one trace, and maxTracedLoads the loads that are told of one input without rows.
	maxTracedRuns  = 50
	maxTracedLoads = 50
)

// wanted is a run that a trace comes to, with the entity and the event times for which it does.
type wanted struct {
	view *feature.ViewVersion
	seq  int64
	// key is the entity's, with the values of its join keys. nil values: they are not known or not to be used, which without says.
	key     string
	values  []feature.Value
	without string
	// times are the event times of the rows that the run wrote, ascending.
	times []feature.Time
}

// within is the event times of the rows of sources that those rows can be made of.
func (w *wanted) within() offline.Span {
	var all offline.Span
	for _, at := range w.times {
		all = all.Union(offline.ReadsFor(w.view, at))
	}
	return all
}

// behind follows the runs behind the traced columns, each behind those that read what it wrote.
func (t *tracer) behind(ctx context.Context) error {
	var queue []*wanted
	asked := map[int]bool{}
	for _, c := range t.columns {
		for _, view := range t.check.plan.ViewsOf(&t.check.plan.Columns[c]) {
			if asked[view] {
				continue
			}
			asked[view] = true
			v := t.check.plan.Views[view].Version
			if !access.Allows(ctx, access.ActionReadLineage, access.KindView, v.Name) {
				t.leave("runs of view %s: you may not read its lineage", v.Name)
				continue
			}
			seq, at := t.wrote(ctx, view)
			if seq == 0 {
				continue
			}
			w := &wanted{view: v, seq: seq, times: []feature.Time{at}}
			if values, ok := t.keyOf(ctx, view); ok {
				w.key, w.values = t.check.keys[view][t.row].Text, values
			} else if w.without = "the key is not known"; !t.readable {
				w.without = t.unreadable
			} else if t.check.hashed[view] {
				w.without = "the key is kept as a hash; give the entity to be shown its rows"
			}
			queue = append(queue, w)
		}
	}
	for len(queue) > 0 {
		w := queue[0]
		queue = queue[1:]
		again := fmt.Sprint(w.view.ID, w.seq, w.key, w.times)
		if t.met[again] {
			continue
		}
		t.met[again] = true
		more, err := t.follow(ctx, w)
		if err != nil {
			return err
		}
		queue = append(queue, more...)
	}
	return nil
}

// follow tells of one run, and of the entity in it. more are the runs behind.
func (t *tracer) follow(ctx context.Context, w *wanted) (more []*wanted, err error) {
	run, record, err := t.runOf(ctx, w)
	if err != nil || record == nil {
		return nil, err
	}
	within := w.within()
	if !within.IsEmpty() {
		from, to := microTime(within.Start), microTime(within.End)
		if run.RowsFrom == nil || from.AsTime().Before(run.RowsFrom.AsTime()) {
			run.RowsFrom = from
		}
		if run.RowsTo == nil || to.AsTime().After(run.RowsTo.AsTime()) {
			run.RowsTo = to
		}
	}
	copies, err := t.copiesOf(ctx, w.view)
	if err != nil {
		return nil, err
	}
	aside, err := t.aside(ctx, run, record, w, copies)
	if err != nil {
		return nil, err
	}
	hidden := false
	for i := range record.Inputs {
		in := &record.Inputs[i]
		if !access.Allows(ctx, access.ActionReadLineage, access.KindSource, in.Source) {
			hidden = true
			continue
		}
		if err := t.source(ctx, run, record, in, w, copies, within, aside); err != nil {
			return nil, err
		}
	}
	for i := range record.ViewInputs {
		in := &record.ViewInputs[i]
		if !access.Allows(ctx, access.ActionReadLineage, access.KindView, in.View) {
			hidden = true
			continue
		}
		behind, err := t.viewInput(ctx, run, in, w, copies, within)
		if err != nil {
			return nil, err
		}
		more = append(more, behind...)
	}
	// Who may see the definition knows what it reads; to others it is told whatever that is.
	if !access.Allows(ctx, access.ActionList, access.KindView, w.view.Name) || hidden {
		t.leave("what view %s is made of, as far as you may not read its lineage", w.view.Name)
	}
	return more, nil
}

// copiesOf is what the columns of a view are copied from. It is the same for ever, but for functions of users, which are called by nothing that is copied.
func (t *tracer) copiesOf(ctx context.Context, v *feature.ViewVersion) (copies map[string]feature.CopiedColumn, err error) {
	if known, ok := t.copies.Load(v.ID); ok {
		return known.(map[string]feature.CopiedColumn), nil
	}
	err = pgx.BeginFunc(ctx, t.pool, func(tx pgx.Tx) error {
		copies, err = copiesOf(ctx, tx, v)
		return err
	})
	if err == nil {
		t.copies.Store(v.ID, copies)
	}
	return copies, err
}

// runOf tells of a run, once. The record is nil where there is none, or no room.
func (t *tracer) runOf(ctx context.Context, w *wanted) (*headwaterv1.TracedRun, *materialize.Run, error) {
	name := w.view.RunRef(w.seq)
	run := t.runs[name]
	if run == nil && len(t.runs) == maxTracedRuns {
		t.leave("runs beyond the first %d: `headwater lineage show run:%s --up` walks them all", maxTracedRuns, cmp.Or(t.resp.Runs[0].GetRun(), name))
		return nil, nil, nil
	}
	record, err := materialize.Find(ctx, t.pool, name)
	if fault.ReasonOf(err) == fault.NotFound {
		record, err = nil, nil
	}
	if err != nil || run != nil {
		return run, record, err
	}
	run = &headwaterv1.TracedRun{Run: name, Fingerprint: hexOf(w.view.Fingerprint)}
	t.runs[name] = run
	t.resp.Runs = append(t.resp.Runs, run)
	if record == nil {
		run.Notes = append(run.Notes, "there is no record of it any more")
		return run, nil, nil
	}
	return run, record, t.describeRun(ctx, run, record, w)
}

func (t *tracer) describeRun(ctx context.Context, run *headwaterv1.TracedRun, r *materialize.Run, w *wanted) error {
	var published *time.Time
	var horizon int64
	err := t.pool.QueryRow(ctx, `
		SELECT (SELECT published_at FROM headwater.publish_log WHERE position = $2), coalesce((SELECT horizon_seq FROM headwater.view_state WHERE view_id = $1), 0)`,
		r.ViewID, r.Position).Scan(&published, &horizon)
	if err != nil {
		return err
	}
	run.Position, run.PublishedAt, run.StartedBy, run.Digest = r.Position, timestampOf(published), r.Principal, hexOf(r.Digest)
	if !r.Interval.IsEmpty() {
		run.IntervalStart, run.IntervalEnd = microTime(r.Interval.Start), microTime(r.Interval.End)
	}
	for _, e := range r.Erasures {
		run.Notes = append(run.Notes, fmt.Sprintf("at %s %s erased %s that it produced: %s", feature.TimeOf(e.Time), e.Principal, rowsText(e.Rows), e.Reason))
	}
	if w.seq < horizon {
		run.Notes = append(run.Notes, fmt.Sprintf("the history of %s before its run %d was collected: of what this run wrote, what had ended by then is gone", w.view.Ref(), horizon))
	}
	if !access.Allows(ctx, access.ActionList, access.KindView, w.view.Name) {
		t.leave("the definition of view %s, and the checks of its runs: you may not list it", w.view.Name)
		return nil
	}
	if run.Definition, err = definitionText(w.view); err != nil {
		return err
	}
	if d, err := t.registry.Catalog().Definition(feature.KindView, w.view.Ref()); err == nil {
		run.Origin, run.AppliedAt, run.AppliedBy = d.Origin, timestamppb.New(d.AppliedAt), d.AppliedBy
	}
	for _, c := range r.Checks {
		run.Checks = append(run.Checks, &headwaterv1.TracedCheck{
			Name: c.Name, Subject: c.Subject, Outcome: strings.ToLower(string(c.State)), Expected: c.Expected, Found: c.Found,
		})
	}
	slices.SortStableFunc(run.Checks, func(a, b *headwaterv1.TracedCheck) int {
		return badOutcome(b.GetOutcome()) - badOutcome(a.GetOutcome())
	})
	return nil
}

func badOutcome(outcome string) int {
	return badness(headwaterv1.CheckState(headwaterv1.CheckState_value["CHECK_STATE_"+strings.ToUpper(outcome)]))
}

// definitionText is the SQL of a view, or else its definition as JSON.
func definitionText(v *feature.ViewVersion) (string, error) {
	if v.Aggregation == nil && v.SQL != nil {
		return v.SQL.Query, nil
	}
	compact, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(definition.ToProto(&feature.Definitions{Views: []feature.View{v.View}}).GetFeatureViews()[0])
	if err != nil {
		return "", err
	}
	// protojson varies its white space on purpose.
	var laid strings.Builder
	var value any
	if err := json.Unmarshal(compact, &value); err != nil {
		return "", err
	}
	e := json.NewEncoder(&laid)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err = e.Encode(value)
	return strings.TrimSpace(laid.String()), err
}

// matchesIn are what tells rows of the entity in a source or a view that is read. without is why nothing does.
func matchesIn(w *wanted, copies map[string]feature.CopiedColumn, relation string) (matches []feature.RowMatch, without string) {
	if w.values == nil {
		return nil, w.without
	}
	key := make([]string, len(w.view.EntityVersion.JoinKeys))
	for i, k := range w.view.EntityVersion.JoinKeys {
		if key[i] = k.Name; !copies[k.Name].Whole {
			return nil, fmt.Sprintf("view %s computes %s: nothing tells which rows are of the entity", w.view.Ref(), k.Name)
		}
	}
	for _, columns := range retention.Origins(copies, key)[relation] {
		matches = append(matches, feature.RowMatch{Columns: columns, Values: w.values})
	}
	if len(matches) == 0 {
		return nil, fmt.Sprintf("the key of view %s is not copied from it: nothing tells which rows are of the entity", w.view.Ref())
	}
	return matches, ""
}

// rowPlaces are rows of loads, by the load and the row in it.
type rowPlaces map[[2]int64]bool

// withRow has a row among others once: a run that is met again may show it again.
func withRow(rows []*headwaterv1.TracedRow, row *headwaterv1.TracedRow) []*headwaterv1.TracedRow {
	if slices.ContainsFunc(rows, func(o *headwaterv1.TracedRow) bool { return proto.Equal(o, row) }) {
		return rows
	}
	return append(rows, row)
}

// inputOf is an input of a run, made where it is not there yet.
func inputOf(run *headwaterv1.TracedRun, node, title string) *headwaterv1.TracedInput {
	for _, in := range run.Inputs {
		if in.GetNode() == node {
			return in
		}
	}
	in := &headwaterv1.TracedInput{Node: node, Title: title, Properties: map[string]string{}}
	run.Inputs = append(run.Inputs, in)
	return in
}

func property(in *headwaterv1.TracedInput, name, value string) {
	if value != "" {
		in.Properties[name] = value
	}
}

// source tells of what a run read of a source, with the rows of the entity, by the loads that brought them. Where those are not shown,
// neither is which of the loads have any.
func (t *tracer) source(ctx context.Context, run *headwaterv1.TracedRun, r *materialize.Run, in *materialize.Input, w *wanted, copies map[string]feature.CopiedColumn, within offline.Span, aside rowPlaces) error {
	of := inputOf(run, "source:"+in.Source, fmt.Sprintf("%s of source %s@%d", rowsText(in.Rows), in.Source, in.SourceVersion))
	property(of, "version", strconv.Itoa(in.SourceVersion))
	property(of, "fingerprint", hexOf(in.SourceFingerprint))
	property(of, "rows_read", strconv.FormatInt(in.Rows, 10))
	property(of, "duplicates", strconv.FormatInt(in.Duplicates, 10))
	if r.Plan != nil {
		property(of, "snapshot", r.Plan.Now.String())
	}
	if in.Relation == "" {
		property(of, "load_number", strconv.FormatInt(in.LoadNumber, 10))
		property(of, "loads_read", strconv.Itoa(len(in.Loads)))
	} else {
		of.Title = fmt.Sprintf("%s of table %s of others, source %s@%d", rowsText(in.Rows), in.Relation, in.Source, in.SourceVersion)
		property(of, "relation", in.Relation)
		if in.RowsDigest != nil {
			property(of, "rows_digest", hexOf(*in.RowsDigest))
		}
	}
	src := sourceOf(w.view, in.Source)
	matches, without := matchesIn(w, copies, in.Source)
	switch {
	case src == nil:
		without = "the view is not of this source any more"
	case !access.AllowsRows(ctx, access.KindSource, in.Source):
		without = fmt.Sprintf("you may not read_offline source:%s as a whole", in.Source)
	case without == "" && in.Relation != "" && in.Kept == nil:
		without = "the table is of others, and its rows were not kept: what it holds now may be others than the run read"
	}
	var found []offline.RowBehind
	var more bool
	var err error
	if without == "" {
		if in.Relation != "" {
			found, more, err = offline.KeptBehind(ctx, t.pool, src, r.ID, in.Kept, matches, within, t.most)
		} else {
			found, more, err = offline.RowsBehind(ctx, t.pool, src, offline.LoadsBehind{Number: in.LoadNumber, Loads: loadsOf(in)}, matches, within, t.most)
		}
		if errors.Is(err, offline.ErrNotInTime) {
			without, err = err.Error(), nil
		}
		if err != nil {
			return err
		}
	}
	if without != "" {
		of.RowsLeftOut = without
		if len(in.Loads) > maxTracedLoads {
			property(of, "loads_not_listed", strconv.Itoa(len(in.Loads)-maxTracedLoads))
		}
		return t.loads(ctx, run, in, loadsOf(in)[:min(len(in.Loads), maxTracedLoads)])
	}
	if more {
		of.RowsLeftOut = fmt.Sprintf("there are more than the newest %d rows", t.most)
	}
	if len(found) > 0 {
		if err := access.RequireRows(ctx, access.KindSource, in.Source); err != nil {
			return err
		}
	}
	var ids []int64
	for i := range found {
		if id := found[i].Load; id != 0 && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	if err := t.loads(ctx, run, in, ids); err != nil {
		return err
	}
	for i := range found {
		row := &found[i]
		to := of
		if row.Load != 0 {
			to = inputOf(run, fmt.Sprintf("load:%d", row.Load), "")
		}
		if aside[[2]int64{row.Load, row.Row}] && row.Load != 0 {
			row.LeftOut = cmp.Or(row.LeftOut, "set aside")
		}
		to.Rows = withRow(to.Rows, &headwaterv1.TracedRow{Subject: "source:" + in.Source, Load: row.Load, Row: row.Row, Columns: row.Columns, Reason: row.LeftOut})
	}
	return nil
}

func sourceOf(v *feature.ViewVersion, name string) *feature.SourceVersion {
	for _, s := range v.SourceVersions {
		if s.Name == name {
			return s
		}
	}
	return nil
}

func loadsOf(in *materialize.Input) (ids []int64) {
	for _, l := range in.Loads {
		ids = append(ids, l.ID)
	}
	return ids
}

func rowsText(n int64) string {
	if n == 1 {
		return "1 row"
	}
	return strconv.FormatInt(n, 10) + " rows"
}

// loads tells of loads that a run read rows of, and what became of them since.
func (t *tracer) loads(ctx context.Context, run *headwaterv1.TracedRun, read *materialize.Input, ids []int64) error {
	loads, err := offline.LoadsByID(ctx, t.pool, ids)
	if err != nil {
		return err
	}
	for _, l := range loads {
		in := inputOf(run, fmt.Sprintf("load:%d", l.ID), "")
		in.Title = fmt.Sprintf("load %d of source %s", l.ID, l.Source)
		if l.FileName != "" {
			in.Title = fmt.Sprintf("file %s, load %d of source %s", l.FileName, l.ID, l.Source)
		}
		property(in, "source", l.Source)
		property(in, "file_name", l.FileName)
		if !l.FileSHA256.IsZero() {
			property(in, "file_sha256", hex.EncodeToString(l.FileSHA256[:]))
		}
		property(in, "number", strconv.FormatInt(l.Number, 10))
		property(in, "rows", strconv.FormatInt(l.Rows, 10))
		property(in, "committed_at", feature.TimeOf(l.CommittedAt).String())
		property(in, "principal", l.Principal)
		for _, r := range read.Loads {
			if r.ID == l.ID {
				property(in, "rows_read", strconv.FormatInt(r.Rows, 10))
			}
		}
		if l.Erased > 0 {
			property(in, "rows_erased", strconv.FormatInt(l.Erased, 10))
		}
		switch {
		case l.EndedByRetraction:
			property(in, "retracted_by", fmt.Sprintf("load:%d", l.EndedBy))
			property(in, "retracted_because", l.EndedReason)
		case l.EndedBy != 0:
			property(in, "replaced_by", fmt.Sprintf("load:%d", l.EndedBy))
		}
	}
	return nil
}

// viewInput tells of what a run read of another view: of the entity the runs that wrote its rows, else the last one published then.
func (t *tracer) viewInput(ctx context.Context, run *headwaterv1.TracedRun, in *materialize.ViewInput, w *wanted, copies map[string]feature.CopiedColumn, within offline.Span) (more []*wanted, err error) {
	i := slices.IndexFunc(w.view.ViewVersions, func(v *feature.ViewVersion) bool { return v.ID == in.ViewID })
	if i < 0 {
		return nil, nil
	}
	of := w.view.ViewVersions[i]
	key, values, without := t.keyIn(ctx, w, copies, of)
	var found []offline.RunBehind
	var cut bool
	if without == "" {
		horizon, err := offline.Horizon(ctx, t.pool, of.ID)
		if err != nil {
			return nil, err
		}
		if in.Seq < horizon {
			without = fmt.Sprintf("the history of %s before its run %d was collected", of.Ref(), horizon)
		}
	}
	if without == "" {
		found, cut, err = offline.ViewBehind(ctx, t.pool, w.view, of, in.Seq, key, within, t.most)
		if errors.Is(err, offline.ErrNotInTime) {
			without, err = err.Error(), nil
		}
		if err != nil {
			return nil, err
		}
	}
	last := inputOf(run, "run:"+in.Ref(), fmt.Sprintf("%s of view %s@%d as of its run %d, the last one published then", rowsText(in.Rows), in.View, in.Version, in.Seq))
	property(last, "rows_read", strconv.FormatInt(in.Rows, 10))
	if last.RowsLeftOut = without; without != "" {
		return []*wanted{{view: of, seq: in.Seq, without: without}}, nil
	}
	if cut {
		last.RowsLeftOut = fmt.Sprintf("there are more than the newest %d rows", t.most)
	}
	if len(found) > 0 {
		if err := access.RequireRows(ctx, access.KindView, of.Name); err != nil {
			return nil, err
		}
	}
	for _, behind := range found {
		wrote := inputOf(run, "run:"+of.RunRef(behind.Seq), fmt.Sprintf("run %d of view %s, which wrote rows of the entity that were read", behind.Seq, of.Ref()))
		for _, row := range behind.Rows {
			wrote.Rows = withRow(wrote.Rows, &headwaterv1.TracedRow{Subject: "view:" + of.Ref(), Columns: row.Columns})
		}
		more = append(more, &wanted{view: of, seq: behind.Seq, key: key, values: values, times: behind.EventTimes})
	}
	return more, nil
}

// keyIn is the key of the entity in a view that is read, where its columns hold it. without is why it is not told.
func (t *tracer) keyIn(ctx context.Context, w *wanted, copies map[string]feature.CopiedColumn, of *feature.ViewVersion) (key string, values []feature.Value, without string) {
	if !access.AllowsRows(ctx, access.KindView, of.Name) {
		return "", nil, fmt.Sprintf("you may not read_offline view:%s as a whole", of.Name)
	}
	matches, without := matchesIn(w, copies, of.Name)
	for _, m := range matches {
		values = nil
		for _, k := range of.EntityVersion.JoinKeys {
			if i := slices.Index(m.Columns, k.Name); i >= 0 && m.Values[i].Type() == k.Type {
				values = append(values, m.Values[i])
			}
		}
		if len(values) != len(of.EntityVersion.JoinKeys) {
			continue
		}
		if b, ok, err := of.EntityVersion.AppendKey(nil, values); err == nil && ok {
			return string(b), values, ""
		}
	}
	return "", nil, cmp.Or(without, fmt.Sprintf("the key of view %s is not that of %s, whose rows are found by it alone", w.view.Ref(), of.Ref()))
}

// aside tells of the rows of the entity that a run set aside, and returns where those of sources stand.
func (t *tracer) aside(ctx context.Context, run *headwaterv1.TracedRun, r *materialize.Run, w *wanted, copies map[string]feature.CopiedColumn) (rowPlaces, error) {
	found := rowPlaces{}
	subjects := []string{quality.Output}
	for i := range r.Inputs {
		subjects = append(subjects, quality.SourceSubject(r.Inputs[i].Source))
	}
	for _, subject := range subjects {
		kind, name := subjectResource(w.view.Name, subject)
		if !access.AllowsRows(ctx, kind, name) {
			if subject == quality.Output {
				t.leave("rows of view %s that were set aside: you may not read_offline it as a whole", w.view.Name)
			}
			continue
		}
		matches, without := []feature.RowMatch{{Values: w.values}}, w.without
		if subject == quality.Output {
			for _, k := range w.view.EntityVersion.JoinKeys {
				matches[0].Columns = append(matches[0].Columns, k.Name)
			}
		} else {
			matches, without = matchesIn(w, copies, name)
		}
		if w.values == nil || without != "" {
			continue
		}
		condition, args := offline.MatchJSON("q.row", matches, 3)
		rows, err := quality.QuarantinedOf(ctx, t.pool, r.ID, subject, quality.Matching{Condition: condition, Args: args}, t.most)
		if err != nil {
			return nil, err
		}
		if len(rows) > 0 {
			if err := access.RequireRows(ctx, kind, name); err != nil {
				return nil, err
			}
		}
		for i := range rows {
			q := &rows[i]
			found[[2]int64{q.Load, q.Row}] = true
			run.Quarantined = withRow(run.Quarantined, &headwaterv1.TracedRow{
				Subject: subject, Load: q.Load, Row: q.Row, Columns: jsonTexts(q.JSON), Reason: strings.Join(q.Reasons, ", "),
			})
		}
	}
	return found, nil
}

// jsonTexts are the columns of a row that is kept as JSON, without those that are NULL.
func jsonTexts(row []byte) map[string]string {
	var columns map[string]json.RawMessage
	if json.Unmarshal(row, &columns) != nil {
		return nil
	}
	texts := map[string]string{}
	for name, value := range columns {
		var text string
		switch {
		case string(value) == "null":
			continue
		case json.Unmarshal(value, &text) == nil:
			texts[name] = text
		default:
			texts[name] = string(value)
		}
	}
	return texts
}
