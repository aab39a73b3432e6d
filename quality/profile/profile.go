package profile

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/headwaterhq/headwater/feature"
)

// Spec is a column of the rows that are described.
type Spec struct {
	Name string
	Type feature.Type
	// Key tells that values name something: they are counted, and none is kept.
	Key bool
	// Group has completeness counted by the column's values as well, where there are no more than MaxGroups.
	Group bool
}

const (
	// MaxGroups is by how many values of a column completeness is counted.
	MaxGroups = 64
	// MaxGroupColumns is of how many columns.
	MaxGroupColumns = 4
	// maxColumns is more than any table has.
	maxColumns = 1 << 14
)

// Profile describes rows. It is for one goroutine.
type Profile struct {
	rows    int64
	columns []*Column
	// times counts rows, and values that are there by column, by the time of the rows.
	times *grid
	// groups are of the columns with Group.
	groups []*groups
	// there tells of the rows that are being added which values are there.
	there []bool
}

// groups counts rows, and values that are there, by a column's values.
type groups struct {
	column int
	// over: there are more than MaxGroups, and none is counted any more.
	over bool
	rows map[string]*group
	buf  []byte
}

type group struct {
	value  feature.Value
	counts []int64
}

// New is the profile of no rows. It is an error where more than MaxGroupColumns columns are to be grouped by, or one is of lists or a key.
func New(specs []Spec) (*Profile, error) {
	p := &Profile{times: newGrid(len(specs))}
	for i, spec := range specs {
		if !spec.Type.IsValid() {
			return nil, fmt.Errorf("column %s: found the type %s, expected one of values", spec.Name, spec.Type)
		}
		p.columns = append(p.columns, newColumn(spec))
		if !spec.Group {
			continue
		}
		if !CanGroup(spec.Type) || spec.Key {
			return nil, fmt.Errorf("column %s: found a %s to group by, expected bool, int64 or string, and no key", spec.Name, spec.Type)
		}
		if len(p.groups) == MaxGroupColumns {
			return nil, fmt.Errorf("column %s: found more than %d columns to group by", spec.Name, MaxGroupColumns)
		}
		p.groups = append(p.groups, &groups{column: i, rows: map[string]*group{}})
	}
	return p, nil
}

// CanGroup reports whether completeness can be counted by values of a type.
func CanGroup(t feature.Type) bool {
	return t == feature.TypeBool || t == feature.TypeInt64 || t == feature.TypeString
}

// Rows are some to be added, one after another.
type Rows struct {
	// Times are the rows' own, and Hashes one of all values of each, by which rows are sampled.
	Times  []feature.Time
	Hashes []uint64
	// Values are those of the rows, Width of each, and At is where in a row those of the profile's columns are. They are valid only during the
	// call.
	Values []feature.Value
	Width  int
	At     []int
}

// Add takes a row. hash is one of all of its values, by which rows are sampled; at is its time, values are in the order of the columns
// and valid only during the call.
func (p *Profile) Add(at feature.Time, hash uint64, values []feature.Value) {
	p.rows++
	p.there = slices.Grow(p.there[:0], len(p.columns))[:len(p.columns)]
	cell := p.times.at(at)
	cell[0]++
	for i, c := range p.columns {
		there := c.add(values[i], hash)
		if p.there[i] = there; there {
			cell[1+i]++
		}
	}
	for _, g := range p.groups {
		g.count(values[g.column], p.there)
	}
}

// AddRows is Add of each of the rows. It goes through them column by column, so that what is counted of one is near when the next value of it comes.
func (p *Profile) AddRows(rows Rows) {
	n, columns := len(rows.Times), len(p.columns)
	p.rows += int64(n)
	p.there = slices.Grow(p.there[:0], n*columns)[:n*columns]
	for i, c := range p.columns {
		for r, at := 0, rows.At[i]; r < n; r, at = r+1, at+rows.Width {
			p.there[r*columns+i] = c.add(rows.Values[at], rows.Hashes[r])
		}
	}
	for r, at := range rows.Times {
		there := p.there[r*columns : (r+1)*columns]
		cell := p.times.at(at)
		cell[0]++
		countThere(cell[1:], there)
		for _, g := range p.groups {
			g.count(rows.Values[r*rows.Width+rows.At[g.column]], there)
		}
	}
}

// count counts a row by its value of the groups' column, and which of its values are there.
func (g *groups) count(v feature.Value, there []bool) {
	if g.over {
		return
	}
	g.buf = v.AppendCanonical(g.buf[:0])
	one, ok := g.rows[string(g.buf)]
	if !ok {
		if one = g.add(string(g.buf), v, len(there)); one == nil {
			return
		}
	}
	one.counts[0]++
	countThere(one.counts[1:], there)
}

// countThere counts the values of a row that are there.
func countThere(counts []int64, there []bool) {
	for i, there := range there {
		if there {
			counts[i]++
		}
	}
}

// add makes a new group, or nil where there are too many.
func (g *groups) add(key string, v feature.Value, columns int) *group {
	if len(g.rows) == MaxGroups || v.Size() > maxValue {
		g.over, g.rows = true, nil
		return nil
	}
	one := &group{value: v.Clone(), counts: make([]int64, 1+columns)}
	g.rows[key] = one
	return one
}

func (g *groups) merge(o *groups) {
	if g.over || o.over {
		g.over, g.rows = true, nil
		return
	}
	for key, other := range o.rows {
		one, ok := g.rows[key]
		if !ok {
			if one = g.add(key, other.value, len(other.counts)-1); one == nil {
				return
			}
		}
		addCounts(one.counts, other.counts)
	}
}

// Rows is how many there are.
func (p *Profile) Rows() int64 { return p.rows }

// Columns are what is known of each, in their order.
func (p *Profile) Columns() []*Column { return p.columns }

// Specs are the columns.
func (p *Profile) Specs() []Spec {
	list := make([]Spec, len(p.columns))
	for i, c := range p.columns {
		list[i] = c.Spec
	}
	return list
}

// Merge adds the rows of another profile, which is left as it is. Profiles of other columns have nothing in common: that is an error.
func (p *Profile) Merge(o *Profile) error {
	if !slices.Equal(p.Specs(), o.Specs()) {
		return fmt.Errorf("found a profile of columns %v, expected %v", o.Specs(), p.Specs())
	}
	p.rows += o.rows
	for i, c := range p.columns {
		c.merge(o.columns[i])
	}
	p.times.merge(o.times)
	for i, g := range p.groups {
		g.merge(o.groups[i])
	}
	return nil
}

// format is the first byte of an encoding.
const format = 1

// AppendCanonical appends the profile's encoding, as docs/format/profile.md has it. Profiles of the same rows have the same.
func (p *Profile) AppendCanonical(dst []byte) []byte {
	dst = append(dst, format)
	dst = binary.AppendUvarint(dst, uint64(len(p.columns)))
	for _, c := range p.columns {
		dst = appendText(dst, c.Name)
		dst = appendText(dst, c.Type.String())
		flags := byte(0)
		if c.Key {
			flags |= 1
		}
		if c.Group {
			flags |= 2
		}
		dst = append(dst, flags)
	}
	dst = binary.AppendUvarint(dst, uint64(p.rows))
	dst = p.times.appendTo(dst)
	for _, g := range p.groups {
		dst = g.appendTo(dst)
	}
	for _, c := range p.columns {
		dst = c.appendTo(dst)
	}
	return dst
}

// Digest is the SHA-256 of the encoding.
func (p *Profile) Digest() feature.Digest { return sha256.Sum256(p.AppendCanonical(nil)) }

func (g *groups) appendTo(dst []byte) []byte {
	if g.over {
		return append(dst, 0)
	}
	dst = binary.AppendUvarint(dst, uint64(len(g.rows))+1)
	for _, key := range g.keys() {
		one := g.rows[key]
		dst = appendValue(dst, one.value)
		for _, n := range one.counts {
			dst = binary.AppendUvarint(dst, uint64(n))
		}
	}
	return dst
}

// keys are the canonical encodings of the values, ascending.
func (g *groups) keys() []string {
	keys := make([]string, 0, len(g.rows))
	for key := range g.rows {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func (g *groups) read(r *reader, t feature.Type, columns int) {
	n := r.count(MaxGroups + 1)
	if n == 0 {
		g.over, g.rows = true, nil
		return
	}
	for range n - 1 {
		v := r.value(t)
		if r.err != nil {
			return
		}
		one := g.add(string(v.AppendCanonical(nil)), v, columns)
		if one == nil {
			r.fail("too many groups")
			return
		}
		for i := range one.counts {
			one.counts[i] = r.rows()
		}
	}
}
