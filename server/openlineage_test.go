package server

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/testenv"
)

var update = flag.Bool("update", false, "write the golden events anew")

// schemasVariable names the folder of the specification's schemas, which events are held to where it is given: OpenLineage.json, and a file
// per facet in facets.
const schemasVariable = "HEADWATER_TEST_OPENLINEAGE"

// receiver is an endpoint that takes events.
type receiver struct {
	t      testing.TB
	server *httptest.Server
	mu     sync.Mutex
	events [][]byte
	keys   []string
	// answer is the status of the answer to an event, of which n were answered before. nil: 201.
	answer func(event []byte, n int) int
	asked  int
}

func newReceiver(t testing.TB) *receiver {
	r := &receiver{t: t}
	r.server = httptest.NewServer(r)
	t.Cleanup(r.server.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	r.mu.Lock()
	answer, n := r.answer, r.asked
	r.asked++
	r.mu.Unlock()
	status := http.StatusCreated
	if answer != nil {
		status = answer(body, n)
	}
	if status == http.StatusCreated {
		r.mu.Lock()
		r.events, r.keys = append(r.events, body), append(r.keys, req.Header.Get("Authorization"))
		r.mu.Unlock()
	}
	w.WriteHeader(status)
	fmt.Fprintln(w, "said by the receiver")
}

func (r *receiver) taken() [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

// told is what is looked at of an event.
type told struct {
	EventType string `json:"eventType"`
	Run       struct {
		RunID  string `json:"runId"`
		Facets struct {
			Parent struct {
				Run struct {
					RunID string `json:"runId"`
				} `json:"run"`
			} `json:"parent"`
			ErrorMessage struct {
				Message string `json:"message"`
			} `json:"errorMessage"`
		} `json:"facets"`
	} `json:"run"`
	Job     struct{ Name string } `json:"job"`
	Dataset struct{ Name string } `json:"dataset"`
}

// told are the events of jobs whose name begins so.
func (r *receiver) told(job string) (list []told) {
	for _, event := range r.taken() {
		var e told
		if err := json.Unmarshal(event, &e); err != nil {
			r.t.Fatalf("%v in %s", err, event)
		}
		if strings.HasPrefix(e.Job.Name, job) && e.EventType != "" {
			list = append(list, e)
		}
	}
	return list
}

func typesOf(list []told) string {
	types := make([]string, len(list))
	for i, e := range list {
		types[i] = e.EventType
	}
	return strings.Join(types, " ")
}

// validator holds events to the schemas of the specification; nil where there are none.
type validator struct {
	event  *jsonschema.Schema
	facets map[string]*jsonschema.Schema
}

func newValidator(t testing.TB) *validator {
	folder := os.Getenv(schemasVariable)
	if folder == "" {
		return nil
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	files, err := filepath.Glob(filepath.Join(folder, "facets", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("found no schemas in %s: %v", folder, err)
	}
	ids := map[string]string{}
	for _, file := range append(files, filepath.Join(folder, "OpenLineage.json")) {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		id := doc.(map[string]any)["$id"].(string)
		ids[filepath.Base(file)] = id
		if err := c.AddResource(id, doc); err != nil {
			t.Fatal(err)
		}
	}
	v := &validator{facets: map[string]*jsonschema.Schema{}}
	if v.event, err = c.Compile(ids["OpenLineage.json"]); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		doc, err := c.Compile(id)
		if err != nil {
			t.Fatal(err)
		}
		v.facets[id] = doc
	}
	return v
}

// check holds an event, and each of its facets, to the schemas. A facet's schema is found by what it says of itself, and must be about a facet of
// that name.
func (v *validator) check(t testing.TB, event []byte) {
	t.Helper()
	if v == nil {
		return
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(event))
	if err != nil {
		t.Fatal(err)
	}
	if err := v.event.Validate(doc); err != nil {
		t.Errorf("%v\nin %s", err, event)
	}
	v.walk(t, doc, event)
}

func (v *validator) walk(t testing.TB, at any, event []byte) {
	t.Helper()
	switch at := at.(type) {
	case []any:
		for _, part := range at {
			v.walk(t, part, event)
		}
	case map[string]any:
		for key, part := range at {
			if facets, ok := part.(map[string]any); ok && (key == "facets" || key == "inputFacets" || key == "outputFacets") {
				for name, facet := range facets {
					id, _, _ := strings.Cut(facet.(map[string]any)["_schemaURL"].(string), "#")
					schema := v.facets[id]
					if schema == nil {
						t.Errorf("facet %s: there is no schema %s", name, id)
						continue
					}
					if err := schema.Validate(map[string]any{name: facet}); err != nil {
						t.Errorf("facet %s: %v\nin %s", name, err, event)
					}
					// A schema that does not know the facet's name has nothing to say against it.
					if err := schema.Validate(map[string]any{name: 1.0}); err == nil {
						t.Errorf("facet %s: its schema %s is of another", name, id)
					}
				}
			}
			v.walk(t, part, event)
		}
	}
}

func describe(docs *feature.Docs, description string, tags ...string) {
	docs.Description, docs.Owner, docs.Tags = description, "data@example.com", tags
}

// lineageDefinitions are definitions with words and tags, a view of each kind, and one of no division by zero.
func lineageDefinitions() *feature.Definitions {
	d := definitions()
	describe(&d.Sources[0].Docs, "Flights as they left.", "core")
	d.Sources[0].Expectations = []feature.Expectation{{Name: "origin_not_null", Column: "origin", Kind: feature.ExpectNotNull}}
	describe(&d.Views[0].Docs, "Delays, \"late\" beyond 15 minutes & more.", "core")
	describe(&d.Services[0].Docs, "What the model reads.", "core")
	d.Views = append(d.Views,
		feature.View{Name: "means", Entity: "airport", Features: []feature.Column{{Name: "mean", Type: feature.TypeFloat64}},
			Aggregation: &feature.Aggregation{Source: "flights", Hop: time.Hour, Aggregates: []feature.Aggregate{
				{Feature: "mean", Function: feature.Mean, Column: "delay", Window: time.Hour, Where: "words <> 'x'"},
			}}},
		feature.View{Name: "spread", Entity: "airport", Features: []feature.Column{{Name: "delay", Type: feature.TypeFloat64}},
			SQL: &feature.SQLTransform{Views: []feature.ViewRef{{Name: "delays"}}, Query: "SELECT origin, event_time, available_at, delay * 2 AS delay FROM delays " +
				"WHERE event_time >= {{interval.start}} AND event_time < {{interval.end}} AND late"}},
		feature.View{Name: "broken", Entity: "airport", Features: []feature.Column{{Name: "part", Type: feature.TypeInt64}},
			SQL: &feature.SQLTransform{Sources: []string{"flights"}, Query: "SELECT origin, event_time, available_at, 100 / number AS part FROM flights " +
				"WHERE event_time >= {{interval.start}} AND event_time < {{interval.end}} AND origin IS NOT NULL"}})
	return d
}

func TestOpenLineageEvents(t *testing.T) {
	r := newReceiver(t)
	url, redisURL := testenv.PostgresURL(t), testenv.RedisURL(t)
	p := openProductWith(t, Config{PostgresURL: url, RedisURL: redisURL, OpenLineage: OpenLineage{
		URL: r.server.URL + "/api/v1/lineage", APIKey: "a secret", PostgresHost: "db.example.com:5432",
	}})
	if _, err := p.pool.Exec(p.admin, `UPDATE headwater.installation SET id = '6ba7b810-9dad-11d1-80b4-00c04fd430c8'`); err != nil {
		t.Fatal(err)
	}
	p.apply(lineageDefinitions())
	at := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(20)), flight("JFK", 0, at.Add(time.Hour), feature.Null())), 0)
	for _, view := range []string{"delays", "recent", "traffic", "means", "spread"} {
		p.materialize(view)
	}
	started, err := p.materialization.Materialize(p.admin, &headwaterv1.MaterializeRequest{Views: []string{"broken"}, Full: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.watch(p.admin, started.GetRuns()[0].GetId()); err != nil {
		t.Fatal(err)
	}
	spine := spineOf(asked("JFK", 0, at.Add(2*time.Hour)), asked("ORD", 7, at))
	_, m, err := p.build(p.admin, "model", &headwaterv1.BuildDatasetHeader{Name: "training", AllowPartial: true}, spine.arrow(t))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "all events", func() bool { return p.count(`SELECT count(*) FROM headwater.outbox WHERE channel = ''`) == 0 })

	database := p.pool.Config().ConnConfig.Database
	redis := regexp.MustCompile(`redis://[^"]*:[0-9]+`)
	eventTime := regexp.MustCompile(`"eventTime":"[^"]*"`)
	v := newValidator(t)
	byJob := map[string][]string{}
	for i, event := range r.taken() {
		v.check(t, event)
		if r.keys[i] != "Bearer a secret" {
			t.Errorf("found the authorization %q", r.keys[i])
		}
		for _, word := range []string{"secret", "ORD", "JFK"} {
			if bytes.Contains(event, []byte(word)) {
				t.Errorf("found %q in %s", word, event)
			}
		}
		text := strings.NewReplacer(`"`+database+".", `"headwater.`, m.GetId(), "ds_1", r.told("dataset.")[0].Run.RunID, "00000000-0000-5000-8000-000000000000").
			Replace(string(event))
		text = redis.ReplaceAllString(eventTime.ReplaceAllString(text, `"eventTime":"2001-01-01T00:00:00Z"`), "redis://localhost:6379")
		var e told
		if err := json.Unmarshal(event, &e); err != nil {
			t.Fatal(err)
		}
		name := e.Job.Name
		if name == "" {
			name = "source"
		}
		byJob[name] = append(byJob[name], indented(t, text))
	}
	for _, name := range []string{"source", "delays@1", "means@1", "spread@1", "broken@1", "dataset.training"} {
		events := byJob[name]
		golden(t, filepath.Join("testdata", "openlineage", name+".json"), strings.Join(events, "\n")+"\n")
	}
	for job, want := range map[string]string{
		"delays@1": "START RUNNING COMPLETE", "broken@1": "START RUNNING FAIL", "dataset.training": "START COMPLETE", "means@1": "START RUNNING COMPLETE",
	} {
		list := r.told(job)
		if got := typesOf(list); got != want {
			t.Errorf("%s: found %s, expected %s", job, got, want)
		}
		for _, e := range list {
			if e.Run.RunID != list[0].Run.RunID {
				t.Errorf("%s: found the runs %s and %s, expected one", job, list[0].Run.RunID, e.Run.RunID)
			}
		}
	}
}

func indented(t testing.TB, event string) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, []byte(event), "", "  "); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func golden(t testing.TB, file, found string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(found), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if found != string(want) {
		t.Errorf("%s: found\n%s\nexpected\n%s", file, found, want)
	}
}
