package definition

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
)

// Annotate gives the violations of a fault that came back from the server, for the files of the set, their places: those
// without a File whose Field is one of the whole list of definitions. A line and column inside SQL become those of the
// file. The fault returned is another; f is left as it is.
func Annotate(set *Set, f *fault.Fault) *fault.Fault {
	annotated := *f
	annotated.Violations = slices.Clone(f.Violations)
	order := map[string]int{}
	for i, d := range set.documents {
		order[d.path] = i
	}
	for i := range annotated.Violations {
		set.annotate(&annotated.Violations[i])
	}
	slices.SortStableFunc(annotated.Violations, func(a, b fault.Violation) int {
		return cmp.Or(cmp.Compare(order[a.File], order[b.File]), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return &annotated
}

func (s *Set) annotate(v *fault.Violation) {
	if v.File != "" {
		return
	}
	file, path, local, ok := s.origins.Resolve(v.Field)
	if !ok {
		return
	}
	line, column, exact := s.documents[file].place(local, v.Line, v.Column)
	if v.Line > 0 && !exact {
		language := "SQL"
		if strings.HasSuffix(local, ".cel") {
			language = "CEL"
		}
		v.Description += fmt.Sprintf(" (line %d, column %d of the %s)", v.Line, v.Column, language)
	}
	v.File, v.Field, v.Line, v.Column = path, local, line, column
}

// Violations turns what Definitions.Validate found into violations, whose fields are of the whole list. origins are those
// of the definitions.
func Violations(problems []feature.Problem, origins *Origins) []fault.Violation {
	var violations []fault.Violation
	for i := range problems {
		v := violationOf(&problems[i])
		if _, path, local, ok := origins.Resolve(problems[i].Also); ok {
			v.Description += "; the other is " + local + " of " + path
		}
		violations = append(violations, v)
	}
	return violations
}

// violation is a problem as a violation that names a second place by its line.
func (s *Set) violation(p *feature.Problem) fault.Violation {
	v := violationOf(p)
	if file, path, local, ok := s.origins.Resolve(p.Also); ok {
		line, column, _ := s.documents[file].place(local, 0, 0)
		v.Description += fmt.Sprintf("; the other is at %s:%d:%d", path, line, column)
	}
	return v
}

func violationOf(p *feature.Problem) fault.Violation {
	return fault.Violation{Field: p.Field, Description: bounded(p.Message), Line: p.Line, Column: p.Column}
}

// maxDescription is how many bytes of a violation are told: names that it repeats may be of any length.
const maxDescription = 1000

func bounded(s string) string {
	if len(s) <= maxDescription {
		return s
	}
	return strings.ToValidUTF8(s[:maxDescription], "") + "…"
}

// covers says that a violation of field a makes one of field b no news: it is of the same, or of a part.
func covers(a, b string) bool {
	rest, ok := strings.CutPrefix(b, a)
	return a != "" && ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// invalid is the fault of definitions that are wrong.
func invalid(violations []fault.Violation) *fault.Fault {
	if n := len(violations); n > maxViolations {
		return fault.New(fault.InvalidDefinition, "found %d problems in the definitions, of which these are %d", n, maxViolations).
			Violating(violations[:maxViolations]...)
	}
	if len(violations) == 1 {
		return fault.New(fault.InvalidDefinition, "found 1 problem in the definitions").Violating(violations...)
	}
	return fault.New(fault.InvalidDefinition, "found %d problems in the definitions", len(violations)).Violating(violations...)
}
