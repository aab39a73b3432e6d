package lineage

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/internal/database"
)

// Check looks for what does not lead to where it came from: rows of histories, online values, logged reads and datasets without a published run, reads
// without their service, predictions without their model, runs without what they read or were defined by, and edges to what is not there. Nothing that the server does leaves any; a hand in the
// database, or a backup that was restored in part, does. It changes nothing, takes no lock, and may be done while all else goes on:
// each question is asked of one snapshot, and what a run at work has written is its own.
type Check struct {
	// Views are the view versions that are looked at, `NAME@VERSION`, with the datasets that read them. nil: all there is.
	Views []string
	// Online lists what the online store has of an entity, a batch at a time.
	Online func(ctx context.Context, entity string, list func([]OnlineRow) error) error
	// Found is told of each orphan, and Looked of each thing that was looked at, when it was. They are never called twice at once.
	Found  func(Orphan) error
	Looked func(Checked) error
}

// OnlineRow is one value of the online store.
type OnlineRow struct {
	// View is the id of the view version whose field it is, 0 for a field that is no id; Field is as it is.
	View  int64
	Field string
	// Seq is the sequence that it is the winner of, and Run the one that wrote it. Broken is why they cannot be read.
	Seq, Run int64
	Broken   error
}

// Orphan is what does not lead to where it came from.
type Orphan struct {
	// Node is as NodeRef.String has it, or names what is no node of the graph.
	Node string
	// Found and Expected are for people. They hold nothing of rows.
	Found, Expected string
}

// Checked counts what was looked at.
type Checked struct {
	// Node is empty for all.
	Node                         string
	Rows, Runs, Online, Datasets int64
	Orphans                      int64
	// Total is how many things will be told of, each as one Checked, before that of all.
	Total int64
}

// maxOrphans is how many orphans are told of that one question finds of one thing.
const maxOrphans = 1000

// Run looks at everything, and tells of it in an order that is the same every time; at the end of all of it, without a node.
func (c *Check) Run(ctx context.Context, q database.Querier) error {
	k := &checker{q: q, Check: c, published: map[int64]map[int64]bool{}}
	return database.Fault(k.run(ctx))
}

type checker struct {
	q database.Querier
	*Check
	// now counts what is looked at now, and all what was.
	now, all Checked
	// published are sequences of view versions of which it is known that they were.
	published map[int64]map[int64]bool
	known     int
}

// checkedView is a view version with a history.
type checkedView struct {
	ID      int64
	Name    string
	Version int
	Entity  string
	// Sources and Views are the names of what it reads.
	Sources, Views []string
	HasHistory     bool
}

func (v *checkedView) ref() string { return fmt.Sprintf("%s@%d", v.Name, v.Version) }

func (v *checkedView) node() string {
	return NodeRef{Kind: View, Name: v.Name, Version: v.Version}.String()
}

func (k *checker) run(ctx context.Context) error {
	views, err := collect[checkedView](ctx, k.q, `
		SELECT d.id, d.name, d.version, d.body -> 'featureViews' -> 0 ->> 'entity',
			array(SELECT jsonb_object_keys(d.resolved -> 'sources') ORDER BY 1), array(SELECT jsonb_object_keys(d.resolved -> 'views') ORDER BY 1),
			to_regclass('headwater_history.' || quote_ident(d.name || '_v' || d.version)) IS NOT NULL
		FROM headwater.definition d
		WHERE d.kind = 'view' AND NOT d.body -> 'featureViews' -> 0 ? 'onDemand' AND ($1::text[] IS NULL OR d.name || '@' || d.version = ANY ($1))
		ORDER BY 4, 2, 3`, k.Views)
	if err != nil {
		return err
	}
	var datasets int64
	if err := k.q.QueryRow(ctx, `SELECT count(*) FROM headwater.dataset d WHERE `+k.readsViews(), k.Views).Scan(&datasets); err != nil {
		return err
	}
	k.all.Total = int64(len(views)) + datasets
	if k.Views == nil {
		k.all.Total++
	}
	for len(views) > 0 {
		// The views of an entity are together: what is online of it is walked once.
		n := 1
		for n < len(views) && views[n].Entity == views[0].Entity {
			n++
		}
		if err := k.entity(ctx, views[:n]); err != nil {
			return err
		}
		views = views[n:]
	}
	if err := k.datasets(ctx); err != nil {
		return err
	}
	if k.Views == nil {
		if err := k.system(ctx); err != nil {
			return err
		}
	}
	return k.Looked(k.all)
}

// begin begins to look at a thing.
func (k *checker) begin(node string) { k.now = Checked{Node: node, Total: k.all.Total} }

// end tells of it.
func (k *checker) end() error {
	k.all.Rows += k.now.Rows
	k.all.Runs += k.now.Runs
	k.all.Online += k.now.Online
	k.all.Datasets += k.now.Datasets
	k.all.Orphans += k.now.Orphans
	return k.Looked(k.now)
}

func (k *checker) orphan(node, found, expected string) error {
	k.now.Orphans++
	return k.Found(Orphan{node, found, expected})
}

// orphans are those that a query finds, as node, found, expected. It has a LIMIT of one more than are told of.
func (k *checker) orphans(ctx context.Context, of, sql string, args ...any) error {
	rows, err := k.q.Query(ctx, fmt.Sprintf("%s LIMIT %d", sql, maxOrphans+1), args...)
	if err != nil {
		return err
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Orphan])
	if err != nil {
		return err
	}
	for i, o := range found {
		if i == maxOrphans {
			return k.orphan(of, fmt.Sprintf("more like the %d before this", maxOrphans), "none")
		}
		if err := k.orphan(o.Node, o.Found, o.Expected); err != nil {
			return err
		}
	}
	return nil
}

// entity looks at the histories, runs and online values of the views of an entity.
func (k *checker) entity(ctx context.Context, views []checkedView) error {
	counts := map[int64]*Checked{}
	for i := range views {
		v := &views[i]
		k.begin(v.node())
		if err := k.view(ctx, v); err != nil {
			return err
		}
		now := k.now
		counts[v.ID] = &now
	}
	if err := k.online(ctx, views, counts); err != nil {
		return err
	}
	for i := range views {
		k.now = *counts[views[i].ID]
		if err := k.end(); err != nil {
			return err
		}
	}
	return nil
}

func (k *checker) view(ctx context.Context, v *checkedView) error {
	if err := k.q.QueryRow(ctx, `SELECT count(*) FROM headwater.run WHERE view_id = $1`, v.ID).Scan(&k.now.Runs); err != nil {
		return err
	}
	if !v.HasHistory {
		if err := k.orphan(v.node(), "no history", "a table headwater_history."+fmt.Sprintf("%s_v%d", v.Name, v.Version)); err != nil {
			return err
		}
	} else if err := k.history(ctx, v); err != nil {
		return err
	}
	for _, question := range runQuestions {
		err := k.orphans(ctx, v.node(), `WITH v AS (SELECT $1::bigint AS id, $2::text AS ref, $3::text[] AS sources, $4::text[] AS views) `+question,
			v.ID, v.ref(), v.Sources, v.Views)
		if err != nil {
			return err
		}
	}
	return nil
}

// history holds the rows of a view version to the runs that wrote and ended them. What a run that has not ended wrote is its own.
func (k *checker) history(ctx context.Context, v *checkedView) error {
	table := pgx.Identifier{"headwater_history", fmt.Sprintf("%s_v%d", v.Name, v.Version)}.Sanitize()
	type row struct {
		Ends  bool
		Seq   int64
		Rows  int64
		State string
	}
	rows, err := collect[row](ctx, k.q, fmt.Sprintf(`
		WITH h AS MATERIALIZED (
			SELECT grouping(seq_from) = 1 AS ends, coalesce(seq_from, seq_to) AS seq, count(*) AS rows FROM %s GROUP BY GROUPING SETS ((seq_from), (seq_to))
		)
		(SELECT false, 0::bigint, coalesce(sum(rows), 0)::bigint, '' FROM h WHERE NOT ends)
		UNION ALL
		(SELECT h.ends, h.seq, h.rows, coalesce(r.state, '') FROM h LEFT JOIN headwater.run r ON r.view_id = $1 AND r.seq = h.seq
		LEFT JOIN headwater.publish_log p ON p.view_id = $1 AND p.seq = h.seq
		WHERE NOT (h.ends AND h.seq = 9223372036854775807) AND NOT coalesce(r.state IN ('queued', 'running'), false)
			AND (p.run_id IS NULL OR r.id IS DISTINCT FROM p.run_id OR r.state <> 'published') ORDER BY 1, 2 LIMIT %d)`, table, maxOrphans+1), v.ID)
	if err != nil {
		return err
	}
	k.now.Rows = rows[0].Rows
	for i, r := range rows[1:] {
		if i == maxOrphans {
			return k.orphan(v.node(), fmt.Sprintf("rows of more sequences like the %d before this", maxOrphans), "none")
		}
		what := count(r.Rows, "row")
		if r.Ends {
			what += " that ended at"
		} else {
			what += " of"
		}
		what += fmt.Sprintf(" sequence %d", r.Seq)
		if r.State == "" {
			what += ", which is no run's"
		} else {
			what += ", whose run is " + r.State
		}
		if err := k.orphan(v.node(), what, fmt.Sprintf("a published run %s/%d", v.ref(), r.Seq)); err != nil {
			return err
		}
	}
	return nil
}

// datasetPage is how many datasets are looked at at once.
const datasetPage = 500

// readsViews is the condition that a dataset d is looked at, given the view versions as $1.
func (k *checker) readsViews() string {
	return `($1::text[] IS NULL OR EXISTS (SELECT FROM headwater.dataset_view r JOIN headwater.definition v ON v.id = r.view_id
		WHERE r.dataset_id = d.id AND v.name || '@' || v.version = ANY ($1)))`
}

func (k *checker) datasets(ctx context.Context) error {
	after := ""
	for {
		rows, err := k.q.Query(ctx, `SELECT d.id FROM headwater.dataset d WHERE d.id > $2 AND `+k.readsViews()+` ORDER BY d.id LIMIT $3`, k.Views, after, datasetPage)
		if err != nil {
			return err
		}
		page, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil || len(page) == 0 {
			return err
		}
		orphans := map[string][]Orphan{}
		for _, question := range datasetQuestions {
			rows, err := k.q.Query(ctx, question, page)
			if err != nil {
				return err
			}
			found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Orphan])
			if err != nil {
				return err
			}
			for _, o := range found {
				orphans[o.Node] = append(orphans[o.Node], o)
			}
		}
		for _, id := range page {
			k.begin(NodeRef{Kind: Dataset, DatasetID: id}.String())
			k.now.Datasets = 1
			for _, o := range orphans[k.now.Node] {
				if err := k.orphan(o.Node, o.Found, o.Expected); err != nil {
					return err
				}
			}
			if err := k.end(); err != nil {
				return err
			}
		}
		after = page[len(page)-1]
	}
}

// system looks at what is of no view version and no dataset.
func (k *checker) system(ctx context.Context) error {
	k.begin("system")
	for _, question := range systemQuestions {
		if err := k.orphans(ctx, "system", question); err != nil {
			return err
		}
	}
	return k.end()
}
