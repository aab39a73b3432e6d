package definition

import (
	"regexp"
	"time"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// What definitions hold besides messages and their fields: maps, values of any type, times and numbers. YAML has more ways
// to write these than one reader in two would guess right, such as 017 for fifteen; what is ambiguous is refused.

// mapping checks a map from text to texts or to values.
func (p *parser) mapping(n *yaml.Node, field protoreflect.FieldDescriptor, depth int) {
	if n.Kind != yaml.MappingNode {
		p.at(n, "found %s for %s, expected keys and values", describe(n), field.Name())
		return
	}
	p.entries(n, depth, func(value *yaml.Node) { p.single(value, field.MapValue(), depth+1) })
}

// values checks a map from text to values.
func (p *parser) values(n *yaml.Node, field protoreflect.FieldDescriptor, depth int) {
	if n.Kind != yaml.MappingNode {
		p.at(n, "found %s for %s, expected keys and values", describe(n), field.Name())
		return
	}
	p.entries(n, depth, func(value *yaml.Node) {
		if p.plain(value, depth+1) {
			p.value(value, depth+1)
		}
	})
}

// entries checks that each key of a mapping is a text, and there once, and has each value checked.
func (p *parser) entries(n *yaml.Node, depth int, check func(value *yaml.Node)) {
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content) && len(p.violations) < maxViolations; i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if !p.plain(key, depth+1) {
			continue
		}
		if key.Kind != yaml.ScalarNode || key.Tag != "!!str" {
			p.at(key, "found %s as a key, expected text; put it in quotes", describe(key))
			continue
		}
		if line, ok := seen[key.Value]; ok {
			p.at(key, "found %.60s a second time (the first is in line %d), expected each key once", key.Value, line)
			continue
		}
		seen[key.Value] = key.Line
		check(value)
	}
}

// value checks a value of any type that columns have.
func (p *parser) value(n *yaml.Node, depth int) {
	switch {
	case n.Kind == yaml.SequenceNode:
		for _, item := range n.Content {
			if p.plain(item, depth+1) {
				p.value(item, depth+1)
			}
		}
	case n.Kind == yaml.MappingNode:
		p.at(n, "found keys and values, expected a boolean, a number, a text, a list of these, or null")
	case n.Tag == "!!str", n.Tag == "!!null", n.Tag == "!!timestamp":
	case n.Tag == "!!bool" && (n.Value == "true" || n.Value == "false"):
	case n.Tag == "!!bool":
		p.at(n, "found %s, expected true or false; put it in quotes if it is a text", n.Value)
	case isNumber(n) && isDecimal(n):
	case isNumber(n):
		p.at(n, "found the number %.60s, expected decimal digits; put it in quotes if it is a text", n.Value)
	default:
		p.at(n, "found %s, expected a boolean, a number, a text, a list of these, or null", describe(n))
	}
}

func isNumber(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && (n.Tag == "!!int" || n.Tag == "!!float")
}

// decimal is how a number is written that all readers of YAML read alike.
var decimal = regexp.MustCompile(`^[-+]?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)

func isDecimal(n *yaml.Node) bool { return decimal.MatchString(n.Value) }

// isDate reports whether a text for a field whose rule is the pattern of a day is one, so that it needs no quotes.
func isDate(n *yaml.Node, field protoreflect.FieldDescriptor) bool {
	rules, _ := proto.GetExtension(field.Options(), validate.E_Field).(*validate.FieldRules)
	if rules.GetString().GetPattern() != `^[0-9]{4}-[0-9]{2}-[0-9]{2}$` {
		return false
	}
	_, err := time.Parse(time.DateOnly, n.Value)
	return err == nil
}

func (p *parser) timestamp(n *yaml.Node, field protoreflect.FieldDescriptor) {
	t, err := time.Parse(time.RFC3339Nano, n.Value)
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" && n.Tag != "!!timestamp" || err != nil || t.UTC().Year() < 1 || t.UTC().Year() > 9999 {
		p.at(n, "found %s for %s, expected a time with its zone, such as 2024-01-01T10:00:00Z", describe(n), field.Name())
	}
}
