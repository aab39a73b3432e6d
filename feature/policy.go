package feature

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Policy is a rule about what those see who may read. It restricts, and grants nothing.
type Policy struct {
	Name string
	// Resources are what it is about, at least one: KIND:NAME with `*` for any characters, or `tag:TAG`. The kinds are those of
	// PolicyKinds.
	Resources []ResourcePattern
	// Roles are whose holders it holds for; empty: for everyone. It does not hold for who has one of ExceptRoles.
	Roles, ExceptRoles []string
	// Exactly one of the three is set.
	RowFilter string
	Mask      *Mask
	Require   *Requirement
	Docs
}

// PolicyKinds lists what a policy can be about.
func PolicyKinds() []string { return []string{"view", "source", "service", "feature", "tag"} }

// HoldsFor reports whether the policy holds for who has these roles.
func (p *Policy) HoldsFor(roles []string) bool {
	has := func(role string) bool { return slices.Contains(roles, role) }
	return (len(p.Roles) == 0 || slices.ContainsFunc(p.Roles, has)) && !slices.ContainsFunc(p.ExceptRoles, has)
}

// MaskKind says what a mask does. Of several masks of one value the one of the smallest kind holds: they are in the order of what
// they hide.
type MaskKind uint8

// The kinds of masks.
const (
	MaskRedact MaskKind = iota + 1
	MaskConstant
	MaskHash
	MaskPartial
	MaskBucket
	MaskRound
	MaskTruncate
)

var maskKinds = [...]string{"", "redact", "constant", "hash", "partial", "bucket", "round", "truncate"}

// String is the kind as definitions write it.
func (k MaskKind) String() string { return maskKinds[k] }

// Mask is what is shown in place of a value. The type stays.
type Mask struct {
	Kind MaskKind
	// Constant is of MaskConstant.
	Constant Literal
	// Key names the secret of MaskHash, and PerPurpose says that each purpose has hashes of its own.
	Key        string
	PerPurpose bool
	// First and Last are how many characters MaskPartial shows at the ends, and With is what stands for each other one.
	First, Last int
	With        string
	// To is the number whose multiples MaskRound shows, or the unit of MaskTruncate.
	To string
	// Bounds are those of MaskBucket, ascending.
	Bounds []string
	// ComputeUnmasked are on-demand features, VIEW.NAME with `*` for any characters, that are computed of the values as they are.
	ComputeUnmasked []string
}

// TruncateUnits lists the units of MaskTruncate.
func TruncateUnits() []string {
	return []string{"minute", "hour", "day", "week", "month", "quarter", "year"}
}

// Fits reports whether the mask shows something of values of a type; of others it shows NULL.
func (m *Mask) Fits(t Type) bool {
	switch m.Kind {
	case MaskConstant:
		v, err := ValueOf(m.Constant, t)
		return err == nil && !v.IsNull()
	case MaskHash:
		return t == TypeString || t == TypeInt64 || t == TypeBytes
	case MaskPartial:
		return t == TypeString
	case MaskBucket, MaskRound:
		return t == TypeInt64 || t == TypeFloat64 || t.Kind() == TypeDecimal
	case MaskTruncate:
		return t == TypeTimestamp
	}
	return true
}

// String says what the mask does, for people.
func (m *Mask) String() string {
	text := m.Kind.String()
	switch m.Kind {
	case MaskConstant:
		// What a YAML file holds has a JSON form.
		constant, _ := json.Marshal(m.Constant)
		text += " " + string(constant)
	case MaskHash:
		text += " by key " + m.Key
		if m.PerPurpose {
			text += ", of each purpose apart"
		}
	case MaskPartial:
		text += fmt.Sprintf(" but for the first %d and the last %d characters", m.First, m.Last)
	case MaskBucket:
		text += " at " + strings.Join(m.Bounds, ", ")
	case MaskRound, MaskTruncate:
		text += " to " + m.To
	}
	return text
}

// The uses that a licence allows.
const (
	UseServing  = "serving"
	UseTraining = "training"
	UseExport   = "export"
)

// Uses lists them.
func Uses() []string { return []string{UseServing, UseTraining, UseExport} }

// Requirement is what a read must be for, and where it is served. An empty list asks for nothing.
type Requirement struct {
	Purposes, Uses, Regions []string
	// Licence is its terms, in words or as a link.
	Licence string
}

// Declassification says that tags of what a column is made of stop at it.
type Declassification struct {
	// Column is a feature or an attribute.
	Column string
	Tags   []string
	Reason string
}

// DefaultElevation is how long an elevation may be where the role does not say.
const DefaultElevation = time.Hour

// policy reports what is wrong with a policy. Whether a row filter compiles is for who knows the columns of the views.
func (v *validation) policy(p *Policy) {
	if len(p.Resources) == 0 {
		v.add("resources", "found no resources, expected some, such as view:* or tag:pii")
	}
	kinds := p.kinds()
	for i, r := range p.Resources {
		field := fmt.Sprintf("resources[%d]", i)
		switch {
		case !slices.Contains(PolicyKinds(), r.Kind):
			v.add(field, "found a resource of kind %s, expected one of %s%s", r.Kind, strings.Join(PolicyKinds(), ", "), near(r.Kind, PolicyKinds()))
		case !slices.Contains(kinds, r.Kind):
			v.add(field, "found %s, expected one of %s: %s", r, strings.Join(kinds, ", "), p.onlyOf())
		default:
			if message := r.check(); message != "" {
				v.add(field, "%s", message)
			}
		}
	}
	for i, role := range p.Roles {
		if slices.Contains(p.ExceptRoles, role) {
			v.add(fmt.Sprintf("roles[%d]", i), "found role %s, which is excepted too, expected it in one of the two", role)
		}
	}
	switch {
	case p.Mask != nil:
		v.mask(p.Mask)
	case p.Require != nil:
		v.requirement(p.Require)
	case p.RowFilter == "":
		v.add("row_filter", "found no rule, expected row_filter, mask or require")
	}
}

// kinds are what a policy with this rule can be about.
func (p *Policy) kinds() []string {
	switch {
	case p.Mask != nil:
		return []string{"view", "source", "feature", "tag"}
	case p.Require != nil:
		return []string{"view", "source", "service", "tag"}
	}
	return []string{"view", "source", "tag"}
}

func (p *Policy) onlyOf() string {
	switch {
	case p.Mask != nil:
		return "a mask is about values"
	case p.Require != nil:
		return "what a read must be for is asked of views, sources and services"
	}
	return "a row filter is about rows of views and sources"
}

func (v *validation) mask(m *Mask) {
	switch m.Kind {
	case MaskConstant:
		if m.Constant == nil {
			v.add("mask.constant", "found null, expected a value; write redact: {} for NULL")
		}
	case MaskHash:
		if message := checkName(m.Key); message != "" {
			v.add("mask.hash.key", "%s", message)
		}
	case MaskPartial:
		if m.First < 0 || m.Last < 0 {
			v.add("mask.partial", "found %d first and %d last characters, expected none or more", m.First, m.Last)
		}
	case MaskRound:
		if !positiveNumber(m.To) {
			v.add("mask.round.to", "found %q, expected a number above 0, such as 10 or 0.05", m.To)
		}
	case MaskBucket:
		v.bucketBounds(m.Bounds)
	case MaskTruncate:
		if units := TruncateUnits(); !slices.Contains(units, m.To) {
			v.add("mask.truncate.to", "found %q, expected one of %s%s", m.To, strings.Join(units, ", "), near(m.To, units))
		}
	case MaskRedact:
	default:
		v.add("mask", "found none, expected one of %s", strings.Join(maskKinds[1:], ", "))
	}
	for i, pattern := range m.ComputeUnmasked {
		if view, name, ok := strings.Cut(pattern, "."); !ok || view == "" || name == "" {
			v.add(fmt.Sprintf("mask.compute_unmasked[%d]", i), "found %q, expected VIEW.FEATURE, such as risk.score", pattern)
		}
	}
}

func (v *validation) bucketBounds(bounds []string) {
	if len(bounds) == 0 {
		v.add("mask.bucket.bounds", "found none, expected some numbers, ascending")
	}
	for i := range bounds {
		at := fmt.Sprintf("mask.bucket.bounds[%d]", i)
		b, ok := ExactNumber(bounds[i])
		if !ok {
			v.add(at, "found %q, expected a number, such as 100 or 0.5", bounds[i])
			return
		}
		if i > 0 {
			if a, _ := ExactNumber(bounds[i-1]); a.Cmp(b) >= 0 {
				v.add(at, "found %s after %s, expected ascending numbers", bounds[i], bounds[i-1])
				return
			}
		}
	}
}

func (v *validation) requirement(r *Requirement) {
	if len(r.Purposes)+len(r.Uses)+len(r.Regions) == 0 {
		v.add("require", "found nothing that is asked for, expected purposes, uses or regions")
	}
	for i, use := range r.Uses {
		if uses := Uses(); !slices.Contains(uses, use) {
			v.add(fmt.Sprintf("require.uses[%d]", i), "found the use %q, expected one of %s%s", use, strings.Join(uses, ", "), near(use, uses))
		}
	}
	for _, list := range []struct {
		field  string
		values []string
	}{{"purposes", r.Purposes}, {"regions", r.Regions}} {
		for i, value := range list.values {
			if strings.TrimSpace(value) == "" {
				v.add(fmt.Sprintf("require.%s[%d]", list.field, i), "found an empty text, expected a name")
			}
		}
	}
}

// declassify reports what is wrong with where a view stops tags.
func (v *validation) declassify(w *View) {
	for i := range w.Declassify {
		d := &w.Declassify[i]
		at := fmt.Sprintf("declassify[%d]", i)
		if findColumn(w.Features, d.Column) == nil && findColumn(w.Attributes, d.Column) == nil {
			names := append(columnNames(w.Features), columnNames(w.Attributes)...)
			v.add(at+".column", "found %s, which is no feature and no attribute of the view%s", d.Column, near(d.Column, names))
		}
		if len(d.Tags) == 0 {
			v.add(at+".tags", "found no tags, expected those that stop at the column")
		}
		if strings.TrimSpace(d.Reason) == "" {
			v.add(at+".reason", "found no reason, expected why the tags may stop")
		}
	}
}

// roleAttributes reports what is wrong with the attributes of a role.
func (v *validation) roleAttributes(r *Role) {
	for name, values := range r.Attributes {
		if message := checkName(name); message != "" {
			v.add("attributes."+name, "%s", message)
		}
		if name == "name" || name == "roles" {
			v.add("attributes."+name, "found the attribute %s, which is the principal's own, expected another name", name)
		}
		for i, value := range values {
			if value == "" {
				v.add(fmt.Sprintf("attributes.%s[%d]", name, i), "found an empty text, expected a value")
			}
		}
	}
	for i, to := range r.MayElevateTo {
		if message := checkName(to); message != "" {
			v.add(fmt.Sprintf("may_elevate_to[%d]", i), "%s", message)
		}
	}
	if r.MaxElevation != 0 && len(r.MayElevateTo) == 0 {
		v.add("max_elevation", "found %s and no roles in may_elevate_to, expected both or none", r.MaxElevation)
	}
}

// Fingerprint is the policy's fingerprint: its name and what it says.
func (p *Policy) Fingerprint() Digest {
	e := newEncoding(KindPolicy, p.Name)
	resources := make([]string, len(p.Resources))
	for i, r := range p.Resources {
		resources[i] = r.String()
	}
	e.texts(sortedSet(resources))
	e.texts(sortedSet(p.Roles))
	e.texts(sortedSet(p.ExceptRoles))
	e.text(canonicalCEL(p.RowFilter))
	e.flag(p.Mask != nil)
	if m := p.Mask; m != nil {
		e.text(m.Kind.String())
		// What a YAML file holds has a JSON form.
		constant, _ := json.Marshal(m.Constant)
		e.text(string(constant))
		e.text(m.Key)
		e.flag(m.PerPurpose)
		e.text(strconv.Itoa(m.First))
		e.text(strconv.Itoa(m.Last))
		e.text(m.With)
		e.text(m.To)
		e.texts(m.Bounds)
		e.texts(sortedSet(m.ComputeUnmasked))
	}
	e.flag(p.Require != nil)
	if r := p.Require; r != nil {
		e.texts(sortedSet(r.Purposes))
		e.texts(sortedSet(r.Uses))
		e.texts(sortedSet(r.Regions))
	}
	return e.sum()
}

// DiffPolicy is what differs from before to after.
func DiffPolicy(before, after *PolicyVersion) Difference {
	d := Difference{WordsOnly: before.Fingerprint == after.Fingerprint}
	d.names("resources", patternTexts(before.Resources), patternTexts(after.Resources))
	d.names("roles", before.Roles, after.Roles)
	d.names("except_roles", before.ExceptRoles, after.ExceptRoles)
	d.field("row_filter", before.RowFilter, after.RowFilter)
	d.field("mask", before.Mask.text(), after.Mask.text())
	d.field("require", before.Require.text(), after.Require.text())
	d.docs(&before.Docs, &after.Docs)
	return d
}

func patternTexts(patterns []ResourcePattern) []string {
	texts := make([]string, len(patterns))
	for i, p := range patterns {
		texts[i] = p.String()
	}
	return texts
}

// text is all that the mask says, or empty for none.
func (m *Mask) text() string {
	if m == nil {
		return ""
	}
	text := m.String()
	if m.Kind == MaskPartial && m.With != "" {
		text += ", with " + strconv.Quote(m.With)
	}
	if len(m.ComputeUnmasked) > 0 {
		text += "; unmasked in " + strings.Join(sortedSet(m.ComputeUnmasked), ", ")
	}
	return text
}

// text is what the requirement asks for, or empty for none.
func (r *Requirement) text() string {
	if r == nil {
		return ""
	}
	var parts []string
	for _, part := range []struct {
		name   string
		values []string
	}{{"purpose", r.Purposes}, {"use", r.Uses}, {"region", r.Regions}} {
		if len(part.values) > 0 {
			parts = append(parts, fmt.Sprintf("%s out of %s", part.name, strings.Join(sortedSet(part.values), ", ")))
		}
	}
	if r.Licence != "" {
		parts = append(parts, "licence "+r.Licence)
	}
	return strings.Join(parts, "; ")
}

// ExactNumber reads a number as policies write them: digits with a sign and a point, no exponent.
func ExactNumber(s string) (*big.Rat, bool) {
	digits := strings.TrimPrefix(s, "-")
	whole, fraction, point := strings.Cut(digits, ".")
	if len(digits) > 40 || whole == "" || point && fraction == "" || strings.Trim(whole+fraction, "0123456789") != "" {
		return nil, false
	}
	return new(big.Rat).SetString(s)
}

func positiveNumber(s string) bool {
	n, ok := ExactNumber(s)
	return ok && n.Sign() > 0
}

// declassified is where tags stop, one line each.
func declassified(list []Declassification) []string {
	var lines []string
	for _, d := range list {
		lines = append(lines, fmt.Sprintf("%s without %s (%s)", d.Column, strings.Join(sortedSet(d.Tags), ", "), d.Reason))
	}
	return lines
}
