package lineage

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/headwaterhq/headwater/internal/fault"
)

func (w *walker) describeRuns(ctx context.Context, nodes []node, described map[node]*Node) error {
	type row struct {
		ID, View                                             int64
		Seq                                                  int64
		Position                                             *int64
		State                                                string
		From, To                                             *time.Time
		Fingerprint, Digest                                  []byte
		Principal                                            string
		StartedAt, EndedAt, PublishedAt                      *time.Time
		Error                                                *string
		Read, Produced, Unchanged, Inserted, Withdrawn, Live int64
	}
	rows, err := collect[row](ctx, w.q, `
		SELECT r.id, r.view_id, r.seq, r.position, r.state, r.interval_start, r.interval_end, r.fingerprint, r.digest, r.principal,
			r.started_at, r.ended_at, p.published_at, r.error, r.rows_read, r.produced, r.unchanged, r.inserted, r.withdrawn,
			r.live_after
		FROM headwater.run r LEFT JOIN headwater.publish_log p ON p.run_id = r.id WHERE r.id = ANY ($1) AND r.seq IS NOT NULL`, ids(nodes))
	if err != nil {
		return err
	}
	var views []int64
	for _, r := range rows {
		views = append(views, r.View)
	}
	if err := w.needDefinitions(ctx, views); err != nil {
		return err
	}
	for _, r := range rows {
		view := w.definitions[r.View]
		p := properties{}
		p.text("view", view.ref())
		p.text("state", r.State)
		p.text("fingerprint", hex.EncodeToString(r.Fingerprint))
		p.text("principal", r.Principal)
		p.time("started_at", r.StartedAt)
		p.time("ended_at", r.EndedAt)
		ref := NodeRef{Kind: Run, Name: view.Name, Version: view.Version, Seq: r.Seq}
		var title string
		if r.PublishedAt == nil {
			title = r.State
			if r.Error != nil {
				// Lineage is for who may list what it leads to, and not for who may read rows.
				said := fault.Hidden(*r.Error)
				p.text("error", said)
				title += ", " + oneLine(said)
			}
		} else {
			p.number("position", *r.Position)
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
			title = fmt.Sprintf("%s, %s inserted, %s withdrawn, at position %d", interval(r.From, r.To),
				count(r.Inserted, "row"), thousands(r.Withdrawn), *r.Position)
		}
		described[node{kind: Run, id: r.ID}] = &Node{ID: ref.String(), Title: title, Properties: p}
	}
	w.describeRead(Run, described)
	return w.describeInputs(ctx, ids(nodes), described)
}

// describeRead adds to runs or datasets how many rows they read of the loads that they were met by.
func (w *walker) describeRead(kind NodeKind, described map[node]*Node) {
	for e, known := range w.edges {
		if n := described[e.to]; n != nil && e.kind == Read && e.from.kind == Load && e.to.kind == kind {
			n.Properties["rows_read."+loadID(e.from.id)] = fmt.Sprint(known.rows)
		}
	}
}

// describeInputs adds to runs which version of each source they read, and up to which of its loads or, of a table of
// others, which rows.
func (w *walker) describeInputs(ctx context.Context, runs []int64, described map[node]*Node) error {
	type row struct {
		Run              int64
		Source           string
		Version          int
		LoadNumber, Rows int64
		Relation         string
		Digest           []byte
	}
	rows, err := collect[row](ctx, w.q, `
		SELECT run_id, source, source_version, load_number, rows_read, coalesce(relation, ''), rows_digest FROM headwater.run_input
		WHERE run_id = ANY ($1)`, runs)
	if err != nil {
		return err
	}
	for _, r := range rows {
		p := properties(described[node{kind: Run, id: r.Run}].Properties)
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
	return w.describeViewInputs(ctx, runs, described)
}
