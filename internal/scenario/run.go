package scenario

import (
	"errors"
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
	var views []*feature.View
	var entities []*feature.Entity
	for _, name := range a.Views {
		view, entity, err := viewOf(&r.set.Definitions, name)
		if err != nil {
			return err
		}
		views, entities = append(views, view), append(entities, entity)
	}
	if err := a.bind(views, entities); err != nil {
		return err
	}
	winners, err := r.engine.Ask(a)
	if err != nil {
		return err
	}
	for n, of := range a.Of {
		if len(winners[n]) != len(of.Questions) {
			return fmt.Errorf("found %d answers of %s, expected %d", len(winners[n]), of.View, len(of.Questions))
		}
		for i := range winners[n] {
			if problem := of.Answers[i].compare(views[n], &winners[n][i]); problem != "" {
				r.report(of.Answers[i].Line, problem)
			}
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

// bind reads what stands before the first bar as join keys and time, and what stands behind each as the answer of a view.
func (a *Ask) bind(views []*feature.View, entities []*feature.Entity) error {
	header := sections(a.Table.Header)
	if len(header) != 1+len(views) {
		return fmt.Errorf("line %d: found %d bars, expected the question and, for each view, `|` and the answer", a.Table.Line, len(header)-1)
	}
	if err := a.checkQuestion(header[0], entities); err != nil {
		return fmt.Errorf("line %d: %w", a.Table.Line, err)
	}
	a.Of = nil
	for _, v := range views {
		a.Of = append(a.Of, AskOf{View: v.Name})
	}
	for _, row := range a.Table.Rows {
		parts := sections(row.Cells)
		if len(parts) != len(header) || len(parts[0]) != len(header[0]) {
			return fmt.Errorf("line %d: expected %d cells and a bar for each view", row.Line, len(header[0]))
		}
		for n, v := range views {
			q, err := bindQuestion(entities[n], header[0], parts[0])
			if err != nil {
				return fmt.Errorf("line %d: %w", row.Line, err)
			}
			answer, err := bindAnswer(v, header[1+n], parts[1+n])
			if err != nil {
				return fmt.Errorf("line %d: %w", row.Line, err)
			}
			answer.Line = row.Line
			of := &a.Of[n]
			of.Questions, of.Answers = append(of.Questions, q), append(of.Answers, answer)
		}
	}
	return nil
}

// sections are the cells between bars.
func sections(row []Cell) [][]Cell {
	parts := [][]Cell{nil}
	for _, c := range row {
		if c.is("|") {
			parts = append(parts, nil)
			continue
		}
		parts[len(parts)-1] = append(parts[len(parts)-1], c)
	}
	return parts
}

// checkQuestion has nothing against columns that are join keys of one of the entities, and the time of a spine.
func (a *Ask) checkQuestion(asked []Cell, entities []*feature.Entity) error {
	for _, name := range asked {
		if name.is("at") && !a.Online {
			continue
		}
		if !slices.ContainsFunc(entities, func(e *feature.Entity) bool { return keyIndex(e, name.Text) >= 0 }) {
			return fmt.Errorf("found the column %s, expected a join key or at", name.Text)
		}
	}
	if !a.Online && !slices.ContainsFunc(asked, func(c Cell) bool { return c.is("at") }) {
		return errors.New("found no column at")
	}
	return nil
}

func keyIndex(e *feature.Entity, name string) int {
	return slices.IndexFunc(e.JoinKeys, func(c feature.Column) bool { return c.Name == name })
}

func bindQuestion(entity *feature.Entity, header, row []Cell) (Question, error) {
	q := Question{Keys: make([]feature.Value, len(entity.JoinKeys))}
	for i, name := range header {
		var err error
		if k := keyIndex(entity, name.Text); k >= 0 {
			q.Keys[k], err = ParseValue(entity.JoinKeys[k].Type, row[i])
		} else if name.is("at") {
			q.At, err = ParseTime(row[i].Text)
		}
		if err != nil {
			return q, err
		}
	}
	key, ok, err := entity.AppendKey(nil, q.Keys)
	if ok {
		q.Key, q.OK = string(key), true
	}
	return q, err
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
