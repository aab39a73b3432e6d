package scenario

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/headwaterhq/headwater/definition"
	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/reference"
	"github.com/headwaterhq/headwater/read"
)

// Run takes the steps one after the other, and reports each expectation that does not hold. An error ends the scenario: of
// the file, or of the engine. dir is an empty folder for its use.
func Run(steps []Step, engine Engine, dir string, report func(line int, problem string)) error {
	r := &runner{engine: engine, dir: dir, report: report}
	for i := range steps {
		if err := r.step(&steps[i]); err != nil {
			return fmt.Errorf("line %d: %w", steps[i].Line, err)
		}
	}
	return nil
}

type runner struct {
	engine Engine
	dir    string
	report func(line int, problem string)
	set    *definition.Set
}

func (r *runner) step(s *Step) error {
	if r.set == nil && s.Definitions == nil {
		return fmt.Errorf("expected `definitions` first")
	}
	switch {
	case s.Definitions != nil:
		path := filepath.Join(r.dir, "definitions.yaml")
		if err := os.WriteFile(path, []byte(s.Definitions.YAML), 0o600); err != nil {
			return err
		}
		set, err := definition.Load([]string{path})
		if err != nil {
			return err
		}
		r.set = set
		return r.engine.Define(set)
	case s.Compute != nil:
		return r.engine.Compute(s.Compute)
	case s.Load != nil:
		if err := s.Load.bind(&r.set.Definitions); err != nil {
			return err
		}
		return r.engine.Load(s.Load)
	case s.Retract != nil:
		return r.engine.Retract(s.Retract.Load)
	case s.Clock != nil:
		return r.engine.SetClock(s.Clock.At)
	case s.Materialize != nil:
		return r.materialize(s)
	}
	return r.ask(s.Ask)
}

func (r *runner) materialize(s *Step) error {
	m := s.Materialize
	out, err := r.engine.Materialize(m)
	switch {
	case err != nil:
		return err
	case m.Fails != "" && out.Failed == "":
		r.report(s.Line, fmt.Sprintf("the run was published, expected it to fail with %q", m.Fails))
		return nil
	case m.Fails == "" && out.Failed != "":
		return fmt.Errorf("the run failed: %s", out.Failed)
	}
	for name, want := range m.Ledger {
		found, ok := out.Ledger[name]
		if !ok {
			return fmt.Errorf("found the count %q, expected one of produced, unchanged, inserted, withdrawn, live, read", name)
		}
		if found != want {
			r.report(s.Line, fmt.Sprintf("found %s %d, expected %d", name, found, want))
		}
	}
	return nil
}

func (r *runner) ask(a *Ask) error {
	view, entity, err := viewOf(&r.set.Definitions, a.View)
	if err != nil {
		return err
	}
	if err := a.bind(view, entity); err != nil {
		return err
	}
	winners, err := r.engine.Ask(a)
	if err != nil {
		return err
	}
	if len(winners) != len(a.Questions) {
		return fmt.Errorf("found %d answers, expected %d", len(winners), len(a.Questions))
	}
	for i := range winners {
		if problem := a.Answers[i].compare(view, &winners[i]); problem != "" {
			r.report(a.Answers[i].Line, problem)
		}
	}
	return nil
}

func (a *Answer) compare(view *feature.View, w *read.Winner) string {
	found := reference.Describe(w)
	switch {
	case w.Status != a.Status:
		return fmt.Sprintf("found %s, expected status %s", found, a.Status)
	case w.Status != read.Present:
		return ""
	case a.EventTime != nil && *a.EventTime != w.EventTime:
		return fmt.Sprintf("found %s, expected event time %s", found, a.EventTime)
	case a.RunSeq != nil && *a.RunSeq != w.RunSeq:
		return fmt.Sprintf("found %s, expected run %d", found, *a.RunSeq)
	}
	for i, want := range a.Values {
		if !w.Values[i].Equal(want) {
			return fmt.Sprintf("found %s, expected %s %q", found, view.Features[i].Name, want.Text())
		}
	}
	return ""
}

func viewOf(d *feature.Definitions, name string) (*feature.View, *feature.Entity, error) {
	i := slices.IndexFunc(d.Views, func(v feature.View) bool { return v.Name == name })
	if i < 0 {
		return nil, nil, fmt.Errorf("found no view called %s", name)
	}
	view := &d.Views[i]
	// Validated: its entity is there.
	e := slices.IndexFunc(d.Entities, func(e feature.Entity) bool { return e.Name == view.Entity })
	return view, &d.Entities[e], nil
}

// bind reads the rows as the source's columns. A column that the table leaves out is NULL.
func (l *Load) bind(d *feature.Definitions) error {
	n := slices.IndexFunc(d.Sources, func(s feature.Source) bool { return s.Name == l.Source })
	if n < 0 {
		return fmt.Errorf("found no source called %s", l.Source)
	}
	src := &d.Sources[n]
	l.Rows = nil
	for _, row := range l.Table.Rows {
		if len(row.Cells) != len(l.Table.Header) {
			return fmt.Errorf("line %d: found %d cells, expected %d", row.Line, len(row.Cells), len(l.Table.Header))
		}
		values := make([]feature.Value, len(src.Columns))
		for i, name := range l.Table.Header {
			c := slices.IndexFunc(src.Columns, func(c feature.Column) bool { return c.Name == name.Text })
			if c < 0 {
				return fmt.Errorf("line %d: found no column %s in source %s", l.Table.Line, name.Text, src.Name)
			}
			var err error
			if values[c], err = ParseValue(src.Columns[c].Type, row.Cells[i]); err != nil {
				return fmt.Errorf("line %d: column %s: %w", row.Line, name.Text, err)
			}
		}
		l.Rows = append(l.Rows, values)
	}
	return nil
}

// bind reads what stands before the bar as join keys and time, and what stands behind it as the answer.
func (a *Ask) bind(view *feature.View, entity *feature.Entity) error {
	bar := slices.IndexFunc(a.Table.Header, func(c Cell) bool { return c.is("|") })
	if bar < 0 {
		return fmt.Errorf("line %d: found no bar, expected the question, `|` and the answer", a.Table.Line)
	}
	asked, answered := a.Table.Header[:bar], a.Table.Header[bar+1:]
	a.Questions, a.Answers = nil, nil
	for _, row := range a.Table.Rows {
		if len(row.Cells) <= bar || !row.Cells[bar].is("|") {
			return fmt.Errorf("line %d: expected %d cells and a bar", row.Line, bar)
		}
		q := Question{Keys: make([]feature.Value, len(entity.JoinKeys))}
		timed := false
		for i, name := range asked {
			k := slices.IndexFunc(entity.JoinKeys, func(c feature.Column) bool { return c.Name == name.Text })
			var err error
			switch {
			case k >= 0:
				q.Keys[k], err = ParseValue(entity.JoinKeys[k].Type, row.Cells[i])
			case name.is("at") && !a.Online:
				timed = true
				q.At, err = ParseTime(row.Cells[i].Text)
			default:
				err = fmt.Errorf("found the column %s, expected a join key or at", name.Text)
			}
			if err != nil {
				return fmt.Errorf("line %d: %w", row.Line, err)
			}
		}
		if !timed && !a.Online {
			return fmt.Errorf("line %d: found no column at", a.Table.Line)
		}
		key, ok, err := entity.AppendKey(nil, q.Keys)
		if err != nil {
			return fmt.Errorf("line %d: %w", row.Line, err)
		}
		q.Key, q.OK = string(key), ok
		if !ok {
			q.Key = ""
		}
		answer, err := bindAnswer(view, answered, row.Cells[bar+1:])
		if err != nil {
			return fmt.Errorf("line %d: %w", row.Line, err)
		}
		answer.Line = row.Line
		a.Questions, a.Answers = append(a.Questions, q), append(a.Answers, answer)
	}
	return nil
}

func bindAnswer(view *feature.View, header, row []Cell) (Answer, error) {
	a := Answer{Values: map[int]feature.Value{}}
	if len(row) > len(header) || len(row) == 0 {
		return a, fmt.Errorf("found %d cells behind the bar, expected 1 to %d", len(row), len(header))
	}
	for i, cell := range row {
		name := header[i].Text
		f := view.FeatureIndex(name)
		var err error
		switch {
		case name == "status":
			for s := read.Present; s <= read.Unavailable; s++ {
				if s.String() == cell.Text {
					a.Status = s
				}
			}
			if a.Status == 0 {
				err = fmt.Errorf("found the status %q", cell.Text)
			}
		case name == "event":
			var at feature.Time
			at, err = ParseTime(cell.Text)
			a.EventTime = &at
		case name == "run":
			var n int64
			n, err = strconv.ParseInt(cell.Text, 10, 64)
			a.RunSeq = &n
		case f >= 0:
			a.Values[f], err = ParseValue(view.Features[f].Type, cell)
		default:
			err = fmt.Errorf("found the column %s, expected status, event, run or a feature of %s", name, view.Name)
		}
		if err != nil {
			return a, err
		}
	}
	switch {
	case a.Status == 0:
		return a, fmt.Errorf("found no status")
	case a.Status == read.Present && len(row) != len(header):
		return a, fmt.Errorf("found %d cells behind the bar, expected %d of a row that is there", len(row), len(header))
	case a.Status != read.Present && len(row) != 1:
		return a, fmt.Errorf("found more than a status of a row that is not there")
	}
	return a, nil
}
