package lineage

import (
	"context"
	"fmt"
	"time"
)

// What columns of others are made of, as the events of the jobs say that write them. Such a column stands above those of sources, by their name.

// outsideColumns follows the edges between columns of others that end at the columns that from has with their number, t being the table and n.name
// the column. What all columns of a table depend on, each of them does.
func (w *walker) outsideColumns(ctx context.Context, from string, far func(place int64) (to node, source string), args ...any) error {
	type row struct {
		Place  int64
		Table  int64
		Column string
		Kind   int16
		From   time.Time
		To     *time.Time
	}
	return each(ctx, w.q, func(r *row) {
		to, source := far(r.Place)
		column := node{kind: OutsideColumn, id: r.Table, name: r.Column}
		if w.outside[column] == "" {
			w.outside[column] = source
		}
		w.follow(column, to, Value+EdgeKind(r.Kind-1), span(r.From, r.To))
	}, `
		SELECT n.place, c.from_id, c.from_column, c.kind, min(c.told_at), nullif(max(c.valid_to), 'infinity')
		FROM `+from+` JOIN headwater.outside_column c ON c.table_id = t.id AND c.column_name IN (n.name, '')
		WHERE c.told_at < $1 AND c.valid_to >= $1
		GROUP BY n.place, c.from_id, c.from_column, c.kind ORDER BY n.place, c.from_id, c.from_column, c.kind LIMIT $2`, w.within(args...)...)
}

// sourceColumnsOutside goes from columns of sources to those of others that they were written from.
func (w *walker) sourceColumnsOutside(ctx context.Context, columns []node) error {
	sources, names := sourcesAndColumns(columns)
	return w.outsideColumns(ctx, `(
			SELECT DISTINCT ON (d.name) d.name AS source, `+relationOfSource+` AS relation FROM headwater.definition d
			WHERE d.kind = 'source' AND d.name = ANY ($3) AND d.applied_at < $1 AND EXISTS (SELECT FROM headwater.outside_column)
			ORDER BY d.name, d.version DESC) s
		JOIN unnest($3::text[], $4::text[]) WITH ORDINALITY AS n (source, name, place) USING (source)
		JOIN headwater.outside_table t ON t.relation = s.relation`,
		func(place int64) (node, string) { return columns[place-1], columns[place-1].name }, sources, names)
}

// outsideColumnsUp goes from columns of others to those that they are made of.
func (w *walker) outsideColumnsUp(ctx context.Context, columns []node) error {
	tables, names := viewsAndNames(columns)
	return w.outsideColumns(ctx, `unnest($3::bigint[], $4::text[]) WITH ORDINALITY AS n (table_id, name, place)
		JOIN headwater.outside_table t ON t.id = n.table_id`,
		func(place int64) (node, string) { return columns[place-1], w.outside[columns[place-1]] }, tables, names)
}

func (w *walker) nameOutsideColumns(ctx context.Context, columns []node, add func(node, NodeRef, string)) error {
	type row struct {
		Place int64
		Table string
	}
	tables, _ := viewsAndNames(columns)
	return each(ctx, w.q, func(r *row) {
		n := columns[r.Place-1]
		add(n, NodeRef{Kind: OutsideColumn, Name: r.Table, Column: n.name}, w.outside[n])
	}, `
		SELECT n.place, t.namespace || '/' || t.name FROM unnest($1::bigint[]) WITH ORDINALITY AS n (id, place)
		JOIN headwater.outside_table t USING (id)`, tables)
}

func (w *walker) describeOutsideColumns(ctx context.Context, columns []node, described map[node]*Node) error {
	type row struct {
		Place int64
		Table string
		Jobs  []string
	}
	tables, names := viewsAndNames(columns)
	return each(ctx, w.q, func(r *row) {
		n := columns[r.Place-1]
		p := properties{}
		p.text("table", r.Table)
		p.text("column", n.name)
		title := "of others"
		if len(r.Jobs) > 0 {
			p.text("read_by", r.Jobs[0])
			if title += ", read by job:" + r.Jobs[0]; len(r.Jobs) > 1 {
				title += fmt.Sprintf(" and %d more", len(r.Jobs)-1)
			}
		}
		described[n] = &Node{ID: NodeRef{Kind: OutsideColumn, Name: r.Table, Column: n.name}.String(), Title: title, Properties: p, subject: w.outside[n]}
	}, `
		SELECT n.place, t.namespace || '/' || t.name, array(
			SELECT DISTINCT j.namespace || '/' || j.name FROM headwater.outside_column c JOIN headwater.outside_job j ON j.id = c.job_id
			WHERE c.from_id = n.id AND c.from_column = n.name AND c.told_at < $1 AND c.valid_to >= $1 ORDER BY 1)
		FROM unnest($2::bigint[], $3::text[]) WITH ORDINALITY AS n (id, name, place) JOIN headwater.outside_table t USING (id)`, w.at.Before, tables, names)
}
