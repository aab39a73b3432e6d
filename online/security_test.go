package online

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
	"github.com/headwaterhq/headwater/read"
)

// rights are what docs/redis.md says that a user needs.
var rights = []any{
	"ACL", "SETUSER", "headwater", "on", ">secret", "~hw:*", "resetchannels", "-@all", "+ping", "+info", "+scan", "+hmget", "+hget", "+hset",
	"+hsetnx", "+hexists", "+hdel", "+del", "+evalsha", "+script|load",
}

// useAll does all that is done with Redis, as the client's user.
func useAll(t *testing.T, url string) {
	t.Helper()
	ctx := context.Background()
	client, err := Open(ctx, url, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	v := view(1, "delays", "airport", columns(feature.TypeInt64))
	row := func(seq int64) []byte { return pack(t, v, Header{Seq: seq, RunSeq: 1}, feature.Int64(seq)) }
	writer, reader := NewWriter(client, DefaultPrefix), NewReader(client, DefaultPrefix)
	for _, offer := range []func(context.Context, []Item) (Result, error){writer.Add, writer.Write} {
		for seq := range int64(3) {
			if _, err := offer(ctx, []Item{{"airport", "ORD", 1, row(seq + 1)}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	winners, err := reader.Read(ctx, NewPlan(planOf(v)), [][]Key{{key("ORD")}}, 0)
	if err != nil || winners[0][0].Status != read.Present || winners[0][0].Values[0].Int64() != 3 {
		t.Errorf("found %v (%v), expected the row", winners, err)
	}
	if err := reader.Keys(ctx, "airport", func([]string) error { return nil }); err != nil {
		t.Error(err)
	}
	if _, err := reader.Stored(ctx, "airport", 1, []string{"ORD"}); err != nil {
		t.Error(err)
	}
	if _, err := writer.Store(ctx); err != nil {
		t.Error(err)
	}
	if n, err := writer.Count(ctx, "airport", 1, []string{"ORD"}); err != nil || n != 1 {
		t.Errorf("found %d entities (%v), expected 1", n, err)
	}
	if err := writer.Drop(ctx, "airport", 2, []string{"ORD"}); err != nil {
		t.Error(err)
	}
	if n, err := writer.Erase(ctx, "airport", []string{"ORD"}); err != nil || n != 1 {
		t.Errorf("found %d entities (%v), expected 1", n, err)
	}
	if _, ok := CompactBelow(ctx, client); ok {
		t.Error("found a setting that the user may not ask for")
	}
}

func TestAUserWithTheRightsItNeeds(t *testing.T) {
	server := testenv.StartRedis(t)
	if err := server.Client.Do(context.Background(), rights...).Err(); err != nil {
		t.Fatal(err)
	}
	useAll(t, "redis://headwater:secret@"+server.Address)
	client, err := Open(context.Background(), "redis://headwater:secret@"+server.Address, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	v := view(1, "delays", "airport", columns(feature.TypeInt64))
	_, err = NewReader(client, "other").Read(context.Background(), NewPlan(planOf(v)), [][]Key{{key("ORD")}}, 0)
	if fault.ReasonOf(err) != fault.RedisUnavailable || !strings.Contains(err.Error(), "does not let this user run a command") {
		t.Errorf("found %v under a prefix of others, expected that the user may not", err)
	}
}

func TestAUserOfACluster(t *testing.T) {
	cluster := testenv.StartCluster(t, false)
	for _, node := range cluster.Masters {
		if err := node.Client.Do(context.Background(), append(rights, "+cluster|slots", "+command")...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	useAll(t, "redis://headwater:secret@"+strings.Join(cluster.Addresses(), ","))
}

func TestCompactBelow(t *testing.T) {
	cluster := testenv.StartCluster(t, false)
	client := openCopies(t, cluster.Addresses())
	if err := cluster.Masters[1].Client.ConfigSet(context.Background(), compactSetting, "48").Err(); err != nil {
		t.Fatal(err)
	}
	if n, ok := CompactBelow(context.Background(), client); !ok || n != 48 {
		t.Errorf("found %d, %v, expected the 48 of one of the masters", n, ok)
	}
}

// tlsURL is set in a process of the test's own, which trusts what SSL_CERT_FILE says.
const tlsURL = "HEADWATER_TEST_TLS_REDIS"

func TestTLS(t *testing.T) {
	if url := os.Getenv(tlsURL); url != "" {
		client, err := Open(context.Background(), url, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		v := writeNumbered(t, client)
		if w := readOne(t, client, planOf(v), key("7"), 0); w.Status != read.Present || w.Values[0].Int64() != 7 {
			t.Errorf("found %+v, expected the row", w)
		}
		return
	}
	certificate, private := certify(t)
	server := testenv.StartRedis(t)
	// Where Redis was built without TLS it does not know the setting.
	if found := server.Client.ConfigGet(context.Background(), "tls-port").Val(); len(found) == 0 {
		t.Skip("this redis-server has no TLS")
	}
	address := freeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	testenv.StartRedis(t, "--tls-port", port, "--tls-cert-file", certificate, "--tls-key-file", private, "--tls-ca-cert-file", certificate,
		"--tls-auth-clients", "no")
	url := "rediss://" + address
	_, err := Open(context.Background(), url, Options{})
	expected := "Redis at " + address + " shows a certificate that is not trusted for this host; " +
		"correct the host in HEADWATER_REDIS_URL, or install its authority"
	if fault.ReasonOf(err) != fault.RedisUnavailable || err.Error() != expected {
		t.Errorf("found %v, expected %s", err, expected)
	}
	child := exec.Command(os.Args[0], "-test.run=^TestTLS$")
	child.Env = append(os.Environ(), tlsURL+"="+url, "SSL_CERT_FILE="+certificate)
	if out, err := child.CombinedOutput(); err != nil {
		t.Errorf("with SSL_CERT_FILE: %v\n%s", err, out)
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// certify makes a certificate for loopback, signed by itself, and its key.
func certify(t *testing.T) (certificate, private string) {
	t.Helper()
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "redis"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &signer.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	write := func(name, kind string, bytes []byte) string {
		file := filepath.Join(folder, name)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	return write("certificate.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", key)
}
