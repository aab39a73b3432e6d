package openlineage

import (
	"bytes"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	specURL  = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/"
	facetURL = "https://openlineage.io/spec/facets/"
	project  = "https://github.com/headwaterhq/headwater"
)

// Event is a RunEvent, a JobEvent or a DatasetEvent. Facets are by name, so that an event always is the same bytes.
type Event struct {
	EventTime string    `json:"eventTime"`
	EventType string    `json:"eventType,omitempty"`
	Run       *Run      `json:"run,omitempty"`
	Job       *Job      `json:"job,omitempty"`
	Inputs    []Dataset `json:"inputs,omitempty"`
	Outputs   []Dataset `json:"outputs,omitempty"`
	Dataset   *Dataset  `json:"dataset,omitempty"`
	Producer  string    `json:"producer"`
	SchemaURL string    `json:"schemaURL"`
}

// Facets are by name.
type Facets map[string]any

// Run is a run in the specification's sense: one attempt, or one build.
type Run struct {
	RunID  string `json:"runId"`
	Facets Facets `json:"facets,omitempty"`
}

// Job is what is run.
type Job struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Facets    Facets `json:"facets,omitempty"`
}

// Dataset is what is read or written.
type Dataset struct {
	Namespace    string `json:"namespace"`
	Name         string `json:"name"`
	Facets       Facets `json:"facets,omitempty"`
	InputFacets  Facets `json:"inputFacets,omitempty"`
	OutputFacets Facets `json:"outputFacets,omitempty"`
}

// base is what every facet says of itself.
type base struct {
	Producer  string `json:"_producer"`
	SchemaURL string `json:"_schemaURL"`
}

// maker makes events of one server's version.
type maker struct{ producer string }

func newMaker(version string) maker {
	return maker{producer: project + "/tree/" + url.PathEscape(version)}
}

// is is the base of a facet of a schema such as 1-2-0/SchemaDatasetFacet.
func (m maker) is(schema string) base {
	return m.definedIn(schema, schema[strings.IndexByte(schema, '/')+1:])
}

// definedIn is is for a facet whose schema's file has another name.
func (m maker) definedIn(schema, name string) base {
	return base{m.producer, facetURL + schema + ".json#/$defs/" + name}
}

func (m maker) event(kind string, at time.Time) *Event {
	return &Event{EventTime: timestamp(at), Producer: m.producer, SchemaURL: specURL + kind}
}

func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.999999Z07:00") }

// encode makes the bytes of an event: inputs and outputs by name.
func (e *Event) encode() ([]byte, error) {
	sortDatasets(e.Inputs)
	sortDatasets(e.Outputs)
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func sortDatasets(list []Dataset) {
	slices.SortStableFunc(list, func(a, b Dataset) int {
		if c := strings.Compare(a.Namespace, b.Namespace); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
}
