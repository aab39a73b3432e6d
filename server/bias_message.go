package server

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/dataset"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/quality"
	"github.com/headwaterhq/headwater/quality/bias"
)

// biasMessage is a report as it is sent.
func biasMessage(r *quality.BiasReport, m *dataset.Manifest) *headwaterv1.BiasReport {
	q := &r.Question
	out := &headwaterv1.BiasReport{
		Id: r.ID, Dataset: r.Dataset, DatasetRef: m.Ref(), ContentDigest: r.Digest, Principal: r.Principal, CreatedAt: timestamppb.New(r.At),
		Question: &headwaterv1.BiasQuestion{
			Label: q.Label, Favourable: q.Favourable, By: q.By, Intersections: q.Intersections, Prediction: q.Prediction, Threshold: q.Threshold, Stratify: q.Stratify, References: q.References,
		},
	}
	if r.Erased != nil {
		out.ErasedAt = timestamppb.New(*r.Erased)
	}
	if r.Findings != nil {
		out.Findings = biasFindings(r.Findings)
	}
	return out
}

func biasFindings(f *quality.BiasFindings) *headwaterv1.BiasFindings {
	out := &headwaterv1.BiasFindings{
		Rows: f.Rows, LeftOut: f.LeftOut, SetAside: f.SetAside, SetAsideWithheld: f.SetAsideWithheld, SpineSetAside: f.SpineSetAside, Correction: bias.Correction,
	}
	for i := range f.Groupings {
		g := &f.Groupings[i]
		grouping := &headwaterv1.BiasGrouping{By: g.By, Label: biasSummary(g.Label), Prediction: biasSummary(g.Prediction)}
		for k := range g.Groups {
			grouping.Groups = append(grouping.Groups, biasGroup(&g.Groups[k]))
		}
		for _, m := range g.Missing {
			grouping.Missing = append(grouping.Missing, &headwaterv1.BiasMissing{Column: m.Column, Rows: m.Rows})
		}
		out.Groupings = append(out.Groupings, grouping)
	}
	for _, p := range f.Proxies {
		proxy := &headwaterv1.BiasProxy{
			Attribute: p.Attribute, Column: p.Column, CramersV: p.CramersV, CramersVCorrected: p.CramersVCorrected, MutualInformationNats: p.Information,
			MutualInformationShare: p.InformationShare, Auc: p.AUC, AucOff: p.AUCOff, Exact: p.Exact,
		}
		if p.Group != nil {
			proxy.Group = biasValue(*p.Group)
		}
		out.Proxies = append(out.Proxies, proxy)
	}
	return out
}

func biasValue(v bias.Value) *headwaterv1.BiasValue {
	if v.Null {
		return &headwaterv1.BiasValue{}
	}
	if v.Other {
		return &headwaterv1.BiasValue{Other: true}
	}
	return &headwaterv1.BiasValue{Text: &v.Text}
}

func biasGroup(g *bias.Group) *headwaterv1.BiasGroup {
	out := &headwaterv1.BiasGroup{
		Rows: g.Rows, Share: g.Share, Apart: headwaterv1.BiasApart(headwaterv1.BiasApart_value["BIAS_APART_"+g.Apart]), Label: biasRate(g.Label), Prediction: biasRate(g.Prediction),
		LeftOut: g.LeftOut, SetAside: g.SetAside,
	}
	for _, v := range g.Values {
		out.Values = append(out.Values, biasValue(v))
	}
	if e := g.Errors; e != nil {
		out.Errors = &headwaterv1.BiasErrors{
			TruePositive: e.TruePositive, FalsePositive: e.FalsePositive, FalseNegative: e.FalseNegative, TrueNegative: e.TrueNegative, TruePositiveRate: e.TruePositiveRate,
			FalsePositiveRate: e.FalsePositiveRate, EqualOpportunityDifference: e.EqualOpportunity, EqualizedOddsDifference: e.EqualizedOdds, Auc: e.AUC, AucOff: e.AUCOff,
		}
	}
	return out
}

// biasRate is nil for nil, as are the others.
func biasRate(r *bias.Rate) *headwaterv1.BiasRate {
	if r == nil {
		return nil
	}
	out := &headwaterv1.BiasRate{
		Known: r.Known, Favourable: r.Favourable, Missing: r.Missing, Rate: r.Rate, Reference: r.Reference, ImpactRatio: r.ImpactRatio, ParityDifference: r.ParityDifference,
		Test: r.Test, P: r.P, PAdjusted: r.PAdjusted,
	}
	if s := r.Stratified; s != nil {
		out.Stratified = &headwaterv1.BiasStratified{
			Strata: int32(s.Strata), Statistic: s.Statistic, P: s.P, PAdjusted: s.PAdjusted, OddsRatio: s.OddsRatio, OddsRatioLow: s.Low, OddsRatioHigh: s.High,
		}
	}
	return out
}

func biasSummary(s *bias.Summary) *headwaterv1.BiasSummary {
	if s == nil {
		return nil
	}
	return &headwaterv1.BiasSummary{
		Verdict: headwaterv1.BiasVerdict(headwaterv1.BiasVerdict_value["BIAS_VERDICT_"+string(s.Verdict)]), Reason: s.Reason, LeastRatio: s.LeastRatio, ParityDifference: s.ParityDifference,
		Significant: s.Significant, EqualOpportunityDifference: s.EqualOpportunity, EqualizedOddsDifference: s.EqualizedOdds,
	}
}
