package server

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/headwaterhq/headwater/definition"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// ruled is definitions with a policy by tag, one by name, a role with a denial and grants by tag, and an author who registers everything
// and reads nothing.
func ruled() *feature.Definitions {
	d := readers(policy("own_places", "view:delays", ownPlaces), policy("secrets", "tag:secret", roundTo("100")))
	column(d, "delay").Tags = []string{"secret"}
	d.Views[2].Tags = []string{"closed"}
	// Who applies one that does must read its views, whatever changes.
	d.Services[1].ServesAsGrant = false
	barred := role("author", "register,list on entity:*,source:*,view:*,service:*,role:*,policy:*")
	barred.Grants = append(barred.Grants, feature.Grant{Deny: true, Actions: []string{"read_online", "read_offline"},
		Resources: []feature.ResourcePattern{{Kind: "view", Name: "tag=closed"}}})
	d.Roles = append(d.Roles, barred, role("opened", "read_online,read_offline on view:tag=open"), role("oncall"))
	d.Roles[len(d.Roles)-1].MayElevateTo = []string{"reader"}
	return d
}

func column(d *feature.Definitions, name string) *feature.Column {
	columns := d.Sources[0].Columns
	return &columns[slices.IndexFunc(columns, func(c feature.Column) bool { return c.Name == name })]
}

func roleOf(d *feature.Definitions, name string) *feature.Role {
	return &d.Roles[slices.IndexFunc(d.Roles, func(r feature.Role) bool { return r.Name == name })]
}

// Whoever may register everything gives neither itself nor others anything by it: by roles, by policies, by tags, by elevation, or by credentials.
func TestAttackGrantingOneself(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	p.apply(ruled())
	at := time.Now().Add(-3 * time.Hour).Truncate(time.Microsecond)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(34))), 0)
	p.materialize("delays", "recent", "traffic")
	mallory := p.as("mallory", "author")
	revision := func() int64 { return p.count(`SELECT revision FROM headwater.registry_head`) }
	before := revision()
	everything := role("x", "administer on system:*,role:*").Grants[0]
	const (
		changesRole   = "mallory may not administer role:%s: who changes a role gives and takes what it likes: no grant of administer on role:%s in roles [author]"
		changesPolicy = "mallory may not administer policy:%s: who changes or removes a policy may show what it hides: no grant of administer on policy:%s in roles [author]"
		changesTag    = "mallory may not administer tag:%s: rules go by the tag, and who takes it off or puts it on changes what they do: no grant of administer on tag:%s in roles [author]"
	)
	for name, c := range map[string]struct {
		change  func(d *feature.Definitions)
		message string
		of      string
	}{
		"a grant more":      {func(d *feature.Definitions) { r := roleOf(d, "author"); r.Grants = append(r.Grants, everything) }, changesRole, "author"},
		"a denial less":     {func(d *feature.Definitions) { r := roleOf(d, "author"); r.Grants = r.Grants[:1] }, changesRole, "author"},
		"a role of its own": {func(d *feature.Definitions) { d.Roles = append(d.Roles, role("mine", "administer on system:*")) }, changesRole, "mine"},
		"an attribute": {func(d *feature.Definitions) {
			roleOf(d, "author").Attributes = map[string][]string{"places": {"from ORD"}}
		}, changesRole, "author"},
		"a role to take":          {func(d *feature.Definitions) { roleOf(d, "author").MayElevateTo = []string{"admin"} }, changesRole, "author"},
		"a longer time":           {func(d *feature.Definitions) { roleOf(d, "oncall").MaxElevation = 100 * time.Hour }, changesRole, "oncall"},
		"an exception":            {func(d *feature.Definitions) { d.Policies[0].ExceptRoles = append(d.Policies[0].ExceptRoles, "author") }, changesPolicy, "own_places"},
		"a filter of all":         {func(d *feature.Definitions) { d.Policies[0].RowFilter = "true" }, changesPolicy, "own_places"},
		"about something else":    {func(d *feature.Definitions) { d.Policies[0].Resources[0].Name = "nothing" }, changesPolicy, "own_places"},
		"a finer mask":            {func(d *feature.Definitions) { d.Policies[1].Mask.To = "0.001" }, changesPolicy, "secrets"},
		"a mask left out":         {func(d *feature.Definitions) { d.Policies[1].Mask.ComputeUnmasked = []string{"*.*"} }, changesPolicy, "secrets"},
		"a tag off a column":      {func(d *feature.Definitions) { column(d, "delay").Tags = nil }, changesTag, "secret"},
		"another tag instead":     {func(d *feature.Definitions) { column(d, "delay").Tags = []string{"public"} }, changesTag, "secret"},
		"a tag that is denied by": {func(d *feature.Definitions) { d.Views[2].Tags = nil }, changesTag, "closed"},
		"a tag that opens":        {func(d *feature.Definitions) { d.Views[0].Tags = []string{"open"} }, changesTag, "open"},
	} {
		d := ruled()
		// What is allowed, before what is not, in the same file and in others.
		d.Views[1].Description = "recent ones"
		c.change(d)
		files := []*headwaterv1.DefinitionSource{{Path: "a.yaml", File: definition.ToProto(&feature.Definitions{Roles: d.Roles})}}
		d.Roles = nil
		files = append(files, &headwaterv1.DefinitionSource{Path: "b.yaml", File: definition.ToProto(d)})
		message := strings.ReplaceAll(c.message, "%s", c.of) + "; whoever administers the roles can change that"
		_, err := p.registry.Plan(mallory, &headwaterv1.PlanRequest{Files: files})
		wantFault(t, err, fault.PermissionDenied, message)
		_, err = p.registry.Apply(mallory, &headwaterv1.ApplyRequest{Files: files})
		if wantFault(t, err, fault.PermissionDenied, message); t.Failed() {
			t.Fatalf("%s: revision %d, then %d", name, before, revision())
		}
	}
	// What is left out of the files goes, with --prune.
	for name, end := range map[string]func(d *feature.Definitions) string{
		"a policy": func(d *feature.Definitions) string {
			d.Policies = d.Policies[:1]
			return strings.ReplaceAll(changesPolicy, "%s", "secrets")
		},
		"a role": func(d *feature.Definitions) string {
			d.Roles = d.Roles[:len(d.Roles)-1]
			return strings.ReplaceAll(changesRole, "%s", "oncall")
		},
	} {
		d := ruled()
		message := end(d) + "; whoever administers the roles can change that"
		for _, retire := range []bool{false, true} {
			_, err := p.registry.Apply(mallory, &headwaterv1.ApplyRequest{Files: files(d), Prune: true, Retire: retire})
			if wantFault(t, err, fault.PermissionDenied, message); t.Failed() {
				t.Fatalf("%s, retire %v", name, retire)
			}
		}
	}
	if now := revision(); now != before {
		t.Errorf("the registry is at revision %d, expected it where it was, %d", now, before)
	}

	minute := durationpb.New(time.Minute)
	for name, call := range map[string]func(ctx context.Context) error{
		"a token of more": func(ctx context.Context) error {
			_, err := p.access.CreateToken(ctx, &headwaterv1.CreateTokenRequest{Principal: "mallory", Roles: []string{"admin"}})
			return err
		},
		"a token of one's own": func(ctx context.Context) error {
			_, err := p.access.CreateToken(ctx, &headwaterv1.CreateTokenRequest{Principal: "mallory", Roles: []string{"author"},
				Attributes: map[string]*headwaterv1.AttributeValues{"places": {Values: []string{"from ORD"}}}})
			return err
		},
		"a certificate": func(ctx context.Context) error {
			_, err := p.access.BindCertificate(ctx, &headwaterv1.BindCertificateRequest{Certificate: "dns:mallory.example", Roles: []string{"admin"}})
			return err
		},
		"an elevation": func(ctx context.Context) error {
			_, err := p.access.Elevate(ctx, &headwaterv1.ElevateRequest{Role: "admin", Duration: minute, Reason: "mine"})
			return err
		},
		"a key of masks": func(ctx context.Context) error {
			_, err := p.access.RotateMaskKey(ctx, &headwaterv1.RotateMaskKeyRequest{Name: "k"})
			return err
		},
	} {
		denied(t, name, call(mallory), "mallory may not administer ")
	}
	if n := p.count(`SELECT (SELECT count(*) FROM headwater.token WHERE principal = 'mallory') + (SELECT count(*) FROM headwater.binding) + (SELECT count(*) FROM headwater.elevation)`); n != 1 {
		t.Errorf("found %d credentials and elevations, expected the one token", n)
	}
	_, err := p.online.GetFeatures(mallory, &headwaterv1.GetFeaturesRequest{Features: []string{"delays.delay"}, Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("ORD")}})
	denied(t, "reading at last", err, "no grant of read_online on view:delays")

	// Words, tags that nothing goes by, and what hides more, are for who registers.
	d := ruled()
	roleOf(d, "oncall").Description, d.Policies[0].Description, column(d, "words").Tags = "on call", "rows of one's own", []string{"noted"}
	d.Policies = append(d.Policies, policy("more", "view:recent", roundTo("1000")))
	if err := p.tryApply(mallory, d); err != nil {
		t.Errorf("words and a policy more: found %v", err)
	}
	// Who administers a policy changes that one.
	d.Roles = append(d.Roles, role("privacy", "administer on policy:own_*"))
	p.apply(d)
	d.Policies[0].RowFilter = "false"
	if err := p.tryApply(p.as("petra", "author", "privacy"), d); err != nil {
		t.Errorf("by who administers the policy: found %v", err)
	}
	d.Policies[1].Mask.To = "1"
	denied(t, "another policy", p.tryApply(p.as("petra", "author", "privacy"), d), "petra may not administer policy:secrets")
}

// A token that is bound to registering does not do what its roles could.
func TestAttackGrantingByAScopedToken(t *testing.T) {
	p := newProduct(t)
	p.apply(ruled())
	r, err := p.access.CreateToken(p.admin, &headwaterv1.CreateTokenRequest{Principal: "ci", Roles: []string{"admin"},
		Scopes: []string{"register:entity:*", "register:source:*", "register:view:*", "register:service:*", "register:role:*", "register:policy:*", "read_offline:source:*"}})
	if err != nil {
		t.Fatal(err)
	}
	ci := withToken(r.GetSecret())
	d := ruled()
	d.Roles = append(d.Roles, role("mine", "administer on system:*"))
	denied(t, "a role", p.tryApply(ci, d), "its token is without the scope administer:role:mine")
	_, err = p.access.CreateToken(ci, &headwaterv1.CreateTokenRequest{Principal: "ci", Roles: []string{"admin"}})
	denied(t, "a token", err, "its token is without the scope administer:system:*")
	if err := p.tryApply(ci, ruled()); err != nil {
		t.Errorf("what is applied already: found %v", err)
	}
}
