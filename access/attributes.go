package access

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/headwaterhq/headwater/internal/fault"
)

// Bounds of what is known of a principal besides its roles: all of it goes along with every call.
const (
	maxAttributes      = 32
	maxAttributeValues = 256
	maxAttributeText   = 256
)

var attributeForm = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)

// attributesOf are attributes as a principal has them: each list sorted and without repetitions. nil: none. What cannot be one is
// a violation.
func attributesOf(given map[string][]string) (map[string][]string, []fault.Violation) {
	var violations []fault.Violation
	wrong := func(field, format string, args ...any) {
		violations = append(violations, fault.Violation{Field: field, Description: fmt.Sprintf(format, args...)})
	}
	if len(given) > maxAttributes {
		wrong("attributes", "found %d attributes, expected at most %d", len(given), maxAttributes)
		return nil, violations
	}
	var attributes map[string][]string
	for _, name := range slices.Sorted(maps.Keys(given)) {
		field := "attributes." + name
		values := slices.Clone(given[name])
		switch {
		case !attributeForm.MatchString(name) || len(name) > maxAttributeText:
			wrong("attributes", "found the name %q, expected lower-case letters, digits and single underscores between them, a letter first", withoutSecrets(name))
			continue
		case len(values) == 0 || len(values) > maxAttributeValues:
			wrong(field, "found %d values, expected 1 to %d", len(values), maxAttributeValues)
			continue
		}
		for _, value := range values {
			if found := notAName(value); found != "" {
				wrong(field, "found %s, expected a text of 1 to %d bytes without control characters", found, maxAttributeText)
			}
		}
		slices.Sort(values)
		if attributes == nil {
			attributes = make(map[string][]string, len(given))
		}
		attributes[name] = slices.Clip(slices.Compact(values))
	}
	return attributes, violations
}

// notAName says why a text cannot stand in lists and records beside others, or is empty.
func notAName(s string) string {
	switch {
	case s == "":
		return "an empty text"
	case len(s) > maxAttributeText:
		return fmt.Sprintf("a text of %d bytes", len(s))
	case !utf8.ValidString(s):
		return "a text that is not UTF-8"
	case strings.ContainsFunc(s, unicode.IsControl):
		return "a text with control characters"
	case withoutSecrets(s) != s:
		return "a token"
	}
	return ""
}
