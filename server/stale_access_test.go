package server

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// What a server keeps of who may read what must not outlast what it was made of: a read that was allowed a moment ago is asked for
// again after each change.
func TestNothingKeptOfAccessOutlastsItsChange(t *testing.T) {
	p := newProduct(t)
	d := definitions()
	d.Roles = []feature.Role{role("reader", "read_online on service:small"), role("outcast")}
	p.apply(d)
	created, err := p.access.CreateToken(p.admin, &headwaterv1.CreateTokenRequest{Principal: "ml", Roles: []string{"reader"}})
	if err != nil {
		t.Fatal(err)
	}
	ml := withToken(created.GetSecret())
	read := func(service string) (*headwaterv1.GetFeaturesResponse, error) {
		return p.online.GetFeatures(ml, &headwaterv1.GetFeaturesRequest{Service: service, Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("ORD")}})
	}
	allowed := func(what string, version int32) {
		t.Helper()
		for range 3 {
			r, err := read("small")
			if err != nil || r.GetServiceVersion() != version {
				t.Fatalf("%s: got version %d and %v, want version %d", what, r.GetServiceVersion(), err, version)
			}
		}
	}
	denied := func(what string) {
		t.Helper()
		for range 2 {
			if _, err := read("small"); status.Code(err) != codes.PermissionDenied {
				t.Fatalf("%s: got %v, want PERMISSION_DENIED", what, err)
			}
		}
	}
	change := func(do func(d *feature.Definitions)) {
		t.Helper()
		do(d)
		p.apply(d)
	}
	reader := func(grants ...string) func(*feature.Definitions) {
		return func(d *feature.Definitions) { d.Roles[0] = role("reader", grants...) }
	}
	deny := func(pattern string) func(*feature.Definitions) {
		return func(d *feature.Definitions) {
			kind, name, _ := strings.Cut(pattern, ":")
			d.Roles[0].Grants = append(slices.Clone(d.Roles[0].Grants), feature.Grant{
				Deny: true, Actions: []string{"read_online"}, Resources: []feature.ResourcePattern{{Kind: kind, Name: name}},
			})
		}
	}

	allowed("at first", 1)
	change(reader("read_online on service:other"))
	denied("the grant is gone")
	change(reader("read_online on service:*"))
	allowed("a wider grant", 1)
	change(deny("service:small"))
	denied("a deny of the service")
	change(reader("read_online on service:small"))
	change(deny("view:delays"))
	denied("a deny of a view that the service grants")
	change(reader("read_online on service:small"))
	allowed("the first grant again", 1)

	// The service is no longer the grant of its views: a new version of it, which is what its bare name means from now on.
	change(func(d *feature.Definitions) { d.Services[1].ServesAsGrant = false })
	denied("the service grants nothing any more")
	change(reader("read_online on service:small,view:delays"))
	allowed("a grant of the view", 2)
	change(func(d *feature.Definitions) {
		d.Services[1].Views = []feature.ServiceView{{View: "delays", Features: []string{"delay"}}, {View: "recent"}}
	})
	denied("the service reads another view")
	change(reader("read_online on service:small,view:delays,view:recent"))
	allowed("a grant of that too", 3)

	// What was recorded is of the version that was read.
	versions := map[string]int64{}
	recorded, err := p.access.ListAuditRecords(p.admin, &headwaterv1.ListAuditRecordsRequest{Principal: "ml", PageSize: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range recorded.GetRecords() {
		if r.GetDecision() == headwaterv1.Decision_DECISION_ALLOWED {
			versions[r.GetResource()] += r.GetCalls()
		}
	}
	if want := map[string]int64{"service:small@1": 9, "service:small@2": 3, "service:small@3": 3}; fmt.Sprint(versions) != fmt.Sprint(want) {
		t.Errorf("recorded %v, want %v", versions, want)
	}

	// What Postgres says of the token is seen within a second: by the calls themselves, nobody else looks.
	sql := func(statement string) {
		t.Helper()
		if _, err := p.pool.Exec(context.Background(), statement, created.GetToken().GetId()); err != nil {
			t.Fatal(err)
		}
	}
	sql(`UPDATE headwater.token SET roles = '{outcast}' WHERE id = $1`)
	eventually(t, "the token's roles to be others", func() bool { _, err := read("small"); return status.Code(err) == codes.PermissionDenied })
	denied("the token has another role")
	sql(`UPDATE headwater.token SET roles = '{outcast,reader}' WHERE id = $1`)
	eventually(t, "the token to have its role again", func() bool { _, err := read("small"); return err == nil })
	sql(`UPDATE headwater.token SET principal = 'renamed' WHERE id = $1`)
	eventually(t, "the token to be of another", func() bool {
		if _, err := read("small"); err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(p.records(p.admin), func(r *headwaterv1.AuditRecord) bool {
			return r.GetPrincipal() == "renamed" && r.GetCredential() == created.GetToken().GetId()
		})
	})
	if _, err := p.access.RevokeToken(p.admin, &headwaterv1.RevokeTokenRequest{Id: created.GetToken().GetId()}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the token to be revoked", func() bool { _, err := read("small"); return status.Code(err) == codes.Unauthenticated })
	if _, err := read("small"); status.Code(err) != codes.Unauthenticated {
		t.Errorf("got %v, want that it stays so", err)
	}
	// A text that differs from a token that is taken by a little is no token.
	third, err := p.access.CreateToken(p.admin, &headwaterv1.CreateTokenRequest{Principal: "third", Roles: []string{"reader"}})
	if err != nil {
		t.Fatal(err)
	}
	secret, changed := third.GetSecret(), "0"
	if strings.HasSuffix(secret, changed) {
		changed = "1"
	}
	for _, text := range []string{secret, secret[:len(secret)-1] + changed, secret[:len(secret)-1], secret + "0", strings.ToUpper(secret)} {
		_, err := p.online.GetFeatures(withToken(text), &headwaterv1.GetFeaturesRequest{Service: "small", Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("ORD")}})
		if want := text == secret; (err == nil) != want {
			t.Errorf("got %v for a text that is the token: %t", err, want)
		}
	}
}
