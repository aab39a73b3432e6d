package definition

import (
	"fmt"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

func (c *fromProto) policy(at string, p *headwaterv1.Policy) feature.Policy {
	policy := feature.Policy{
		Name: p.GetName(), Resources: c.patterns(at+".resources", p.GetResources()), Roles: p.GetRoles(), ExceptRoles: p.GetExceptRoles(),
		RowFilter: p.GetRowFilter(), Docs: c.docs(at, p),
	}
	if m := p.GetMask(); m != nil {
		policy.Mask = c.mask(m)
	}
	if r := p.GetRequire(); r != nil {
		policy.Require = &feature.Requirement{
			Purposes: r.GetPurposes(), Uses: r.GetUses(), Regions: r.GetRegions(), Licence: r.GetLicence(),
		}
	}
	return policy
}

func (c *fromProto) mask(m *headwaterv1.Mask) *feature.Mask {
	mask := &feature.Mask{ComputeUnmasked: m.GetComputeUnmasked()}
	switch how := m.GetHow().(type) {
	case *headwaterv1.Mask_Redact:
		mask.Kind = feature.MaskRedact
	case *headwaterv1.Mask_Constant:
		mask.Kind, mask.Constant = feature.MaskConstant, how.Constant.AsInterface()
	case *headwaterv1.Mask_Hash:
		mask.Kind, mask.Key, mask.PerPurpose = feature.MaskHash, how.Hash.GetKey(), how.Hash.GetPerPurpose()
	case *headwaterv1.Mask_Partial:
		mask.Kind, mask.With = feature.MaskPartial, how.Partial.GetWith()
		mask.First, mask.Last = int(how.Partial.GetFirst()), int(how.Partial.GetLast())
	case *headwaterv1.Mask_Round:
		mask.Kind, mask.To = feature.MaskRound, how.Round.GetTo()
	case *headwaterv1.Mask_Bucket:
		mask.Kind, mask.Bounds = feature.MaskBucket, how.Bucket.GetBounds()
	case *headwaterv1.Mask_Truncate:
		mask.Kind, mask.To = feature.MaskTruncate, how.Truncate.GetTo()
	}
	return mask
}

// patterns reads resources. What is none is told, and left as it is.
func (c *fromProto) patterns(at string, texts []string) []feature.ResourcePattern {
	var patterns []feature.ResourcePattern
	for i, s := range texts {
		p, err := feature.ParseResourcePattern(s)
		if err != nil {
			c.add(indexed(at, i), "%s", err)
		}
		patterns = append(patterns, p)
	}
	return patterns
}

// attributes reads lists of texts.
func (c *fromProto) attributes(at string, lists map[string]*structpb.ListValue) map[string][]string {
	if len(lists) == 0 {
		return nil
	}
	attributes := make(map[string][]string, len(lists))
	for name, list := range lists {
		values := []string{}
		for i, v := range list.GetValues() {
			text, ok := v.GetKind().(*structpb.Value_StringValue)
			if !ok {
				c.add(indexed(at+"."+name, i), "found %s, expected a text; put it into quotes", fmt.Sprint(v.AsInterface()))
				continue
			}
			values = append(values, text.StringValue)
		}
		attributes[name] = values
	}
	return attributes
}

func policyToProto(policy *feature.Policy) *headwaterv1.Policy {
	p := &headwaterv1.Policy{
		Name: policy.Name, Resources: patternsToProto(policy.Resources), Roles: policy.Roles, ExceptRoles: policy.ExceptRoles,
		Description: policy.Description, Owner: policy.Owner, Tags: policy.Tags, Deprecated: deprecationToProto(policy.Deprecated),
	}
	switch {
	case policy.Mask != nil:
		p.Rule = &headwaterv1.Policy_Mask{Mask: maskToProto(policy.Mask)}
	case policy.Require != nil:
		r := policy.Require
		p.Rule = &headwaterv1.Policy_Require{Require: &headwaterv1.Requirement{
			Purposes: r.Purposes, Uses: r.Uses, Regions: r.Regions, Licence: r.Licence,
		}}
	default:
		p.Rule = &headwaterv1.Policy_RowFilter{RowFilter: policy.RowFilter}
	}
	return p
}

func maskToProto(m *feature.Mask) *headwaterv1.Mask {
	p := &headwaterv1.Mask{ComputeUnmasked: m.ComputeUnmasked}
	switch m.Kind {
	case feature.MaskRedact:
		p.How = &headwaterv1.Mask_Redact{Redact: &headwaterv1.Redact{}}
	case feature.MaskConstant:
		// A literal came out of a Value, so it fits into one.
		constant, _ := structpb.NewValue(m.Constant)
		p.How = &headwaterv1.Mask_Constant{Constant: constant}
	case feature.MaskHash:
		p.How = &headwaterv1.Mask_Hash{Hash: &headwaterv1.HashMask{Key: m.Key, PerPurpose: m.PerPurpose}}
	case feature.MaskPartial:
		p.How = &headwaterv1.Mask_Partial{Partial: &headwaterv1.PartialMask{First: int32(m.First), Last: int32(m.Last), With: m.With}}
	case feature.MaskRound:
		p.How = &headwaterv1.Mask_Round{Round: &headwaterv1.RoundMask{To: m.To}}
	case feature.MaskBucket:
		p.How = &headwaterv1.Mask_Bucket{Bucket: &headwaterv1.BucketMask{Bounds: m.Bounds}}
	case feature.MaskTruncate:
		p.How = &headwaterv1.Mask_Truncate{Truncate: &headwaterv1.TruncateMask{To: m.To}}
	}
	return p
}

func patternsToProto(patterns []feature.ResourcePattern) []string {
	var texts []string
	for _, p := range patterns {
		texts = append(texts, p.String())
	}
	return texts
}

func attributesToProto(attributes map[string][]string) map[string]*structpb.ListValue {
	if len(attributes) == 0 {
		return nil
	}
	lists := make(map[string]*structpb.ListValue, len(attributes))
	for name, values := range attributes {
		list := &structpb.ListValue{}
		for _, v := range values {
			list.Values = append(list.Values, structpb.NewStringValue(v))
		}
		lists[name] = list
	}
	return lists
}
