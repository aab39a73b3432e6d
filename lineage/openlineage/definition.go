package openlineage

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/encoding/protojson"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/database"
)

// definition is a version of a definition, as applied.
type definition struct {
	id      int64
	kind    string
	name    string
	version int
	origin  string
	file    *headwaterv1.DefinitionFile
	// entity is the version of a view's entity, sources and views are those of what its names stand for.
	entity         int
	sources, views map[string]int
	// inputs are what each column is made of, in the order of the analysis.
	inputs []columnInput
}

type columnInput struct {
	Column      string `json:"column"`
	Kind        string `json:"kind"`
	Relation    string `json:"relation"`
	InputColumn string `json:"input_column"`
}

func (d *definition) ref() string { return fmt.Sprintf("%s@%d", d.name, d.version) }

func (d *definition) source() *headwaterv1.Source          { return first(d.file.GetSources()) }
func (d *definition) view() *headwaterv1.FeatureView       { return first(d.file.GetFeatureViews()) }
func (d *definition) entityOf() *headwaterv1.Entity        { return first(d.file.GetEntities()) }
func (d *definition) service() *headwaterv1.FeatureService { return first(d.file.GetFeatureServices()) }

func first[T any](list []*T) *T {
	if len(list) == 0 {
		return nil
	}
	return list[0]
}

// errGone is for what an event would be about and is not there, or not to be read: nothing is sent.
var errGone = errors.New("it is not there any more")

const selectDefinition = `SELECT id, kind, name, version, origin, body, resolved, analysis FROM headwater.definition `

func readDefinition(ctx context.Context, q database.Querier, where string, args ...any) (*definition, error) {
	d := &definition{file: &headwaterv1.DefinitionFile{}}
	var body, resolved, analysis []byte
	err := q.QueryRow(ctx, selectDefinition+where, args...).Scan(&d.id, &d.kind, &d.name, &d.version, &d.origin, &body, &resolved, &analysis)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, errGone
	}
	if err != nil {
		return nil, err
	}
	var to struct {
		Entity  int            `json:"entity"`
		Sources map[string]int `json:"sources"`
		Views   map[string]int `json:"views"`
	}
	var made struct {
		Inputs []columnInput `json:"inputs"`
	}
	err = errors.Join(protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(body, d.file), json.Unmarshal(resolved, &to))
	if err == nil && analysis != nil {
		err = json.Unmarshal(analysis, &made)
	}
	if err != nil {
		return nil, fmt.Errorf("definition %d, %s %s: %w", d.id, d.kind, d.ref(), err)
	}
	d.entity, d.sources, d.views, d.inputs = to.Entity, to.Sources, to.Views, made.Inputs
	return d, nil
}

func readVersion(ctx context.Context, q database.Querier, kind, name string, version int) (*definition, error) {
	return readDefinition(ctx, q, `WHERE kind = $1 AND name = $2 AND version = $3`, kind, name, version)
}

// nameOf is the dataset that a source is.
func (n Names) source(d *definition) Name {
	if p := d.source().GetPostgres(); p != nil {
		return n.table(p.GetDatabase(), p.GetSchema(), p.GetTable())
	}
	return n.landing(d.name)
}

// ofSource is the facets of the dataset that a source is.
func (m maker) ofSource(name Name, d *definition) Facets {
	s := d.source()
	fields, tags := columns(s.GetColumns())
	f := Facets{"schema": m.schema(fields), "dataSource": m.dataSource(name.Namespace), "datasetType": m.datasetType("TABLE", "")}
	m.words(f, "Dataset", s.GetDescription(), s.GetOwner(), s.GetTags(), tags)
	return f
}

// column is a column of a source or a feature.
type column interface {
	GetName() string
	GetType() string
	GetDescription() string
	GetTags() []string
}

func columns[C column](list []C) (fields []schemaField, tags []tag) {
	for _, c := range list {
		fields = append(fields, schemaField{c.GetName(), c.GetType(), c.GetDescription()})
		for _, t := range c.GetTags() {
			tags = append(tags, tag{Key: t, Value: "true", Source: integration, Field: c.GetName()})
		}
	}
	return fields, tags
}

// ofView is the facets of the history of a view version.
func (m maker) ofView(name Name, d *definition) Facets {
	v := d.view()
	fields := []schemaField{
		{"entity_key", "string", "the join keys of entity " + v.GetEntity() + ", in one"},
		{"event_time", "timestamp", "when it was true"},
		{"available_at", "timestamp", "when it could be known"},
		{"seq_from", "int64", "the run that wrote the row"},
		{"seq_to", "int64", "the run that ended it"},
	}
	features, tags := columns(v.GetFeatures())
	attributes, more := columns(v.GetAttributes())
	f := Facets{
		"schema": m.schema(slices.Concat(fields, features, attributes)), "dataSource": m.dataSource(name.Namespace),
		"datasetType": m.datasetType("TABLE", "HISTORY"),
	}
	m.words(f, "Dataset", v.GetDescription(), v.GetOwner(), v.GetTags(), slices.Concat(tags, more))
	return f
}

// ofOnline is the facets of a view version in Redis, which has the newest row of each entity.
func (m maker) ofOnline(name Name, d *definition) Facets {
	fields, tags := columns(d.view().GetFeatures())
	f := Facets{"schema": m.schema(fields), "dataSource": m.dataSource(name.Namespace), "datasetType": m.datasetType("TABLE", "ONLINE")}
	m.words(f, "Dataset", d.view().GetDescription(), d.view().GetOwner(), d.view().GetTags(), tags)
	return f
}

// input is a relation that a view reads, with what its columns are called where it is stored.
type input struct {
	Dataset
	*definition
	stored map[string]string
}

func (in *input) called() Name { return Name{in.Namespace, in.Dataset.Name} }

func (in *input) column(name string) string { return cmp.Or(in.stored[name], name) }

// inputsOf are the sources and views that a view version reads, by the names that its SQL has for them.
func (r *renderer) inputsOf(ctx context.Context, d *definition) (map[string]*input, error) {
	inputs := map[string]*input{}
	for name, version := range d.sources {
		s, err := readVersion(ctx, r.q, "source", name, version)
		if err != nil {
			return nil, err
		}
		at := r.names.source(s)
		in := &input{Dataset: Dataset{Namespace: at.Namespace, Name: at.Name, Facets: r.ofSource(at, s)}, definition: s, stored: map[string]string{
			"event_time": s.source().GetEventTime(),
		}}
		if a := s.source().GetArrivalTime(); a == nil {
			in.stored["available_at"] = s.source().GetEventTime()
		} else if a.GetColumn() != "" {
			in.stored["available_at"] = a.GetColumn()
		}
		inputs[name] = in
	}
	for name, version := range d.views {
		v, err := readVersion(ctx, r.q, "view", name, version)
		if err != nil {
			return nil, err
		}
		at := r.names.history(name, version)
		in := &input{Dataset: Dataset{Namespace: at.Namespace, Name: at.Name, Facets: r.ofView(at, v)}, definition: v, stored: map[string]string{}}
		keys, err := r.joinKeys(ctx, v)
		if err != nil {
			return nil, err
		}
		for _, k := range keys {
			in.stored[k] = "entity_key"
		}
		inputs[name] = in
	}
	return inputs, nil
}

func (r *renderer) joinKeys(ctx context.Context, view *definition) ([]string, error) {
	if view.view().GetEntity() == "" {
		return nil, nil
	}
	e, err := readVersion(ctx, r.q, "entity", view.view().GetEntity(), view.entity)
	if err != nil {
		return nil, err
	}
	var keys []string
	for _, k := range e.entityOf().GetJoinKeys() {
		keys = append(keys, k.GetName())
	}
	return keys, nil
}

// transformations are what the kinds of inputs of the analysis are called.
var transformations = map[string]transformation{
	"value":  {"DIRECT", "TRANSFORMATION"},
	"filter": {"INDIRECT", "FILTER"},
	"join":   {"INDIRECT", "JOIN"},
	"group":  {"INDIRECT", "GROUP_BY"},
	"order":  {"INDIRECT", "SORT"},
}

// columnLineage says what each column of the history is made of. What all columns depend on alike is told of the whole.
func (r *renderer) columnLineage(ctx context.Context, d *definition, inputs map[string]*input) (columnLineageFacet, error) {
	facet := columnLineageFacet{base: r.is("1-2-0/ColumnLineageDatasetFacet"), Fields: map[string]fieldLineage{}}
	keys, err := r.joinKeys(ctx, d)
	if err != nil {
		return facet, err
	}
	type use struct {
		at     Name
		column string
		how    transformation
	}
	uses := map[string]map[use]bool{}
	for _, in := range d.inputs {
		from, how := inputs[in.Relation], transformations[in.Kind]
		if from == nil || how.Type == "" {
			continue
		}
		column := in.Column
		if slices.Contains(keys, column) {
			column = "entity_key"
		}
		if uses[column] == nil {
			uses[column] = map[use]bool{}
		}
		uses[column][use{from.called(), from.column(in.InputColumn), how}] = true
	}
	ofAll := map[use]int{}
	for _, of := range uses {
		for u := range of {
			if u.how.Type == "INDIRECT" {
				ofAll[u]++
			}
		}
	}
	list := func(of map[use]bool) []inputField {
		// A column that is used in several ways is told once, with all of them.
		byColumn := map[Name]map[string][]transformation{}
		for u := range of {
			if byColumn[u.at] == nil {
				byColumn[u.at] = map[string][]transformation{}
			}
			byColumn[u.at][u.column] = append(byColumn[u.at][u.column], u.how)
		}
		fields := []inputField{}
		for _, at := range slices.SortedFunc(maps.Keys(byColumn), compareNames) {
			for _, c := range slices.Sorted(maps.Keys(byColumn[at])) {
				how := byColumn[at][c]
				slices.SortFunc(how, func(a, b transformation) int {
					return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Subtype, b.Subtype))
				})
				fields = append(fields, inputField{at.Namespace, at.Name, c, how})
			}
		}
		return fields
	}
	whole := map[use]bool{}
	for u, n := range ofAll {
		if n == len(uses) {
			whole[u] = true
		}
	}
	for column, of := range uses {
		maps.DeleteFunc(of, func(u use, _ bool) bool { return whole[u] })
		facet.Fields[column] = fieldLineage{list(of)}
	}
	if len(whole) > 0 {
		facet.Dataset = list(whole)
	}
	return facet, nil
}

func compareNames(a, b Name) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

// viewJob is the job that materializes a view version, with what it reads and writes as far as its definition says it.
type viewJob struct {
	Job
	*definition
	inputs          map[string]*input
	history, online Dataset
}

func (r *renderer) viewJob(ctx context.Context, d *definition) (*viewJob, error) {
	at := r.names.job(d.ref())
	j := &viewJob{Job: Job{Namespace: at.Namespace, Name: at.Name, Facets: Facets{"jobType": r.jobType("MATERIALIZATION")}}, definition: d}
	v := d.view()
	r.words(j.Facets, "Job", v.GetDescription(), v.GetOwner(), v.GetTags(), nil)
	if q := v.GetSql().GetQuery(); q != "" {
		j.Facets["sql"] = r.sql(q)
	}
	if location, ok := r.codeLocation(d.origin); ok {
		j.Facets["sourceCodeLocation"] = location
	}
	var err error
	if j.inputs, err = r.inputsOf(ctx, d); err != nil {
		return nil, err
	}
	columns, err := r.columnLineage(ctx, d, j.inputs)
	if err != nil {
		return nil, err
	}
	history := r.names.history(d.name, d.version)
	j.history = Dataset{Namespace: history.Namespace, Name: history.Name, Facets: r.ofView(history, d)}
	if len(columns.Fields) > 0 {
		j.history.Facets["columnLineage"] = columns
	}
	var read []Name
	for _, in := range j.inputs {
		read = append(read, in.called())
	}
	slices.SortFunc(read, compareNames)
	j.Facets["lineage"] = r.lineage(history, read, columns)
	online := r.names.online(v.GetEntity(), d.name, d.version)
	j.online = Dataset{Namespace: online.Namespace, Name: online.Name, Facets: r.ofOnline(online, d)}
	return j, nil
}

// event adds the job to an event.
func (j *viewJob) event(e *Event) {
	e.Job = &j.Job
	for _, in := range j.inputs {
		e.Inputs = append(e.Inputs, in.Dataset)
	}
	e.Outputs = append(e.Outputs, j.history, j.online)
}
