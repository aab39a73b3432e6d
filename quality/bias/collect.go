package bias

import (
	"fmt"
	"slices"
	"strings"

	"github.com/headwaterhq/headwater/feature"
)

const (
	// MaxAttributes is how many attributes a report is by.
	MaxAttributes = 4
	// MaxGroups is how many values an attribute may have, MaxStrata how many what is stratified by.
	MaxGroups = 64
	MaxStrata = 1024
	// maxTuples is how many groups of all attributes together there may be, and maxCells how many in all strata.
	maxTuples = 4096
	maxCells  = 1 << 16
	// maxOutcomes is how many values of the label are told of.
	maxOutcomes = 10
)

// Question is what a report answers.
type Question struct {
	// Attributes are those whose values make the groups, by name.
	Attributes []string
	// Intersections asks for the groups of each set of attributes besides those of each.
	Intersections bool
	// References name, by attribute, the value that the others are compared with. Where one is not named, it is the group that is favoured most.
	References map[string]string
	// Label is the column of outcomes, and Favourable the value that is good for whom it is about.
	Label, Favourable string
	// Prediction is the column of predictions, empty for none. With a threshold it is of scores, which are favourable from there on.
	Prediction string
	Threshold  *float64
	// Stratum is the column within whose values groups are compared as well, empty for none.
	Stratum string
	// Columns are what may stand in for attributes, and be missing.
	Columns []feature.Column
}

// Row is one of those that a report is of. Values are valid only during the call that takes it.
type Row struct {
	Attributes []feature.Value
	Label      feature.Value
	Prediction feature.Value
	Stratum    feature.Value
	Columns    []feature.Value
}

// TooMany is a column with more values than there may be groups.
type TooMany struct {
	Column string
	Most   int
	// Strata: they are of what is stratified by.
	Strata bool
}

func (e *TooMany) Error() string {
	return fmt.Sprintf("column %s: found more than %d values, expected one of few", e.Column, e.Most)
}

// outcome is what is known of a row.
type outcome int

const (
	unfavourable outcome = iota
	favourable
	missing
	outcomes
)

// tuple is the group of a row: for each attribute, which of its values it has.
type tuple [MaxAttributes]int32

type cellKey struct{ group, stratum int32 }

// cell counts rows by the outcomes of label and prediction.
type cell [outcomes][outcomes]int64

// What no row has: NULL, and any other value.
const (
	unknownValue = -1
	otherValue   = -2
)

// values are the different ones of a column, in the order in which they came.
type values struct {
	column string
	most   int
	strata bool
	index  map[string]int32
	list   []Value
	buf    []byte
}

func newValues(column string, most int) *values {
	return &values{column: column, most: most, index: map[string]int32{}}
}

func (vs *values) of(v feature.Value) (int32, error) {
	vs.buf = v.AppendCanonical(vs.buf[:0])
	if i, ok := vs.index[string(vs.buf)]; ok {
		return i, nil
	}
	if len(vs.list) == vs.most {
		return 0, &TooMany{Column: vs.column, Most: vs.most, Strata: vs.strata}
	}
	i := int32(len(vs.list))
	vs.index[string(vs.buf)] = i
	vs.add(v)
	return i, nil
}

// known is of a value that came before; where none did, of one that is none of them.
func (vs *values) known(v feature.Value) int32 {
	vs.buf = v.AppendCanonical(vs.buf[:0])
	if i, ok := vs.index[string(vs.buf)]; ok {
		return i
	}
	if v.IsNull() {
		return unknownValue
	}
	return otherValue
}

func (vs *values) add(v feature.Value) {
	shown := Value{Null: v.IsNull()}
	if !shown.Null {
		shown.Text = strings.Clone(v.Text())
	}
	vs.list = append(vs.list, shown)
}

// placeOf is the place of a value that known gave, of which there may be one more than the most.
func (vs *values) placeOf(i int32) int32 {
	switch {
	case i == unknownValue:
		if at := slices.IndexFunc(vs.list, func(v Value) bool { return v.Null }); at >= 0 {
			return int32(at)
		}
		vs.list = append(vs.list, Value{Null: true})
	case i == otherValue:
		if at := slices.IndexFunc(vs.list, func(v Value) bool { return v.Other }); at >= 0 {
			return int32(at)
		}
		vs.list = append(vs.list, Value{Other: true})
	default:
		return i
	}
	return int32(len(vs.list) - 1)
}

// Collector takes rows in. It is for one goroutine.
type Collector struct {
	q          Question
	isGood     [2]func(feature.Value) outcome
	attributes []*values
	strata     *values
	tuples     map[tuple]int32
	groups     []tuple
	cells      map[cellKey]*cell
	leftOut    map[int32]int64
	// setAside are by the values of rows and those that none has, until all are there.
	setAside map[tuple]int64
	labels   *values
	scores   *grid
	columns  []*column
	rows     int64
}

// CanGroup reports whether the values of a type can be groups.
func CanGroup(t feature.Type) bool {
	return t == feature.TypeBool || t == feature.TypeInt64 || t == feature.TypeString
}

// New is the collector of no rows. favourable is the value that q.Favourable stands for.
func New(q Question, favourableValue feature.Value) (*Collector, error) {
	if len(q.Attributes) == 0 || len(q.Attributes) > MaxAttributes {
		return nil, fmt.Errorf("found %d attributes, expected 1 to %d", len(q.Attributes), MaxAttributes)
	}
	c := &Collector{
		q: q, labels: newValues(q.Label, maxOutcomes), strata: newValues(q.Stratum, MaxStrata), tuples: map[tuple]int32{}, cells: map[cellKey]*cell{}, leftOut: map[int32]int64{}, setAside: map[tuple]int64{},
	}
	isGood := func(v feature.Value) outcome {
		switch {
		case v.IsNull():
			return missing
		case v.Equal(favourableValue):
			return favourable
		}
		return unfavourable
	}
	c.isGood = [2]func(feature.Value) outcome{isGood, isGood}
	c.strata.strata = true
	if q.Threshold != nil {
		c.scores = newGrid(1 << 16)
		c.isGood[1] = func(v feature.Value) outcome {
			switch score, ok := number(v); {
			case !ok:
				return missing
			case score >= *q.Threshold:
				return favourable
			}
			return unfavourable
		}
	}
	for _, name := range q.Attributes {
		c.attributes = append(c.attributes, newValues(name, MaxGroups))
	}
	for _, of := range q.Columns {
		c.columns = append(c.columns, newColumn(of, len(q.Attributes)))
	}
	return c, nil
}

// group is that of a row's attributes.
func (c *Collector) group(attributes []feature.Value) (int32, error) {
	var t tuple
	for i, vs := range c.attributes {
		var err error
		if t[i], err = vs.of(attributes[i]); err != nil {
			return 0, err
		}
	}
	g, ok := c.tuples[t]
	if !ok && len(c.groups) == maxTuples {
		return 0, &TooMany{Column: strings.Join(c.q.Attributes, " with "), Most: maxTuples}
	}
	if !ok {
		g = int32(len(c.groups))
		c.tuples[t], c.groups = g, append(c.groups, t)
	}
	return g, nil
}

// Add takes a row.
func (c *Collector) Add(r *Row) error {
	g, err := c.group(r.Attributes)
	if err != nil {
		return err
	}
	key := cellKey{group: g}
	if c.q.Stratum != "" {
		if key.stratum, err = c.strata.of(r.Stratum); err != nil {
			return err
		}
	}
	at := c.cells[key]
	if at == nil {
		if len(c.cells) == maxCells {
			return &TooMany{Column: strings.Join(append(slices.Clone(c.q.Attributes), c.q.Stratum), " with "), Most: maxCells, Strata: true}
		}
		at = &cell{}
		c.cells[key] = at
	}
	c.rows++
	// What is more than the most is not told of.
	_, _ = c.labels.of(r.Label)
	label, prediction := c.isGood[0](r.Label), missing
	if c.q.Prediction != "" {
		prediction = c.isGood[1](r.Prediction)
	}
	at[label][prediction]++
	if c.scores != nil && label != missing && prediction != missing {
		score, _ := number(r.Prediction)
		c.scores.add(score, 2*g+int32(label))
	}
	for i, of := range c.columns {
		of.add(r.Columns[i], g, &c.groups[g])
	}
	return nil
}

// AddLeftOut takes a row that a rule left out.
func (c *Collector) AddLeftOut(attributes []feature.Value) error {
	g, err := c.group(attributes)
	if err == nil {
		c.leftOut[g]++
	}
	return err
}

// AddSetAside takes rows that were set aside before any of these was made, after these. Attributes that they do not have are NULL. Values that none of these has are one: nobody can bring those to fewer.
func (c *Collector) AddSetAside(attributes []feature.Value, rows int64) {
	var t tuple
	for i, vs := range c.attributes {
		t[i] = vs.known(attributes[i])
	}
	if _, ok := c.setAside[t]; !ok && len(c.setAside) >= maxTuples {
		for i := range c.attributes {
			t[i] = otherValue
		}
	}
	c.setAside[t] += rows
}

// WithoutSetAside forgets rows that were set aside.
func (c *Collector) WithoutSetAside() { clear(c.setAside) }

// Outcomes are the labels' values, as texts: at most maxOutcomes of them, those that came first.
func (c *Collector) Outcomes() (list []string) {
	for _, v := range c.labels.list {
		if !v.Null {
			list = append(list, v.Text)
		}
	}
	slices.Sort(list)
	return list
}
