package server

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// prune applies definitions as all there is.
func (p *product) prune(ctx context.Context, d *feature.Definitions, retire bool) (string, error) {
	applied, err := p.registry.Apply(ctx, &headwaterv1.ApplyRequest{Files: files(d), Prune: true, Retire: retire})
	return changed(applied.GetChanges()), err
}

// What ends serves what was made of it, and nothing more.
func TestDatasetsOutliveTheirService(t *testing.T) {
	p := newProduct(t)
	p.someData()
	list, err := p.datasets.ListDatasets(p.admin, &headwaterv1.ListDatasetsRequest{})
	if err != nil || len(list.GetDatasets()) != 1 {
		t.Fatalf("found %v, %v", list, err)
	}
	id := list.GetDatasets()[0].GetId()
	d := definitions()
	small := d.Services[1]
	d.Services = d.Services[:1]
	_, err = p.prune(p.admin, d, false)
	f := fault.FromError(err)
	if f == nil || f.Reason != fault.FailedPrecondition || len(f.Violations) != 1 || f.Violations[0].Field != "service:small" ||
		!strings.HasPrefix(f.Violations[0].Description, "found it used by dataset:"+id+", and not in the files; put it back") {
		t.Fatalf("found %v", err)
	}
	verify := func() {
		t.Helper()
		if v, err := p.datasets.VerifyDataset(p.admin, &headwaterv1.VerifyDatasetRequest{Dataset: id}); err != nil || !v.GetSame() {
			t.Errorf("found %v, %v", v, err)
		}
	}
	if got, err := p.prune(p.admin, d, true); err != nil || got != "RETIRE service small@1; " {
		t.Errorf("found %s, %v", got, err)
	}
	verify()
	if got := p.delayOf(small.Name, "ORD"); got == "" {
		t.Error("a retired service does not serve")
	}

	// One that nothing keeps is removed: it can be used by nothing, at any version.
	if _, err := p.pool.Exec(t.Context(), "UPDATE headwater.dataset SET service = 'model'"); err != nil {
		t.Fatal(err)
	}
	if got, err := p.prune(p.admin, d, false); err != nil || got != "REMOVE service small@1; " {
		t.Errorf("found %s, %v", got, err)
	}
	if _, err := p.pool.Exec(t.Context(), "UPDATE headwater.dataset SET service = 'small'"); err != nil {
		t.Fatal(err)
	}
	verify()
	for _, ref := range []string{"small", "small@1"} {
		_, err := p.online.GetFeatures(p.admin, features(ref))
		wantFault(t, err, fault.NotFound, `found no service called "small"; it was removed on `+time.Now().UTC().Format(time.DateOnly)+
			`; applying its definition again brings it back`)
	}
	if got := changed(p.apply(definitions()).GetChanges()); got != "REVIVE service small@1; " {
		t.Errorf("found %s", got)
	}
}

func TestGrantsEndWithTheirRole(t *testing.T) {
	p := newProduct(t)
	d := definitions()
	d.Roles = []feature.Role{role("some", "list on view:*")}
	p.apply(d)
	ctx := p.as("sam", "some")
	list := func() error {
		_, err := p.registry.ListDefinitions(ctx, &headwaterv1.ListDefinitionsRequest{Kind: headwaterv1.DefinitionKind_DEFINITION_KIND_VIEW})
		return err
	}
	if err := list(); err != nil {
		t.Fatal(err)
	}
	if got, err := p.prune(p.admin, definitions(), false); err != nil || got != "REMOVE role some@1; " {
		t.Fatalf("found %s, %v", got, err)
	}
	if f := fault.FromError(list()); f == nil || f.Reason != fault.PermissionDenied {
		t.Errorf("found %v", f)
	}
}

func TestWhoPrunesNeedsToRegister(t *testing.T) {
	p := newProduct(t)
	d := definitions()
	d.Roles = []feature.Role{
		role("some", "register on entity:*,source:*,view:*,service:model,role:*", "read_online on view:*", "read_offline on view:*", "list on service:small"),
		role("blind", "register on entity:*,source:*,view:*,service:model,role:*", "read_online on view:*", "read_offline on view:*"),
	}
	p.apply(d)
	d.Services = d.Services[:1]
	some, blind := p.as("sam", "some"), p.as("bea", "blind")
	_, err := p.prune(some, d, true)
	wantFault(t, err, fault.PermissionDenied, "sam may not register service:small: no grant of register on service:small in roles [some]; "+
		"whoever administers the roles can change that")
	_, err = p.prune(blind, d, true)
	wantFault(t, err, fault.PermissionDenied, "the registry has definitions that are not in the files and that bea may neither register nor "+
		"list, so --prune cannot end them; leave it out, or ask whoever may")
	_, err = p.registry.Plan(p.admin, &headwaterv1.PlanRequest{Files: files(d), Retire: true})
	if f := fault.FromError(err); f == nil || f.Reason != fault.InvalidArgument || f.Violations[0].Description != "found retire without prune, expected both" {
		t.Errorf("found %v", err)
	}
	if got, err := p.prune(p.admin, d, false); err != nil || got != "REMOVE service small@1; " {
		t.Errorf("found %s, %v", got, err)
	}
}

func TestDiffDefinitions(t *testing.T) {
	p := newProduct(t)
	p.apply(definitions())
	d := definitions()
	d.Views[0].SQL.Query = strings.Replace(d.Views[0].SQL.Query, "delay, words", "delay * 2 AS delay, words", 1)
	p.apply(d)
	diff, err := p.registry.DiffDefinitions(p.admin, &headwaterv1.DiffDefinitionsRequest{
		Kind: headwaterv1.DefinitionKind_DEFINITION_KIND_VIEW, Before: "delays@1", After: "delays",
	})
	if err != nil || diff.GetBefore().GetVersion() != 1 || diff.GetAfter().GetVersion() != 2 || diff.GetWordsOnly() {
		t.Fatalf("found %v, %v", diff, err)
	}
	text := strings.Join(diff.GetDetails(), "\n")
	if !strings.HasPrefix(text, "sql.query: from line ") || !strings.Contains(text, "\nsql.query | - ") || !strings.Contains(text, "delay * 2 AS delay, words") {
		t.Errorf("found %s", text)
	}
	_, err = p.registry.DiffDefinitions(p.admin, &headwaterv1.DiffDefinitionsRequest{
		Kind: headwaterv1.DefinitionKind_DEFINITION_KIND_VIEW, Before: "delays@1", After: "delays@3",
	})
	wantFault(t, err, fault.NotFound, `found no version "3" of view delays; it has the versions 1 to 2`)
	d.Roles = []feature.Role{role("some", "list on view:recent")}
	p.apply(d)
	_, err = p.registry.DiffDefinitions(p.as("sam", "some"), &headwaterv1.DiffDefinitionsRequest{
		Kind: headwaterv1.DefinitionKind_DEFINITION_KIND_VIEW, Before: "recent@1", After: "delays@1",
	})
	if f := fault.FromError(err); f == nil || f.Reason != fault.PermissionDenied {
		t.Errorf("found %v", err)
	}
}

// until waits for a condition and says how long it took.
func until(t *testing.T, what string, done func() bool) time.Duration {
	t.Helper()
	start := time.Now()
	for !done() {
		if time.Since(start) > 30*time.Second {
			t.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
	return time.Since(start)
}

// has reports whether a server serves an entity.
func (p *product) has(entity string) bool {
	_, err := p.registry.GetDefinition(p.admin, &headwaterv1.GetDefinitionRequest{
		Kind: headwaterv1.DefinitionKind_DEFINITION_KIND_ENTITY, Name: entity,
	})
	return err == nil
}

func entityCalled(name string) *feature.Definitions {
	return &feature.Definitions{Entities: []feature.Entity{{Name: name, JoinKeys: []feature.Column{{Name: "k", Type: feature.TypeString}}}}}
}

func TestTheOtherServerServesANewCatalogWithinASecond(t *testing.T) {
	url, redis := testenv.PostgresURL(t), testenv.RedisURL(t)
	one, other := openProduct(t, url, redis), openProduct(t, url, redis)
	one.apply(entityCalled("first"))
	until(t, "the other server listens", func() bool { return other.has("first") })
	// The machine may be busy; what is promised within a second is not late ten times in a row.
	var took time.Duration
	for n := range 10 {
		name := fmt.Sprintf("next_%d", n)
		one.apply(entityCalled(name))
		if took = until(t, "the other server serves it", func() bool { return other.has(name) }); took < time.Second {
			return
		}
	}
	t.Errorf("the other server served a new catalog after %s, expected within a second", took)
}

func TestALostNotificationOnlyDelays(t *testing.T) {
	direct, redis := testenv.PostgresURL(t), testenv.RedisURL(t)
	other := openProduct(t, direct, redis)
	// For a server that finds another pg_notify before Postgres's, every notification is lost.
	for _, statement := range []string{
		"CREATE SCHEMA lossy", "CREATE FUNCTION lossy.pg_notify(text, text) RETURNS void LANGUAGE sql AS 'SELECT'",
	} {
		if _, err := other.pool.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	lossy, err := url.Parse(direct)
	if err != nil {
		t.Fatal(err)
	}
	query := lossy.Query()
	query.Set("search_path", "lossy,pg_catalog,public")
	lossy.RawQuery = query.Encode()
	one := openProduct(t, lossy.String(), redis)
	listener, err := other.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Release()
	if _, err := listener.Exec(t.Context(), "LISTEN headwater_registry"); err != nil {
		t.Fatal(err)
	}
	one.apply(entityCalled("first"))
	until(t, "the other server serves it", func() bool { return other.has("first") })
	heard, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if n, err := listener.Conn().WaitForNotification(heard); err == nil {
		t.Errorf("found the notification %v, expected it to be lost", n)
	}
}
