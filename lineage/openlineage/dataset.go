package openlineage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/internal/outbox"
)

// manifest is what events tell of the manifest of a dataset.
type manifest struct {
	ID      string `json:"id"`
	Version int    `json:"version"`
	Views   []struct {
		View    string `json:"view"`
		Version int    `json:"version"`
		Seq     int64  `json:"seq"`
	} `json:"views"`
	Rows    int64 `json:"rows"`
	Columns []struct {
		Name   string `json:"name"`
		Type   string `json:"type"`
		Origin string `json:"origin"`
		Nulls  int64  `json:"nulls"`
	} `json:"columns"`
	SpineOrigin *struct {
		Sources []struct {
			Source     string `json:"source"`
			Version    int    `json:"version"`
			LoadNumber int64  `json:"load_number"`
			RowsRead   int64  `json:"rows_read"`
		} `json:"sources"`
	} `json:"spine_origin"`
	ContentDigest string `json:"content_digest"`
}

// dataset is the event of a build of a dataset.
func (r *renderer) dataset(ctx context.Context, topic outbox.Topic, p outbox.Dataset, at time.Time) (*Event, error) {
	e := r.event("RunEvent", at)
	e.EventType = eventTypes[topic]
	if p.Stopped {
		e.EventType = "ABORT"
	}
	e.Run = &Run{RunID: runID(r.installation, "dataset/"+p.ID), Facets: Facets{"processing_engine": r.engine(r.version)}}
	if p.Error != "" {
		e.Run.Facets["errorMessage"] = r.failure(p.Error)
	}
	job := r.names.job("dataset." + p.Name)
	e.Job = &Job{Namespace: job.Namespace, Name: job.Name, Facets: Facets{"jobType": r.jobType("DATASET")}}
	if name, version, ok := strings.Cut(p.Service, "@"); ok {
		var v int
		if _, err := fmt.Sscan(version, &v); err != nil {
			return nil, err
		}
		d, err := readVersion(ctx, r.q, "service", name, v)
		if err != nil {
			return nil, err
		}
		s := d.service()
		r.words(e.Job.Facets, "Job", s.GetDescription(), s.GetOwner(), s.GetTags(), nil)
		if location, ok := r.codeLocation(d.origin); ok {
			e.Job.Facets["sourceCodeLocation"] = location
		}
	}
	to := r.names.dataset(p.Name)
	out := Dataset{Namespace: to.Namespace, Name: to.Name, Facets: Facets{"datasetType": r.datasetType("TABLE", "TRAINING")}}
	if topic == outbox.DatasetBuilt {
		if err := r.built(ctx, e, &out, p.ID); err != nil {
			return nil, err
		}
	}
	e.Outputs = []Dataset{out}
	return e, nil
}

// built adds what the manifest of a dataset has.
func (r *renderer) built(ctx context.Context, e *Event, out *Dataset, id string) error {
	var kept []byte
	err := r.q.QueryRow(ctx, `SELECT manifest FROM headwater.dataset WHERE id = $1`, id).Scan(&kept)
	if errors.Is(err, pgx.ErrNoRows) {
		return errGone
	}
	if err != nil {
		return err
	}
	var m manifest
	if err := json.Unmarshal(kept, &m); err != nil {
		return fmt.Errorf("the manifest of %s: %w", id, err)
	}
	for _, v := range m.Views {
		d, err := readVersion(ctx, r.q, "view", v.View, v.Version)
		if err != nil {
			return err
		}
		at := r.names.history(v.View, v.Version)
		in := Dataset{Namespace: at.Namespace, Name: at.Name, Facets: r.ofView(at, d)}
		in.Facets["version"] = r.maker.version(fmt.Sprintf("%s/%d", d.ref(), v.Seq))
		e.Inputs = append(e.Inputs, in)
	}
	if m.SpineOrigin != nil {
		for _, s := range m.SpineOrigin.Sources {
			d, err := readVersion(ctx, r.q, "source", s.Source, s.Version)
			if err != nil {
				return err
			}
			at := r.names.source(d)
			in := Dataset{Namespace: at.Namespace, Name: at.Name, Facets: r.ofSource(at, d), InputFacets: Facets{"inputStatistics": r.readRows(s.RowsRead)}}
			if s.LoadNumber > 0 {
				in.Facets["version"] = r.maker.version(fmt.Sprintf("load %d", s.LoadNumber))
			}
			e.Inputs = append(e.Inputs, in)
		}
	}
	columns := columnLineageFacet{base: r.is("1-2-0/ColumnLineageDatasetFacet"), Fields: map[string]fieldLineage{}}
	nulls := map[string]columnMetrics{}
	var fields []schemaField
	for _, c := range m.Columns {
		fields = append(fields, schemaField{Name: c.Name, Type: c.Type})
		n := c.Nulls
		nulls[c.Name] = columnMetrics{&n}
		if view, version, name, ok := featureOf(c.Origin); ok && m.hasHistory(view, version) {
			at := r.names.history(view, version)
			columns.Fields[c.Name] = fieldLineage{[]inputField{{at.Namespace, at.Name, name, []transformation{{"DIRECT", "IDENTITY"}}}}}
		}
	}
	out.Facets["schema"] = r.schema(fields)
	out.Facets["version"] = r.maker.version(id)
	out.Facets["dataQualityMetrics"] = r.outputMetrics(m.Rows, nulls)
	if len(columns.Fields) > 0 {
		out.Facets["columnLineage"] = columns
	}
	out.OutputFacets = Facets{"outputStatistics": r.wroteRows(m.Rows)}
	return nil
}

// featureOf reads the origin of a column of a dataset: `feature:VIEW@VERSION.NAME`.
func featureOf(origin string) (view string, version int, name string, ok bool) {
	rest, ok := strings.CutPrefix(origin, "feature:")
	if !ok {
		return "", 0, "", false
	}
	ref, name, ok := strings.Cut(rest, ".")
	view, at, versioned := strings.Cut(ref, "@")
	if _, err := fmt.Sscan(at, &version); !ok || !versioned || err != nil {
		return "", 0, "", false
	}
	return view, version, name, true
}

func (m *manifest) hasHistory(view string, version int) bool {
	for _, v := range m.Views {
		if v.View == view && v.Version == version {
			return true
		}
	}
	return false
}
