package server

import (
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/wire"
	"github.com/headwaterhq/headwater/online"
	"github.com/headwaterhq/headwater/read"
)

// answer is what an online read found.
type answer struct {
	plan     *compiledPlan
	lookup   *online.Lookup
	n        int
	now      feature.Time
	position int64
	readID   string
	computed *computedValues
	// late are the ids of view versions that are later than they declare.
	late []int64
	// winners are by view, nil for those that nobody needed unpacked yet.
	winners [][]read.Winner
	// whole shows the times of rows as they are, for the log, which a verification of the read is held to.
	whole bool
}

// unpacked is the winners of a view.
func (a *answer) unpacked(v int) ([]read.Winner, error) {
	if a.winners == nil {
		a.winners = make([][]read.Winner, len(a.plan.read.Views))
	}
	if a.winners[v] == nil {
		winners, err := a.lookup.Winners(v)
		if err != nil {
			return nil, err
		}
		a.winners[v] = winners
	}
	return a.winners[v], nil
}

// allUnpacked is the winners of all views.
func (a *answer) allUnpacked() ([][]read.Winner, error) {
	for v := range a.plan.read.Views {
		if _, err := a.unpacked(v); err != nil {
			return nil, err
		}
	}
	return a.winners, nil
}

// keys is the entity of each row of each view.
func (a *answer) keys() [][]online.Key {
	keys := make([][]online.Key, len(a.plan.read.Views))
	for v := range keys {
		keys[v] = make([]online.Key, a.n)
		for i := range keys[v] {
			keys[v][i].Text, keys[v][i].OK = a.lookup.Key(v, i)
		}
	}
	return keys
}

// The fields of GetFeaturesResponse, of FeatureVector and of ViewProvenance that are not written elsewhere.
const (
	fieldReadID         = 1
	fieldService        = 2
	fieldServiceVersion = 3
	fieldFeatures       = 4
	fieldProvenance     = 5
	fieldServedAt       = 6
	fieldPosition       = 7
	fieldArrow          = 8

	fieldVectorName    = 1
	fieldVectorValues  = 2
	fieldVectorView    = 3
	fieldVectorVersion = 4
	fieldVectorFeature = 5

	fieldProvenanceView    = 1
	fieldProvenanceVersion = 2
	fieldProvenancePrefix  = 7
	fieldProvenanceLate    = 8
)

// columnFrame is what of a FeatureVector stands before its values, and behind them.
type columnFrame struct{ begin, end []byte }

func framesOf(p *read.Plan) []columnFrame {
	frames := make([]columnFrame, len(p.Columns))
	for i := range p.Columns {
		c := &p.Columns[i]
		f := &frames[i]
		f.begin = wire.AppendString(nil, fieldVectorName, c.Name)
		f.end = wire.AppendString(nil, fieldVectorView, c.Version.Name)
		f.end = wire.AppendVarint(f.end, fieldVectorVersion, int64(c.Version.Version))
		f.end = wire.AppendString(f.end, fieldVectorFeature, c.Version.Features[c.Feature].Name)
	}
	return frames
}

// append appends the GetFeaturesResponse.
func (a *answer) append(dst []byte, withProvenance bool, encoding headwaterv1.FeatureEncoding) (_ []byte, err error) {
	service := a.plan.read.Service
	if a.readID != "" {
		dst = wire.AppendString(dst, fieldReadID, a.readID)
	}
	if service.Name != "" {
		dst = wire.AppendString(dst, fieldService, service.Name)
	}
	dst = wire.AppendVarint(dst, fieldServiceVersion, int64(service.Version))
	columns := a.plan.read.Columns
	if encoding == headwaterv1.FeatureEncoding_FEATURE_ENCODING_ARROW {
		columns = nil
	}
	for i := range columns {
		frame := &a.plan.frames[i]
		var column, values int
		guess := 8*a.n + 32
		dst, column = wire.OpenField(dst, fieldFeatures, guess+len(frame.begin)+len(frame.end))
		dst = append(dst, frame.begin...)
		dst, values = wire.OpenField(dst, fieldVectorValues, guess)
		if dst, err = a.appendVector(dst, i); err != nil {
			return dst, err
		}
		dst = append(wire.CloseField(dst, values), frame.end...)
		dst = wire.CloseField(dst, column)
	}
	if withProvenance {
		for v := range a.plan.read.Views {
			view := &a.plan.read.Views[v]
			var at int
			dst, at = wire.OpenField(dst, fieldProvenance, 24*a.n+32)
			dst = wire.AppendString(dst, fieldProvenanceView, view.Version.Name)
			dst = wire.AppendVarint(dst, fieldProvenanceVersion, int64(view.Version.Version))
			dst = a.lookup.AppendProvenance(dst, v, a.now, a.whole)
			if view.Prefix != "" {
				dst = wire.AppendString(dst, fieldProvenancePrefix, view.Prefix)
			}
			if slices.Contains(a.late, view.Version.ID) {
				dst = wire.AppendVarint(dst, fieldProvenanceLate, 1)
			}
			dst = wire.CloseField(dst, at)
		}
	}
	dst, at := wire.OpenField(dst, fieldServedAt, 12)
	dst = wire.CloseField(wire.AppendTimestamp(dst, a.now), at)
	dst = wire.AppendVarint(dst, fieldPosition, a.position)
	if encoding == headwaterv1.FeatureEncoding_FEATURE_ENCODING_ARROW {
		return a.appendArrow(dst)
	}
	return dst, nil
}

// column is what is answered of a column, row by row.
func (a *answer) column(i int) (func(row int) (feature.Value, read.Status), error) {
	c := &a.plan.read.Columns[i]
	if c.View == read.Computed {
		return a.computed.column(i), nil
	}
	winners, err := a.unpacked(c.View)
	return func(row int) (feature.Value, read.Status) { return c.Value(&winners[row]) }, err
}

// appendVector appends the ValueVector of a column.
func (a *answer) appendVector(dst []byte, i int) ([]byte, error) {
	c := &a.plan.read.Columns[i]
	if c.View != read.Computed {
		if dst, done := a.lookup.AppendVector(dst, i, c); done {
			return dst, nil
		}
	}
	value, err := a.column(i)
	if err != nil {
		return dst, err
	}
	values, statuses := make([]feature.Value, a.n), make([]byte, a.n)
	for row := range a.n {
		v, s := value(row)
		values[row], statuses[row] = v, byte(s)
	}
	return a.plan.online.Frame(i).AppendVector(dst, a.n, statuses, func(row int) feature.Value { return values[row] }), nil
}

// response is the answer as a message.
func (a *answer) response(withProvenance bool, encoding headwaterv1.FeatureEncoding) (*headwaterv1.GetFeaturesResponse, error) {
	b, err := a.append(nil, withProvenance, encoding)
	if err != nil {
		return nil, err
	}
	out := &headwaterv1.GetFeaturesResponse{}
	return out, proto.Unmarshal(b, out)
}
