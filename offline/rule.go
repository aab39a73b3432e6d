package offline

import "github.com/headwaterhq/headwater/internal/fault"

// Rule is one that the output of every run is held to, whatever its view expects besides.
type Rule string

const (
	KeysAndTimesNotNull  Rule = "keys_and_times_not_null"
	InsideInterval       Rule = "inside_interval"
	OneRowPerMoment      Rule = "one_row_per_moment"
	LiveRowsAreTheOutput Rule = "live_rows_are_the_output"
)

const ruleMetadata = "rule"

// breaks is a refusal of the output for a rule.
func (t *Transform) breaks(rule Rule, format string, args ...any) error {
	err := t.refuse(format, args...)
	if f := fault.As(err); f != nil {
		return f.With(ruleMetadata, string(rule))
	}
	return err
}

// BrokenRule is the rule for which a run's output was refused, or empty.
func BrokenRule(err error) Rule {
	f := fault.As(err)
	if f == nil {
		return ""
	}
	return Rule(f.Metadata[ruleMetadata])
}
