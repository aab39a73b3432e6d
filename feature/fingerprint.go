package feature

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"
	"time"
)

// A fingerprint is SHA-256 over a canonical encoding of what a definition means: not of its description, owner or tags,
// nor of how it is laid out. It is drawn in docs/format/fingerprint.md, and golden vectors keep it from drifting.
const fingerprintDomain = "headwater.fingerprint.v1"

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
	enc.text(s.EventTime)
	enc.text(s.ArrivalColumn)
	expression, _ := parseSQL(s.ArrivalExpression)
	enc.tokens(expression)
	enc.number(int64(s.Corrections))
	enc.origin(s)
	enc.uniqueKey(s)
	return enc.sum()
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

// Fingerprint is the view's fingerprint, given those of its entity and, in the order of SQL.Sources, of its sources. The
// view must be valid.
func (v *View) Fingerprint(entity Digest, sources []Digest) Digest {
	enc := newEncoding(KindView, v.Name)
	enc.digest(entity)
	enc.columns(v.Features)
	enc.columns(v.Attributes)
	enc.duration(v.TTL)
	enc.duration(v.Grain)
	enc.duration(v.Lookback)
	enc.text("sql")
	// The order in which sources are declared says nothing.
	sorted := slices.Clone(sources)
	slices.SortFunc(sorted, func(a, b Digest) int { return bytes.Compare(a[:], b[:]) })
	enc.number(int64(len(sorted)))
	for _, s := range sorted {
		enc.digest(s)
	}
	query, _ := parseSQL(v.SQL.Query)
	enc.tokens(query)
	enc.number(int64(len(SessionSettings)))
	for _, s := range SessionSettings {
		enc.text(s.Name)
		enc.text(s.Value)
	}
	return enc.sum()
}

// Fingerprint is the service's fingerprint, given what it is pinned to: each view's fingerprint with the features in the
// order of the output.
func (s *Service) Fingerprint(pins []ServicePin) Digest {
	enc := newEncoding(KindService, s.Name)
	enc.flag(s.ServesAsGrant)
	enc.number(int64(len(pins)))
	for _, p := range pins {
		enc.digest(p.View.Fingerprint)
		enc.number(int64(len(p.Features)))
		for _, i := range p.Features {
			enc.text(p.View.Features[i].Name)
		}
	}
	return enc.sum()
}

// Fingerprint is the role's fingerprint: its name and the set of its grants, each the sets of its actions and resources.
func (r *Role) Fingerprint() Digest {
	enc := newEncoding(KindRole, r.Name)
	grants := make([]string, len(r.Grants))
	for i := range r.Grants {
		grants[i] = r.Grants[i].canonical()
	}
	enc.texts(sortedSet(grants))
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
