package scenario

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/headwaterhq/headwater/definition"
	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/reference"
	"github.com/headwaterhq/headwater/read"
)

// Model is the engine that is the reference.
type Model struct {
	definitions *feature.Definitions
	sources     map[string]*reference.Source
	// loads is the number of each load in its source.
	loads map[string]modelLoad
	views map[string]*modelView
	log   reference.Log
	now   feature.Time
}

type modelLoad struct {
	source string
	number int
}

type modelView struct {
	view    *feature.View
	entity  *feature.Entity
	source  *feature.Source
	compute function
	// windows is set for a view of aggregations.
	windows *reference.Aggregation
	history reference.History
	online  reference.Online
	seq     int64
	covered *reference.Interval
}

var _ Engine = (*Model)(nil)

// Define takes definitions in which each view reads one source, by SQL or aggregations, whose arrival time is a column or its event time.
func (m *Model) Define(set *definition.Set) error {
	if m.definitions != nil {
		return errors.New("found a second `definitions`, expected one")
	}
	d := &set.Definitions
	m.definitions = d
	m.sources, m.loads, m.views = map[string]*reference.Source{}, map[string]modelLoad{}, map[string]*modelView{}
	for i := range d.Sources {
		if d.Sources[i].ArrivalExpression != "" {
			return fmt.Errorf("source %s: found an arrival expression, which the reference does not compute; expected a column", d.Sources[i].Name)
		}
		m.sources[d.Sources[i].Name] = &reference.Source{}
	}
	for i := range d.Views {
		v := &d.Views[i]
		if v.OnDemand != nil || len(v.SourceNames()) != 1 || v.Lookback != 0 {
			return fmt.Errorf("view %s: expected SQL over one source, without a lookback, or an aggregation", v.Name)
		}
		_, entity, err := viewOf(d, v.Name)
		if err != nil {
			return err
		}
		src := slices.IndexFunc(d.Sources, func(s feature.Source) bool { return s.Name == v.SourceNames()[0] })
		view := &modelView{view: v, entity: entity, source: &d.Sources[src]}
		if v.Aggregation != nil {
			if view.windows, err = windows(v, entity, view.source); err != nil {
				return err
			}
		}
		m.views[v.Name] = view
	}
	return nil
}

// Compute says which Go function stands for a view's SQL.
func (m *Model) Compute(c *Compute) error {
	v, f := m.views[c.View], functions[c.Function]
	if v == nil || f == nil {
		return fmt.Errorf("found view %s and function %s, expected ones that there are", c.View, c.Function)
	}
	v.compute = f
	return nil
}

// Load appends a load.
func (m *Model) Load(l *Load) error {
	if _, ok := m.loads[l.Name]; ok {
		return fmt.Errorf("found a second load called %s", l.Name)
	}
	i := slices.IndexFunc(m.definitions.Sources, func(s feature.Source) bool { return s.Name == l.Source })
	src := &m.definitions.Sources[i]
	position := func(name string) int {
		return slices.IndexFunc(src.Columns, func(c feature.Column) bool { return c.Name == name })
	}
	load := reference.Load{}
	if l.Replaces != "" {
		old, ok := m.loads[l.Replaces]
		if !ok || old.source != l.Source {
			return fmt.Errorf("found no load called %s in source %s", l.Replaces, l.Source)
		}
		load.Ends = old.number
	}
	for _, values := range l.Rows {
		row := reference.SourceRow{EventTime: values[position(src.EventTime)].Timestamp(), Values: values}
		row.AvailableAt = row.EventTime
		if src.ArrivalColumn != "" {
			row.AvailableAt = values[position(src.ArrivalColumn)].Timestamp()
		}
		load.Rows = append(load.Rows, row)
	}
	m.loads[l.Name] = modelLoad{source: l.Source, number: m.sources[l.Source].Append(load)}
	return nil
}

// Retract appends a retraction.
func (m *Model) Retract(name string) error {
	load, ok := m.loads[name]
	if !ok {
		return fmt.Errorf("found no load called %s", name)
	}
	m.sources[load.source].Append(reference.Load{Ends: load.number})
	return nil
}

// SetClock sets the time of online loads and reads.
func (m *Model) SetClock(now feature.Time) error {
	m.now = now
	return nil
}

// Materialize computes the view over the interval, or as far as the source reaches and earlier runs did.
func (m *Model) Materialize(run *Materialize) (Outcome, error) {
	v := m.views[run.View]
	if v == nil || v.compute == nil && v.windows == nil {
		return Outcome{}, fmt.Errorf("found view %s, expected one for which the file says how it is computed", run.View)
	}
	v.seq++
	if run.Fails != "" {
		// What a run refuses is for the engines; a failed run leaves nothing but its sequence.
		return Outcome{Failed: run.Fails}, nil
	}
	src := m.sources[v.source.Name]
	number := len(src.Loads)
	owned, reads, output := v.own(src, run)
	inputs := src.Rows(number, reads)
	ledger, err := v.history.ApplyRun(v.seq, owned, v.view.RunGrain(), output(inputs))
	if err != nil {
		return Outcome{}, err
	}
	covered := owned
	if v.covered != nil {
		covered = union(owned, *v.covered)
	}
	v.covered = &covered
	m.log.Publish(run.View, v.seq)
	v.online.Load(&v.history, v.seq, m.now)
	return Outcome{Ledger: map[string]int64{
		"read": int64(len(inputs)), "produced": ledger.Produced, "unchanged": ledger.Unchanged, "inserted": ledger.Inserted,
		"withdrawn": ledger.Withdrawn, "live": ledger.Live,
	}}, nil
}

func union(a, b reference.Interval) reference.Interval {
	return reference.Interval{Start: min(a.Start, b.Start), End: max(a.End, b.End)}
}

// Ask answers by the rule.
func (m *Model) Ask(a *Ask) ([][]read.Winner, error) {
	position := int64(len(m.log.Publications))
	if a.Position != nil {
		position = *a.Position
	}
	found := make([][]read.Winner, len(a.Of))
	for n, of := range a.Of {
		v := m.views[of.View]
		seq := m.log.SeqAt(of.View, position)
		winners := make([]read.Winner, len(of.Questions))
		for i, q := range of.Questions {
			switch {
			case !q.OK:
				winners[i].Status = read.NoKey
			case a.Online:
				winners[i] = v.online.Get(q.Key, m.now, v.view.TTL)
			default:
				winners[i] = v.history.PointInTime(q.Key, q.At, v.view.TTL, seq)
			}
		}
		found[n] = winners
	}
	return found, nil
}

// function computes a view's output from the rows of its source.
type function func(v *modelView, rows []reference.SourceRow) []feature.Row

// functions are those that files may name. README.md says the SQL that each stands for.
var functions = map[string]function{"rows": passRows, "hourly_mean": hourlyMean}

// passRows leaves each row that has a key as it is: the source's columns with the names of keys and features.
func passRows(v *modelView, rows []reference.SourceRow) []feature.Row {
	var out []feature.Row
	for _, r := range rows {
		key, ok := v.key(r)
		if !ok {
			continue
		}
		row := feature.Row{Key: key, EventTime: r.EventTime, AvailableAt: r.AvailableAt}
		for _, c := range v.view.Stored() {
			row.Values = append(row.Values, v.column(r, c.Name))
		}
		out = append(out, row)
	}
	return out
}

// hourlyMean is, per key and hour, the mean of the column value and the number of rows, known when the last row is.
func hourlyMean(v *modelView, rows []reference.SourceRow) []feature.Row {
	type group struct {
		row        feature.Row
		sum        float64
		present, n int64
	}
	var groups []*group
	for _, r := range rows {
		key, ok := v.key(r)
		if !ok {
			continue
		}
		end := r.EventTime.Floor(time.Hour).Add(time.Hour)
		i := slices.IndexFunc(groups, func(g *group) bool { return g.row.Key == key && g.row.EventTime == end })
		if i < 0 {
			i = len(groups)
			groups = append(groups, &group{row: feature.Row{Key: key, EventTime: end, AvailableAt: end}})
		}
		g := groups[i]
		g.row.AvailableAt = max(g.row.AvailableAt, r.AvailableAt)
		g.n++
		if value := v.column(r, "value"); !value.IsNull() {
			g.present++
			g.sum += value.Float64()
		}
	}
	out := make([]feature.Row, len(groups))
	for i, g := range groups {
		out[i] = g.row
		mean := feature.Null()
		if g.present > 0 {
			mean = feature.Float64(g.sum / float64(g.present))
		}
		out[i].Values = []feature.Value{mean, feature.Int64(g.n)}
	}
	return out
}

func (v *modelView) column(r reference.SourceRow, name string) feature.Value {
	i := slices.IndexFunc(v.source.Columns, func(c feature.Column) bool { return c.Name == name })
	if i < 0 {
		panic("scenario: source " + v.source.Name + " has no column " + name)
	}
	return r.Values[i]
}

func (v *modelView) key(r reference.SourceRow) (string, bool) {
	values := make([]feature.Value, len(v.entity.JoinKeys))
	for i, k := range v.entity.JoinKeys {
		values[i] = v.column(r, k.Name)
	}
	key, ok, err := v.entity.AppendKey(nil, values)
	if err != nil {
		panic(err)
	}
	return string(key), ok
}
