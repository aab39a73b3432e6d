package access

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/headwaterhq/headwater/expr"
	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/read"
)

// Rules is what restricts readers, whatever roles grant. The zero value restricts nobody.
type Rules struct {
	// Policies are those in force. Of several versions of one, the newest counts.
	Policies []*feature.PolicyVersion
	// Tags tells the tags of columns. Required where there are policies.
	Tags *feature.Tags
	// Revision is that of the registry of which they are.
	Revision int64
	// Region is where this server is. Empty: nobody said, and so nowhere that a policy could ask for.
	Region string
	// Secret is a version of the secret of a mask's key, 0 for the newest. Required where there are policies.
	Secret func(key string, version int) (MaskSecret, error)
	// Views are all versions of a view, and Source is the newest of a source, or nil. Required where there are policies.
	Views  func(name string) []*feature.ViewVersion
	Source func(name string) *feature.SourceVersion
}

// Reading is who reads, and for what.
type Reading struct {
	Principal *Principal
	// Purpose is what the caller said, or empty. Use is one of feature.Uses.
	Purpose, Use string
}

// Restriction is what policies make of one reading of a service.
type Restriction struct {
	// Rows and values. nil: the reader sees all of them.
	*read.Restrictions
	// Policies are those that were asked, NAME@VERSION, in the order of their names: also those that the reading satisfies.
	Policies []string
	// Attributes are those of the reader's that row filters looked at.
	Attributes map[string][]string
}

// Governed reports whether any policy was asked. nil: none was.
func (r *Restriction) Governed() bool { return r != nil && len(r.Policies) > 0 }

// Reads are the restrictions that a read plan takes. nil: none.
func (r *Restriction) Reads() *read.Restrictions {
	if r == nil {
		return nil
	}
	return r.Restrictions
}

// numbers tell policies apart.
var numbers atomic.Int64

// WithRules is the policy with rules that restrict readers.
func (p *Policy) WithRules(r Rules) *Policy {
	newest := map[string]*feature.PolicyVersion{}
	for _, v := range r.Policies {
		if n := newest[v.Name]; n == nil || n.Version < v.Version {
			newest[v.Name] = v
		}
	}
	with := &Policy{roles: p.roles, rules: r, number: numbers.Add(1)}
	with.keyed = fmt.Sprintf("%d ", with.number)
	with.rules.Policies = nil
	for _, name := range slices.Sorted(maps.Keys(newest)) {
		v := newest[name]
		with.rules.Policies = append(with.rules.Policies, v)
		// A filter that does not have the word does not name principal.name; one that has it may not either, which only costs plans.
		with.byName = with.byName || strings.Contains(v.RowFilter, "name")
		with.byPurpose = with.byPurpose || v.Require != nil && len(v.Require.Purposes) > 0 || v.Mask != nil && v.Mask.PerPurpose
	}
	return with
}

// Restricts reports whether there is any policy. Where there is none, nothing is asked for a reading.
func (p *Policy) Restricts() bool { return p != nil && len(p.rules.Policies) > 0 }

// ReadingKey is a text that stands for all of a reading that restrictions depend on, the policy among it: what was made under another one
// is never taken for it. Empty: there are no policies.
func (p *Policy) ReadingKey(r Reading) string {
	if !p.Restricts() {
		return ""
	}
	return string(p.AppendReadingKey(nil, r))
}

// AppendReadingKey appends ReadingKey.
func (p *Policy) AppendReadingKey(dst []byte, r Reading) []byte {
	if !p.Restricts() {
		return dst
	}
	dst = append(append(append(append(dst, p.keyed...), r.Use...), 0), r.Principal.key()...)
	if p.byName {
		dst = append(strconv.AppendInt(append(dst, 0), int64(len(r.Principal.Name)), 10), ':')
		dst = append(dst, r.Principal.Name...)
	}
	if p.byPurpose {
		dst = append(append(dst, 0), r.Purpose...)
	}
	return dst
}

// restrictedKey names what a reading of one version of a service is held to.
type restrictedKey struct {
	reading string
	service *feature.ServiceVersion
}

// Restrict is what a reader of a service, or of what features by reference take, is held to. nil: no policy is about it. A verdict
// says why it may not be read so at all: for its purpose, its use or its region, or since a policy cannot be kept.
func (p *Policy) Restrict(r Reading, s *feature.ServiceVersion) (*Restriction, *Verdict) {
	if !p.Restricts() {
		return nil, nil
	}
	key := restrictedKey{p.ReadingKey(r), s}
	if known, ok := p.restrictions.get(key); ok {
		return known, nil
	}
	restriction, refused := p.restrict(r, s)
	// A service without a name is another one in each request. What is refused is decided anew: callers choose purposes as they like, and a
	// secret that was not to be had may be the next time.
	if s.Name != "" && refused == nil {
		p.restrictions.add(key, restriction, r.Principal.Name, maxCompiled)
	}
	return restriction, refused
}

func (p *Policy) restrict(r Reading, s *feature.ServiceVersion) (*Restriction, *Verdict) {
	views := viewsRead(s)
	b := &restricting{policy: p, reading: r, views: views, asked: map[string]bool{}}
	for _, v := range p.rules.Policies {
		if v.Require == nil || !v.HoldsFor(r.Principal.Roles) {
			continue
		}
		about := p.requirementAbout(v, s, views)
		if about == "" {
			continue
		}
		b.asked[v.Name] = true
		if refused := p.requires(v, about, r); refused != nil {
			return nil, refused
		}
	}
	for _, view := range views {
		if view.OnDemand == nil {
			if refused := b.filter(view); refused != nil {
				return nil, refused
			}
		}
		if refused := b.mask(view); refused != nil {
			return nil, refused
		}
		if view.OnDemand == nil {
			b.maskTimes(view)
		}
	}
	if len(b.asked) == 0 {
		return nil, nil
	}
	restriction := &Restriction{Attributes: b.attributes()}
	if len(b.filters)+len(b.masks)+len(b.times) > 0 {
		restriction.Restrictions = &read.Restrictions{Filters: b.filters, Masks: b.masks, Times: b.times}
	}
	for _, v := range p.rules.Policies {
		if b.asked[v.Name] {
			restriction.Policies = append(restriction.Policies, ref(v))
		}
	}
	return restriction, nil
}

func ref(v *feature.PolicyVersion) string { return fmt.Sprintf("%s@%d", v.Name, v.Version) }

// restricting makes a Restriction.
type restricting struct {
	policy  *Policy
	reading Reading
	// views are those that are read.
	views []*feature.ViewVersion
	// asked are policies by name.
	asked   map[string]bool
	filters map[string]*read.Filter
	masks   map[string]*read.Mask
	times   map[string]*read.Times
	// looked are the attributes that row filters name.
	looked []string
}

// attributes are those that row filters name, as the reader has them, without its name and roles. nil: none.
func (b *restricting) attributes() map[string][]string {
	var of map[string][]string
	all := b.policy.Attributes(b.reading.Principal)
	for _, name := range b.looked {
		if values, ok := all[name]; ok {
			if of == nil {
				of = map[string][]string{}
			}
			of[name] = values
		}
	}
	return of
}

// Attributes are the principal's, those of its roles among them: lists of texts, sorted, each once.
func (p *Policy) Attributes(principal *Principal) map[string][]string {
	all := map[string][]string{}
	add := func(attributes map[string][]string) {
		for name, values := range attributes {
			all[name] = append(all[name], values...)
		}
	}
	add(principal.Attributes)
	for _, r := range principal.Roles {
		if compiled := p.roles[r]; compiled != nil {
			add(compiled.attributes)
		}
	}
	for name, values := range all {
		slices.Sort(values)
		all[name] = slices.Compact(values)
	}
	return all
}

// reader is who a row filter asks about.
func (p *Policy) reader(principal *Principal) *expr.Principal {
	return &expr.Principal{Name: principal.Name, Roles: principal.Roles, Attributes: p.Attributes(principal)}
}

// filter adds the row filters of a view.
func (b *restricting) filter(view *feature.ViewVersion) *Verdict {
	f := filtering{view: view}
	defer func() { b.looked = append(b.looked, f.attributes...) }()
	for _, v := range b.policy.rules.Policies {
		if v.RowFilter == "" || !v.HoldsFor(b.reading.Principal.Roles) || !b.policy.rowsAbout(v, view) {
			continue
		}
		b.asked[v.Name] = true
		if err := f.add(v, b.policy.reader(b.reading.Principal)); err != nil {
			return &Verdict{Reason: err.Error(), remedy: remedyOf(v), rules: []string{ref(v)}}
		}
	}
	f.into(&b.filters)
	return nil
}

// filtering puts the row filters of a view together.
type filtering struct {
	view     *feature.ViewVersion
	combined read.Filter
	parts    []*expr.Bound
	// attributes are those that they name.
	attributes []string
}

// compiledFilter is a policy's row filter over the rows of a view, and the columns that it may look at.
func compiledFilter(v *feature.PolicyVersion, view *feature.ViewVersion) (*expr.Filter, []feature.Column, error) {
	columns := slices.Concat(view.Stored(), []feature.Column{
		{Name: "event_time", Type: feature.TypeTimestamp}, {Name: "available_at", Type: feature.TypeTimestamp},
	})
	filter, problems := expr.CompileFilter(v.RowFilter, columns)
	if len(problems) > 0 {
		return nil, nil, fmt.Errorf("policy %s decides on rows of view %s, and cannot: %s; what it looks at must be a feature or an attribute of the view: "+
			"apply a version that has it, or mend the policy", ref(v), view.Ref(), problems[0].Message)
	}
	return filter, columns, nil
}

// add adds a policy's, unless it is true for every row that the reader may come to.
func (f *filtering) add(v *feature.PolicyVersion, reader *expr.Principal) error {
	filter, columns, err := compiledFilter(v, f.view)
	if err != nil {
		return err
	}
	f.attributes = append(f.attributes, filter.Attributes...)
	bound := filter.Bind(reader)
	if holds, constant := bound.Constant(); constant && holds {
		return nil
	}
	f.combined.Rules = append(f.combined.Rules, read.Rule{Policy: ref(v), About: f.view.Ref(), Does: "rows where " + bound.Words()})
	f.parts = append(f.parts, bound)
	for _, name := range filter.Columns {
		slot := slices.IndexFunc(columns, func(c feature.Column) bool { return c.Name == name })
		switch name {
		case "event_time":
			slot = read.SlotEventTime
		case "available_at":
			slot = read.SlotAvailableAt
		}
		f.combined.Slots = append(f.combined.Slots, slot)
	}
	return nil
}

// into puts the filter, if there is any, where those of the views are.
func (f *filtering) into(filters *map[string]*read.Filter) {
	if len(f.parts) == 0 {
		return
	}
	parts := f.parts
	f.combined.Holds = func(values []feature.Value) bool {
		for _, part := range parts {
			n := part.Columns()
			if !part.Holds(values[:n]) {
				return false
			}
			values = values[n:]
		}
		return true
	}
	if len(parts) == 1 {
		f.combined.Holds = parts[0].Holds
	}
	if *filters == nil {
		*filters = map[string]*read.Filter{}
	}
	(*filters)[f.view.Ref()] = &f.combined
}

// mask adds the masks of the features of a view.
func (b *restricting) mask(view *feature.ViewVersion) *Verdict {
	p := b.policy
	for i := range view.Features {
		f := &view.Features[i]
		var about []*feature.PolicyVersion
		var all []*feature.Mask
		for _, v := range p.rules.Policies {
			if v.Mask == nil || !v.HoldsFor(b.reading.Principal.Roles) || !p.valuesAbout(v, view, f.Name) {
				continue
			}
			b.asked[v.Name] = true
			about, all = append(about, v), append(all, v.Mask)
		}
		if len(all) == 0 {
			continue
		}
		strictest := about[slices.Index(all, Strictest(all, f.Type))]
		secret, err := p.secret(strictest, 0)
		if err != nil {
			return &Verdict{Reason: fmt.Sprintf("policy %s masks %s.%s, and cannot: %v", ref(strictest), view.Ref(), f.Name, err), remedy: remedyOf(strictest), rules: []string{ref(strictest)}}
		}
		if b.masks == nil {
			b.masks = map[string]*read.Mask{}
		}
		ref := view.Ref() + "." + f.Name
		b.masks[ref] = compiledMask(strictest, ref, f.Type, secret, b.reading.Purpose, b.leftOut(all))
	}
	return nil
}

// maskTimes adds the masks of the times of a view's rows: those of their tags. Of a time without a truncation or a constant of its own type
// nothing is shown.
func (b *restricting) maskTimes(view *feature.ViewVersion) {
	p := b.policy
	maskOf := func(column string) *read.Mask {
		var about []*feature.PolicyVersion
		var all []*feature.Mask
		for _, v := range p.rules.Policies {
			if v.Mask != nil && v.HoldsFor(b.reading.Principal.Roles) && p.tagAbout(v, view, column) {
				b.asked[v.Name] = true
				about, all = append(about, v), append(all, v.Mask)
			}
		}
		if len(all) == 0 {
			return nil
		}
		strictest := about[slices.Index(all, Strictest(all, feature.TypeTimestamp))]
		return compiledMask(strictest, view.Ref()+"."+column, feature.TypeTimestamp, MaskSecret{}, b.reading.Purpose, nil)
	}
	if times := (read.Times{EventTime: maskOf("event_time"), AvailableAt: maskOf("available_at")}); times != (read.Times{}) {
		if b.times == nil {
			b.times = map[string]*read.Times{}
		}
		b.times[view.Ref()] = &times
	}
}

// leftOut are the on-demand features of what is read, VIEW.NAME, that each of the masks leaves out.
func (b *restricting) leftOut(masks []*feature.Mask) []string {
	var names []string
	for _, v := range b.views {
		for i := range v.Features {
			name := v.Name + "." + v.Features[i].Name
			if v.OnDemand != nil && !slices.ContainsFunc(masks, func(m *feature.Mask) bool {
				return !slices.ContainsFunc(m.ComputeUnmasked, func(pattern string) bool { return feature.MatchesPattern(pattern, name) })
			}) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// secret is that of a policy's mask: a version of it, or the newest, 0. Of a mask without a key it is none.
func (p *Policy) secret(v *feature.PolicyVersion, version int) (MaskSecret, error) {
	if v.Mask.Kind != feature.MaskHash {
		return MaskSecret{}, nil
	}
	return p.rules.Secret(v.Mask.Key, version)
}

// compiledMask is what a policy's mask does to a feature of a type.
func compiledMask(v *feature.PolicyVersion, about string, t feature.Type, secret MaskSecret, purpose string, unmasked []string) *read.Mask {
	m := v.Mask
	rule := read.Rule{Policy: ref(v), About: about, Does: m.String(), KeyVersion: secret.Version, Unmasked: unmasked}
	if m.Kind == feature.MaskHash && m.PerPurpose {
		rule.Does += fmt.Sprintf(" (%q)", purpose)
	}
	if !m.Fits(t) {
		rule.Does, rule.KeyVersion = feature.MaskRedact.String(), 0
	}
	return &read.Mask{
		Apply: CompileMask(m, t, secret, purpose), AppendText: compileTextMask(m, t, secret, purpose), Rule: rule, Redacts: m.Kind == feature.MaskRedact || !m.Fits(t),
	}
}

// rowsAbout reports whether a row filter is about the rows of a view. One about a source is about those of spines that are read from it.
func (p *Policy) rowsAbout(v *feature.PolicyVersion, view *feature.ViewVersion) bool {
	return slices.ContainsFunc(v.Resources, func(r feature.ResourcePattern) bool {
		switch r.Kind {
		case "view":
			return feature.MatchesPattern(r.Name, view.Name)
		case "tag":
			return slices.ContainsFunc(p.rules.Tags.View(view), func(tag string) bool { return feature.MatchesPattern(r.Name, tag) })
		}
		return false
	})
}

// valuesAbout reports whether a mask is about a feature.
func (p *Policy) valuesAbout(v *feature.PolicyVersion, view *feature.ViewVersion, name string) bool {
	return slices.ContainsFunc(v.Resources, func(r feature.ResourcePattern) bool {
		switch r.Kind {
		case "view":
			return feature.MatchesPattern(r.Name, view.Name)
		case "feature":
			return feature.MatchesPattern(r.Name, view.Name+"."+name)
		}
		return false
	}) || p.tagAbout(v, view, name)
}

// tagAbout reports whether a policy is about a tag that a column of a view has.
func (p *Policy) tagAbout(v *feature.PolicyVersion, view *feature.ViewVersion, column string) bool {
	return slices.ContainsFunc(v.Resources, func(r feature.ResourcePattern) bool {
		return r.Kind == "tag" && slices.ContainsFunc(p.rules.Tags.Column(view, column), func(t feature.ColumnTag) bool { return feature.MatchesPattern(r.Name, t.Tag) })
	})
}

// requirementAbout is what of a service a requirement is about, as a node: the service, a view that it reads, or a source of such a
// view. Empty: nothing.
func (p *Policy) requirementAbout(v *feature.PolicyVersion, s *feature.ServiceVersion, views []*feature.ViewVersion) string {
	for _, r := range v.Resources {
		if r.Kind == "service" && s.Name != "" && feature.MatchesPattern(r.Name, s.Name) ||
			r.Kind == "tag" && slices.ContainsFunc(s.Tags, func(tag string) bool { return feature.MatchesPattern(r.Name, tag) }) {
			return resource(KindService, s.Ref())
		}
		for _, view := range views {
			if about := p.requirementAboutView(r, view); about != "" {
				return about
			}
		}
	}
	return ""
}

func (p *Policy) requirementAboutView(r feature.ResourcePattern, view *feature.ViewVersion) string {
	tagged := func(tag string) bool { return feature.MatchesPattern(r.Name, tag) }
	switch r.Kind {
	case "view":
		if feature.MatchesPattern(r.Name, view.Name) {
			return resource(KindView, view.Ref())
		}
	case "tag":
		if slices.ContainsFunc(p.rules.Tags.View(view), tagged) {
			return resource(KindView, view.Ref())
		}
		for _, column := range view.TaggedColumns() {
			if slices.ContainsFunc(p.rules.Tags.Column(view, column), func(t feature.ColumnTag) bool { return tagged(t.Tag) }) {
				return resource(KindView, view.Ref())
			}
		}
		for _, source := range sourcesOf(view) {
			if slices.ContainsFunc(source.Tags, tagged) {
				return resource(KindSource, source.Name)
			}
		}
	case "source":
		for _, source := range sourcesOf(view) {
			if feature.MatchesPattern(r.Name, source.Name) {
				return resource(KindSource, source.Name)
			}
		}
	}
	return ""
}

// sourcesOf are the sources that a view is made of, itself or through others.
func sourcesOf(view *feature.ViewVersion) []*feature.SourceVersion {
	var sources []*feature.SourceVersion
	seen := map[*feature.ViewVersion]bool{}
	var follow func(v *feature.ViewVersion)
	follow = func(v *feature.ViewVersion) {
		if seen[v] {
			return
		}
		seen[v] = true
		sources = append(sources, v.SourceVersions...)
		for _, w := range v.ViewVersions {
			follow(w)
		}
	}
	follow(view)
	return sources
}

// requires is why a reading does not do what a policy requires, or nil.
func (p *Policy) requires(v *feature.PolicyVersion, about string, r Reading) *Verdict {
	q := v.Require
	refuse := func(format string, args ...any) *Verdict {
		reason := fmt.Sprintf("policy %s of %s %s", ref(v), about, fmt.Sprintf(format, args...))
		if q.Licence != "" {
			reason += "; its terms: " + q.Licence
		}
		return &Verdict{Reason: reason, remedy: remedyOf(v), rules: []string{ref(v)}}
	}
	switch {
	case len(q.Purposes) > 0 && !slices.Contains(q.Purposes, r.Purpose):
		found := "none"
		if r.Purpose != "" {
			found = r.Purpose
		}
		return refuse("asks for a purpose, found %s, expected one of %s; say it with --purpose", found, strings.Join(q.Purposes, ", "))
	case len(q.Uses) > 0 && !slices.Contains(q.Uses, r.Use):
		return refuse("allows the use for %s, found %s", strings.Join(q.Uses, ", "), r.Use)
	case len(q.Regions) > 0 && !slices.Contains(q.Regions, p.rules.Region):
		found := "a server that was not told its region (HEADWATER_REGION)"
		if p.rules.Region != "" {
			found = "a server in " + p.rules.Region
		}
		return refuse("is served in %s, found %s", strings.Join(q.Regions, ", "), found)
	}
	return nil
}

// remedyOf is what can be done about a denial by a policy.
func remedyOf(v *feature.PolicyVersion) string {
	if v.Owner == "" {
		return "whoever administers the policies can change that"
	}
	return "ask " + v.Owner
}
