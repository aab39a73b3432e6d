package access

import (
	"context"
	"fmt"
	"slices"

	"github.com/headwaterhq/headwater/expr"
	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/read"
)

// SourceRestriction is what policies make of a reading of a source's own rows. nil: the reader sees all of them.
type SourceRestriction struct {
	// Filters are true, each, for the rows that are seen. Columns are what one looks at: the source's, event_time and available_at.
	Filters []SourceFilter
	// Masks are by column.
	Masks map[string]*SourceMask
	// Rules are what the two do, about `source:NAME@VERSION` and `source:NAME@VERSION.COLUMN`.
	Rules []read.Rule
	// Policies are those that were asked, NAME@VERSION.
	Policies []string
}

// SourceFilter is a row filter of a source, for one reader.
type SourceFilter struct {
	Bound   *expr.Bound
	Columns []string
}

// SourceMask is a mask of a source's column. Policy is NAME@VERSION.
type SourceMask struct {
	Mask   *feature.Mask
	Apply  func(feature.Value) feature.Value
	Policy string
}

// RestrictSource is Require of read_offline for the own rows of a source, and what the caller is held to in them. A policy that cannot be
// kept is a denial. That policies were asked is recorded.
func RestrictSource(ctx context.Context, source *feature.SourceVersion) (*SourceRestriction, error) {
	s, err := session(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.Require(ActionReadOffline, KindSource, source.Name); err != nil {
		return nil, err
	}
	r, refused := s.policy.restrictSource(s.reading(feature.UseTraining), source)
	if refused != nil {
		return nil, s.settle(ActionReadOffline, resource(KindSource, sourceRef(source)), *refused)
	}
	if r != nil {
		err = s.record(ActionReadOffline, resource(KindSource, sourceRef(source)), Verdict{Allowed: true, Reason: "under " + policiesText(r.Policies, len(r.Rules) > 0)})
	}
	return r, err
}

// MayHaveSource reports, without a record, whether the caller may see what was read of a source under rules.
func MayHaveSource(ctx context.Context, source *feature.SourceVersion, kept []read.Rule) bool {
	s := SessionFrom(ctx)
	if s == nil || !s.Allows(ActionReadOffline, KindSource, source.Name) {
		return false
	}
	r, refused := s.policy.restrictSource(s.reading(feature.UseTraining), source)
	return refused == nil && (r == nil || Beyond(r.Rules, kept) == nil)
}

// RequireSource is Require of read_offline for what was read of a source under rules: where the caller's own hide more, that is a denial.
func RequireSource(ctx context.Context, source *feature.SourceVersion, kept []read.Rule) error {
	r, err := RestrictSource(ctx, source)
	if err != nil || r == nil {
		return err
	}
	if beyond := Beyond(r.Rules, kept); beyond != nil {
		return SessionFrom(ctx).Deny(ActionReadOffline, KindSource, sourceRef(source), "policy "+beyond.Policy+" hides some of "+beyond.About+
			" from you that the spine was read with, and a dataset is had as it was built or not at all", "build one of your own")
	}
	return nil
}

func sourceRef(s *feature.SourceVersion) string { return fmt.Sprintf("%s@%d", s.Name, s.Version) }

func (p *Policy) restrictSource(reading Reading, source *feature.SourceVersion) (*SourceRestriction, *Verdict) {
	if !p.Restricts() {
		return nil, nil
	}
	r := &SourceRestriction{Masks: map[string]*SourceMask{}}
	columns := slices.Clone(source.Columns)
	for _, name := range []string{"event_time", "available_at"} {
		if source.Column(name) == nil {
			columns = append(columns, feature.Column{Name: name, Type: feature.TypeTimestamp})
		}
	}
	about := resource(KindSource, sourceRef(source))
	for _, v := range p.rules.Policies {
		if v.RowFilter == "" || !v.HoldsFor(reading.Principal.Roles) || !p.ownRows(v, source) {
			continue
		}
		r.Policies = append(r.Policies, ref(v))
		filter, problems := expr.CompileFilter(v.RowFilter, columns)
		if len(problems) > 0 {
			return nil, &Verdict{Reason: fmt.Sprintf("policy %s decides on rows of %s, and cannot: %s; what it looks at must be a column of the source", ref(v), about, problems[0].Message),
				remedy: remedyOf(v), rules: []string{ref(v)}}
		}
		bound := filter.Bind(p.reader(reading.Principal))
		if holds, constant := bound.Constant(); constant && holds {
			continue
		}
		r.Filters = append(r.Filters, SourceFilter{Bound: bound, Columns: filter.Columns})
		r.Rules = append(r.Rules, read.Rule{Policy: ref(v), About: about, Does: "rows where " + bound.Words()})
	}
	for i := range source.Columns {
		c := &source.Columns[i]
		var masking []*feature.PolicyVersion
		var masks []*feature.Mask
		for _, v := range p.rules.Policies {
			if v.Mask != nil && v.HoldsFor(reading.Principal.Roles) && p.ownValues(v, source, c.Name) {
				masking, masks = append(masking, v), append(masks, v.Mask)
			}
		}
		if len(masks) == 0 {
			continue
		}
		strictest := masking[slices.Index(masks, Strictest(masks, c.Type))]
		secret, err := p.secret(strictest, 0)
		if err != nil {
			return nil, &Verdict{Reason: fmt.Sprintf("policy %s masks %s.%s, and cannot: %v", ref(strictest), about, c.Name, err), remedy: remedyOf(strictest)}
		}
		mask := compiledMask(strictest, about+"."+c.Name, c.Type, secret, reading.Purpose, nil)
		r.Masks[c.Name] = &SourceMask{Mask: strictest.Mask, Apply: mask.Apply, Policy: ref(strictest)}
		r.Rules = append(r.Rules, mask.Rule)
		for _, v := range masking {
			if !slices.Contains(r.Policies, ref(v)) {
				r.Policies = append(r.Policies, ref(v))
			}
		}
	}
	if len(r.Policies) == 0 {
		return nil, nil
	}
	slices.Sort(r.Policies)
	return r, nil
}

// ownRows reports whether a row filter is about the own rows of a source.
func (p *Policy) ownRows(v *feature.PolicyVersion, source *feature.SourceVersion) bool {
	if newest := p.rules.Source(source.Name); newest != nil && p.aboutSource(v, newest) {
		return true
	}
	return p.aboutSource(v, source)
}

// ownValues reports whether a mask is about the values of a source's column: it is about the source, or a tag of it, or one of the column.
func (p *Policy) ownValues(v *feature.PolicyVersion, source *feature.SourceVersion, column string) bool {
	versions := []*feature.SourceVersion{source}
	if newest := p.rules.Source(source.Name); newest != nil && newest != source {
		versions = append(versions, newest)
	}
	return slices.ContainsFunc(v.Resources, func(r feature.ResourcePattern) bool {
		matches := func(name string) bool { return feature.MatchesPattern(r.Name, name) }
		switch r.Kind {
		case "source":
			return matches(source.Name)
		case "tag":
			return slices.ContainsFunc(versions, func(version *feature.SourceVersion) bool {
				return slices.ContainsFunc(version.Tags, matches) ||
					slices.ContainsFunc(p.rules.Tags.Source(version, column), func(t feature.ColumnTag) bool { return matches(t.Tag) })
			})
		}
		return false
	})
}
