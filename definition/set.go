package definition

import (
	"slices"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// Set is the definitions of some files, with their places.
type Set struct {
	// Files are what Plan and Apply take.
	Files []*headwaterv1.DefinitionSource
	// Definitions are those of all files, in order.
	Definitions feature.Definitions

	documents []*document
	origins   *Origins
	// tests are those of all files, in order; Files have none.
	tests []*headwaterv1.DefinitionTest
}

// Load reads the definitions of files and of folders, recursively, and validates them and their tests as all there is: a
// name that none of them has is a problem. An error is one INVALID_DEFINITION fault whose violations have their places.
func Load(paths []string) (*Set, error) {
	set, violations := read(paths)
	if set == nil {
		return nil, invalid(violations)
	}
	if set.empty() && len(set.tests)+len(violations) == 0 {
		return nil, invalid(nothing(paths))
	}
	if len(violations) >= maxViolations {
		return nil, Annotate(set, invalid(violations))
	}
	for _, p := range set.problems() {
		known := func(v fault.Violation) bool { return covers(v.Field, p.Field) }
		if !slices.ContainsFunc(violations, known) {
			violations = append(violations, set.violation(&p))
		}
	}
	_, wrong := set.readTests()
	if violations = append(violations, wrong...); len(violations) > 0 {
		return nil, Annotate(set, invalid(violations))
	}
	return set, nil
}

// problems are what is wrong with the definitions as all there is.
func (s *Set) problems() []feature.Problem {
	return append(s.Definitions.Validate(nil), expressionProblems(&s.Definitions)...)
}

// Read is Load for definitions that are not all there is: names may stand for what a registry has. What is wrong across
// definitions is then for the server to find, and tests are left alone.
func Read(paths []string) (*Set, error) {
	set, violations := read(paths)
	switch {
	case set == nil:
		return nil, invalid(violations)
	case len(violations) > 0:
		return nil, Annotate(set, invalid(violations))
	case set.empty():
		return nil, invalid(nothing(paths))
	}
	return set, nil
}

// read returns no set when the files cannot be read as definitions at all; its violations then have their places.
func read(paths []string) (*Set, []fault.Violation) {
	if len(paths) == 0 {
		return nil, []fault.Violation{{Description: "found no path, expected files or folders of definitions"}}
	}
	names, violations := collect(paths)
	set := &Set{}
	for _, name := range names {
		data, violation := readFile(name)
		if violation != nil {
			violations = append(violations, *violation)
			continue
		}
		document, found := parse(name, data)
		violations = append(violations, found...)
		set.documents = append(set.documents, document)
		set.Files = append(set.Files, &headwaterv1.DefinitionSource{Path: name, File: document.file})
	}
	if len(violations) > 0 {
		return nil, violations
	}
	set.Definitions, set.origins, violations = FromProto(set.Files)
	for _, f := range set.Files {
		set.tests = append(set.tests, f.File.Tests...)
		f.File.Tests = nil
	}
	return set, violations
}

func nothing(paths []string) []fault.Violation {
	return []fault.Violation{{File: paths[0],
		Description: "found no definition, expected entities, sources, feature_views, feature_services or roles"}}
}

func (s *Set) empty() bool {
	d := &s.Definitions
	return len(d.Entities)+len(d.Sources)+len(d.Views)+len(d.Services)+len(d.Roles)+len(d.Policies)+len(d.Consumers) == 0
}

// Locate is the line and column of a field of a file, such as `feature_views[0].features[2].type`, or of what is nearest
// to it and there. Both count from 1, and are 0 for a file that is not in the set.
func (s *Set) Locate(field, file string) (line, column int) {
	for _, d := range s.documents {
		if d.path == file {
			line, column, _ = d.place(field, 0, 0)
			return line, column
		}
	}
	return 0, 0
}
