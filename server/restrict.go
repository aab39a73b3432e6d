package server

import (
	"context"
	"fmt"
	"slices"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/dataset"
	"github.com/headwaterhq/headwater/expr"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/read"
	"github.com/headwaterhq/headwater/registry"
)

// appliedPolicy is what a reader was held to, for manifests and logged reads.
func appliedPolicy(roles []string, rules []read.Rule, attributes map[string][]string) *headwaterv1.AppliedPolicy {
	out := &headwaterv1.AppliedPolicy{Roles: roles}
	out.Rules = appliedRules(rules)
	for name, values := range attributes {
		if out.Attributes == nil {
			out.Attributes = map[string]*headwaterv1.AttributeValues{}
		}
		out.Attributes[name] = &headwaterv1.AttributeValues{Values: values}
	}
	return out
}

func appliedRules(rules []read.Rule) (out []*headwaterv1.AppliedRule) {
	for _, r := range rules {
		out = append(out, &headwaterv1.AppliedRule{Policy: r.Policy, About: r.About, Does: r.Does, KeyVersion: int32(r.KeyVersion), Unmasked: r.Unmasked})
	}
	return out
}

// appliedFor is what a reader was held to, as the caller may see it: the rules say what is known of the reader, such as a region, and are for
// the reader and for those who may read the audit.
func appliedFor(ctx context.Context, reader string, applied *headwaterv1.AppliedPolicy) *headwaterv1.AppliedPolicy {
	if applied == nil || access.PrincipalFrom(ctx).Name == reader || access.Allows(ctx, access.ActionReadAudit, access.KindSystem, access.Whole) {
		return applied
	}
	return &headwaterv1.AppliedPolicy{Withheld: true}
}

// rulesOf are the rules of an applied policy, and the attributes of who was held to them.
func rulesOf(p *headwaterv1.AppliedPolicy) (rules []read.Rule, attributes map[string][]string) {
	for _, r := range p.GetRules() {
		rules = append(rules, read.Rule{
			Policy: r.GetPolicy(), About: r.GetAbout(), Does: r.GetDoes(), KeyVersion: int(r.GetKeyVersion()), Unmasked: r.GetUnmasked(),
		})
	}
	for name, values := range p.GetAttributes() {
		if attributes == nil {
			attributes = map[string][]string{}
		}
		attributes[name] = values.GetValues()
	}
	return rules, attributes
}

// planAsBuilt is the plan that a dataset was built by, under the rules of its manifest, whoever has it again.
func planAsBuilt(catalog *registry.Catalog, policy *access.Policy, service *feature.ServiceVersion, m *dataset.Manifest) (*read.Plan, error) {
	reader := &expr.Principal{Name: m.Principal, Roles: m.Roles, Attributes: m.Attributes}
	built, err := policy.AsBuilt(m.Policies, reader, m.Purpose, service, catalog.PastPolicy)
	if err != nil {
		return nil, fault.New(fault.FailedPrecondition, "dataset %s cannot be had again: %v", m.ID, err)
	}
	plan, err := dataset.NewPlan(built, service, m.KeyMapping, m.Joins, m.Purpose)
	if err != nil {
		return nil, err
	}
	if rules := plan.Rules(); !slices.EqualFunc(rules, m.Policies, func(a, b read.Rule) bool { return a.Policy == b.Policy && a.Same(&b) }) {
		return nil, fault.New(fault.FailedPrecondition, "dataset %s cannot be had again: its policies do other than they did when it was built; "+
			"its manifest says what they did", m.ID)
	}
	return plan, nil
}

// restrictPlan is the plan of a dataset for the caller, who reads it for training.
func restrictPlan(ctx context.Context, service *feature.ServiceVersion, keyMapping map[string]string, joins []dataset.Join, purpose string) (*read.Plan, *access.Restriction, error) {
	restriction, err := access.SessionFrom(ctx).Restrict(access.ActionReadOffline, feature.UseTraining, service)
	if err != nil {
		return nil, nil, err
	}
	plan, err := dataset.NewPlan(restriction.Reads(), service, keyMapping, joins, purpose)
	return plan, restriction, err
}

// samePurpose is the end of what to do where a hash of the dataset is of its purpose.
func samePurpose(m *dataset.Manifest) string {
	if m.Purpose == "" {
		return ""
	}
	return fmt.Sprintf(", or say --purpose %q where it is for what it was built for", m.Purpose)
}

// mayHave decides whether the caller's own policy of today allows all of a dataset, as it was built: whoever sees less of the rows or
// values gets nothing of it, for other bytes are never sent under its id.
func mayHave(ctx context.Context, service *feature.ServiceVersion, m *dataset.Manifest) (*access.Restriction, error) {
	session := access.SessionFrom(ctx)
	for _, source := range m.SpineSources() {
		if err := access.RequireTerms(ctx, feature.UseTraining, source); err != nil {
			return nil, err
		}
	}
	plan, restriction, err := restrictPlan(ctx, service, m.KeyMapping, m.Joins, m.Purpose)
	if err != nil {
		return nil, err
	}
	if beyond := access.Beyond(plan.Rules(), m.Policies); beyond != nil {
		return nil, session.Deny(access.ActionReadOffline, access.KindDataset, m.Ref(), "policy "+beyond.Policy+" hides some of "+beyond.About+
			" from you that it was built with, and a dataset is had as it was built or not at all", "build one of your own"+samePurpose(m))
	}
	return restriction, nil
}
