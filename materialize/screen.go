package materialize

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/quality"
)

// maxSetAside bounds the memory that the rows which a part of the output sets aside may take.
const maxSetAside = 64 << 20

// maxFailedRows is how many rows the record of a run that fails gets.
const maxFailedRows = 1000

// screening makes screens that hold each row of a run's output to the view's expectations. nil: it has none about each row that
// are looked at row by row.
func (r *Run) screening(view *feature.ViewVersion, now func() feature.Time) (func() *offline.Screen, error) {
	columns := view.OutputColumns(view.EntityVersion.JoinKeys)
	conditions, err := quality.Conditions(view.Expectations, columns)
	if err != nil {
		return nil, err
	}
	conditions = slices.DeleteFunc(conditions, func(c *quality.Condition) bool { return !c.InGo() })
	if len(conditions) == 0 {
		return nil, nil
	}
	quarantines := slices.ContainsFunc(conditions, func(c *quality.Condition) bool { return c.Expectation.OnFailure == feature.QuarantineRow })
	// Parts of the output may be at work at once.
	var mu sync.Mutex
	return func() *offline.Screen {
		s := &screen{mu: &mu, run: r, view: view, columns: columns, conditions: conditions, found: &offline.Screened{}, quarantines: quarantines}
		return &offline.Screen{
			Keep: func(row *feature.Row, values []feature.Value) (bool, error) {
				if s.evaluate == nil {
					s.evaluate = quality.Evaluator(conditions, now())
				}
				return s.keep(values)
			},
			End: s.end,
		}
	}, nil
}

// screen is what a part of the output is held to, and what was found.
type screen struct {
	mu          *sync.Mutex
	run         *Run
	view        *feature.ViewVersion
	columns     []feature.Column
	conditions  []*quality.Condition
	evaluate    func([]feature.Value) []int
	quarantines bool
	found       *offline.Screened
	aside       []quality.QuarantinedRow
	bytes       int
}

// keep decides on a row: one that any expectation quarantines is, else one that any drops is dropped.
func (s *screen) keep(values []feature.Value) (bool, error) {
	failed := s.evaluate(values)
	if failed == nil {
		return true, nil
	}
	keys := len(s.view.EntityVersion.JoinKeys)
	var reasons []string
	var unmet []*feature.Expectation
	for _, i := range failed {
		e := s.conditions[i].Expectation
		unmet = append(unmet, e)
		reasons = append(reasons, e.Name)
		one := &offline.Screened{Failed: []offline.Reason{{Reason: e.Name, Rows: 1}}}
		if len(s.found.Examples[e.Name]) < quality.MaxExamples {
			one.Examples = map[string][]string{e.Name: {s.example(values[:keys+1])}}
		}
		s.found.Add(one)
	}
	switch quarantined, dropped := deciding(unmet); {
	case quarantined != "":
		s.found.Add(&offline.Screened{Quarantined: []offline.Reason{{Reason: quarantined, Rows: 1}}})
		return false, s.setAside(values, reasons)
	case dropped != "":
		s.found.Add(&offline.Screened{Dropped: []offline.Reason{{Reason: dropped, Rows: 1}}})
		return false, nil
	}
	return true, nil
}

// deciding are the first of the expectations that a row does not meet that quarantines it, and the first that drops it.
func deciding(unmet []*feature.Expectation) (quarantined, dropped string) {
	for _, e := range unmet {
		switch {
		case e.OnFailure == feature.QuarantineRow && quarantined == "":
			quarantined = e.Name
		case e.OnFailure == feature.DropRow && dropped == "":
			dropped = e.Name
		}
	}
	return quarantined, dropped
}

// example is the row's keys and event time, as JSON of a quality.Example.
func (s *screen) example(values []feature.Value) string {
	var e quality.Example
	for i, v := range values {
		e = append(e, quality.Field{Column: s.columns[i].Name, Value: v.Text()})
	}
	text, _ := json.Marshal(e)
	return string(text)
}

func (s *screen) setAside(values []feature.Value, reasons []string) error {
	object := map[string]json.RawMessage{}
	for i, v := range values {
		object[s.columns[i].Name] = v.AppendJSON(nil)
	}
	text, err := json.Marshal(object)
	if err != nil {
		return err
	}
	if s.bytes += len(text) + 200; s.bytes > maxSetAside {
		return fault.New(fault.RunRefused, "view %s: its expectations quarantine more rows of its output at once than are kept (%d bytes); correct what they are made of, "+
			"run shorter intervals (--from, --to), or drop such rows", s.view.Ref(), maxSetAside)
	}
	at := values[len(s.view.EntityVersion.JoinKeys)].Timestamp().Time()
	s.aside = append(s.aside, quality.QuarantinedRow{Subject: quality.Output, Reasons: reasons, EventTime: &at, JSON: text, At: time.Time{}})
	return nil
}

// end keeps what was set aside, in the transaction that writes the others.
func (s *screen) end(ctx context.Context, tx pgx.Tx, spans offline.Spans) (*offline.Screened, error) {
	if !s.quarantines {
		return s.found, nil
	}
	s.mu.Lock()
	if room := maxFailedRows - len(s.run.quarantined); room > 0 {
		s.run.quarantined = append(s.run.quarantined, s.aside[:min(room, len(s.aside))]...)
	}
	s.mu.Unlock()
	set := quality.SetAside{
		Run: s.run.ID, View: s.run.ViewID, Seq: s.run.Seq, Subject: quality.Output, SourceVersion: s.view.Version,
		Spans: fmt.Sprintf("'%s'::tstzmultirange", spans.Multirange()),
	}
	return s.found, quality.KeepRows(ctx, tx, set, func(emit func(quality.QuarantinedRow) error) error {
		for _, row := range s.aside {
			if err := emit(row); err != nil {
				return err
			}
		}
		return nil
	})
}

// checkOutputRows makes results of what the screens found, and looks for what they cannot see in the rows that were written.
func (r *Run) checkOutputRows(ctx context.Context, tx pgx.Tx, t *offline.Transform, w *offline.Written) error {
	found := &w.Screened
	run := strconv.FormatInt(r.ID, 10)
	failed := map[string]int64{}
	for _, f := range found.Failed {
		failed[f.Reason] = f.Rows
	}
	computed := w.Produced + offline.Rows(found.Quarantined) + offline.Rows(found.Dropped)
	any := false
	conditions, err := quality.Conditions(t.View.Expectations, t.View.OutputColumns(t.View.EntityVersion.JoinKeys))
	if err != nil {
		return err
	}
	for i := range t.View.Expectations {
		e := &t.View.Expectations[i]
		if !e.Kind.OfRows() {
			continue
		}
		any = true
		rows := quality.Rows{Subject: quality.Output, Failed: failed[e.Name], Of: computed, Run: run}
		var examples []quality.Example
		switch at := slices.IndexFunc(conditions, func(c *quality.Condition) bool { return c.Place == i }); {
		case t.Plan.Nothing():
		case e.Kind == feature.ExpectUnique:
			columns := e.Columns
			if len(columns) == 0 {
				for _, k := range t.View.EntityVersion.JoinKeys {
					columns = append(columns, k.Name)
				}
				columns = append(columns, "event_time", "available_at")
			}
			rows.Of = w.Produced
			rows.Failed, examples, err = quality.Shared(ctx, tx, offline.OutputRows(t.View, t.Plan.Owned), columns)
		case !conditions[at].InGo():
			rows.Of = w.Produced
			rows.Failed, examples, err = r.missingReferences(ctx, tx, t, conditions[at])
		default:
			for _, text := range found.Examples[e.Name] {
				var x quality.Example
				if err := json.Unmarshal([]byte(text), &x); err != nil {
					return err
				}
				examples = append(examples, x)
			}
		}
		if err != nil {
			return err
		}
		result := quality.RowResult(e, rows)
		result.Examples = examples
		r.Checks = append(r.Checks, result)
	}
	if any && slices.ContainsFunc(t.View.Expectations, func(e feature.Expectation) bool { return e.OnFailure == feature.QuarantineRow }) {
		r.Checks = append(r.Checks, r.ofReplay(quality.RatioResult(quality.Rows{
			Subject: quality.Output, Failed: offline.Rows(found.Quarantined), Of: computed, Run: run,
		}, t.View.QuarantineLimit()))...)
	}
	return nil
}

// countScreened has the ledger tell of the rows of the output that were not written.
func (r *Run) countScreened(s *offline.Screened) {
	r.Ledger.OutputQuarantined, r.Ledger.OutputDropped = offline.Rows(s.Quarantined), offline.Rows(s.Dropped)
	r.Ledger.Computed = r.Ledger.Produced + r.Ledger.OutputQuarantined + r.Ledger.OutputDropped
	for _, q := range s.Quarantined {
		r.Reasons = append(r.Reasons, LedgerReason{Bucket: "output_quarantined", Reason: q.Reason, Rows: q.Rows})
	}
	for _, d := range s.Dropped {
		r.Reasons = append(r.Reasons, LedgerReason{Bucket: "output_dropped", Reason: d.Reason, Rows: d.Rows})
	}
}

// missingReferences counts the rows that were written of which the values are not in the other source.
func (r *Run) missingReferences(ctx context.Context, tx pgx.Tx, t *offline.Transform, c *quality.Condition) (int64, []quality.Example, error) {
	table, where := "", ""
	var err error
	fails := c.Fails(quality.Relation{Name: "output", Other: func(source string) (string, string) {
		var exists bool
		if table, where, exists, err = offline.LandedRows(ctx, tx, source, t.Plan.Marks.References[source]); err == nil && !exists {
			err = fault.New(fault.RunRefused, "view %s: its expectation %s expects values of source %s, which is not there any more; take the "+
				"expectation out", t.View.Ref(), c.Expectation.Name, source)
		}
		return table, where
	}})
	if err != nil {
		return 0, nil, err
	}
	return quality.Failing(ctx, tx, offline.OutputRows(t.View, t.Plan.Owned), fails, columnNamesOf(t.View))
}

// columnNamesOf are the columns that name a row of the output.
func columnNamesOf(v *feature.ViewVersion) []string {
	var names []string
	for _, k := range v.EntityVersion.JoinKeys {
		names = append(names, k.Name)
	}
	return append(names, "event_time")
}
