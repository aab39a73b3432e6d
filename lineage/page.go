package lineage

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
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
	var described []*Node
	var err error
	// Whoever is given all of it has the names with the rest; who is given a page of it has it in the order of all names.
	if whole := p.after == 0 && (p.size == 0 || p.size >= len(w.met)); whole {
		if described, err = w.describeNodes(ctx, w.nodes()); err == nil {
			nodes = namesOf(described)
		}
	} else {
		nodes, err = w.name(ctx)
	}
	if err != nil {
		return nil, err
	}
	// rank is where the node at a place is by id.
	rank := make([]int, len(nodes))
	for i, n := range nodes {
		rank[n.place] = i
	}
	first, last := p.after, len(nodes)
	if p.size > 0 {
		last = min(first+p.size, len(nodes))
	}
	root := nodes[rank[0]]
	g := &Graph{Root: root.id, Subjects: make(map[string]string, max(last-first, 0)+1), At: w.at}
	g.Subjects[root.id] = root.subject
	shownEdges := make([]shownEdge, 0, len(w.edges))
	for i := range w.edges {
		e := &w.edges[i]
		from, to := rank[e.from], rank[e.to]
		if later := max(from, to); later < first || later >= last {
			continue
		}
		shownEdges = append(shownEdges, shownEdge{from, to, e})
		// Those of this page are told below.
		if earlier := nodes[min(from, to)]; min(from, to) < first {
			g.Subjects[earlier.id] = earlier.subject
		}
	}
	slices.SortFunc(shownEdges, func(a, b shownEdge) int {
		return cmp.Or(a.from-b.from, a.to-b.to, int(a.kind)-int(b.kind))
	})
	times, err := w.positions(ctx, shownEdges)
	if err != nil {
		return nil, err
	}
	g.Edges = make([]Edge, len(shownEdges))
	for i, e := range shownEdges {
		g.Edges[i] = Edge{From: nodes[e.from].id, To: nodes[e.to].id, Kind: e.kind, ValidFrom: times.position(e.known.from), ValidTo: times.position(e.known.to)}
	}
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
		shown = append(shown, w.met[nodes[i].place].node)
		g.Subjects[nodes[i].id] = nodes[i].subject
	}
	if described == nil {
		if described, err = w.describeNodes(ctx, shown); err != nil {
			return nil, err
		}
	}
	g.Nodes = make([]Node, 0, len(shown))
	for i := first; i < last; i++ {
		g.Nodes = append(g.Nodes, *described[nodes[i].place])
	}
	return g, nil
}

// shownEdge is an edge by where its ends are in the order of ids.
type shownEdge struct {
	from, to int
	*knownEdge
}

// positionsOf are the positions of times.
type positionsOf map[time.Time]int64

// positions looks up those of the times of edges.
func (w *walker) positions(ctx context.Context, edges []shownEdge) (positionsOf, error) {
	times := positionsOf{}
	for _, e := range edges {
		for _, s := range []stamp{e.known.from, e.known.to} {
			if !s.time.IsZero() {
				times[s.time] = 0
			}
		}
	}
	return times, positions(ctx, w.q, times)
}

func (p positionsOf) position(s stamp) int64 {
	if !s.time.IsZero() {
		return p[s.time]
	}
	return s.position
}
