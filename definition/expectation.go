package definition

import (
	"math"

	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

func (c *fromProto) expectations(at string, list []*headwaterv1.Expectation) []feature.Expectation {
	var expectations []feature.Expectation
	for i, p := range list {
		expectations = append(expectations, c.expectation(indexed(at+".expectations", i), p))
	}
	return expectations
}

func (c *fromProto) expectation(at string, p *headwaterv1.Expectation) feature.Expectation {
	e := feature.Expectation{
		Name: p.GetName(), Column: p.GetColumn(), WarnAbove: p.GetWarnAbove(), ErrorAbove: p.ErrorAbove,
		Warn: boundsOf(p.GetWarn()), Error: boundsOf(p.GetError()), Description: p.GetDescription(),
	}
	e.OnFailure = choice(c, at+".on_failure", p.GetOnFailure(), feature.FailRun, feature.QuarantineRow, feature.DropRow, feature.KeepRow)
	for _, b := range []struct {
		name   string
		bounds *headwaterv1.Bounds
	}{{".warn", p.GetWarn()}, {".error", p.GetError()}} {
		if b.bounds != nil && boundsOf(b.bounds).IsEmpty() {
			c.add(at+b.name, "found no bounds, expected min, max or both")
		}
	}
	c.expectationKind(at, &e, p)
	if e.Name == "" && e.Kind != feature.ExpectInvalid {
		e.Name = e.DefaultName()
	}
	return e
}

func (c *fromProto) expectationKind(at string, e *feature.Expectation, p *headwaterv1.Expectation) {
	switch kind := p.GetKind().(type) {
	case *headwaterv1.Expectation_NotNull:
		e.Kind = feature.ExpectNotNull
	case *headwaterv1.Expectation_Range:
		e.Kind = feature.ExpectRange
		if kind.Range.GetMin() != nil {
			e.Min = c.bound(at+".range.min", kind.Range.GetMin())
		}
		if kind.Range.GetMax() != nil {
			e.Max = c.bound(at+".range.max", kind.Range.GetMax())
		}
	case *headwaterv1.Expectation_AcceptedValues:
		e.Kind = feature.ExpectAcceptedValues
		for _, v := range kind.AcceptedValues.GetValues() {
			e.Values = append(e.Values, finiteLiteral(v))
		}
	case *headwaterv1.Expectation_Regex:
		e.Kind, e.Pattern = feature.ExpectRegex, kind.Regex
	case *headwaterv1.Expectation_Length:
		e.Kind, e.MinLength, e.MaxLength = feature.ExpectLength, kind.Length.GetMin(), kind.Length.Max
	case *headwaterv1.Expectation_Plausible:
		e.Kind, e.Future = feature.ExpectPlausible, c.duration(at+".plausible.future", kind.Plausible.GetFuture())
		e.NotBefore = c.notBefore(at+".plausible.not_before", kind.Plausible.GetNotBefore())
	case *headwaterv1.Expectation_References:
		e.Kind = feature.ExpectReferences
		e.References = &feature.Reference{Source: kind.References.GetSource(), Columns: kind.References.GetColumns()}
	case *headwaterv1.Expectation_Cel:
		e.Kind, e.CEL = feature.ExpectCEL, kind.Cel
	case *headwaterv1.Expectation_Unique:
		e.Kind, e.Columns = feature.ExpectUnique, kind.Unique.GetColumns()
	case *headwaterv1.Expectation_RowCount:
		e.Kind = feature.ExpectRowCount
	case *headwaterv1.Expectation_RowCountRatio:
		e.Kind, e.Runs = feature.ExpectRowCountRatio, int(kind.RowCountRatio.GetRuns())
	case *headwaterv1.Expectation_Freshness:
		e.Kind = feature.ExpectFreshness
		e.WarnAfter = c.duration(at+".freshness.warn_after", kind.Freshness.GetWarnAfter())
		e.ErrorAfter = c.duration(at+".freshness.error_after", kind.Freshness.GetErrorAfter())
	case *headwaterv1.Expectation_Completeness:
		e.Kind, e.Bucket = feature.ExpectCompleteness, c.duration(at+".completeness.bucket", kind.Completeness.GetBucket())
	case *headwaterv1.Expectation_CompletenessChange:
		e.Kind, e.Runs = feature.ExpectCompletenessChange, int(kind.CompletenessChange.GetRuns())
	case *headwaterv1.Expectation_DistinctRatio:
		e.Kind = feature.ExpectDistinctRatio
	case *headwaterv1.Expectation_Mean:
		e.Kind = feature.ExpectMean
	case *headwaterv1.Expectation_Quantile:
		e.Kind, e.Quantile = feature.ExpectQuantile, kind.Quantile.GetQ()
	case *headwaterv1.Expectation_SchemaUnchanged:
		e.Kind = feature.ExpectSchemaUnchanged
	case *headwaterv1.Expectation_EntitiesKept:
		e.Kind = feature.ExpectEntitiesKept
	case *headwaterv1.Expectation_RowsKept:
		e.Kind, e.Bucket = feature.ExpectRowsKept, c.duration(at+".rows_kept.bucket", kind.RowsKept.GetBucket())
	}
	if e.Bucket > 0 && e.Warn.IsEmpty() && e.Error.IsEmpty() {
		least := feature.DefaultLeastShare
		e.Warn.Min = &least
	}
}

// bound is a bound as it is written. null is no bound, and refused as it may be meant as one.
func (c *fromProto) bound(field string, v *structpb.Value) feature.Literal {
	l := finiteLiteral(v)
	if l == nil {
		c.add(field, "found null, expected a value; leave it out for no bound")
	}
	return l
}

// finiteLiteral is a value as it is written. Numbers that JSON does not have, which only protobuf brings, are texts.
func finiteLiteral(v *structpb.Value) feature.Literal {
	if n, ok := v.GetKind().(*structpb.Value_NumberValue); ok {
		switch f := n.NumberValue; {
		case math.IsNaN(f):
			return "NaN"
		case math.IsInf(f, 1):
			return "Infinity"
		case math.IsInf(f, -1):
			return "-Infinity"
		}
	}
	return v.AsInterface()
}

func (c *fromProto) notBefore(field string, at *timestamppb.Timestamp) *feature.Time {
	switch {
	case at == nil:
		return nil
	case at.CheckValid() != nil || at.GetNanos()%1000 != 0:
		c.add(field, "found a time that is beyond the years 1 to 9999 or has parts of a microsecond, expected one such as 2020-01-01T00:00:00Z")
		return nil
	}
	t := feature.TimeOf(at.AsTime())
	return &t
}

func boundsOf(b *headwaterv1.Bounds) feature.Bounds {
	if b == nil {
		return feature.Bounds{}
	}
	return feature.Bounds{Min: b.Min, Max: b.Max}
}

func expectationsToProto(list []feature.Expectation) []*headwaterv1.Expectation {
	var expectations []*headwaterv1.Expectation
	for i := range list {
		expectations = append(expectations, expectationToProto(&list[i]))
	}
	return expectations
}

func expectationToProto(e *feature.Expectation) *headwaterv1.Expectation {
	p := &headwaterv1.Expectation{
		Column: e.Column, WarnAbove: e.WarnAbove, ErrorAbove: e.ErrorAbove, Warn: boundsToProto(e.Warn), Error: boundsToProto(e.Error),
		Description: e.Description,
	}
	if e.Name != e.DefaultName() {
		p.Name = e.Name
	}
	if e.OnFailure != feature.FailRun {
		p.OnFailure = e.OnFailure.String()
	}
	earlier := &headwaterv1.AgainstEarlier{Runs: int32(e.Runs)}
	switch e.Kind {
	case feature.ExpectNotNull:
		p.Kind = &headwaterv1.Expectation_NotNull{NotNull: &headwaterv1.NotNull{}}
	case feature.ExpectRange:
		p.Kind = &headwaterv1.Expectation_Range{Range: &headwaterv1.ValueRange{Min: literalToProto(e.Min), Max: literalToProto(e.Max)}}
	case feature.ExpectAcceptedValues:
		values := &headwaterv1.AcceptedValues{}
		for _, v := range e.Values {
			value, err := structpb.NewValue(v)
			if err != nil {
				// A literal came out of a Value, so it fits into one.
				value = structpb.NewNullValue()
			}
			values.Values = append(values.Values, value)
		}
		p.Kind = &headwaterv1.Expectation_AcceptedValues{AcceptedValues: values}
	case feature.ExpectRegex:
		p.Kind = &headwaterv1.Expectation_Regex{Regex: e.Pattern}
	case feature.ExpectLength:
		p.Kind = &headwaterv1.Expectation_Length{Length: &headwaterv1.LengthRange{Min: e.MinLength, Max: e.MaxLength}}
	case feature.ExpectPlausible:
		plausible := &headwaterv1.Plausible{Future: durationToProto(e.Future)}
		if e.NotBefore != nil {
			plausible.NotBefore = timestamppb.New(e.NotBefore.Time())
		}
		p.Kind = &headwaterv1.Expectation_Plausible{Plausible: plausible}
	case feature.ExpectReferences:
		p.Kind = &headwaterv1.Expectation_References{References: &headwaterv1.References{Source: e.References.Source, Columns: e.References.Columns}}
	case feature.ExpectCEL:
		p.Kind = &headwaterv1.Expectation_Cel{Cel: e.CEL}
	case feature.ExpectUnique:
		p.Kind = &headwaterv1.Expectation_Unique{Unique: &headwaterv1.UniqueColumns{Columns: e.Columns}}
	case feature.ExpectRowCount:
		p.Kind = &headwaterv1.Expectation_RowCount{RowCount: &headwaterv1.RowCount{}}
	case feature.ExpectRowCountRatio:
		p.Kind = &headwaterv1.Expectation_RowCountRatio{RowCountRatio: earlier}
	case feature.ExpectFreshness:
		p.Kind = &headwaterv1.Expectation_Freshness{Freshness: &headwaterv1.Freshness{
			WarnAfter: durationToProto(e.WarnAfter), ErrorAfter: durationToProto(e.ErrorAfter),
		}}
	case feature.ExpectCompleteness:
		p.Kind = &headwaterv1.Expectation_Completeness{Completeness: &headwaterv1.Completeness{Bucket: durationToProto(e.Bucket)}}
	case feature.ExpectCompletenessChange:
		p.Kind = &headwaterv1.Expectation_CompletenessChange{CompletenessChange: earlier}
	case feature.ExpectDistinctRatio:
		p.Kind = &headwaterv1.Expectation_DistinctRatio{DistinctRatio: &headwaterv1.DistinctRatio{}}
	case feature.ExpectMean:
		p.Kind = &headwaterv1.Expectation_Mean{Mean: &headwaterv1.Mean{}}
	case feature.ExpectQuantile:
		p.Kind = &headwaterv1.Expectation_Quantile{Quantile: &headwaterv1.Quantile{Q: e.Quantile}}
	case feature.ExpectSchemaUnchanged:
		p.Kind = &headwaterv1.Expectation_SchemaUnchanged{SchemaUnchanged: &headwaterv1.SchemaUnchanged{}}
	case feature.ExpectEntitiesKept:
		p.Kind = &headwaterv1.Expectation_EntitiesKept{EntitiesKept: &headwaterv1.EntitiesKept{}}
	case feature.ExpectRowsKept:
		p.Kind = &headwaterv1.Expectation_RowsKept{RowsKept: &headwaterv1.RowsKept{Bucket: durationToProto(e.Bucket)}}
	}
	return p
}

func boundsToProto(b feature.Bounds) *headwaterv1.Bounds {
	if b.IsEmpty() {
		return nil
	}
	return &headwaterv1.Bounds{Min: b.Min, Max: b.Max}
}

// literalToProto is a bound as it is written, nil for none.
func literalToProto(l feature.Literal) *structpb.Value {
	if l == nil {
		return nil
	}
	value, err := structpb.NewValue(l)
	if err != nil {
		return nil
	}
	return value
}
