package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/headwaterhq/headwater/access"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// authority signs certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

var serials int64

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serials++
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serials), Subject: pkix.Name{CommonName: "an authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{t, cert, key}
}

func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// issue makes a certificate and its key, in PEM, for a SPIFFE id or DNS names.
func (a *authority) issue(usage x509.ExtKeyUsage, names ...string) (cert, key []byte) {
	a.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	serials++
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serials), Subject: pkix.Name{CommonName: "admin"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{usage},
	}
	for _, name := range names {
		if strings.Contains(name, "://") {
			u, err := url.Parse(name)
			if err != nil {
				a.t.Fatal(err)
			}
			template.URIs = append(template.URIs, u)
			continue
		}
		template.DNSNames = append(template.DNSNames, name)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, private.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	text, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		a.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: text})
}

// encrypted is a guarded server behind TLS.
type encrypted struct {
	*guarded
	files    TLS
	loaded   *certificates
	roots    *authority
	clients  *authority
	listener net.Listener
	// offset is how far its clock is ahead.
	offset atomic.Int64
}

func write(t *testing.T, file string, content []byte) {
	t.Helper()
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func serveEncrypted(t *testing.T) *encrypted {
	t.Helper()
	g, _ := serveAccess(t)
	e := &encrypted{guarded: g, roots: newAuthority(t), clients: newAuthority(t)}
	dir := t.TempDir()
	e.files = TLS{CertFile: filepath.Join(dir, "cert"), KeyFile: filepath.Join(dir, "key"), ClientCAFile: filepath.Join(dir, "ca")}
	cert, key := e.roots.issue(x509.ExtKeyUsageServerAuth, "localhost")
	write(t, e.files.CertFile, cert)
	write(t, e.files.KeyFile, key)
	write(t, e.files.ClientCAFile, e.clients.pem())
	var err error
	if e.loaded, err = loadCertificates(e.files, slog.New(slog.NewTextHandler(g.log, nil))); err != nil {
		t.Fatal(err)
	}
	e.loaded.now = func() time.Time { return time.Now().Add(time.Duration(e.offset.Load())) }
	server := grpc.NewServer(append(g.guard.Options(), grpc.Creds(e.loaded.transport()))...)
	policy := access.NewPolicy(fixtureRoles())
	headwaterv1.RegisterAccessServiceServer(server, NewAccessService(g.pool, func() *access.Policy { return policy }, g.audit, access.NewSecrets(g.pool), nil, nil))
	if e.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(e.listener) }()
	t.Cleanup(func() {
		server.Stop()
		<-served
	})
	return e
}

// client connects anew, with a certificate where there is one.
func (e *encrypted) client(t *testing.T, pair ...[]byte) (headwaterv1.AccessServiceClient, *tls.Config) {
	t.Helper()
	config := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "localhost"}
	config.RootCAs.AddCert(e.roots.cert)
	if len(pair) == 2 {
		c, err := tls.X509KeyPair(pair[0], pair[1])
		if err != nil {
			t.Fatal(err)
		}
		// Shown whether or not the server asks for one of its authority.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &c, nil }
	}
	conn, err := grpc.NewClient(e.listener.Addr().String(), grpc.WithTransportCredentials(credentials.NewTLS(config)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return headwaterv1.NewAccessServiceClient(conn), config
}

func TestCallsWithCertificates(t *testing.T) {
	e := serveEncrypted(t)
	ctx := context.Background()
	const name = "spiffe://prod.example/auditor"
	cert, key := e.clients.issue(x509.ExtKeyUsageClientAuth, name)
	client, _ := e.client(t, cert, key)
	list := func(ctx context.Context, c headwaterv1.AccessServiceClient) error {
		_, err := c.ListAuditRecords(ctx, &headwaterv1.ListAuditRecordsRequest{})
		return err
	}
	wantFault(t, list(ctx, client), fault.Unauthenticated, "the certificate of spiffe://prod.example/auditor is bound to no roles; have that done with "+
		"`headwater access bind --certificate spiffe://prod.example/auditor --role …`")

	admin := e.as("admin")
	plain, _ := e.client(t)
	bound, err := plain.BindCertificate(admin, &headwaterv1.BindCertificateRequest{
		Certificate: name, Roles: []string{"auditor"}, Attributes: map[string]*headwaterv1.AttributeValues{"team": {Values: []string{"risk"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if listed, err := plain.ListBindings(admin, &headwaterv1.ListBindingsRequest{}); err != nil || len(listed.GetBindings()) != 1 || listed.GetBindings()[0].String() != bound.GetBinding().String() {
		t.Errorf("listed %v, %v", listed, err)
	}
	e.records()
	if err := list(ctx, client); err != nil {
		t.Error(err)
	}
	r := e.wantRecords("allowed " + name + " read_audit system:*: role auditor allows read_audit on system:*")[0]
	if !strings.HasPrefix(r.Credential, "cert:") || len(r.Credential) != 21 {
		t.Errorf("the record does not name the certificate: %+v", r)
	}
	_, err = client.ListTokens(ctx, &headwaterv1.ListTokensRequest{})
	wantFault(t, err, fault.PermissionDenied, name+" may not administer system:*: no grant of administer on system:* in roles [auditor]; whoever administers the roles can change that")

	// The token decides, for better or worse.
	if _, err := client.ListTokens(admin, &headwaterv1.ListTokensRequest{}); err != nil {
		t.Error(err)
	}
	if err := list(e.as("model"), client); status.Code(err) != codes.PermissionDenied {
		t.Errorf("with a token that may not: got %v", err)
	}
	if err := list(withToken("hw_"+strings.Repeat("a", 16)+"_"+strings.Repeat("0", 43)), client); status.Code(err) != codes.Unauthenticated {
		t.Errorf("with a token that is none: got %v", err)
	}

	// A certificate that is not valid ends the connection, whatever token comes with it.
	for what, pair := range map[string][2][]byte{
		"of another authority": pairOf(newAuthority(t).issue(x509.ExtKeyUsageClientAuth, name)),
		"of the server's":      pairOf(e.roots.issue(x509.ExtKeyUsageClientAuth, name)),
		"for servers":          pairOf(e.clients.issue(x509.ExtKeyUsageServerAuth, name)),
	} {
		c, _ := e.client(t, pair[0], pair[1])
		if err := list(admin, c); status.Code(err) != codes.Unavailable {
			t.Errorf("a certificate %s: got %v, want no connection", what, err)
		}
	}
	c, k := e.clients.issue(x509.ExtKeyUsageClientAuth, "a.example", "b.example")
	nobody, _ := e.client(t, c, k)
	if err := list(ctx, nobody); status.Code(err) != codes.Unauthenticated {
		t.Errorf("a certificate of two names: got %v", err)
	}
	if err := list(ctx, plain); status.Code(err) != codes.Unauthenticated {
		t.Errorf("neither a token nor a certificate: got %v", err)
	}

	if _, err := plain.UnbindCertificate(admin, &headwaterv1.UnbindCertificateRequest{Certificate: name}); err != nil {
		t.Fatal(err)
	}
	for err = nil; err == nil; err = list(ctx, client) {
		time.Sleep(10 * time.Millisecond)
	}
	if status.Code(err) != codes.Unauthenticated {
		t.Errorf("unbound: got %v", err)
	}
}

func pairOf(cert, key []byte) [2][]byte { return [2][]byte{cert, key} }

func TestRenewedCertificatesAreUsed(t *testing.T) {
	e := serveEncrypted(t)
	shown := func() *x509.Certificate {
		t.Helper()
		_, config := e.client(t)
		config = config.Clone()
		config.NextProtos = []string{"h2"}
		conn, err := tls.Dial("tcp", e.listener.Addr().String(), config)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0]
	}
	first := shown()
	cert, key := e.roots.issue(x509.ExtKeyUsageServerAuth, "localhost", "more.example")
	// The certificate is there before its key.
	write(t, e.files.CertFile, cert)
	e.offset.Add(int64(certificatesEvery))
	if got := shown(); !got.Equal(first) {
		t.Error("a certificate without its key is used")
	}
	if !strings.Contains(e.log.String(), "certificates have changed and cannot be used; those of before are") {
		t.Errorf("the log does not say so: %s", e.log)
	}
	write(t, e.files.KeyFile, append(key, '\n'))
	e.offset.Add(int64(certificatesEvery))
	if got := shown(); got.Equal(first) || len(got.DNSNames) != 2 {
		t.Error("the renewed certificate is not used")
	}
	// Authorities of clients are read again too.
	other := newAuthority(t)
	certOf, keyOf := other.issue(x509.ExtKeyUsageClientAuth, "dns.example")
	refused, _ := e.client(t, certOf, keyOf)
	if _, err := refused.ListTokens(e.as("admin"), &headwaterv1.ListTokensRequest{}); status.Code(err) != codes.Unavailable {
		t.Errorf("got %v before", err)
	}
	write(t, e.files.ClientCAFile, append(e.clients.pem(), other.pem()...))
	e.offset.Add(int64(certificatesEvery))
	taken, _ := e.client(t, certOf, keyOf)
	if _, err := taken.ListTokens(e.as("admin"), &headwaterv1.ListTokensRequest{}); err != nil {
		t.Errorf("got %v after", err)
	}
}

func TestTLSThatCannotBe(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	write(t, empty, nil)
	cert, key := newAuthority(t).issue(x509.ExtKeyUsageServerAuth, "localhost")
	files := TLS{CertFile: filepath.Join(dir, "cert"), KeyFile: filepath.Join(dir, "key")}
	write(t, files.CertFile, cert)
	write(t, files.KeyFile, key)
	for _, c := range []struct {
		files   TLS
		open    bool
		message string
	}{
		{TLS{CertFile: "x"}, false, "found one of HEADWATER_TLS_CERT (tls_cert) and HEADWATER_TLS_KEY (tls_key), expected both, or neither"},
		{TLS{ClientCAFile: "x"}, false, "found HEADWATER_TLS_CLIENT_CA (tls_client_ca) without HEADWATER_TLS_CERT and HEADWATER_TLS_KEY, expected all, for clients show certificates only to a server that does"},
		{TLS{CertFile: "x", KeyFile: "y", ClientCAFile: "x"}, true, "found HEADWATER_TLS_CLIENT_CA (tls_client_ca) for a server that asks nobody who calls (HEADWATER_INSECURE_NO_AUTH, insecure_no_auth), expected one of the two"},
	} {
		wantFault(t, c.files.check(c.open), fault.InvalidArgument, c.message)
	}
	_, err := loadCertificates(TLS{CertFile: empty, KeyFile: files.KeyFile}, slog.Default())
	if err == nil || !strings.HasPrefix(err.Error(), "HEADWATER_TLS_CERT and HEADWATER_TLS_KEY (tls_cert, tls_key): ") {
		t.Errorf("got %v", err)
	}
	files.ClientCAFile = empty
	_, err = loadCertificates(files, slog.Default())
	wantFault(t, err, fault.InvalidArgument, "HEADWATER_TLS_CLIENT_CA (tls_client_ca): found no certificate in "+empty+", expected those of authorities, in PEM")
	files.ClientCAFile = filepath.Join(dir, "none")
	_, err = loadCertificates(files, slog.Default())
	wantFault(t, err, fault.InvalidArgument, "HEADWATER_TLS_CLIENT_CA (tls_client_ca): file "+files.ClientCAFile+": no such file or directory")
}
