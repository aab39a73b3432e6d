package feature

import (
	"fmt"
	"slices"
	"strings"
)

// actions and resourceKinds are the closed lists of the proto's Action and ResourceKind, as grants write them.
var (
	actions = []string{
		"read_online", "read_offline", "list", "register", "materialize", "ingest", "read_lineage", "read_audit", "administer",
		"approve",
	}
	resourceKinds = []string{"catalog", "entity", "source", "view", "service", "role", "dataset", "run", "system", "feature", "policy", "tag", "model", "consumer"}
)

// Actions lists what a grant can allow, in the order of the proto's Action.
func Actions() []string { return slices.Clone(actions) }

// ResourceKinds lists what kinds of things a grant can name, in the order of the proto's ResourceKind.
func ResourceKinds() []string { return slices.Clone(resourceKinds) }

// ParseResourcePattern reads `KIND:NAME`. Whether there is such a kind is for Validate to say.
func ParseResourcePattern(s string) (ResourcePattern, error) {
	kind, name, ok := strings.Cut(s, ":")
	if !ok || kind == "" || name == "" {
		return ResourcePattern{}, fmt.Errorf("found the resource %q, expected KIND:NAME, such as view:airport_* or service:*", s)
	}
	return ResourcePattern{Kind: kind, Name: name}, nil
}

// check says what is wrong with the pattern's name, or "".
func (p ResourcePattern) check() string {
	if p.Name == "" {
		return fmt.Sprintf("found the resource %q without a name, expected KIND:NAME, such as %s:*", p, p.Kind)
	}
	if i := strings.IndexFunc(p.Name, func(r rune) bool { return r <= ' ' || r == 0x7f }); i >= 0 {
		return fmt.Sprintf("found white space in the resource %q, expected KIND:NAME without any", p)
	}
	if strings.Contains(p.Name, "@") {
		return fmt.Sprintf("found a version in the resource %q, expected KIND:NAME: grants are on names, whatever the version", p)
	}
	if (p.Kind == "catalog" || p.Kind == "system") && p.Name != "*" {
		return fmt.Sprintf("found the resource %q, expected %s:*: there is one %s", p, p.Kind, p.Kind)
	}
	return ""
}
