package offline

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
)

// Screen looks at the rows of a part of a run's output before they are written. Each part has one of its own.
type Screen struct {
	// Keep reports whether a row is written. values are in the order of the columns that the view outputs, and valid only during
	// the call.
	Keep func(row *feature.Row, values []feature.Value) (bool, error)
	// End is called after the last row, in the transaction that writes the part. spans is the event times of the part.
	End func(ctx context.Context, tx pgx.Tx, spans Spans) (*Screened, error)
}

// Screened is what a Screen found in a part of the output.
type Screened struct {
	// Quarantined and Dropped are the rows that were not written, each under one reason.
	Quarantined, Dropped []Reason
	// Failed is how many rows failed which condition, and Examples the keys and times of the first of them.
	Failed   []Reason
	Examples map[string][]string
}

// Rows is the number of rows under all reasons.
func Rows(reasons []Reason) (n int64) {
	for _, r := range reasons {
		n += r.Rows
	}
	return n
}

// maxExamples is how many rows are named of those that failed a condition.
const maxExamples = 5

// Add adds what was found in another part.
func (s *Screened) Add(other *Screened) {
	s.Quarantined = addReasons(s.Quarantined, other.Quarantined)
	s.Dropped = addReasons(s.Dropped, other.Dropped)
	s.Failed = addReasons(s.Failed, other.Failed)
	for name, examples := range other.Examples {
		if s.Examples == nil {
			s.Examples = map[string][]string{}
		}
		list := append(s.Examples[name], examples...)
		s.Examples[name] = list[:min(len(list), maxExamples)]
	}
}

func addReasons(list, others []Reason) []Reason {
	for _, o := range others {
		i := slices.IndexFunc(list, func(r Reason) bool { return r.Reason == o.Reason })
		if i < 0 {
			list = append(list, o)
			continue
		}
		list[i].Rows += o.Rows
	}
	return list
}

// screened is emit for the rows that the screen keeps.
func (t *Transform) screened(emit func(*feature.Row) error) func(*feature.Row) error {
	if t.screen == nil {
		return emit
	}
	var values []feature.Value
	return func(r *feature.Row) error {
		keys, err := t.View.EntityVersion.ParseKey(r.Key)
		if err != nil {
			return err
		}
		values = append(values[:0], keys...)
		values = append(values, feature.Timestamp(r.EventTime), feature.Timestamp(r.AvailableAt))
		values = append(values, r.Values...)
		if keep, err := t.screen.Keep(r, values); err != nil || !keep {
			return err
		}
		return emit(r)
	}
}
