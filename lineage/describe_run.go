package lineage

import (
	"context"
	"encoding/hex"
	"strconv"

	"github.com/headwaterhq/headwater/internal/fault"
)

func (w *walker) describeRuns(ctx context.Context, nodes []node, described map[node]*Node) error {
	runs := ids(nodes)
	var viewInputs []runViewInput
	for _, run := range runs {
		viewInputs = append(viewInputs, w.viewInputs[run]...)
	}
	// Many read the same ones, whose records are large: they are not joined to each.
	versions, err := w.versionsOf(ctx, unknown(w.views, rowIDs(viewInputs, func(r runViewInput) int64 { return r.View })))
	if err != nil {
		return err
	}
	viewOf := func(id int64) *view {
		v := w.views[id]
		if v == nil {
			v = versions[id].view()
		}
		return v
	}
	for _, run := range runs {
		r := w.runs[run]
		if r == nil {
			continue
		}
		view := viewOf(r.View)
		p := make(properties, runProperties)
		p.text("view", view.ref)
		p.text("state", r.State)
		p.text("fingerprint", hex.EncodeToString(r.Fingerprint))
		p.text("principal", r.Principal)
		p.time("started_at", r.StartedAt)
		p.time("ended_at", r.EndedAt)
		var title string
		if r.Position == 0 {
			title = r.State
			if r.Error != nil {
				// Lineage is for who may list what it leads to, and not for who may read rows.
				said := fault.Hidden(*r.Error)
				p.text("error", said)
				title += ", " + oneLine(said)
			}
		} else {
			p.number("position", r.Position)
			p.time("published_at", r.PublishedAt)
			p.time("interval_start", r.From)
			p.time("interval_end", r.To)
			p.text("digest", hex.EncodeToString(r.Digest))
			p.number("rows_read", r.Read)
			p.number("produced", r.Produced)
			p.number("unchanged", r.Unchanged)
			p.number("inserted", r.Inserted)
			p.number("withdrawn", r.Withdrawn)
			p.number("live_after", r.Live)
			title = p.interval("interval_start", "interval_end") + ", " + count(r.Inserted, "row") + " inserted, " + thousands(r.Withdrawn) +
				" withdrawn, at position " + p["position"]
		}
		described[node{kind: Run, id: r.ID}] = &Node{ID: "run:" + view.ref + "/" + strconv.FormatInt(r.Seq, 10), Title: title, Properties: p, subject: view.name}
	}
	w.describeRead(Run, described)
	for _, run := range runs {
		for i := range w.sourceInputs[run] {
			w.sourceInputs[run][i].describe(described)
		}
	}
	for i := range viewInputs {
		viewInputs[i].describe(viewOf(viewInputs[i].View), described)
	}
	return nil
}

// runProperties is about how many a run has; a map has room for as many without a larger one.
const runProperties = 28

// describeRead adds to runs or datasets how many rows they read of the loads that they were met by.
func (w *walker) describeRead(kind NodeKind, described map[node]*Node) {
	for _, e := range w.edges {
		if e.kind != Read || w.met[e.from].kind != Load || w.met[e.to].kind != kind {
			continue
		}
		if n := described[w.met[e.to].node]; n != nil {
			n.Properties["rows_read."+loadID(w.met[e.from].id)] = strconv.FormatInt(e.known.rows, 10)
		}
	}
}

// runInput is which version of a source a run read, and up to which of its loads or, of a table of others, which rows.
type runInput struct {
	Run              int64
	Source           string
	Version          int
	LoadNumber, Rows int64
	Relation         string
	Digest           []byte
	// Loads is of how many there were rows.
	Loads int
}

func (r *runInput) describe(described map[node]*Node) {
	n := described[node{kind: Run, id: r.Run}]
	if n == nil {
		return
	}
	p := properties(n.Properties)
	source := NodeRef{Kind: Source, Name: r.Source}.String()
	p.number("version."+source, int64(r.Version))
	if r.Relation == "" {
		p.number("load_number."+source, r.LoadNumber)
	} else {
		p.text("relation."+source, r.Relation)
		p.text(RowsDigest+source, hex.EncodeToString(r.Digest))
	}
	p.number("rows_read."+source, r.Rows)
}

// runViewInput is at which sequence a run read a view.
type runViewInput struct {
	Run, View, Seq, Rows int64
}

func (r *runViewInput) describe(of *view, described map[node]*Node) {
	n := described[node{kind: Run, id: r.Run}]
	if n == nil {
		return
	}
	p := properties(n.Properties)
	p.number(of.seq, r.Seq)
	p.number(of.rowsRead, r.Rows)
}
