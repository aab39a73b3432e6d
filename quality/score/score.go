package score

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// The names of parts. Views have Checks, Completeness, Drift, Freshness and Anomalies; sources Checks, Quarantine, Dropped, Lateness, Freshness and Drift; services Views,
// Freshness, Reads and Skew.
const (
	Checks       = "checks"
	Completeness = "completeness"
	Drift        = "drift"
	Freshness    = "freshness"
	Anomalies    = "anomalies"
	Quarantine   = "quarantine"
	Dropped      = "dropped"
	Lateness     = "lateness"
	Views        = "views"
	Reads        = "reads"
	Skew         = "skew"
)

// Part is one of those that a score is made of.
type Part struct {
	Name string `json:"name"`
	// Value is from 0 to 1. nil: it is unknown.
	Value *float64 `json:"value,omitempty"`
	// Detail is what it is made of, or why it is unknown, in words.
	Detail string `json:"detail"`
}

// Known is a part of which there is something to tell.
func Known(name string, value float64, detail string) Part {
	value = min(max(value, 0), 1)
	return Part{Name: name, Value: &value, Detail: detail}
}

// Unknown is a part of which there is nothing to tell, with why.
func Unknown(name, why string) Part { return Part{Name: name, Detail: why} }

// Of is the mean of the parts that are known, from 0 to 100, with two decimals, rounded down so that 100 says that nothing is wrong. nil: none is known.
func Of(parts []Part) *float64 {
	var values []float64
	for i := range parts {
		if parts[i].Value != nil {
			values = append(values, *parts[i].Value)
		}
	}
	if values == nil {
		return nil
	}
	// In one order, so that the same parts are the same score.
	slices.Sort(values)
	var sum float64
	for _, v := range values {
		sum += v
	}
	// What is off by less than a rounding of the sum is not rounded down.
	mean := math.Floor(sum/float64(len(values))*10000+1e-6) / 100
	return &mean
}

// Worst is the least of the parts that are known. nil: none is known.
func Worst(parts []Part) (worst *Part) {
	for i := range parts {
		if p := &parts[i]; p.Value != nil && (worst == nil || *p.Value < *worst.Value) {
			worst = p
		}
	}
	return worst
}

// Results are checks by what came of them.
type Results struct{ Passed, Warned, Failed int }

// OfChecks is 0 where a check failed or broke, for then nothing is given out of what was looked at, and else the share that passed, a warning counting half.
func OfChecks(r Results, detail string) Part {
	all := r.Passed + r.Warned + r.Failed
	switch {
	case all == 0:
		return Unknown(Checks, "nothing was checked")
	case r.Failed > 0:
		return Known(Checks, 0, detail)
	}
	return Known(Checks, (float64(r.Passed)+float64(r.Warned)/2)/float64(all), detail)
}

// Verdicts are columns by the verdict on their drift. Unclear are those that there was not enough to tell of.
type Verdicts struct{ OK, Warned, Failed, Unclear int }

// Add adds those of other columns.
func (v *Verdicts) Add(w Verdicts) {
	v.OK, v.Warned, v.Failed, v.Unclear = v.OK+w.OK, v.Warned+w.Warned, v.Failed+w.Failed, v.Unclear+w.Unclear
}

// OfVerdicts is the share of columns that are OK, a warning counting half, of those that there was enough to tell of. where says against what, or of what.
func OfVerdicts(name string, v Verdicts, where string) Part {
	all := v.OK + v.Warned + v.Failed
	if all == 0 {
		return Unknown(name, "not enough is known "+where)
	}
	return Known(name, (float64(v.OK)+float64(v.Warned)/2)/float64(all), fmt.Sprintf("%d OK, %d WARN, %d FAIL %s", v.OK, v.Warned, v.Failed, where))
}

// OfShare is the share of rows that are not bad. of says what was counted.
func OfShare(name string, bad, all int64, said, of string) Part {
	if all <= 0 {
		return Unknown(name, "no rows "+of)
	}
	return Known(name, 1-float64(bad)/float64(all), fmt.Sprintf("%d of %d rows %s", bad, all, said))
}

// Found is what was found for the entities of reads.
type Found struct {
	// Present have a row that holds, Stale one that may not be the value of now any more. Missing have none that can be served.
	Present, Stale, Missing int64
}

// minFound is how many rows of reads are too few to tell anything.
const minFound = 30

// OfReads is the share of entities that were given what holds, what is stale counting half.
func OfReads(f Found) Part {
	all := f.Present + f.Stale + f.Missing
	if all < minFound {
		return Unknown(Reads, fmt.Sprintf("%d rows of reads were measured, expected %d to tell anything", all, minFound))
	}
	return Known(Reads, (float64(f.Present)+float64(f.Stale)/2)/float64(all), fmt.Sprintf("of %d rows that were measured %d were present, %d stale, %d missing", all, f.Present, f.Stale, f.Missing))
}

// View is a view that a service reads, with its score. nil: it has none.
type View struct {
	Ref   string
	Score *float64
}

// OfViews is the mean of the scores of views. Those that have none are counted in words alone. named says which views are named.
func OfViews(views []View, named func(ref string) bool) Part {
	var sum float64
	var known int
	var worst *View
	for i := range views {
		v := &views[i]
		if v.Score == nil {
			continue
		}
		sum += *v.Score
		known++
		if worst == nil || *v.Score < *worst.Score {
			worst = v
		}
	}
	if known == 0 {
		return Unknown(Views, "none of the views that it reads has a score")
	}
	text := fmt.Sprintf("of %d views that it reads %d have a score", len(views), known)
	if *worst.Score < 100 {
		name := "one"
		if named(worst.Ref) {
			name = worst.Ref
		}
		text += fmt.Sprintf("; the worst is %s with %.0f", name, math.Floor(*worst.Score))
	}
	return Known(Views, sum/float64(known)/100, text)
}

// OfFreshness is the share of what declares how new it is to be that is. late are the names of what is not.
func OfFreshness(declared int, late []string) Part {
	switch {
	case declared == 0:
		return Unknown(Freshness, "none is declared")
	case len(late) == 0:
		return Known(Freshness, 1, "as new as declared")
	}
	return Known(Freshness, 1-float64(len(late))/float64(declared), "late: "+strings.Join(late, ", "))
}
