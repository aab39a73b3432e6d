package lineage

import (
	"context"
	"fmt"
	"time"
)

// columnEdges follows edges of the graph of columns.
func (w *walker) columnEdges(ctx context.Context, where string, args ...any) error {
	type row struct {
		Definition                     int64
		ToSource, ToColumn, FromSource string
		FromView                       int64
		FromColumn                     string
		Kind                           int16
		From                           time.Time
		To                             *time.Time
	}
	return each(ctx, w.q, func(r *row) {
		to := node{kind: ViewColumn, id: r.Definition, name: r.ToColumn}
		switch {
		case r.ToSource != "":
			to = node{kind: SourceColumn, name: r.ToSource, column: r.ToColumn}
		case r.ToColumn == "":
			to = node{kind: Service, id: r.Definition}
		}
		from := node{kind: SourceColumn, name: r.FromSource, column: r.FromColumn}
		if r.FromView != 0 {
			from = node{kind: ViewColumn, id: r.FromView, name: r.FromColumn}
		}
		w.follow(from, to, Value+EdgeKind(r.Kind-1), span(r.From, r.To))
	}, `
		SELECT e.definition_id, coalesce(e.to_source, ''), e.to_column, coalesce(e.from_source, ''), coalesce(e.from_view, 0), e.from_column, e.kind,
			e.valid_from, nullif(e.valid_to, 'infinity')
		FROM headwater.column_edge e WHERE `+where+` AND `+valid("e")+` LIMIT $2`, w.within(args...)...)
}

// The nodes asked for, as the arrays $3 and $4.
const (
	sourceColumns = `IN (SELECT * FROM unnest($3::text[], $4::text[]))`
	viewColumns   = `IN (SELECT * FROM unnest($3::bigint[], $4::text[]))`
)

func sourcesAndColumns(nodes []node) (sources, columns []string) {
	for _, n := range nodes {
		sources, columns = append(sources, n.name), append(columns, n.column)
	}
	return sources, columns
}

// sourceColumnsUp goes from columns of sources to those that they stand for, to those of others that they were written from, and to their sources.
func (w *walker) sourceColumnsUp(ctx context.Context, columns []node) error {
	sources, names := sourcesAndColumns(columns)
	if err := w.columnEdges(ctx, `e.to_source IS NOT NULL AND (e.to_source, e.to_column) `+sourceColumns, sources, names); err != nil {
		return err
	}
	if err := w.sourceColumnsOutside(ctx, columns); err != nil {
		return err
	}
	return w.columnsOfSources(ctx, `(d.name, c.name) `+sourceColumns, sources, names)
}

// columnsOfSources follows the edges from sources to their columns.
func (w *walker) columnsOfSources(ctx context.Context, where string, args ...any) error {
	type row struct {
		Source, Column string
		AppliedAt      time.Time
	}
	return each(ctx, w.q, func(r *row) {
		w.follow(node{kind: Source, name: r.Source}, node{kind: SourceColumn, name: r.Source, column: r.Column}, Definition, fact{from: atTime(r.AppliedAt)})
	}, `
		SELECT d.name, c.name, min(d.applied_at) FROM headwater.definition d JOIN headwater.definition_column c ON c.definition_id = d.id
		WHERE d.kind = 'source' AND d.applied_at < $1 AND `+where+` GROUP BY d.name, c.name LIMIT $2`, w.within(args...)...)
}

func (w *walker) columnsOfSourceDown(ctx context.Context, sources []node) error {
	return w.columnsOfSources(ctx, `d.name = ANY ($3)`, names(sources))
}

func (w *walker) sourceColumnsDown(ctx context.Context, columns []node) error {
	sources, names := sourcesAndColumns(columns)
	return w.columnEdges(ctx, `e.from_source IS NOT NULL AND (e.from_source, e.from_column) `+sourceColumns, sources, names)
}

func (w *walker) viewColumnsUp(ctx context.Context, columns []node) error {
	views, names := viewsAndNames(columns)
	return w.columnEdges(ctx, `e.to_source IS NULL AND (e.definition_id, e.to_column) `+viewColumns, views, names)
}

// viewColumnsDown goes from columns of views to those of other views, to services, to datasets for which they were asked by reference, and to consumers.
func (w *walker) viewColumnsDown(ctx context.Context, columns []node) error {
	views, names := viewsAndNames(columns)
	if err := w.columnEdges(ctx, `e.from_view IS NOT NULL AND (e.from_view, e.from_column) `+viewColumns, views, names); err != nil {
		return err
	}
	if err := w.datasetsOfFeatures(ctx, `(f.view_id, f.feature) `+viewColumns, views, names); err != nil {
		return err
	}
	return w.definitionsOfConsumers(ctx, `i.kind <> 'service' AND (o.id, c.name) `+viewColumns, views, names)
}

// columnsOfView is the columns of the view that the walk begins at: it is no node on the way from column to column.
func (w *walker) columnsOfView(ctx context.Context, view node, follow func(column node, known fact)) error {
	type row struct {
		Name      string
		AppliedAt time.Time
	}
	return each(ctx, w.q, func(r *row) {
		follow(node{kind: ViewColumn, id: view.id, name: r.Name}, fact{from: atTime(r.AppliedAt)})
	}, `
		SELECT c.name, d.applied_at FROM headwater.definition_column c JOIN headwater.definition d ON d.id = c.definition_id
		WHERE c.definition_id = $1 LIMIT $2`, view.id, w.room())
}

func (w *walker) columnsOfViewUp(ctx context.Context, views []node) error {
	return w.columnsOfView(ctx, views[0], func(column node, known fact) { w.follow(column, views[0], Definition, known) })
}

func (w *walker) columnsOfViewDown(ctx context.Context, views []node) error {
	return w.columnsOfView(ctx, views[0], func(column node, known fact) { w.follow(views[0], column, Definition, known) })
}

func (w *walker) columnsOfServicesUp(ctx context.Context, services []node) error {
	return w.columnEdges(ctx, `e.to_source IS NULL AND e.to_column = '' AND e.definition_id = ANY ($3)`, ids(services))
}

func (w *walker) columnsOfDatasetsUp(ctx context.Context, datasets []node) error {
	if err := w.datasetsOfServices(ctx, `ds.id = ANY ($3)`, names(datasets)); err != nil {
		return err
	}
	return w.datasetsOfFeatures(ctx, `f.dataset_id = ANY ($3)`, names(datasets))
}

// describeColumns describes columns of sources and of views.
func (w *walker) describeColumns(ctx context.Context, nodes []node, described map[node]*Node) error {
	type row struct {
		ID                 int64
		Name               string
		Version            int
		Column, Role, Type string
		Known              bool
	}
	describe := func(n node, ref NodeRef, r *row) properties {
		p := properties{"column": r.Column, "role": r.Role, "type": r.Type}
		title := r.Type
		if r.Role != "feature" && r.Role != "column" {
			title += ", " + r.Role
		}
		if !r.Known {
			title += ", made of what is not known: the version is from before that was kept"
		}
		described[n] = &Node{ID: ref.String(), Title: title, Properties: p, subject: r.Name}
		return p
	}
	kinds := byKind(nodes)
	if columns := kinds[SourceColumn]; len(columns) > 0 {
		sources, names := sourcesAndColumns(columns)
		err := each(ctx, w.q, func(r *row) {
			p := describe(node{kind: SourceColumn, name: r.Name, column: r.Column}, NodeRef{Kind: SourceColumn, Name: r.Name, Column: r.Column}, r)
			p.text("source", r.Name)
		}, `
			SELECT DISTINCT ON (d.name, c.name) d.id, d.name, d.version, c.name, c.role, c.type, true
			FROM headwater.definition d JOIN headwater.definition_column c ON c.definition_id = d.id
			WHERE d.kind = 'source' AND d.applied_at < $1 AND (d.name, c.name) IN (SELECT * FROM unnest($2::text[], $3::text[]))
			ORDER BY d.name, c.name, d.version DESC`, w.at.Before, sources, names)
		if err != nil {
			return err
		}
	}
	columns := kinds[ViewColumn]
	if len(columns) == 0 {
		return nil
	}
	views, names := viewsAndNames(columns)
	return each(ctx, w.q, func(r *row) {
		ref := NodeRef{Kind: ViewColumn, Name: r.Name, Version: r.Version, Column: r.Column}
		p := describe(node{kind: ViewColumn, id: r.ID, name: r.Column}, ref, r)
		p.text("view", fmt.Sprintf("%s@%d", r.Name, r.Version))
	}, `
		SELECT d.id, d.name, d.version, c.name, c.role, c.type, d.analysis IS NOT NULL
		FROM unnest($1::bigint[], $2::text[]) AS n (id, name) JOIN headwater.definition d ON d.id = n.id
		JOIN headwater.definition_column c ON c.definition_id = d.id AND c.name = n.name`, views, names)
}
