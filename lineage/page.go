package lineage

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/headwaterhq/headwater/internal/fault"
)

// A page is nodes in the order of their ids, with the edges of which the later end is among them. Each page walks anew, as of the instant
// of the first, so that nothing is kept between them; what is there to go by is that the graph is the same.

// page is which part of the graph is wanted.
type page struct {
	// size is how many nodes, 0 for all.
	size int
	// after is how many nodes were given out before, of the graph with the digest, as of at.
	after  int
	at     Instant
	digest []byte
}

// token is what a page token holds.
type token struct {
	// Query is the digest of what was asked.
	Query    []byte `json:"q"`
	Position int64  `json:"p"`
	// Before is in microseconds since 1970.
	Before int64  `json:"t"`
	After  int    `json:"n"`
	Graph  []byte `json:"g"`
}

// digest is that of what is asked, without its pages.
func (q *Query) digest() []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %d %t %s", q.Node, q.Direction, q.Depth, q.Columns, q.AsOf))
	return sum[:12]
}

func (q *Query) page() (page, error) {
	p := page{size: q.PageSize}
	if q.PageToken == "" {
		return p, nil
	}
	var t token
	encoded, err := base64.RawURLEncoding.DecodeString(q.PageToken)
	if err == nil {
		err = json.Unmarshal(encoded, &t)
	}
	if err != nil || t.After <= 0 || string(t.Query) != string(q.digest()) {
		return p, fault.New(fault.InvalidArgument, "page_token: found %q, expected the next_page_token of the page before, "+
			"with all else as it was asked for", q.PageToken)
	}
	p.after, p.digest, p.at = t.After, t.Graph, Instant{Position: t.Position, Before: time.UnixMicro(t.Before)}
	return p, nil
}

// show turns what was met, or the page of it, into a graph in its order.
func (w *walker) show(ctx context.Context, p page) (*Graph, error) {
	var nodes []named
	var described map[node]*Node
	var err error
	// Whoever is given all of it has the names with the rest; who is given a page of it has it in the order of all names.
	if whole := p.after == 0 && (p.size == 0 || p.size >= len(w.nodes)); whole {
		if described, err = w.describeNodes(ctx, slices.Collect(maps.Keys(w.nodes))); err == nil {
			nodes = namesOf(described)
		}
	} else {
		nodes, err = w.name(ctx)
	}
	if err != nil {
		return nil, err
	}
	place := make(map[node]int, len(nodes))
	for i, n := range nodes {
		place[n.node] = i
	}
	first, last := p.after, len(nodes)
	if p.size > 0 {
		last = min(first+p.size, len(nodes))
	}
	root := nodes[place[w.root]]
	g := &Graph{Root: root.id, Subjects: map[string]string{root.id: root.subject}, At: w.at}
	edges := make([]Edge, 0, len(w.edges))
	facts := make([]fact, 0, len(w.edges))
	for e, known := range w.edges {
		from, to := place[e.from], place[e.to]
		if later := max(from, to); later < first || later >= last {
			continue
		}
		edges, facts = append(edges, Edge{From: nodes[from].id, To: nodes[to].id, Kind: e.kind}), append(facts, known)
		for _, end := range []named{nodes[from], nodes[to]} {
			g.Subjects[end.id] = end.subject
		}
	}
	if err := w.date(ctx, edges, facts); err != nil {
		return nil, err
	}
	slices.SortFunc(edges, compareEdges)
	g.Edges = edges
	if first > 0 || last < len(nodes) {
		all := sha256.New()
		for _, n := range nodes {
			fmt.Fprintln(all, n.id)
		}
		fmt.Fprint(all, len(w.edges))
		digest := all.Sum(nil)[:12]
		if first > 0 && string(digest) != string(p.digest) {
			return nil, fault.New(fault.FailedPrecondition, "the lineage of %s as of position %d is not what it was when its first page was read: "+
				"what it holds was deleted or erased since; begin with the first page again", g.Root, w.at.Position)
		}
		if last < len(nodes) {
			encoded, err := json.Marshal(token{
				Query: w.Query.digest(), Position: w.at.Position, Before: w.at.Before.UnixMicro(), After: last, Graph: digest,
			})
			if err != nil {
				return nil, err
			}
			g.NextPage = base64.RawURLEncoding.EncodeToString(encoded)
		}
	}
	shown := make([]node, 0, max(last-first, 0))
	for i := first; i < last; i++ {
		shown = append(shown, nodes[i].node)
		g.Subjects[nodes[i].id] = nodes[i].subject
	}
	if described == nil {
		if described, err = w.describeNodes(ctx, shown); err != nil {
			return nil, err
		}
	}
	for _, n := range shown {
		g.Nodes = append(g.Nodes, *described[n])
	}
	return g, nil
}

// date turns the times of facts into positions.
func (w *walker) date(ctx context.Context, edges []Edge, facts []fact) error {
	times := map[time.Time]int64{}
	for _, f := range facts {
		for _, s := range []stamp{f.from, f.to} {
			if !s.time.IsZero() {
				times[s.time] = 0
			}
		}
	}
	if err := positions(ctx, w.q, times); err != nil {
		return err
	}
	position := func(s stamp) int64 {
		if !s.time.IsZero() {
			return times[s.time]
		}
		return s.position
	}
	for i, f := range facts {
		edges[i].ValidFrom, edges[i].ValidTo = position(f.from), position(f.to)
	}
	return nil
}
