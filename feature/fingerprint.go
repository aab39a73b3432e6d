package feature

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// A fingerprint is SHA-256 over a canonical encoding of what a definition means: not of its description, owner or tags,
// nor of how it is laid out. It is drawn in docs/format/fingerprint.md, and golden vectors keep it from drifting.
const (
	fingerprintDomain = "headwater.fingerprint.v1"
	// viewDomain is that of views, which used to hold their sources whole.
	viewDomain = "headwater.fingerprint.v2"
)

type encoding struct{ bytes []byte }

func newEncoding(k Kind, name string) *encoding {
	e := &encoding{}
	e.text(fingerprintDomain)
	e.text(k.String())
	e.text(name)
	return e
}

func (e *encoding) text(s string) { e.bytes = AppendCanonicalString(e.bytes, s) }

func (e *encoding) number(n int64) { e.bytes = binary.BigEndian.AppendUint64(e.bytes, uint64(n)) }

func (e *encoding) float(f float64) {
	e.bytes = binary.BigEndian.AppendUint64(e.bytes, math.Float64bits(f))
}

func (e *encoding) flag(b bool) {
	if b {
		e.bytes = append(e.bytes, 1)
	} else {
		e.bytes = append(e.bytes, 0)
	}
}

func (e *encoding) digest(d Digest) { e.bytes = append(e.bytes, d[:]...) }

func (e *encoding) columns(columns []Column) {
	e.number(int64(len(columns)))
	for i := range columns {
		e.text(columns[i].Name)
		e.bytes = columns[i].Type.AppendCanonical(e.bytes)
	}
}

func (e *encoding) texts(list []string) {
	e.number(int64(len(list)))
	for _, s := range list {
		e.text(s)
	}
}

func (e *encoding) tokens(q *Query) {
	tokens := q.Tokens()
	e.number(int64(len(tokens)))
	for i := range tokens {
		e.bytes = append(e.bytes, byte(tokens[i].Kind))
		e.text(tokens[i].Canonical())
	}
}

func (e *encoding) duration(d time.Duration) { e.number(d.Microseconds()) }

func (e *encoding) sum() Digest { return sha256.Sum256(e.bytes) }

// Fingerprint is the entity's fingerprint: its name, and its keys with their types in order.
func (e *Entity) Fingerprint() Digest {
	enc := newEncoding(KindEntity, e.Name)
	enc.columns(e.JoinKeys)
	return enc.sum()
}

// Fingerprint is the source's fingerprint: its name, columns, clocks, origin and rules. What becomes of files
// with other columns, and the freshness expected, are not in it: they change no row. The source must be valid.
func (s *Source) Fingerprint() Digest {
	enc := newEncoding(KindSource, s.Name)
	enc.columns(s.Columns)
	enc.clocks(s)
	enc.origin(s)
	enc.uniqueKey(s)
	enc.leftOut(s)
	enc.expectations(s.Expectations, s.Columns)
	return enc.sum()
}

func (e *encoding) clocks(s *Source) {
	e.text(s.EventTime)
	e.text(s.ArrivalColumn)
	expression, _ := parseSQL(s.ArrivalExpression)
	e.tokens(expression)
	e.number(int64(s.Corrections))
}

// origin is where the source's rows are.
func (e *encoding) origin(s *Source) {
	o := s.Postgres
	if o == nil {
		e.text("landing")
		return
	}
	e.texts([]string{"postgres", o.Database, o.Schema, o.Table})
}

// uniqueKey is the columns that tell rows apart, in any order, and what becomes of duplicates. A source without a key has
// nothing here.
func (e *encoding) uniqueKey(s *Source) {
	if len(s.UniqueKey) == 0 {
		return
	}
	e.text("unique key")
	e.texts(sortedSet(s.UniqueKey))
	e.number(int64(s.Exact))
	e.number(int64(s.Conflicting))
}

// part is the digest of what a view uses of the source: the columns that it uses and those that the source's clocks and
// unique key are made of, by name, and the clocks, origin and rules. Everything else about the source can change without the
// view's rows changing. all takes every column as used.
func (s *Source) part(used []string, all bool) Digest {
	enc := newEncoding(KindSource, s.Name)
	var columns []Column
	for i := range s.Columns {
		if c := &s.Columns[i]; all || slices.Contains(used, c.Name) || s.needs(c.Name) {
			columns = append(columns, *c)
		}
	}
	slices.SortFunc(columns, func(a, b Column) int { return strings.Compare(a.Name, b.Name) })
	enc.columns(columns)
	enc.clocks(s)
	enc.origin(s)
	enc.uniqueKey(s)
	enc.leftOut(s)
	enc.expectations(s.Expectations, s.Columns)
	return enc.sum()
}

// leftOut is which rows of the source are not shown. What becomes of rows without an event time is not in it: they are never
// shown.
func (e *encoding) leftOut(s *Source) {
	if s.AllowedLateness != 0 {
		e.text("allowed lateness")
		e.duration(s.AllowedLateness)
	}
	if s.DeleteMarker != "" {
		e.text("delete marker")
		e.text(s.DeleteMarker)
	}
}

// needs says that a column is part of the source's clocks, its unique key or what leaves rows of it out, or may be.
func (s *Source) needs(column string) bool {
	if column == s.EventTime || column == s.ArrivalColumn || column == s.DeleteMarker || slices.Contains(s.UniqueKey, column) ||
		s.leftOutBy(column) {
		return true
	}
	expression, _ := parseSQL(s.ArrivalExpression)
	tokens := expression.Tokens()
	for i := range tokens {
		switch t := &tokens[i]; t.Kind {
		case SQLWord:
			// The source's name alone is the whole row; before a point it says whose column follows.
			whole := t.Canonical() == s.Name && (i+2 >= len(tokens) || tokens[i+1].Text != "." || tokens[i+2].Text == "*")
			if whole || t.Canonical() == column {
				return true
			}
		case SQLQuotedName:
			if t.Text == `"`+column+`"` || t.Text == `"`+s.Name+`"` || t.Text[0] != '"' {
				return true
			}
		}
	}
	return false
}

// Meaning is the view's fingerprint, computed from its definition, the versions it is resolved to and its analysis. Without
// an analysis it uses all of its sources. The view must be valid. The field Fingerprint, which a version keeps for good, may
// be of an earlier format.
func (v *ViewVersion) Meaning() Digest { return v.meaning(v.Analysis) }

// SameMeaning reports whether the view means what the version before it does, whose fingerprint may be of an earlier format:
// then both are held to today's, and it counts as using what this one uses.
func (v *ViewVersion) SameMeaning(before *ViewVersion) bool {
	if !v.sameViews(before) {
		return false
	}
	if before.Fingerprint != before.Meaning() && before.Fingerprint == before.firstMeaning() {
		return v.Meaning() == before.meaning(v.Analysis)
	}
	// Of neither format: it was made under other settings of sessions.
	return v.Meaning() == before.Fingerprint
}

// Unchanged reports whether the view has the definition of the version before it, words apart, and reads the same, so that
// the two mean the same without a look at its analysis. What functions of users do can change in Postgres, so that a view
// which calls some is never known to be unchanged.
func (v *ViewVersion) Unchanged(before *ViewVersion) bool {
	if v.SQL != nil && len(v.SQL.Functions) > 0 || !v.sameViews(before) || v.meaning(nil) != before.meaning(nil) {
		return false
	}
	return before.Fingerprint == before.Meaning() || before.Fingerprint == before.firstMeaning()
}

// sameViews reports whether both read the same versions of views. One that has the fingerprint of an earlier one has rows of
// its own all the same.
func (v *ViewVersion) sameViews(before *ViewVersion) bool {
	same := func(a, b *ViewVersion) bool { return a.Name == b.Name && a.Version == b.Version }
	for _, w := range v.ViewVersions {
		if !slices.ContainsFunc(before.ViewVersions, func(b *ViewVersion) bool { return same(w, b) }) {
			return false
		}
	}
	return len(v.ViewVersions) == len(before.ViewVersions)
}

// firstMeaning is the fingerprint of a view in the first format, which held its sources whole.
func (v *ViewVersion) firstMeaning() Digest {
	if v.SQL == nil || v.EntityVersion == nil || len(v.ViewVersions) > 0 {
		return Digest{}
	}
	enc := newEncoding(KindView, v.Name)
	enc.digest(v.EntityVersion.Fingerprint)
	enc.columns(v.Features)
	enc.columns(v.Attributes)
	enc.duration(v.TTL)
	enc.duration(v.Grain)
	enc.duration(v.Lookback)
	enc.text("sql")
	var sources []Digest
	for _, s := range v.SourceVersions {
		sources = append(sources, s.Fingerprint)
	}
	enc.digests(sources)
	query, _ := parseSQL(v.SQL.Query)
	enc.tokens(query)
	enc.settings()
	return enc.sum()
}

func (v *ViewVersion) meaning(analysis *Analysis) Digest {
	enc := &encoding{}
	enc.text(viewDomain)
	enc.text(KindView.String())
	enc.text(v.Name)
	if v.EntityVersion != nil {
		enc.digest(v.EntityVersion.Fingerprint)
	} else {
		enc.digest(Digest{})
	}
	enc.columns(v.Features)
	enc.columns(v.Attributes)
	enc.duration(v.TTL)
	enc.duration(v.Grain)
	enc.duration(v.Lookback)
	enc.text(v.kind())
	// The order in which sources and views are declared says nothing.
	var inputs []Digest
	for _, s := range v.SourceVersions {
		used, known := []string(nil), false
		if analysis != nil {
			used, known = analysis.Uses[s.Name]
		}
		inputs = append(inputs, s.part(used, !known))
	}
	enc.digests(inputs)
	inputs = nil
	for _, w := range v.ViewVersions {
		inputs = append(inputs, w.Fingerprint)
	}
	enc.digests(inputs)
	switch {
	case v.SQL != nil:
		enc.sqlView(v.SQL, analysis)
	case v.Aggregation != nil:
		enc.aggregation(v.Aggregation)
	case v.OnDemand != nil:
		enc.onDemand(v.OnDemand)
	}
	if v.EntityVersion != nil {
		enc.expectations(v.Expectations, v.OutputColumns(v.EntityVersion.JoinKeys))
	}
	return enc.sum()
}

func (e *encoding) digests(list []Digest) {
	sorted := slices.Clone(list)
	slices.SortFunc(sorted, func(a, b Digest) int { return bytes.Compare(a[:], b[:]) })
	e.number(int64(len(sorted)))
	for _, d := range sorted {
		e.digest(d)
	}
}

func (e *encoding) settings() {
	e.number(int64(len(SessionSettings)))
	for _, s := range SessionSettings {
		e.text(s.Name)
		e.text(s.Value)
	}
}

func (e *encoding) sqlView(t *SQLTransform, analysis *Analysis) {
	query, _ := parseSQL(t.Query)
	e.tokens(query)
	// What a function does is in its body; an allowance that is not used means nothing.
	var functions []FunctionBody
	if analysis != nil {
		functions = analysis.Functions
	}
	e.number(int64(len(functions)))
	for _, f := range functions {
		e.text(f.Function)
		e.digest(f.Body)
	}
	e.settings()
}

func (e *encoding) aggregation(a *Aggregation) {
	e.text(a.Source)
	var keys []string
	for _, k := range unionOfKeys(a.Keys, nil) {
		// A key that is written as the column of its own name says what saying nothing does.
		if a.Keys[k] != k {
			var pair encoding
			pair.text(k)
			pair.text(a.Keys[k])
			keys = append(keys, string(pair.bytes))
		}
	}
	e.texts(keys)
	e.duration(a.Hop)
	where, _ := parseSQL(a.Where)
	e.tokens(where)
	aggregates := make([]string, len(a.Aggregates))
	for i := range a.Aggregates {
		g := &a.Aggregates[i]
		var one encoding
		one.text(g.Feature)
		one.text(g.Function.String())
		one.text(g.Column)
		one.duration(g.Window)
		where, _ := parseSQL(g.Where)
		one.tokens(where)
		one.float(g.Quantile)
		one.float(g.ResolvedError())
		aggregates[i] = string(one.bytes)
	}
	e.texts(sortedSet(aggregates))
	e.settings()
}

func (e *encoding) onDemand(o *OnDemand) {
	inputs := slices.Clone(o.Inputs)
	slices.SortFunc(inputs, func(a, b Column) int { return strings.Compare(a.Name, b.Name) })
	e.columns(inputs)
	expressions := make([]string, len(o.Expressions))
	for i, x := range o.Expressions {
		var one encoding
		one.text(x.Feature)
		one.text(canonicalCEL(x.CEL))
		expressions[i] = string(one.bytes)
	}
	e.texts(sortedSet(expressions))
}

// Fingerprint is the role's fingerprint: its name and the set of its grants, each the sets of its actions and resources.
func (r *Role) Fingerprint() Digest {
	enc := newEncoding(KindRole, r.Name)
	grants := make([]string, len(r.Grants))
	for i := range r.Grants {
		grants[i] = r.Grants[i].canonical()
	}
	enc.texts(sortedSet(grants))
	if len(r.Attributes)+len(r.MayElevateTo) > 0 {
		// Roles without any keep the fingerprints that they had before there were attributes.
		for _, name := range slices.Sorted(maps.Keys(r.Attributes)) {
			enc.text(name)
			enc.texts(sortedSet(r.Attributes[name]))
		}
		enc.texts(sortedSet(r.MayElevateTo))
		enc.duration(r.MaxElevation)
	}
	return enc.sum()
}

func (g *Grant) canonical() string {
	var enc encoding
	enc.flag(g.Deny)
	enc.texts(sortedSet(g.Actions))
	resources := make([]string, len(g.Resources))
	for i, p := range g.Resources {
		resources[i] = p.String()
	}
	enc.texts(sortedSet(resources))
	return string(enc.bytes)
}

func sortedSet(list []string) []string {
	sorted := slices.Clone(list)
	slices.SortFunc(sorted, strings.Compare)
	return slices.Compact(sorted)
}
