package server

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"unicode/utf8"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// The rules of GetFeaturesRequest in its proto, once more: those are followed by reflection, at the cost of a read. A test holds
// the two to each other.
const (
	maxPurpose      = 128
	maxPredictionID = 128
	maxReferences   = 2000
	maxJoins        = 50
	maxPrefix       = 32
	maxKeyValues    = 1000
)

// validateRead is Guard.validate for an online read, or for one on a stream.
func validateRead(r *headwaterv1.GetFeaturesRequest) error {
	if isValidRead(r) {
		return nil
	}
	f := fault.New(fault.InvalidArgument, "the request does not hold to its rules")
	readViolations(r, "", func(field, description string) {
		f.Violating(fault.Violation{Field: field, Description: description})
	})
	return f
}

// isValidRead says it of requests that are right without making anything.
func isValidRead(r *headwaterv1.GetFeaturesRequest) bool {
	for _, columns := range [...]map[string]*headwaterv1.KeyColumn{r.GetKeys(), r.GetInputs()} {
		for _, c := range columns {
			if len(c.GetValues()) > maxKeyValues || len(c.GetStrings()) > maxKeyValues || len(c.GetInt64S()) > maxKeyValues {
				return false
			}
		}
	}
	for _, j := range r.GetJoins() {
		if !isPrefix(j.GetPrefix()) || len(j.GetPrefix()) > maxPrefix {
			return false
		}
	}
	return !isLonger(r.GetPurpose(), maxPurpose) && !isLonger(r.GetPredictionId(), maxPredictionID) &&
		len(r.GetFeatures()) <= maxReferences && len(r.GetJoins()) <= maxJoins
}

// isLonger reports whether a text has more characters than it may. One has four bytes at most.
func isLonger(s string, most int) bool { return len(s) > most && utf8.RuneCountInString(s) > most }

// isPrefix reports whether s is of the form ^[a-z][a-z0-9_]*$.
func isPrefix(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (i == 0 || (c < '0' || c > '9') && c != '_') {
			return false
		}
	}
	return s != ""
}

// readViolations tells what is wrong with a request, in the order of its fields. at begins the path of each.
func readViolations(r *headwaterv1.GetFeaturesRequest, at string, tell func(field, description string)) {
	longer := func(field, s string, most int) {
		if isLonger(s, most) {
			tell(at+field, foundText(s)+fmt.Sprintf("must be at most %d characters", most))
		}
	}
	more := func(field string, n, most int) {
		if n > most {
			tell(at+field, fmt.Sprintf("found %d of them: must contain no more than %d item(s)", n, most))
		}
	}
	columns := func(field string, all map[string]*headwaterv1.KeyColumn) {
		for _, name := range slices.Sorted(maps.Keys(all)) {
			of := field + "[" + strconv.Quote(name) + "]."
			more(of+"values", len(all[name].GetValues()), maxKeyValues)
			more(of+"strings", len(all[name].GetStrings()), maxKeyValues)
			more(of+"int64s", len(all[name].GetInt64S()), maxKeyValues)
		}
	}
	columns("keys", r.GetKeys())
	longer("purpose", r.GetPurpose(), maxPurpose)
	columns("inputs", r.GetInputs())
	more("features", len(r.GetFeatures()), maxReferences)
	more("joins", len(r.GetJoins()), maxJoins)
	for i, j := range r.GetJoins() {
		field := fmt.Sprintf("joins[%d].prefix", i)
		longer(field, j.GetPrefix(), maxPrefix)
		if !isPrefix(j.GetPrefix()) {
			tell(at+field, foundText(j.GetPrefix())+"does not match regex pattern `^[a-z][a-z0-9_]*$`")
		}
	}
	longer("prediction_id", r.GetPredictionId(), maxPredictionID)
}
