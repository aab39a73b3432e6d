package lineage

import (
	"context"
	"slices"
	"time"
)

// What is of others stands above sources and loads: jobs, by the tables and files that they wrote, and the tables and files that those read. It
// is known from their OpenLineage events, which only add to it, so that an edge is there from when it was first told on.

// relationOfSource is what package lineage/openlineage calls the table that a source's rows are in, of the definition d.
const relationOfSource = `CASE WHEN d.body->'sources'->0->'postgres' IS NULL THEN 'headwater_landing.' || d.name
	ELSE coalesce(nullif(d.body->'sources'->0->'postgres'->>'database', '') || ':', '')
		|| coalesce(nullif(d.body->'sources'->0->'postgres'->>'schema', ''), 'public') || '.' || (d.body->'sources'->0->'postgres'->>'table') END`

// meet follows an edge to what is of others, met by a source.
func (w *walker) meet(from, to node, kind EdgeKind, source string, known fact) {
	if w.outside[from] == "" {
		w.outside[from] = source
	}
	w.follow(from, to, kind, known)
}

// sourcesUp goes from sources to the jobs of others that wrote the tables that they are.
func (w *walker) sourcesUp(ctx context.Context, sources []node) error {
	type row struct {
		Source string
		Job    int64
		At     time.Time
	}
	return each(ctx, w.q, func(r *row) {
		w.meet(node{kind: OutsideJob, id: r.Job}, node{kind: Source, name: r.Source}, Wrote, r.Source, fact{from: atTime(r.At)})
	}, `
		SELECT s.name, e.job_id, min(e.told_at) FROM (
			SELECT DISTINCT ON (d.name) d.name, `+relationOfSource+` AS relation FROM headwater.definition d
			WHERE d.kind = 'source' AND d.name = ANY ($1) AND d.applied_at < $2 ORDER BY d.name, d.version DESC) s
		JOIN headwater.outside_table t ON t.relation = s.relation
		JOIN headwater.outside_edge e ON e.table_id = t.id AND e.writes AND e.told_at < $2
		GROUP BY s.name, e.job_id ORDER BY s.name, e.job_id LIMIT $3`, names(sources), w.at.Before, w.room())
}

// filesUp goes from loads to the jobs of others that wrote the files that they were.
func (w *walker) filesUp(ctx context.Context, loads []node) error {
	type row struct {
		Load   int64
		Source string
		Job    int64
		At     time.Time
	}
	return each(ctx, w.q, func(r *row) {
		w.meet(node{kind: OutsideJob, id: r.Job}, node{kind: Load, id: r.Load}, Wrote, r.Source, fact{from: atTime(r.At)})
	}, `
		SELECT l.id, l.source, e.job_id, min(e.told_at) FROM headwater.load l
		JOIN headwater.outside_table t ON t.relation = 'file:' || l.file_name
		JOIN headwater.outside_edge e ON e.table_id = t.id AND e.writes AND e.told_at < $2
		WHERE l.id = ANY ($1) GROUP BY l.id, l.source, e.job_id ORDER BY l.id, e.job_id LIMIT $3`, ids(loads), w.at.Before, w.room())
}

// outsideJobsUp goes from jobs to the tables that they read.
func (w *walker) outsideJobsUp(ctx context.Context, jobs []node) error {
	type row struct {
		Job, Table int64
		At         time.Time
	}
	return each(ctx, w.q, func(r *row) {
		job := node{kind: OutsideJob, id: r.Job}
		w.meet(node{kind: OutsideTable, id: r.Table}, job, Read, w.outside[job], fact{from: atTime(r.At)})
	}, `
		SELECT job_id, table_id, told_at FROM headwater.outside_edge WHERE job_id = ANY ($1) AND NOT writes AND told_at < $2
		ORDER BY job_id, table_id LIMIT $3`, ids(jobs), w.at.Before, w.room())
}

// outsideTablesUp goes from tables to the jobs that wrote them.
func (w *walker) outsideTablesUp(ctx context.Context, tables []node) error {
	type row struct {
		Table, Job int64
		At         time.Time
	}
	return each(ctx, w.q, func(r *row) {
		table := node{kind: OutsideTable, id: r.Table}
		w.meet(node{kind: OutsideJob, id: r.Job}, table, Wrote, w.outside[table], fact{from: atTime(r.At)})
	}, `
		SELECT table_id, job_id, told_at FROM headwater.outside_edge WHERE table_id = ANY ($1) AND writes AND told_at < $2
		ORDER BY table_id, job_id LIMIT $3`, ids(tables), w.at.Before, w.room())
}

// nameOutside names what is of others. Whose it is is said by the source that it was met by.
func (w *walker) nameOutside(ctx context.Context, met map[NodeKind][]node, add func(node, NodeRef, string)) error {
	for kind, from := range map[NodeKind]string{OutsideJob: "outside_job", OutsideTable: "outside_table"} {
		if len(met[kind]) == 0 {
			continue
		}
		type row struct {
			ID              int64
			Namespace, Name string
		}
		err := each(ctx, w.q, func(r *row) {
			n := node{kind: kind, id: r.ID}
			add(n, NodeRef{Kind: kind, Name: r.Namespace + "/" + r.Name}, w.outside[n])
		}, `SELECT id, namespace, name FROM headwater.`+from+` WHERE id = ANY ($1)`, ids(met[kind]))
		if err != nil {
			return err
		}
	}
	if columns := met[OutsideColumn]; len(columns) > 0 {
		return w.nameOutsideColumns(ctx, columns, add)
	}
	return nil
}

func (w *walker) describeOutsideJobs(ctx context.Context, jobs []node, described map[node]*Node) error {
	type row struct {
		ID                                 int64
		Namespace, Name, Type, Run, ToldBy string
		At                                 time.Time
	}
	return each(ctx, w.q, func(r *row) {
		p := properties{}
		p.text("namespace", r.Namespace)
		p.text("name", r.Name)
		p.text("event_type", r.Type)
		p.text("run_id", r.Run)
		p.text("told_by", r.ToldBy)
		p.time("event_time", &r.At)
		title := "of others, told by " + r.ToldBy
		if r.Type != "" {
			title = r.Type + " at " + r.At.UTC().Format(time.RFC3339) + ", told by " + r.ToldBy
		}
		n := node{kind: OutsideJob, id: r.ID}
		described[n] = &Node{ID: NodeRef{Kind: OutsideJob, Name: r.Namespace + "/" + r.Name}.String(), Title: title, Properties: p, subject: w.outside[n]}
	}, `SELECT id, namespace, name, event_type, run_id, told_by, event_time FROM headwater.outside_job WHERE id = ANY ($1)`, ids(jobs))
}

func (w *walker) describeOutsideTables(ctx context.Context, tables []node, described map[node]*Node) error {
	type row struct {
		ID              int64
		Namespace, Name string
		Aliases         []string
	}
	return each(ctx, w.q, func(r *row) {
		p := properties{}
		p.text("namespace", r.Namespace)
		p.text("name", r.Name)
		title := "of others"
		if aliases := slices.DeleteFunc(r.Aliases, func(a string) bool { return a == r.Namespace+"/"+r.Name }); len(aliases) > 0 {
			title = "of others, also " + aliases[0]
		}
		n := node{kind: OutsideTable, id: r.ID}
		described[n] = &Node{ID: NodeRef{Kind: OutsideTable, Name: r.Namespace + "/" + r.Name}.String(), Title: title, Properties: p, subject: w.outside[n]}
	}, `
		SELECT t.id, t.namespace, t.name, array(SELECT a.namespace || '/' || a.name FROM headwater.outside_alias a WHERE a.table_id = t.id ORDER BY 1)
		FROM headwater.outside_table t WHERE t.id = ANY ($1)`, ids(tables))
}
