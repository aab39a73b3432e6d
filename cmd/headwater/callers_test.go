package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/headwaterhq/headwater/internal/testenv"
)

// newKey is a key, and that key in PEM.
func newKey(t *testing.T) (*ecdsa.PrivateKey, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
}

// ownCertificate is a certificate for a name that is its own authority, in PEM, and its key.
func ownCertificate(t *testing.T, name string) (certificate, key string) {
	t.Helper()
	private, key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), key
}

// A server that is told of a certificate, of an authority of clients and of an issuer takes callers by each of them, and by tokens.
func TestServeCallersOfEveryKind(t *testing.T) {
	signing, _ := newKey(t)
	var issuer *httptest.Server
	issuer = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/.well-known/openid-configuration":
			fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, issuer.URL, issuer.URL+"/keys")
		default:
			_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: signing.Public(), KeyID: "k"}}})
		}
	}))
	defer issuer.Close()
	jwt := func(group string) string {
		t.Helper()
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: signing, KeyID: "k"}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		claims, err := json.Marshal(map[string]any{
			"iss": issuer.URL, "aud": "headwater", "sub": "ana", "groups": []string{group}, "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
		})
		if err != nil {
			t.Fatal(err)
		}
		signed, err := signer.Sign(claims)
		if err != nil {
			t.Fatal(err)
		}
		text, err := signed.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	serverCert, serverKey := ownCertificate(t, "localhost")
	clientCert, clientKey := ownCertificate(t, "robot.example")
	folder := t.TempDir()
	put := func(name, content string) string {
		t.Helper()
		path := filepath.Join(folder, name)
		if err := writeWhole(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ca := put("server.pem", serverCert)
	t.Setenv(caFileName, ca)
	s := startServe(t, testenv.PostgresURL(t), testenv.RedisURL(t),
		"HEADWATER_TLS_CERT="+ca, "HEADWATER_TLS_KEY="+put("server.key", serverKey), "HEADWATER_TLS_CLIENT_CA="+put("client.pem", clientCert),
		"HEADWATER_OIDC_ISSUER="+issuer.URL, "HEADWATER_OIDC_AUDIENCE=headwater", "HEADWATER_OIDC_ROLES_CLAIM=groups", "HEADWATER_OIDC_ROLES=ops=admin")
	as := func(token string, args ...string) result {
		return headwater(append(args, "--server", s.address, "--token", token)...)
	}
	must := func(r result) string {
		t.Helper()
		if r.code != exitDone {
			t.Fatalf("found status %d and %s", r.code, r.err)
		}
		return r.out
	}

	token := strings.TrimSpace(must(as(s.token, "token", "create", "--principal", "lister", "--role", "admin", "--attribute", "region=UK", "--attribute", "region=FR",
		"--scope", "list:view:*")))
	if list := must(as(s.token, "token", "list", "-o", "csv")); !strings.Contains(list, `,lister,admin,"region=FR,UK",list:view:*,`) {
		t.Errorf("listed\n%s", list)
	}
	must(as(token, "list", "views"))
	as(token, "token", "list").expect(t, exitDenied, "", "headwater: lister may not administer system:*: its token is without the scope administer:system:*, whatever "+
		"its roles allow; it has [list:view:*]; use a token with that scope, or have one made\n")

	must(as(jwt("ops"), "token", "list"))
	as(jwt("staff"), "token", "list").expect(t, exitDenied, "", "headwater: "+issuer.URL+"#ana may not administer system:*: no grant of administer on system:* in roles []; "+
		"whoever administers the roles can change that\n")

	must(as(s.token, "access", "bind", "--certificate", "dns:robot.example", "--role", "admin", "--attribute", "team=mesh"))
	if list := must(as(s.token, "access", "bindings", "-o", "csv")); !strings.Contains(list, "dns:robot.example,admin,team=mesh,") {
		t.Errorf("listed\n%s", list)
	}
	t.Setenv(certFileName, put("robot.pem", clientCert))
	t.Setenv(keyFileName, put("robot.key", clientKey))
	if list := must(headwater("audit", "list", "--principal", "dns:robot.example", "--server", s.address, "-o", "csv")); !strings.Contains(list, ",dns:robot.example,read_audit,system:*,allowed,") {
		t.Errorf("listed\n%s", list)
	}
	must(as(s.token, "access", "unbind", "dns:robot.example"))

	as(s.token, "access", "elevate", "--role", "admin", "--for", "1h", "--reason", "x").expect(t, exitDenied, "",
		"headwater: admin may not administer role:admin: none of the roles [admin] may elevate to it; whoever administers the roles can change that\n")
	as(s.token, "access", "elevate", "--end").expect(t, exitNotFound, "",
		"headwater: admin has taken no role that is in force; `headwater access elevations` shows who has\n")
	as(s.token, "access", "elevations", "-o", "csv").expect(t, exitDone, "principal,role,from,until,ended_at,ended_by,reason\n", "")
}
