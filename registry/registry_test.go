package registry

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/definition"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// flights is a repository's definitions that the tests change.
func flights() *feature.Definitions {
	return &feature.Definitions{
		Entities: []feature.Entity{{Name: "airport", JoinKeys: []feature.Column{{Name: "origin", Type: feature.TypeString}}}},
		Sources: []feature.Source{{
			Name: "flights", EventTime: "date",
			Columns: []feature.Column{
				{Name: "date", Type: feature.TypeTimestamp}, {Name: "origin", Type: feature.TypeString}, {Name: "delay", Type: feature.TypeInt64},
			},
		}},
		Views: []feature.View{{
			Name: "delays", Entity: "airport", Grain: time.Hour,
			Features: []feature.Column{{Name: "departures", Type: feature.TypeInt64}, {Name: "mean_delay", Type: feature.TypeFloat64}},
			SQL:      &feature.SQLTransform{Sources: []string{"flights"}, Query: "SELECT count(*) AS departures FROM flights"},
		}},
		Services: []feature.Service{{Name: "model", Views: []feature.ServiceView{{View: "delays"}}, ServesAsGrant: true}},
		Roles: []feature.Role{{Name: "reader", Grants: []feature.Grant{
			{Actions: []string{"list"}, Resources: []feature.ResourcePattern{{Kind: "view", Name: "*"}}},
		}}},
	}
}

func files(d *feature.Definitions) []*headwaterv1.DefinitionSource {
	return []*headwaterv1.DefinitionSource{{Path: "defs.yaml", File: definition.ToProto(d)}}
}

func open(t *testing.T, pool *pgxpool.Pool, config Config) *Registry {
	t.Helper()
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	r, err := Open(t.Context(), pool, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func apply(t *testing.T, r *Registry, d *feature.Definitions) []Change {
	t.Helper()
	changes, revision, err := r.Apply(t.Context(), ApplyRequest{Request: Request{Files: files(d)}, Principal: "ada", Origin: "commit 1"})
	if err != nil {
		t.Fatal(err)
	}
	if now := r.Catalog().Revision(); now != revision {
		t.Fatalf("after the apply the catalog is at revision %d, expected %d", now, revision)
	}
	return changes
}

// told is changes as `KIND NODE@VERSION`.
func told(changes []Change) []string {
	var lines []string
	for _, c := range changes {
		lines = append(lines, c.Kind.String()+" "+c.DefinitionKind.String()+":"+c.Name+"@"+string(rune('0'+c.Version)))
	}
	return lines
}

func expect(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: found %q, expected %q", what, got, want)
	}
}

func faultOf(t *testing.T, err error, reason fault.Reason) *fault.Fault {
	t.Helper()
	f := fault.As(err)
	if f == nil || f.Reason != reason {
		t.Fatalf("found %v, expected %s", err, reason)
	}
	return f
}

func TestApplyFirst(t *testing.T) {
	r := open(t, testenv.Postgres(t), Config{})
	planned, revision, err := r.Plan(t.Context(), Request{Files: files(flights())})
	if err != nil || revision != 0 {
		t.Fatalf("found revision %d, %v", revision, err)
	}
	all := []string{"add entity:airport@1", "add source:flights@1", "add view:delays@1", "add service:model@1", "add role:reader@1"}
	expect(t, "plan", told(planned), all...)
	if r.Catalog().Revision() != 0 || len(r.Catalog().Entities()) != 0 {
		t.Error("a plan changed the registry")
	}
	changes := apply(t, r, flights())
	expect(t, "apply", told(changes), all...)
	if !slices.EqualFunc(planned, changes, func(a, b Change) bool { return a.Fingerprint == b.Fingerprint && !a.Fingerprint.IsZero() }) {
		t.Error("the plan has other fingerprints than the apply")
	}

	c := r.Catalog()
	v, err := c.View("delays")
	if err != nil {
		t.Fatal(err)
	}
	if v.ID == 0 || v.Version != 1 || v.EntityVersion.Name != "airport" || v.SourceVersions[0].Name != "flights" || v.Fingerprint != changes[2].Fingerprint {
		t.Errorf("found the view %+v", v)
	}
	if same, err := c.ViewByID(v.ID); same != v || err != nil {
		t.Errorf("by id: found %v, %v", same, err)
	}
	s, err := c.Service("model@1")
	if err != nil || s.Pins[0].View != v || !slices.Equal(s.Pins[0].Features, []int{0, 1}) {
		t.Errorf("found the service %+v, %v", s, err)
	}
	d, err := c.Definition(feature.KindView, "delays@1")
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "inputs", d.Inputs, "entity:airport", "source:flights")
	expect(t, "dependents", d.Dependents, "service:model")
	if d.AppliedBy != "ada" || d.Origin != "commit 1" || time.Since(d.AppliedAt) > time.Hour || len(d.Definitions.Views) != 1 {
		t.Errorf("found %+v", d)
	}
	var states int
	if err := r.pool.QueryRow(t.Context(), "SELECT count(*) FROM headwater.view_state WHERE view_id = $1", v.ID).Scan(&states); err != nil || states != 1 {
		t.Errorf("found %d states of the view, %v", states, err)
	}
}

func TestApplyIsIdempotent(t *testing.T) {
	r := open(t, testenv.Postgres(t), Config{})
	apply(t, r, flights())
	before := r.Catalog()
	expect(t, "second apply", told(apply(t, r, flights())))
	if r.Catalog() != before {
		t.Error("an apply that changes nothing moved the registry")
	}
	// Layout and comments are words: they are kept, and make no version.
	d := flights()
	d.Views[0].SQL.Query = "select count ( * ) -- all\n as departures\nfrom flights"
	d.Services[0].Owner = "ml"
	changes := apply(t, r, d)
	expect(t, "words", told(changes), "update view:delays@1", "update service:model@1")
	expect(t, "details", changes[0].Details, "sql.query: layout and comments only")
	v, _ := r.Catalog().View("delays")
	s, _ := r.Catalog().Service("model")
	old, _ := before.View("delays")
	if v.SQL.Query != d.Views[0].SQL.Query || s.Owner != "ml" || v.ID != old.ID || v.Fingerprint != old.Fingerprint {
		t.Errorf("found %+v, %+v", v, s)
	}
	if summaries := r.Catalog().Summaries(feature.KindService); len(summaries) != 1 || summaries[0].Owner != "ml" {
		t.Errorf("found %+v", summaries)
	}
	expect(t, "again", told(apply(t, r, d)))
}

func TestNewVersionsLeaveServicesPinned(t *testing.T) {
	r := open(t, testenv.Postgres(t), Config{})
	apply(t, r, flights())

	// The view moves, the service stays; one that is new takes the newest, of the same apply.
	d := flights()
	d.Views[0].SQL.Query = "SELECT count(*) + 1 AS departures FROM flights"
	d.Services = append(d.Services, feature.Service{Name: "model_b", Views: []feature.ServiceView{{View: "delays", Features: []string{"mean_delay"}}}})
	changes := apply(t, r, d)
	expect(t, "apply", told(changes), "new_version view:delays@2", "add service:model_b@1")
	expect(t, "details", changes[0].Details, "sql.query: from line 1, column 17: `AS` -> `+`")
	expect(t, "dependents", changes[0].Dependents, "service:model")
	c := r.Catalog()
	pinned := func(c *Catalog, service string) int {
		s, err := c.Service(service)
		if err != nil {
			t.Fatal(err)
		}
		return s.Pins[0].View.Version
	}
	if a, b := pinned(c, "model"), pinned(c, "model_b"); a != 1 || b != 2 {
		t.Errorf("the services are pinned to %d and %d, expected 1 and 2", a, b)
	}
	if v, err := c.View("delays@1"); err != nil || v.ID == 0 {
		t.Errorf("the old version: found %+v, %v", v, err)
	}
	expect(t, "again", told(apply(t, r, d)))

	// A version in the file moves the pin, and writing it no more leaves it.
	d.Services[0].Views[0].Version = 2
	changes = apply(t, r, d)
	expect(t, "moved", told(changes), "new_version service:model@2")
	expect(t, "moved details", changes[0].Details, "view delays: version 1 -> 2")
	d.Services[0].Views[0].Version = 0
	expect(t, "unversioned again", told(apply(t, r, d)), "update service:model@2")
	if got := pinned(r.Catalog(), "model"); got != 2 {
		t.Errorf("the service is pinned to %d, expected 2", got)
	}

	// A definition that was there before is a new version all the same.
	d.Views[0].SQL.Query = flights().Views[0].SQL.Query
	expect(t, "back", told(apply(t, r, d)), "new_version view:delays@3")
	first, _ := r.Catalog().View("delays@1")
	third, _ := r.Catalog().View("delays@3")
	if first.Fingerprint != third.Fingerprint || first.ID == third.ID {
		t.Errorf("found %+v and %+v", first, third)
	}
	// A service can be moved to the version that is being added.
	d.Views[0].Grain = 2 * time.Hour
	d.Services[0].Views[0].Version = 4
	expect(t, "both", told(apply(t, r, d)), "new_version view:delays@4", "new_version service:model@3")
}

func TestPinnedServiceAsksForFeatureOfNewerVersion(t *testing.T) {
	r := open(t, testenv.Postgres(t), Config{})
	apply(t, r, flights())
	d := flights()
	d.Views[0].Features = append(d.Views[0].Features, feature.Column{Name: "late_share", Type: feature.TypeFloat64})
	d.Services[0].Views[0].Features = []string{"late_share"}
	_, _, err := r.Apply(t.Context(), ApplyRequest{Request: Request{Files: files(d)}})
	v := faultOf(t, err, fault.InvalidDefinition).Violations[0]
	if v.Field != "feature_services[0].views[0].features[0]" ||
		!strings.Contains(v.Description, "found no feature called late_share in view delays@1") ||
		!strings.Contains(v.Description, "write delays@2 to move it to the newest") {
		t.Fatalf("found %+v", v)
	}
	if r.Catalog().Revision() != 1 {
		t.Error("a refused apply changed the registry")
	}
	d.Services[0].Views[0].Version = 3
	_, _, err = r.Plan(t.Context(), Request{Files: files(d)})
	if v := faultOf(t, err, fault.InvalidDefinition).Violations[0]; !strings.Contains(v.Description, "found no version 3 of view delays, expected one of 1 to 2") {
		t.Fatalf("found %+v", v)
	}
}

func TestVersionsFollowWhatTheyRead(t *testing.T) {
	r := open(t, testenv.Postgres(t), Config{})
	apply(t, r, flights())
	// A source alone leaves the views that read it.
	d := flights()
	d.Sources[0].Columns = append(d.Sources[0].Columns, feature.Column{Name: "carrier", Type: feature.TypeString})
	changes := apply(t, r, &feature.Definitions{Sources: d.Sources})
	expect(t, "source", told(changes), "new_version source:flights@2")
	expect(t, "dependents", changes[0].Dependents, "view:delays@1")
	v, _ := r.Catalog().View("delays")
	if v.SourceVersions[0].Version != 1 {
		t.Errorf("the view reads version %d, expected 1", v.SourceVersions[0].Version)
	}
	// With the view, it follows.
	changes = apply(t, r, d)
	expect(t, "all", told(changes), "new_version view:delays@2")
	expect(t, "details", changes[0].Details, "source flights: version 1 -> 2")
	v, _ = r.Catalog().View("delays")
	if v.SourceVersions[0].Version != 2 {
		t.Errorf("the view reads version %d, expected 2", v.SourceVersions[0].Version)
	}
	// What is not in the files is known all the same.
	expect(t, "view alone", told(apply(t, r, &feature.Definitions{Views: d.Views, Services: d.Services})))
}

func TestStalePlan(t *testing.T) {
	pool := testenv.Postgres(t)
	r := open(t, pool, Config{})
	apply(t, r, flights())
	d := flights()
	d.Roles[0].Grants[0].Deny = true
	_, revision, err := r.Plan(t.Context(), Request{Files: files(d)})
	if err != nil {
		t.Fatal(err)
	}
	other := flights()
	other.Roles[0].Owner = "x"
	apply(t, r, other)
	_, _, err = r.Apply(t.Context(), ApplyRequest{Request: Request{Files: files(d)}, ExpectedRevision: &revision})
	f := faultOf(t, err, fault.StalePlan)
	if !strings.Contains(f.Message, "the plan was made at revision 1 of the registry, which is at 2 now; plan again") {
		t.Errorf("found %s", f.Message)
	}
	if got := r.Catalog().Revision(); got != 2 {
		t.Errorf("found revision %d, expected 2", got)
	}
}

func TestRefusedDefinitions(t *testing.T) {
	r := open(t, testenv.Postgres(t), Config{})
	d := flights()
	d.Views[0].Entity = "airprot"
	d.Entities[0].Name = "Airport"
	for name, call := range map[string]func() error{
		"plan": func() error { _, _, err := r.Plan(t.Context(), Request{Files: files(d)}); return err },
		"apply": func() error {
			_, _, err := r.Apply(t.Context(), ApplyRequest{Request: Request{Files: files(d)}})
			return err
		},
	} {
		f := faultOf(t, call(), fault.InvalidDefinition)
		if f.Violations[0].Field != "entities[0].name" {
			t.Errorf("%s: found %v", name, f)
		}
	}
	d.Entities[0].Name = "airport"
	_, _, err := r.Plan(t.Context(), Request{Files: append(files(&feature.Definitions{Views: flights().Views[:0], Entities: []feature.Entity{
		{Name: "port", JoinKeys: []feature.Column{{Name: "k", Type: feature.TypeInt64}}},
	}}), files(d)...)})
	if v := faultOf(t, err, fault.InvalidDefinition).Violations[0]; v.Field != "feature_views[0].entity" || !strings.Contains(v.Description, "did you mean airport?") {
		t.Errorf("found %+v", v)
	}
}

func TestViolationsToldAreLimited(t *testing.T) {
	r := open(t, testenv.Postgres(t), Config{})
	d := &feature.Definitions{}
	for range maxViolations + 10 {
		d.Roles = append(d.Roles, feature.Role{Name: "admin"})
	}
	_, _, err := r.Plan(t.Context(), Request{Files: files(d)})
	f := faultOf(t, err, fault.InvalidDefinition)
	if len(f.Violations) != maxViolations || !strings.HasSuffix(f.Message, "problems in the definitions; these are the first 50") {
		t.Errorf("found %d violations: %s", len(f.Violations), f.Message)
	}
}

func TestNotFound(t *testing.T) {
	r := open(t, testenv.Postgres(t), Config{})
	apply(t, r, flights())
	c := r.Catalog()
	for ref, want := range map[string]string{
		"delay":    `found no view called "delay"; did you mean delays?`,
		"zzz":      "`headwater list view` shows those that there are",
		"delays@2": `found no version "2" of view delays; it has the versions 1 to 1`,
		"delays@0": "it has the versions 1 to 1",
		"delays@x": "it has the versions 1 to 1",
	} {
		_, err := c.View(ref)
		if f := faultOf(t, err, fault.NotFound); !strings.Contains(f.Error(), want) {
			t.Errorf("%s: found %s, expected %s", ref, f, want)
		}
	}
	_, err := c.ViewByID(1 << 40)
	faultOf(t, err, fault.NotFound)
	_, err = c.Definition(feature.KindRole, "writer")
	faultOf(t, err, fault.NotFound)
}

func TestEnginesTakePart(t *testing.T) {
	pool := testenv.Postgres(t)
	var calls []string
	config := Config{
		CheckSource: func(ctx context.Context, tx pgx.Tx, s *feature.SourceVersion) error {
			calls = append(calls, "check "+s.Name)
			return nil
		},
		CheckView: func(ctx context.Context, tx pgx.Tx, v *feature.ViewVersion) (*feature.Analysis, error) {
			calls = append(calls, "check "+v.Ref())
			if v.ID != 0 || v.EntityVersion == nil || v.SourceVersions[0] == nil {
				t.Errorf("checked %+v", v)
			}
			// What a check makes is rolled back, so the same can be made again.
			_, err := tx.Exec(ctx, "CREATE TABLE headwater_history.checked ()")
			return nil, err
		},
		CreateSource: func(ctx context.Context, tx pgx.Tx, old, new *feature.SourceVersion) error {
			if (old == nil) != (new.Version == 1) {
				t.Errorf("created version %d after %v", new.Version, old)
			}
			calls = append(calls, "create "+new.Name)
			return nil
		},
		CreateView: func(ctx context.Context, tx pgx.Tx, v *feature.ViewVersion) error {
			calls = append(calls, "create "+v.Ref())
			if v.ID == 0 {
				t.Error("created a view without an id")
			}
			_, err := tx.Exec(ctx, "CREATE TABLE headwater_history.made ()")
			return err
		},
	}
	r := open(t, pool, config)
	if _, _, err := r.Plan(t.Context(), Request{Files: files(flights())}); err != nil {
		t.Fatal(err)
	}
	expect(t, "plan", calls, "check flights", "check delays@1")
	calls = nil
	apply(t, r, flights())
	expect(t, "apply", calls, "check flights", "check delays@1", "create flights", "create delays@1")
	calls = nil
	d := flights()
	d.Views[0].Owner, d.Sources[0].Owner = "x", "y"
	apply(t, r, d)
	expect(t, "words", calls)
	var checked, made *string
	err := pool.QueryRow(t.Context(), "SELECT to_regclass('headwater_history.checked')::text, to_regclass('headwater_history.made')::text").Scan(&checked, &made)
	if err != nil || checked != nil || made == nil {
		t.Errorf("found %v and %v, %v, expected what was made, not what was checked", checked, made, err)
	}
}

func TestFaultsOfChecksAreToldTogether(t *testing.T) {
	config := Config{
		CheckSource: func(context.Context, pgx.Tx, *feature.SourceVersion) error {
			return fault.New(fault.InvalidSQL, "found an integer, expected a timestamptz")
		},
		CheckView: func(ctx context.Context, tx pgx.Tx, v *feature.ViewVersion) (*feature.Analysis, error) {
			// The transaction outlives an error of Postgres.
			_, err := tx.Exec(ctx, "SELECT FROM nowhere")
			return nil, fault.New(fault.InvalidSQL, "%s", v.Name).Because(err).Violating(
				fault.Violation{Line: 2, Column: 3, Description: "found no column x"},
				fault.Violation{Field: "features[0].type", Description: "found text"})
		},
	}
	r := open(t, testenv.Postgres(t), config)
	d := flights()
	second := d.Views[0]
	second.Name = "late"
	d.Views = append(d.Views, second)
	_, _, err := r.Apply(t.Context(), ApplyRequest{Request: Request{Files: files(d)}})
	f := faultOf(t, err, fault.InvalidSQL)
	got := map[string]int{}
	for _, v := range f.Violations {
		got[v.Field+": "+v.Description] = v.Line
	}
	want := map[string]int{
		"sources[0].arrival_time.expression: found an integer, expected a timestamptz": 0,
		"feature_views[0].sql.query: found no column x":                                2, "feature_views[1].sql.query: found no column x": 2,
		"feature_views[0].features[0].type: found text": 0, "feature_views[1].features[0].type: found text": 0,
	}
	if !maps.Equal(got, want) {
		t.Errorf("found %v\nexpected %v", got, want)
	}
	if r.Catalog().Revision() != 0 {
		t.Error("a refused apply changed the registry")
	}
}

func TestFailedCreationChangesNothing(t *testing.T) {
	broken := errors.New("disk full")
	r := open(t, testenv.Postgres(t), Config{
		CreateView: func(context.Context, pgx.Tx, *feature.ViewVersion) error { return broken },
	})
	_, _, err := r.Apply(t.Context(), ApplyRequest{Request: Request{Files: files(flights())}})
	if !errors.Is(err, broken) || fault.ReasonOf(err) != fault.Internal {
		t.Fatalf("found %v", err)
	}
	var definitions int
	if err := r.pool.QueryRow(t.Context(), "SELECT count(*) FROM headwater.definition").Scan(&definitions); err != nil || definitions != 0 {
		t.Errorf("found %d definitions, %v, expected none", definitions, err)
	}
}

// await waits for a condition that another goroutine brings about.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func TestAnotherRegistryFollowsByNotification(t *testing.T) {
	pool := testenv.Postgres(t)
	// With no poll to come, only a notification can bring the change.
	follower := open(t, pool, Config{PollInterval: 24 * time.Hour})
	r := open(t, pool, Config{PollInterval: 24 * time.Hour})
	await(t, "both listen", func() bool { return listeners(t, pool) == 2 })
	apply(t, r, flights())
	await(t, "the other registry follows", func() bool { return follower.Catalog().Revision() == 1 })
	if _, err := follower.Catalog().View("delays"); err != nil {
		t.Fatal(err)
	}
	d := flights()
	d.Views[0].TTL = time.Hour
	apply(t, follower, d)
	await(t, "and back", func() bool { return r.Catalog().Revision() == 2 })
}

// listeners counts the registries that listen and have read what there was before.
func listeners(t *testing.T, pool *pgxpool.Pool) int {
	t.Helper()
	var n int
	err := pool.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity
		WHERE datname = current_database() AND application_name = $1 AND state = 'idle' AND query = 'commit'`, listenerName).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAnotherRegistryFollowsWithoutNotifications(t *testing.T) {
	pool := testenv.Postgres(t)
	var log strings.Builder
	follower := open(t, pool, Config{PollInterval: 20 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	// A change whose notification is lost is one that comes without.
	role := flights().Roles[0]
	fingerprint := role.Fingerprint()
	body := `{"roles": [{"name": "reader", "grants": [{"actions": ["list"], "resources": ["view:*"]}]}]}`
	err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `INSERT INTO headwater.definition (kind, name, version, fingerprint, body, revision, applied_at, applied_by)
			VALUES ('role', 'reader', 1, $1, $2, 1, now(), 'ada')`, fingerprint[:], body)
		if err != nil {
			return err
		}
		_, err = tx.Exec(t.Context(), "UPDATE headwater.registry_head SET revision = 1")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	await(t, "the registry follows", func() bool { return follower.Catalog().Revision() == 1 })
	if r, err := follower.Catalog().Role("reader"); err != nil || r.Fingerprint != fingerprint {
		t.Fatalf("found %+v, %v", r, err)
	}
	follower.Close()
	if log.Len() > 0 {
		t.Errorf("polls ended the connection: %s", log.String())
	}
}

func TestRegistryFollowsOverBrokenConnections(t *testing.T) {
	pool := testenv.Postgres(t)
	follower := open(t, pool, Config{PollInterval: 20 * time.Millisecond})
	r := open(t, pool, Config{})
	if _, err := pool.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid()`); err != nil {
		t.Fatal(err)
	}
	// The pool may hand out a connection that was just broken.
	await(t, "the pool is well again", func() bool { return pool.Ping(t.Context()) == nil })
	var revision int64
	await(t, "an apply", func() bool {
		var err error
		_, revision, err = r.Apply(t.Context(), ApplyRequest{Request: Request{Files: files(flights())}})
		return err == nil
	})
	await(t, "the registry follows", func() bool { return follower.Catalog().Revision() == revision })
}

// Applies from many sides come one after the other, and each sees those before it.
func TestConcurrentApplies(t *testing.T) {
	pool := testenv.Postgres(t)
	a, b := open(t, pool, Config{}), open(t, pool, Config{})
	const each = 8
	errs := make(chan error)
	for i, r := range []*Registry{a, b} {
		go func() {
			for n := range each {
				d := flights()
				d.Views[0].TTL = time.Duration(i*each+n+1) * time.Hour
				if _, _, err := r.Apply(t.Context(), ApplyRequest{Request: Request{Files: files(d)}}); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	for range 2 {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	await(t, "both are at the end", func() bool { return a.Catalog().Revision() == 2*each && b.Catalog().Revision() == 2*each })
	if versions := a.Catalog().ViewVersions(); len(versions) != 2*each || versions[2*each-1].Version != 2*each {
		t.Fatalf("found %d versions, expected %d", len(versions), 2*each)
	}
}

// Whatever was applied comes back from Postgres as it was.
func TestCatalogIsWhatWasApplied(t *testing.T) {
	pool := testenv.Postgres(t)
	r := open(t, pool, Config{})
	set, err := definition.Load([]string{"../definition/testdata/flights"})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Apply(t.Context(), ApplyRequest{Request: Request{Files: set.Files}}); err != nil {
		t.Fatal(err)
	}
	fresh := open(t, pool, Config{}).Catalog()
	v, err := fresh.View("airport_delays")
	if err != nil {
		t.Fatal(err)
	}
	if want := v.Meaning(); v.Fingerprint != want {
		t.Errorf("found fingerprint %s, expected %s", v.Fingerprint, want)
	}
	got, _ := json.Marshal(v.View)
	want, _ := json.Marshal(set.Definitions.Views[0])
	if string(got) != string(want) {
		t.Errorf("found %s\nexpected %s", got, want)
	}
}
