package access

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

func TestParseScope(t *testing.T) {
	s, err := ParseScope("read_online:service:delay_*")
	if err != nil || s != (Scope{ActionReadOnline, KindService, "delay_*"}) || s.String() != "read_online:service:delay_*" {
		t.Errorf("got %v, %v", s, err)
	}
	for text, want := range map[string]string{
		"":                     `found "", expected ACTION:KIND:PATTERN, such as read_online:service:delay_*`,
		"read_online":          `found "read_online", expected ACTION:KIND:PATTERN, such as read_online:service:delay_*`,
		"read_online:service:": `found "read_online:service:", expected ACTION:KIND:PATTERN, such as read_online:service:delay_*`,
		"read:service:x":       `found "read:service:x", whose action is none, expected one of administer, approve, ingest, list, materialize, `,
		"list:services:x":      `found "list:services:x", whose kind is none, expected one of catalog, consumer, dataset, entity, `,
		"list:service:x@1":     `found "list:service:x@1", expected a name without a version, for scopes hold for every version`,
		"list:service:x\n":     `found a text with control characters for the pattern, expected one of names, such as delay_*`,
		"list:hw_" + "abcdefghijklmnop_" + strings.Repeat("0", 43): `found "list:hw_abcdefghijklmnop_…", expected ACTION:KIND:PATTERN`,
	} {
		if _, err := ParseScope(text); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

// scopedSession is one of a principal whose roles allow everything, with a token of these scopes.
func scopedSession(t *testing.T, scopes ...string) (*Session, func() []Record) {
	t.Helper()
	pool := testenv.Postgres(t)
	audit, err := OpenAuditLog(t.TempDir(), pool, AuditOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { audit.Close() })
	a, _, _ := newAuthenticator(t, pool)
	_, text := createToken(t, pool, NewToken{Roles: []string{feature.AdminRole}, Scopes: scopes})
	_, s := Begin(context.Background(), Call{Audit: audit, Principal: mustAuthenticate(t, a, text), Policy: NewPolicy(nil), Method: "/m"})
	return s, func() []Record {
		if err := audit.Flush(context.Background()); err != nil {
			t.Fatal(err)
		}
		records, err := audit.List(context.Background(), AuditFilter{Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		return records
	}
}

func TestATokenDoesNoMoreThanItsScopes(t *testing.T) {
	s, records := scopedSession(t, "read_online:service:delay_*", "list:view:*", "list:view:*")
	view := &feature.ViewVersion{Version: 1, View: feature.View{Name: "airport_delays"}}
	service := func(name string) *feature.ServiceVersion {
		return &feature.ServiceVersion{Version: 3, Service: feature.Service{Name: name}, Pins: []feature.ServicePin{{View: view}}}
	}
	for range 2 {
		if err := s.RequireService(ActionReadOnline, "delay_model", service("delay_model")); err != nil {
			t.Error(err)
		}
	}
	const denied = "ml may not read_online service:churn@3: its token is without the scope read_online:service:churn, whatever its roles allow; " +
		"it has [read_online:service:delay_* list:view:*]; use a token with that scope, or have one made"
	for range 2 {
		wantFault(t, s.RequireService(ActionReadOnline, "churn@3", service("churn")), fault.PermissionDenied, denied)
	}
	for what, got := range map[string]bool{
		"a service of another action":      s.Require(ActionList, KindService, "delay_model") == nil,
		"a view by reference":              s.RequireReference(ActionReadOnline, "airport_delays", "", view) == nil,
		"any service to list":              s.RequireAny(ActionList, KindService) == nil,
		"the system":                       s.Require(ActionAdminister, KindSystem, Whole) == nil,
		"services as a whole":              s.Require(ActionReadOnline, KindService, Whole) == nil,
		"a service, without a record":      s.decideService(ActionReadOffline, service("delay_model")).Allowed,
		"a view to read, without a record": s.Allows(ActionReadOnline, KindView, "airport_delays"),
	} {
		if got {
			t.Errorf("allowed is %s", what)
		}
	}
	for what, err := range map[string]error{
		"a view":       s.Require(ActionList, KindView, "airport_delays@1"),
		"any view":     s.RequireAny(ActionList, KindView),
		"all views":    s.Require(ActionList, KindView, Whole),
		"some service": s.RequireAny(ActionReadOnline, KindService),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	found := false
	for _, r := range records() {
		found = found || r.Decision == Denied && strings.HasPrefix(r.Reason, "its token is without the scope read_online:service:churn,")
	}
	if !found {
		t.Error("no record says which scope is missing")
	}
}

// What a policy keeps of a decision is not found by a principal of the same roles whose token has scopes.
func TestScopesAndAttributesArePartOfThePolicyKey(t *testing.T) {
	roles := []string{feature.AdminRole}
	policy := NewPolicy(nil)
	service := &feature.ServiceVersion{Version: 1, Service: feature.Service{Name: "churn"}}
	if policy.compiledService(newPrincipal(Principal{Roles: roles}), ActionReadOnline, service) == nil {
		t.Fatal("found no decision")
	}
	scoped := newPrincipal(Principal{Roles: roles, scopes: []Scope{{ActionReadOnline, KindService, "delay_*"}}})
	if d := policy.compiledService(scoped, ActionReadOnline, service); d != nil {
		t.Errorf("allowed beyond its scopes: %v", d)
	}
	seen := map[string]int{}
	for i, p := range []Principal{
		{}, {Roles: []string{"a"}}, {Roles: []string{"a", "b"}}, {Roles: []string{"ab"}}, {Roles: []string{"a", ""}}, {Roles: []string{"a1:b"}},
		{Roles: []string{"a"}, Attributes: map[string][]string{"region": {"UK"}}},
		{Roles: []string{"a"}, Attributes: map[string][]string{"region": {"FR", "UK"}}},
		{Roles: []string{"a"}, Attributes: map[string][]string{"region": {"FRUK"}}},
		{Roles: []string{"a"}, Attributes: map[string][]string{"team": {"UK"}}},
		{Roles: []string{"a"}, Attributes: map[string][]string{"region": {"UK"}, "team": {"UK"}}},
		{Roles: []string{"a"}, scopes: []Scope{{ActionList, KindView, "*"}}},
		{Roles: []string{"a"}, scopes: []Scope{{ActionList, KindView, "*"}, {ActionList, KindRun, "*"}}},
	} {
		key := newPrincipal(p).key()
		if other, ok := seen[key]; ok {
			t.Errorf("principals %d and %d are one to policies: %s", other, i, key)
		}
		seen[key] = i
		if key != p.key() {
			t.Errorf("principal %d: got the key %s, then %s", i, key, p.key())
		}
	}
}

func TestTokenWithAttributes(t *testing.T) {
	ctx, pool := context.Background(), testenv.Postgres(t)
	token, text := createToken(t, pool, NewToken{
		Attributes: map[string][]string{"region": {"UK", "FR", "UK"}, "cost_center": {"7"}}, Scopes: []string{"list:view:*"},
	})
	want := map[string][]string{"region": {"FR", "UK"}, "cost_center": {"7"}}
	a, clock, _ := newAuthenticator(t, pool)
	p := mustAuthenticate(t, a, text)
	listed, err := ListTokens(ctx, pool)
	if err != nil || !reflect.DeepEqual(token.Attributes, want) || !reflect.DeepEqual(p.Attributes, want) || !reflect.DeepEqual(listed, []Token{token}) {
		t.Errorf("made %v, found %v, listed %v (%v)", token, p, listed, err)
	}

	// A row that was changed is another principal within the bound.
	if _, err := pool.Exec(ctx, `UPDATE headwater.token SET attributes = '{"region": ["US"]}'`); err != nil {
		t.Fatal(err)
	}
	clock.advance(RevocationBound)
	if got := mustAuthenticate(t, a, text); !reflect.DeepEqual(got.Attributes, map[string][]string{"region": {"US"}}) || got.key() == p.key() {
		t.Errorf("got %v after a change, was %v", got, p)
	}
	// What is no scope ends the token: left out, it would allow more.
	if _, err := pool.Exec(ctx, `UPDATE headwater.token SET scopes = '{"read:view:*"}'`); err != nil {
		t.Fatal(err)
	}
	clock.advance(RevocationBound)
	if p, err := a.Authenticate(ctx, text); err == nil {
		t.Errorf("got %v of a token with a scope that is none", p)
	}
}

func TestTokenWithAttributesThatCannotBe(t *testing.T) {
	_, secret := newSecret()
	_, _, err := CreateToken(t.Context(), nil, NewToken{
		Principal: "ml", Roles: []string{"model"}, Scopes: []string{"list:view:*", "list"},
		Attributes: map[string][]string{
			"Region": {"UK"}, "a": nil, "b": {"x\x00"}, "c": {"", "hw_abcdefghijklmnop_" + secret}, "d": {strings.Repeat("x", 257)}, "e": {"\xff"},
		},
	}, anyRole)
	wantFault(t, err, fault.InvalidArgument, "a token cannot be like this\n"+
		`  attributes: found the name "Region", expected lower-case letters, digits and single underscores between them, a letter first`+"\n"+
		"  attributes.a: found 0 values, expected 1 to 256\n"+
		"  attributes.b: found a text with control characters, expected a text of 1 to 256 bytes without control characters\n"+
		"  attributes.c: found an empty text, expected a text of 1 to 256 bytes without control characters\n"+
		"  attributes.c: found a token, expected a text of 1 to 256 bytes without control characters\n"+
		"  attributes.d: found a text of 257 bytes, expected a text of 1 to 256 bytes without control characters\n"+
		"  attributes.e: found a text that is not UTF-8, expected a text of 1 to 256 bytes without control characters\n"+
		`  scopes[1]: found "list", expected ACTION:KIND:PATTERN, such as read_online:service:delay_*`)
	many := map[string][]string{}
	for i := range maxAttributes + 1 {
		many[fmt.Sprintf("a%d", i)] = []string{"x"}
	}
	_, _, err = CreateToken(t.Context(), nil, NewToken{Principal: "ml", Roles: []string{"model"}, Attributes: many}, anyRole)
	wantFault(t, err, fault.InvalidArgument, "a token cannot be like this\n  attributes: found 33 attributes, expected at most 32")
}
