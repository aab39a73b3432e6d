package lineage

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/internal/database"
)

// ModelVersion is a version of a model, as it was registered.
type ModelVersion struct {
	Name    string
	Version int
	// Dataset is the id of the one that it was trained on, "" where Headwater does not know it, and DatasetName its name.
	Dataset, DatasetName string
	// Service and ServiceVersion are what it reads.
	Service        string
	ServiceVersion int
	RunURI         string
	Description    string
	Owner          string
	RegisteredAt   time.Time
	RegisteredBy   string
}

// RegisterModel appends a version of a model, unless its newest says the same. registered is whether it did; the version is then in m, else
// the one that is there.
func RegisterModel(ctx context.Context, tx pgx.Tx, m *ModelVersion) (registered bool, err error) {
	// Versions of one model are numbered one after the other.
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('headwater.model ' || $1, 0))`, m.Name); err != nil {
		return false, err
	}
	newest, err := Models(ctx, tx, m.Name, 0)
	if err != nil {
		return false, err
	}
	if len(newest) > 0 {
		is := *newest[0]
		m.Version, m.DatasetName, m.RegisteredAt = is.Version, is.DatasetName, is.RegisteredAt
		by := m.RegisteredBy
		m.RegisteredBy = is.RegisteredBy
		if *m == is {
			return false, nil
		}
		m.RegisteredBy = by
	}
	m.Version++
	err = tx.QueryRow(ctx, `
		INSERT INTO headwater.model (name, version, dataset_id, service_id, run_uri, description, owner, registered_at, registered_by)
		SELECT $1, $2, nullif($3, ''), s.id, $6, $7, $8, clock_timestamp(), $9
		FROM headwater.definition s WHERE s.kind = 'service' AND s.name = $4 AND s.version = $5 RETURNING registered_at`,
		m.Name, m.Version, m.Dataset, m.Service, m.ServiceVersion, m.RunURI, m.Description, m.Owner, m.RegisteredBy).Scan(&m.RegisteredAt)
	return true, err
}

const selectModels = `
	SELECT m.name, m.version, coalesce(m.dataset_id, ''), coalesce(d.name, ''), s.name, s.version, m.run_uri, m.description, m.owner,
		m.registered_at, m.registered_by
	FROM headwater.model m JOIN headwater.definition s ON s.id = m.service_id LEFT JOIN headwater.dataset d ON d.id = m.dataset_id `

// Models is the versions of a model, or only one, newest first; none where there is none.
func Models(ctx context.Context, q database.Querier, name string, version int) ([]*ModelVersion, error) {
	return modelVersions(ctx, q, selectModels+`WHERE m.name = $1 AND ($2 = 0 OR m.version = $2) ORDER BY m.version DESC`, name, version)
}

// NewestModels is the newest version of each model, by name.
func NewestModels(ctx context.Context, q database.Querier) ([]*ModelVersion, error) {
	return modelVersions(ctx, q, selectModels+`
		WHERE m.version = (SELECT max(n.version) FROM headwater.model n WHERE n.name = m.name) ORDER BY m.name`)
}

// ModelsOf is the models that were trained on one of the datasets, by id, or read one of the services, `NAME@VERSION`.
func ModelsOf(ctx context.Context, q database.Querier, datasets, services []string) ([]*ModelVersion, error) {
	return modelVersions(ctx, q, selectModels+`
		WHERE m.dataset_id = ANY ($1) OR s.name || '@' || s.version = ANY ($2) ORDER BY m.name, m.version`, datasets, services)
}

func modelVersions(ctx context.Context, q database.Querier, sql string, args ...any) (list []*ModelVersion, err error) {
	err = each(ctx, q, func(m *ModelVersion) { list = append(list, m) }, sql, args...)
	return list, err
}

// modelsUp goes from models to the datasets that they were trained on and the services that they read.
func (w *walker) modelsUp(ctx context.Context, models []node) error {
	const these = `(m.name, m.version) IN (SELECT * FROM unnest($3::text[], $4::integer[]))`
	names, versions := modelsAndVersions(models)
	if err := w.modelsOf(ctx, Dataset, these, names, versions); err != nil {
		return err
	}
	return w.modelsOf(ctx, Service, these, names, versions)
}

// modelsOf follows the edges from datasets, or from services, to models.
func (w *walker) modelsOf(ctx context.Context, kind NodeKind, where string, args ...any) error {
	type row struct {
		Name         string
		Version      int64
		Dataset      string
		Service      int64
		RegisteredAt time.Time
	}
	return each(ctx, w.q, func(r *row) {
		from := node{kind: Service, id: r.Service}
		if kind == Dataset {
			if from = (node{kind: Dataset, name: r.Dataset}); r.Dataset == "" {
				return
			}
		}
		w.follow(from, node{kind: Model, id: r.Version, name: r.Name}, Definition, fact{from: atTime(r.RegisteredAt)})
	}, `SELECT m.name, m.version::bigint, coalesce(m.dataset_id, ''), m.service_id, m.registered_at FROM headwater.model m
		WHERE `+where+` AND m.registered_at < $1 LIMIT $2`, w.within(args...)...)
}

func (w *walker) describeModels(ctx context.Context, nodes []node, described map[node]*Node) error {
	rows, err := modelVersions(ctx, w.q, selectModels+`WHERE m.name = ANY ($1)`, names(nodes))
	if err != nil {
		return err
	}
	for _, m := range rows {
		n := node{kind: Model, id: int64(m.Version), name: m.Name}
		if !slices.Contains(nodes, n) {
			continue
		}
		p := properties{}
		p.text("owner", m.Owner)
		p.text("description", m.Description)
		p.text("run_uri", m.RunURI)
		p.text("registered_by", m.RegisteredBy)
		p.time("registered_at", &m.RegisteredAt)
		// What it is made of is told by edges, to who may see that.
		title := "model"
		if m.Owner != "" {
			title += " of " + oneLine(m.Owner)
		}
		if m.RunURI != "" {
			title += ", " + oneLine(m.RunURI)
		}
		described[n] = &Node{ID: NodeRef{Kind: Model, Name: m.Name, Version: m.Version}.String(), Title: title, Properties: p, subject: m.Name}
	}
	return nil
}
