package feature

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// MaxCache is how long a server may keep an online row in memory at most.
const MaxCache = time.Minute

// ViewFreshness is how old the newest event time of a view that is online may be.
type ViewFreshness struct {
	MaxAge time.Duration
	// Policy is as written: `warn`, `fail`, or empty, which is `warn`.
	Policy string
}

// Policies of freshness, as definitions write them.
const (
	FreshnessWarns = "warn"
	FreshnessFails = "fail"
)

// Fails reports whether reads of the view are refused while it is older.
func (f *ViewFreshness) Fails() bool { return f != nil && f.Policy == FreshnessFails }

// text is the freshness in one line, for differences.
func (f *ViewFreshness) text() string {
	switch {
	case f == nil:
		return ""
	case f.Fails():
		return durationText(f.MaxAge) + ", or reads fail"
	}
	return durationText(f.MaxAge)
}

// ReadLog says which online reads of a service are kept, as written: `all`, `sample SHARE`, or empty, none.
type ReadLog string

// logAll keeps every read.
const logAll ReadLog = "all"

// All reports whether every read is kept, and none is answered that is not.
func (l ReadLog) All() bool { return l == logAll }

// Share is the share of reads that is kept, 0 to 1. An error says what was expected.
func (l ReadLog) Share() (float64, error) {
	switch {
	case l == "":
		return 0, nil
	case l.All():
		return 1, nil
	}
	text, ok := strings.CutPrefix(string(l), "sample ")
	share, err := strconv.ParseFloat(text, 64)
	if !ok || err != nil || !(share > 0 && share <= 1) {
		return 0, fmt.Errorf("found %q, expected all, or sample and a share between 0 and 1, such as sample 0.01", string(l))
	}
	return share, nil
}

// sensitiveTags are the tags of join keys, features and request inputs whose values the read log holds as keyed hashes only.
var sensitiveTags = []string{"pii", "sensitive", ProtectedTag}

// Sensitive reports whether a column has, as it is written, a tag that keeps its values out of the read log; see Tags.Sensitive.
func (c *Column) Sensitive() bool {
	return slices.ContainsFunc(c.Tags, func(tag string) bool { return slices.Contains(sensitiveTags, tag) })
}

func (v *validation) freshness(view *View) {
	switch f := view.Freshness; {
	case f == nil:
	case view.OnDemand != nil:
		v.add("freshness", "found it on a view of on-demand features, which have no rows; declare it on the views that they read")
	case f.MaxAge <= 0:
		v.add("freshness.max_age", "found %s, expected how old the newest event time may be, such as 6h", f.MaxAge)
	default:
		v.duration("freshness.max_age", f.MaxAge)
		if f.Policy != "" && f.Policy != FreshnessWarns && f.Policy != FreshnessFails {
			v.add("freshness.policy", "found %q, expected %s or %s", f.Policy, FreshnessWarns, FreshnessFails)
		}
	}
	switch {
	case view.Cache != 0 && view.OnDemand != nil:
		v.add("cache", "found it on a view of on-demand features, which have no rows; declare it on the views that they read")
	case view.Cache < 0 || view.Cache > MaxCache:
		v.add("cache", "found %s, expected at most %s", view.Cache, MaxCache)
	}
}

func (v *validation) log(s *Service) {
	if _, err := s.Log.Share(); err != nil {
		v.add("log", "%v", err)
	}
}
