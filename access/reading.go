package access

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/headwaterhq/headwater/expr"
	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/read"
)

// reading is what the caller reads for a use.
func (s *Session) reading(use string) Reading {
	s.mu.Lock()
	defer s.mu.Unlock()
	if use == feature.UseTraining && s.use != "" {
		use = s.use
	}
	return Reading{Principal: s.principal, Purpose: s.purpose, Use: use}
}

// AppendReadingKey appends Policy.ReadingKey of the caller's reading for a use.
func (s *Session) AppendReadingKey(dst []byte, use string) []byte {
	if !s.policy.Restricts() {
		return dst
	}
	return s.policy.AppendReadingKey(dst, s.reading(use))
}

// Restrict is what the caller is held to in reading a service, or what features by reference take, for a use; see Policy.Restrict. nil:
// to nothing. A PERMISSION_DENIED fault says why it may not be read so at all.
func (s *Session) Restrict(action Action, use string, service *feature.ServiceVersion) (*Restriction, error) {
	if !s.policy.Restricts() {
		return nil, nil
	}
	restriction, refused := s.policy.Restrict(s.reading(use), service)
	if refused != nil {
		return nil, s.settle(action, readResource(service), *refused)
	}
	return restriction, nil
}

// MayHave reports, without a record, whether the caller's own policies allow all that a dataset of a service was built with under rules.
func (s *Session) MayHave(service *feature.ServiceVersion, built []read.Rule) bool {
	beyond, refused := s.Beyond(service, built)
	return refused == "" && len(beyond) == 0
}

// Beyond are, without a record, the rules of the caller's own policies that hide what something of a service was read with under rules.
// refused is why the caller may not read the service at all, or empty.
func (s *Session) Beyond(service *feature.ServiceVersion, built []read.Rule) (beyond []read.Rule, refused string) {
	if !s.policy.Restricts() {
		return nil, ""
	}
	restriction, verdict := s.policy.Restrict(s.reading(feature.UseTraining), service)
	if verdict != nil {
		return nil, verdict.Reason
	}
	plan, err := read.NewRestrictedPlan(restriction.Reads(), service, nil, "")
	if err != nil {
		return nil, "this version of Headwater cannot read it"
	}
	for _, rule := range plan.Rules() {
		if Beyond([]read.Rule{rule}, built) != nil {
			beyond = append(beyond, rule)
		}
	}
	return beyond, ""
}

// Deny records that something is denied, for a reason that policies give, and returns the fault with what to do about it.
func (s *Session) Deny(action Action, kind Kind, name, reason, remedy string) error {
	return s.settle(action, resource(kind, name), Verdict{Reason: reason, remedy: remedy})
}

// Attributes are all that policies know of the caller, where there are any policies.
func (s *Session) Attributes() map[string][]string {
	if !s.policy.Restricts() {
		return nil
	}
	return s.policy.Attributes(s.principal)
}

// Policy is the one in force when the call began.
func (s *Session) Policy() *Policy { return s.policy }

// text says which policies were asked, and which of them hide something.
func (r *Restriction) text() string { return policiesText(r.Policies, r.Restrictions != nil) }

func policiesText(policies []string, hide bool) string {
	if !hide {
		return "policies " + strings.Join(policies, ", ") + ", which hide nothing"
	}
	return "policies " + strings.Join(policies, ", ")
}

// readResource is what is read, for a record.
func readResource(service *feature.ServiceVersion) string {
	if service.Name != "" {
		return resource(KindService, service.Ref())
	}
	var refs []string
	for _, v := range viewsRead(service) {
		refs = append(refs, v.Ref())
	}
	return resource(KindView, strings.Join(refs, ","))
}

// RequireRows is Require of read_offline for a view or a source as a whole: rows of it are shown, or read by what the caller makes, with
// nothing that policies hide from the caller hidden. Where one hides something, that is a denial.
func RequireRows(ctx context.Context, kind Kind, name string) error {
	s, err := session(ctx)
	if err != nil {
		return err
	}
	if err := s.Require(ActionReadOffline, kind, name); err != nil {
		return err
	}
	if v := s.hidden(kind, name); v != nil {
		return s.settle(ActionReadOffline, resource(kind, name), *v)
	}
	return nil
}

// RequireMaterial is RequireRows for a view or a source that the caller's SQL or aggregation makes rows of: whoever sees what is made may
// learn what is hidden.
func RequireMaterial(ctx context.Context, kind Kind, name string) error {
	s, err := session(ctx)
	if err != nil {
		return err
	}
	if err := s.Require(ActionReadOffline, kind, name); err != nil {
		return err
	}
	v := s.policy.hiding(s.principal, kind, bare(name))
	if v == nil {
		return nil
	}
	who := "somebody for whom it does not hold"
	if len(v.ExceptRoles) > 0 {
		who += " (it excepts the roles " + strings.Join(v.ExceptRoles, ", ") + ")"
	}
	return s.settle(ActionReadOffline, resource(kind, name), Verdict{
		Reason: fmt.Sprintf("policy %s hides some of %s from you, and what is made of its rows would show that", ref(v), resource(kind, name)),
		remedy: "let the change be applied by " + who + ", or have a role of yours excepted: " + remedyOf(v), rules: []string{ref(v)},
	})
}

// RequireInput is Require of read_offline for a view that on-demand features, VIEW.NAME, are computed of. Where a mask hides some of it
// from the caller and leaves one of them out, that is a denial: it would be computed of what is hidden.
func RequireInput(ctx context.Context, view string, computed []string) error {
	s, err := session(ctx)
	if err != nil {
		return err
	}
	if err := s.Require(ActionReadOffline, KindView, view); err != nil || !s.policy.Restricts() {
		return err
	}
	for _, v := range s.policy.rules.Policies {
		if v.Mask == nil || !v.HoldsFor(s.principal.Roles) || !s.policy.hidesOf(v, KindView, view) {
			continue
		}
		for _, name := range computed {
			if slices.ContainsFunc(v.Mask.ComputeUnmasked, func(pattern string) bool { return feature.MatchesPattern(pattern, name) }) {
				return s.settle(ActionReadOffline, resource(KindView, view), Verdict{Reason: fmt.Sprintf(
					"policy %s hides some of %s from you, and leaves out %s, which would be computed of it", ref(v), resource(KindView, view), name), remedy: remedyOf(v), rules: []string{ref(v)}})
			}
		}
	}
	return nil
}

// RequireTerms denies where a policy asks more of a reading of a source for a use than the caller's is: another purpose, use or region.
func RequireTerms(ctx context.Context, use, source string) error {
	s, err := session(ctx)
	if err != nil {
		return err
	}
	if !s.policy.Restricts() {
		return nil
	}
	if v := s.policy.terms(s.reading(use), bare(source)); v != nil {
		return s.settle(ActionReadOffline, resource(KindSource, source), *v)
	}
	return nil
}

// terms is why a reading of a source by itself does not do what policies require, or nil.
func (p *Policy) terms(r Reading, source string) *Verdict {
	newest := p.rules.Source(source)
	if newest == nil {
		return nil
	}
	for _, v := range p.rules.Policies {
		if v.Require == nil || !v.HoldsFor(r.Principal.Roles) || !p.aboutSource(v, newest) {
			continue
		}
		if refused := p.requires(v, resource(KindSource, source), r); refused != nil {
			return refused
		}
	}
	return nil
}

// AllowsRows is RequireRows without a record.
func AllowsRows(ctx context.Context, kind Kind, name string) bool {
	s := SessionFrom(ctx)
	return s != nil && s.Allows(ActionReadOffline, kind, name) && s.hidden(kind, name) == nil
}

// AllowsServiceRows reports, without a record, whether the caller may read all that a service reads, with nothing of it hidden and with what
// policies ask of a reading given.
func AllowsServiceRows(ctx context.Context, service *feature.ServiceVersion) bool {
	if s := SessionFrom(ctx); s != nil && s.policy.Restricts() {
		if _, refused := s.policy.Restrict(s.reading(feature.UseTraining), service); refused != nil {
			return false
		}
	}
	return AllowsService(ctx, ActionReadOffline, service) && !slices.ContainsFunc(viewsRead(service), func(v *feature.ViewVersion) bool {
		return SessionFrom(ctx).hidden(KindView, v.Name) != nil
	})
}

// Hides reports whether a policy hides rows or values of a view or a source from the caller.
func Hides(ctx context.Context, kind Kind, name string) bool {
	s := SessionFrom(ctx)
	return s == nil || s.hidden(kind, name) != nil
}

// hidden is why the caller does not see all rows and values of a view or a source. nil: no policy hides any.
func (s *Session) hidden(kind Kind, name string) *Verdict {
	return s.policy.hides(s.principal, kind, bare(name))
}

func (p *Policy) hides(principal *Principal, kind Kind, name string) *Verdict {
	v := p.hiding(principal, kind, name)
	if v == nil {
		return nil
	}
	return &Verdict{Reason: fmt.Sprintf("policy %s hides some of %s, which is shown whole or not at all here", ref(v), resource(kind, name)), remedy: remedyOf(v), rules: []string{ref(v)}}
}

// hiding is the first policy that hides rows or values of a view or a source from a principal, nil for none.
func (p *Policy) hiding(principal *Principal, kind Kind, name string) *feature.PolicyVersion {
	if !p.Restricts() {
		return nil
	}
	for _, v := range p.rules.Policies {
		if v.Require == nil && v.HoldsFor(principal.Roles) && p.hidesOf(v, kind, name) {
			return v
		}
	}
	return nil
}

// hidesOf reports whether a policy hides rows or values of any version of a view, or of a source.
func (p *Policy) hidesOf(v *feature.PolicyVersion, kind Kind, name string) bool {
	switch kind {
	case KindView:
		for _, view := range p.rules.Views(name) {
			if v.RowFilter != "" && p.rowsAbout(v, view) {
				return true
			}
			if v.Mask != nil && slices.ContainsFunc(slices.Concat(view.Features, view.Attributes), func(c feature.Column) bool { return p.valuesAbout(v, view, c.Name) }) {
				return true
			}
			if v.Mask != nil && (p.tagAbout(v, view, "event_time") || p.tagAbout(v, view, "available_at")) {
				return true
			}
		}
	case KindSource:
		source := p.rules.Source(name)
		if source == nil {
			return false
		}
		return p.aboutSource(v, source)
	}
	return false
}

// aboutSource reports whether a policy is about a source, or about a tag of it; where it does not filter rows, also about one of its columns'.
func (p *Policy) aboutSource(v *feature.PolicyVersion, source *feature.SourceVersion) bool {
	return slices.ContainsFunc(v.Resources, func(r feature.ResourcePattern) bool {
		switch r.Kind {
		case "source":
			return feature.MatchesPattern(r.Name, source.Name)
		case "tag":
			return slices.ContainsFunc(source.Tags, func(tag string) bool { return feature.MatchesPattern(r.Name, tag) }) ||
				v.RowFilter == "" && slices.ContainsFunc(source.Columns, func(c feature.Column) bool {
					return slices.ContainsFunc(p.rules.Tags.Source(source, c.Name), func(t feature.ColumnTag) bool { return feature.MatchesPattern(r.Name, t.Tag) })
				})
		}
		return false
	})
}

// AsBuilt is the restrictions of which the rules are, of a reading of a service that was made before: of the policies, the secrets, the
// purpose and the reader, with all attributes, as they were then. at finds a policy by NAME@VERSION, also one that was removed. An
// error says what cannot be followed any more.
func (p *Policy) AsBuilt(rules []read.Rule, reader *expr.Principal, purpose string, service *feature.ServiceVersion, at func(ref string) *feature.PolicyVersion) (*read.Restrictions, error) {
	if len(rules) == 0 {
		return nil, nil
	}
	built := &read.Restrictions{}
	filters := map[string]*filtering{}
	for _, rule := range rules {
		v := at(rule.Policy)
		if v == nil {
			return nil, fmt.Errorf("policy %s, under which it was read, is not there", rule.Policy)
		}
		about, name, masks := strings.Cut(rule.About, ".")
		i := slices.IndexFunc(viewsRead(service), func(w *feature.ViewVersion) bool { return w.Ref() == about })
		if i < 0 {
			return nil, fmt.Errorf("policy %s is about %s, which is not read", rule.Policy, rule.About)
		}
		view := viewsRead(service)[i]
		if !masks {
			if filters[about] == nil {
				filters[about] = &filtering{view: view}
			}
			if err := filters[about].add(v, reader); err != nil {
				return nil, err
			}
			continue
		}
		at := view.FeatureIndex(name)
		if at < 0 || v.Mask == nil {
			return nil, fmt.Errorf("policy %s does not mask %s", rule.Policy, rule.About)
		}
		secret, err := p.secret(v, rule.KeyVersion)
		if err != nil {
			return nil, err
		}
		if built.Masks == nil {
			built.Masks = map[string]*read.Mask{}
		}
		built.Masks[rule.About] = compiledMask(v, rule.About, view.Features[at].Type, secret, purpose, rule.Unmasked)
	}
	for _, f := range filters {
		f.into(&built.Filters)
	}
	return built, nil
}

// Beyond is the first of a reader's rules that is not among those that something was read by: what it hides may be seen there. nil: there
// is none, and whoever has these rules may see it. A hash by another version of its key hides as much.
func Beyond(rules, kept []read.Rule) *read.Rule {
	for i := range rules {
		if !slices.ContainsFunc(kept, func(k read.Rule) bool {
			k.KeyVersion = rules[i].KeyVersion
			return k.Same(&rules[i])
		}) {
			return &rules[i]
		}
	}
	return nil
}
