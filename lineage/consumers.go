package lineage

import (
	"context"
	"time"
)

// What consumers outside read is noted by name. A read that names no version is of the newest that there was at the walk's instant, so that an
// edge ends where a newer version comes, without the consumer's being applied again.

// atVersion is the condition, of a row i of headwater.consumer_input, that o with its time made is what is read at the walk's instant, where n is
// o's next version, or nothing.
func atVersion(made string) string {
	return `(i.version = o.version OR i.version IS NULL AND (n.version IS NULL OR n.` + made + ` >= $1)) AND o.` + made + ` < $1 AND ` + valid("i")
}

// during is when it is: an end that has not come is NULL.
func during(made string) string {
	return `greatest(i.valid_from, o.` + made + `), nullif(least(i.valid_to, CASE WHEN i.version IS NULL THEN n.` + made + ` END), 'infinity')`
}

// definitionsOfConsumers follows the edges between services, views and features, or columns of views, and the consumers that read them.
func (w *walker) definitionsOfConsumers(ctx context.Context, where string, args ...any) error {
	type row struct {
		Consumer   int64
		Kind       string
		Definition int64
		Column     string
		From       time.Time
		To         *time.Time
	}
	if found, err := w.hasAny(ctx); !found.consumers {
		return err
	}
	// Of which kinds of reads there is an edge for each column.
	columns := `i.kind = 'feature'`
	if w.Columns {
		columns = `i.kind <> 'service'`
	}
	return each(ctx, w.q, func(r *row) {
		from, kind := node{kind: View, id: r.Definition}, Definition
		switch {
		case r.Kind == "service":
			from.kind = Service
		case w.Columns:
			from, kind = node{kind: ViewColumn, id: r.Definition, name: r.Column}, Value
		case r.Kind == "feature":
			from = node{kind: Feature, id: r.Definition, name: r.Column}
		}
		w.follow(from, node{kind: Consumer, id: r.Consumer}, kind, span(r.From, r.To))
	}, `
		SELECT i.definition_id, i.kind, o.id, coalesce(c.name, ''), `+during("applied_at")+`
		FROM headwater.consumer_input i
		JOIN headwater.definition o ON o.kind = CASE i.kind WHEN 'service' THEN 'service' ELSE 'view' END AND o.name = i.name
		LEFT JOIN headwater.definition n ON n.kind = o.kind AND n.name = o.name AND n.version = o.version + 1
		LEFT JOIN headwater.definition_column c ON `+columns+` AND c.definition_id = o.id AND (i.kind = 'view' OR c.name = i.feature AND c.role = 'feature')
		WHERE i.kind IN ('service', 'view', 'feature') AND (NOT (`+columns+`) OR c.name IS NOT NULL) AND `+where+` AND `+atVersion("applied_at")+`
		LIMIT $2`, w.within(args...)...)
}

// datasetsOfConsumers follows the edges between datasets and the consumers that read them.
func (w *walker) datasetsOfConsumers(ctx context.Context, where string, arg any) error {
	type row struct {
		Consumer int64
		Dataset  string
		From     time.Time
		To       *time.Time
	}
	if found, err := w.hasAny(ctx); !found.consumers {
		return err
	}
	return each(ctx, w.q, func(r *row) {
		w.follow(node{kind: Dataset, name: r.Dataset}, node{kind: Consumer, id: r.Consumer}, Definition, span(r.From, r.To))
	}, `
		SELECT i.definition_id, o.id, `+during("created_at")+`
		FROM headwater.consumer_input i JOIN headwater.dataset o ON o.name = i.name
		LEFT JOIN LATERAL (
			SELECT m.version, m.created_at FROM headwater.dataset m WHERE m.name = o.name AND m.version > o.version ORDER BY m.version LIMIT 1) n ON true
		WHERE i.kind = 'dataset' AND `+where+` AND `+atVersion("created_at")+` LIMIT $2`, w.within(arg)...)
}

// modelsOfConsumers follows the edges between models and the consumers that read what they predict.
func (w *walker) modelsOfConsumers(ctx context.Context, where string, args ...any) error {
	type row struct {
		Consumer int64
		Name     string
		Version  int64
		From     time.Time
		To       *time.Time
	}
	if found, err := w.hasAny(ctx); !found.consumers {
		return err
	}
	return each(ctx, w.q, func(r *row) {
		w.follow(node{kind: Model, id: r.Version, name: r.Name}, node{kind: Consumer, id: r.Consumer}, Definition, span(r.From, r.To))
	}, `
		SELECT i.definition_id, o.name, o.version::bigint, `+during("registered_at")+`
		FROM headwater.consumer_input i JOIN headwater.model o ON o.name = i.name
		LEFT JOIN headwater.model n ON n.name = o.name AND n.version = o.version + 1
		WHERE i.kind = 'model' AND `+where+` AND `+atVersion("registered_at")+` LIMIT $2`, w.within(args...)...)
}

// consumersUp goes from consumers to all that they read.
func (w *walker) consumersUp(ctx context.Context, consumers []node) error {
	const these = `i.definition_id = ANY ($3)`
	if err := w.definitionsOfConsumers(ctx, these, ids(consumers)); err != nil {
		return err
	}
	if err := w.datasetsOfConsumers(ctx, these, ids(consumers)); err != nil {
		return err
	}
	return w.modelsOfConsumers(ctx, these, ids(consumers))
}

// modelsDown goes from models to the consumers that read what they predict, and to the logged reads of the services that they read.
func (w *walker) modelsDown(ctx context.Context, models []node) error {
	names, versions := modelsAndVersions(models)
	if err := w.modelsOfConsumers(ctx, `(o.name, o.version) IN (SELECT * FROM unnest($3::text[], $4::integer[]))`, names, versions); err != nil {
		return err
	}
	return w.readsOfModels(ctx, models)
}

func modelsAndVersions(models []node) (names []string, versions []int32) {
	for _, n := range models {
		names, versions = append(names, n.name), append(versions, int32(n.id))
	}
	return names, versions
}

// consumerNode describes a consumer. What it reads is told by edges, to who may see that.
func (d *definition) consumerNode() *Node {
	c := d.consumer
	p := d.properties(c.GetDescription(), c.GetOwner())
	p.text("kind", c.GetKind())
	p.text("url", c.GetUrl())
	title := oneLine(c.GetKind())
	if c.GetOwner() != "" {
		title += " of " + oneLine(c.GetOwner())
	}
	if c.GetUrl() != "" {
		title += ", " + oneLine(c.GetUrl())
	}
	return &Node{ID: NodeRef{Kind: Consumer, Name: d.Name, Version: d.Version}.String(), Title: title, Properties: p, subject: d.Name}
}
