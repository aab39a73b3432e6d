package access

import (
	"context"
	"crypto/x509"
	"net/url"
	"reflect"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

func uris(t *testing.T, texts ...string) (list []*url.URL) {
	t.Helper()
	for _, text := range texts {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, u)
	}
	return list
}

func TestCertificateName(t *testing.T) {
	for _, c := range []struct {
		certificate x509.Certificate
		want        string
	}{
		{x509.Certificate{URIs: uris(t, "spiffe://prod.example/team/model"), DNSNames: []string{"a.example", "b.example"}}, "spiffe://prod.example/team/model"},
		{x509.Certificate{DNSNames: []string{"Model.example"}}, "dns:model.example"},
		{x509.Certificate{DNSNames: []string{"model.example"}, URIs: uris(t, "https://model.example")}, "dns:model.example"},
		{x509.Certificate{}, ""},
		{x509.Certificate{DNSNames: []string{"a.example", "b.example"}}, ""},
		{x509.Certificate{DNSNames: []string{"*.example"}}, ""},
		{x509.Certificate{URIs: uris(t, "spiffe://prod.example/a", "spiffe://prod.example/b")}, ""},
		{x509.Certificate{URIs: uris(t, "spiffe://prod.example/a", "https://x"), DNSNames: []string{"a.example"}}, ""},
		{x509.Certificate{URIs: uris(t, "spiffe://prod.example"), DNSNames: []string{"a.example"}}, ""},
		{x509.Certificate{URIs: uris(t, "spiffe://prod.example/a?x=y")}, ""},
		{x509.Certificate{URIs: uris(t, "spiffe://prod.example/a/../b")}, ""},
		{x509.Certificate{URIs: uris(t, "spiffe://prod.example/..")}, ""},
		{x509.Certificate{URIs: uris(t, "spiffe://ana@prod.example/a")}, ""},
		{x509.Certificate{URIs: uris(t, "spiffe://prod.example:1/a")}, ""},
	} {
		got, err := CertificateName(&c.certificate)
		if got != c.want || (err == nil) != (c.want != "") || err != nil && fault.ReasonOf(err) != fault.Unauthenticated {
			t.Errorf("%v %v: got %q, %v, want %q", c.certificate.URIs, c.certificate.DNSNames, got, err, c.want)
		}
	}
}

func TestLifeOfABinding(t *testing.T) {
	ctx, pool := context.Background(), testenv.Postgres(t)
	a, clock, db := newAuthenticator(t, pool)
	const name = "spiffe://prod.example/model"
	certificate := &x509.Certificate{Raw: []byte("one"), URIs: uris(t, name), NotAfter: time.Now().Add(time.Hour)}
	const unbound = "the certificate of spiffe://prod.example/model is bound to no roles; have that done with `headwater access bind --certificate spiffe://prod.example/model --role …`"
	p, err := a.AuthenticateCertificate(ctx, certificate)
	wantFault(t, err, fault.Unauthenticated, unbound)
	if p == nil || p.Name != name || len(p.Roles) != 0 {
		t.Errorf("got %v, want whose it is, for the record", p)
	}

	bound, err := Bind(ctx, pool, Binding{Certificate: name, Roles: []string{"model"}, Attributes: map[string][]string{"region": {"UK", "FR"}}, CreatedBy: "tester"}, anyRole)
	if err != nil {
		t.Fatal(err)
	}
	if list, err := ListBindings(ctx, pool); err != nil || !reflect.DeepEqual(list, []Binding{bound}) {
		t.Errorf("listed %v, %v, want %v", list, err, bound)
	}
	before := db.queries.Load()
	for range 3 {
		p, err = a.AuthenticateCertificate(ctx, certificate)
		if err != nil || p.Name != name || p.Credential != "cert:7692c3ad3540bb80" || !reflect.DeepEqual(p.Roles, []string{"model"}) ||
			!reflect.DeepEqual(p.Attributes, map[string][]string{"region": {"FR", "UK"}}) {
			t.Fatalf("got %+v, %v", p, err)
		}
	}
	if n := db.queries.Load() - before; n != 1 {
		t.Errorf("asked Postgres %d times, want once", n)
	}
	// No bearer is taken for what is known of a certificate.
	for _, token := range []string{name, "cert:7692c3ad3540bb80", "one"} {
		if p, err := a.Authenticate(ctx, token); err == nil {
			t.Errorf("the bearer %q is %v", token, p)
		}
	}

	if _, err := Bind(ctx, pool, Binding{Certificate: name, Roles: []string{"other"}, CreatedBy: "tester"}, anyRole); err != nil {
		t.Fatal(err)
	}
	clock.advance(RevocationBound)
	if p, err := a.AuthenticateCertificate(ctx, certificate); err != nil || !reflect.DeepEqual(p.Roles, []string{"other"}) || p.Attributes != nil {
		t.Errorf("bound again: got %+v, %v", p, err)
	}
	clock.advance(time.Hour)
	if p, err := a.AuthenticateCertificate(ctx, certificate); fault.ReasonOf(err) != fault.Unauthenticated || p == nil {
		t.Errorf("a certificate that ended on a connection that goes on: got %v, %v", p, err)
	}
	certificate = &x509.Certificate{Raw: []byte("two"), URIs: uris(t, name), NotAfter: clock.now().Add(time.Hour)}
	if _, err := a.AuthenticateCertificate(ctx, certificate); err != nil {
		t.Error(err)
	}
	if _, err := Unbind(ctx, pool, name); err != nil {
		t.Fatal(err)
	}
	clock.advance(RevocationBound)
	for range 2 {
		_, err := a.AuthenticateCertificate(ctx, certificate)
		wantFault(t, err, fault.Unauthenticated, unbound)
	}
	_, err = Unbind(ctx, pool, name)
	wantFault(t, err, fault.NotFound, "the certificate \"spiffe://prod.example/model\" is not bound; `headwater access bindings` shows those that are")
	_, err = Bind(ctx, pool, Binding{Certificate: "CN=x", Roles: []string{"no"}}, func(string) bool { return false })
	wantFault(t, err, fault.InvalidArgument, "a certificate cannot be bound like this\n"+
		"  roles[0]: found role \"no\", which is not defined; `headwater list roles` shows those that are, and admin is built in\n"+
		"  certificate: found \"CN=x\", expected spiffe://DOMAIN/PATH or dns:HOST, in lower case but for the path")
}
