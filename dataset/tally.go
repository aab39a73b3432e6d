package dataset

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/quality/profile"
	"github.com/headwaterhq/headwater/read"
)

// tally is what the manifest says of the rows of a result. Its memory does not grow with them.
type tally struct {
	layout  *layout
	columns []ManifestColumn
	// statuses are by feature of the plan.
	statuses [][read.Unavailable + 1]int64
	// profile is of the columns at described: all but those of statuses, which are counted.
	profile   *profile.Profile
	described []int
	// at is the column with the row's time, times are those of a batch.
	at    int
	times []feature.Time
	// runs are by view of the plan.
	runs []sequences
}

func newTally(l *layout, timestamp string) (*tally, error) {
	t := &tally{
		layout: l, columns: l.describe(), statuses: make([][read.Unavailable + 1]int64, len(l.plan.Columns)),
		runs: make([]sequences, len(l.plan.Views)),
	}
	var specs []profile.Spec
	grouped := 0
	for i, c := range l.columns {
		if l.isStatus(i) {
			continue
		}
		spec := profile.Spec{Name: c.Name, Type: c.Type}
		// What is of the spine and is no key: labels, and what else tells rows apart.
		if l.isLabel(i) && profile.CanGroup(c.Type) && grouped < profile.MaxGroupColumns {
			spec.Group = true
			grouped++
		}
		if c.Name == timestamp {
			t.at = i
		}
		specs, t.described = append(specs, spec), append(t.described, i)
	}
	var err error
	t.profile, err = profile.New(specs)
	return t, err
}

// isLabel reports whether the column at a position is of the spine, and neither a key nor an input.
func (l *layout) isLabel(i int) bool {
	if i >= len(l.spine) {
		return false
	}
	name := l.spine[i].Name
	return !slices.ContainsFunc(l.plan.Views, func(v read.View) bool { return slices.Contains(v.KeyColumns, name) }) &&
		!slices.ContainsFunc(l.plan.Inputs, func(in feature.Column) bool { return in.Name == name })
}

// add takes rows of the result and a hash of each, with the statuses of their features and the runs that the winner of each view is of, zero where
// there is none.
func (t *tally) add(b *rowBatch, hashes []uint64) {
	t.times = t.times[:0]
	for n := range b.rows {
		row, statuses, runs := b.at(n)
		t.times = append(t.times, row[t.at].Timestamp())
		for i, s := range statuses {
			t.statuses[i][s]++
		}
		for i := range row {
			if row[i].IsNull() {
				t.columns[i].Nulls++
			}
		}
		for i, seq := range runs {
			if seq != 0 {
				t.runs[i].add(seq)
			}
		}
	}
	t.profile.AddRows(profile.Rows{
		Times: t.times, Hashes: hashes, Values: b.values[:b.rows*b.shape.columns], Width: b.shape.columns, At: t.described,
	})
}

// finish gives the result what was counted.
func (t *tally) finish(res *result) {
	for i := range t.statuses {
		counts := map[string]int64{}
		for s, n := range t.statuses[i] {
			if n > 0 {
				counts[read.Status(s).String()] = n
			}
		}
		t.columns[t.layout.at(i)].Statuses = counts
	}
	for i, c := range t.profile.Columns() {
		t.columns[t.described[i]].Summary = summaryOf(c)
	}
	res.columns, res.profile = t.columns, t.profile
	res.runs = map[string][]int64{}
	for i := range t.layout.plan.Views {
		ref := t.layout.plan.Views[i].Version.Ref()
		// A view that several joins read is one view.
		for k := range t.layout.plan.Views[:i] {
			if t.layout.plan.Views[k].Version.Ref() == ref {
				t.runs[i].merge(t.runs[k])
			}
		}
		res.runs[ref] = t.runs[i].list()
	}
}

// sequences is a set of sequences of runs, a bit for each.
type sequences []uint64

func (s *sequences) add(seq int64) {
	at := int(seq / 64)
	if at >= len(*s) {
		*s = append(*s, make([]uint64, at+1-len(*s))...)
	}
	(*s)[at] |= 1 << (seq % 64)
}

func (s *sequences) merge(o sequences) {
	for i, word := range o {
		if i == len(*s) {
			*s = append(*s, 0)
		}
		(*s)[i] |= word
	}
}

// list is the sequences, ascending.
func (s sequences) list() []int64 {
	var list []int64
	for i, word := range s {
		for ; word != 0; word &= word - 1 {
			list = append(list, int64(i)*64+int64(bits.TrailingZeros64(word)))
		}
	}
	return list
}

// take gives the manifest what assembling found.
func (m *Manifest) take(res *result) {
	m.Rows, m.SpineRows, m.LeftOut, m.Columns, m.Summarizer = res.rows, res.spineRows, res.leftOut, res.columns, Summarizer
	m.RowsFound, m.RowsHidden = res.found, res.hidden
	m.ContentDigest, m.ArrowSHA256 = res.content.String(), res.arrowSHA256.String()
	for i := range m.Views {
		m.Views[i].Runs = res.runs[fmt.Sprintf("%s@%d", m.Views[i].View, m.Views[i].Version)]
	}
}

// compareTallies lists how what was counted of a result differs from the manifest, where that has it. Summaries that were made
// otherwise say nothing of each other.
func compareTallies(m *Manifest, res *result) []string {
	if m.Summarizer == "" {
		return nil
	}
	var differences []string
	if res.spineRows != m.SpineRows {
		differences = append(differences, fmt.Sprintf("found %d rows of the spine, expected %d", res.spineRows, m.SpineRows))
	}
	for i := range m.LeftOut {
		if found, kept := &res.leftOut[i], &m.LeftOut[i]; found.Rows != kept.Rows {
			differences = append(differences, fmt.Sprintf("left out %s: found %d rows, expected %d", kept.LeaveOut.String(), found.Rows, kept.Rows))
		}
	}
	for i := range m.Views {
		kept := &m.Views[i]
		ref := fmt.Sprintf("%s@%d", kept.View, kept.Version)
		if found := res.runs[ref]; !slices.Equal(found, kept.Runs) {
			differences = append(differences, fmt.Sprintf("view %s: found values of %s, expected %s", ref, describeRuns(found), describeRuns(kept.Runs)))
		}
	}
	for i, c := range res.columns {
		if i >= len(m.Columns) || m.Summarizer != Summarizer {
			break
		}
		if kept := m.Columns[i].Summary; !c.Summary.equal(kept) {
			differences = append(differences, fmt.Sprintf("column %s: found %s, expected %s", c.Name, c.Summary, kept))
		}
	}
	return differences
}

// describeRuns is sequences for a message, as many as a reader looks through.
func describeRuns(seqs []int64) string {
	const most = 10
	if len(seqs) == 0 {
		return "no run"
	}
	texts := make([]string, 0, most)
	for _, seq := range seqs[:min(len(seqs), most)] {
		texts = append(texts, fmt.Sprint(seq))
	}
	list := "runs " + strings.Join(texts, ", ")
	if more := len(seqs) - most; more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	return list
}
