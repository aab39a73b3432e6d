package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/headwaterhq/headwater/internal/fault"
)

// TLS is how calls are encrypted, by files in PEM. They are read again when they have changed, for new connections.
type TLS struct {
	// CertFile and KeyFile are of the server. Empty, both of them: calls are not encrypted.
	CertFile, KeyFile string
	// ClientCAFile has the authorities of certificates that clients may come with. Empty: none are asked for.
	ClientCAFile string
}

// certificatesEvery is how often, at most, files are looked at, when connections are made.
const certificatesEvery = time.Second

// certificates are those of the files, as they were when they could last be read.
type certificates struct {
	files TLS
	log   *slog.Logger
	now   func() time.Time

	current atomic.Pointer[tls.Config]

	mu     sync.Mutex
	looked time.Time
	// seen is what the files looked like when they were read, also where that failed.
	seen [3]fileState
}

type fileState struct {
	changed time.Time
	size    int64
}

// loadCertificates reads the files, or is a fault that says what is wrong with which.
func loadCertificates(files TLS, log *slog.Logger) (*certificates, error) {
	c := &certificates{files: files, log: log, now: time.Now}
	c.looked, c.seen = c.now(), c.look()
	config, err := c.read()
	if err != nil {
		return nil, err
	}
	c.current.Store(config)
	return c, nil
}

// transport is what gRPC takes.
func (c *certificates) transport() credentials.TransportCredentials {
	return credentials.NewTLS(c.config("h2"))
}

// config is for connections that speak protocol.
func (c *certificates) config(protocol string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{protocol},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			c.refresh()
			current := c.current.Load()
			if current.NextProtos[0] != protocol {
				current = current.Clone()
				current.NextProtos = []string{protocol}
			}
			return current, nil
		},
	}
}

func (c *certificates) look() (seen [3]fileState) {
	for i, name := range []string{c.files.CertFile, c.files.KeyFile, c.files.ClientCAFile} {
		if info, err := os.Stat(name); err == nil {
			seen[i] = fileState{info.ModTime(), info.Size()}
		}
	}
	return seen
}

// refresh reads files that have changed. Those that cannot be, such as a certificate whose key is yet to be written, leave what there was.
func (c *certificates) refresh() {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if now.Sub(c.looked) < certificatesEvery {
		return
	}
	c.looked = now
	seen := c.look()
	if seen == c.seen {
		return
	}
	c.seen = seen
	config, err := c.read()
	if err != nil {
		c.log.Error("certificates have changed and cannot be used; those of before are", "error", err)
		return
	}
	c.current.Store(config)
	c.log.Info("certificates have changed, and are used from now on", "certificate", c.files.CertFile)
}

func (c *certificates) read() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(c.files.CertFile, c.files.KeyFile)
	if err != nil {
		return nil, fault.New(fault.InvalidArgument, "HEADWATER_TLS_CERT and HEADWATER_TLS_KEY (tls_cert, tls_key): %v; expected a certificate, with those between "+
			"it and its authority behind it, and its key, in PEM", err)
	}
	config := &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"}, Certificates: []tls.Certificate{pair},
		// A connection that is resumed would keep what was trusted when it was first made.
		SessionTicketsDisabled: true,
	}
	if c.files.ClientCAFile == "" {
		return config, nil
	}
	content, err := os.ReadFile(c.files.ClientCAFile)
	if err != nil {
		return nil, fault.New(fault.InvalidArgument, "HEADWATER_TLS_CLIENT_CA (tls_client_ca): file %s: %v", c.files.ClientCAFile, errors.Unwrap(err))
	}
	config.ClientCAs = x509.NewCertPool()
	if !config.ClientCAs.AppendCertsFromPEM(content) {
		return nil, fault.New(fault.InvalidArgument, "HEADWATER_TLS_CLIENT_CA (tls_client_ca): found no certificate in %s, expected those of authorities, in PEM", c.files.ClientCAFile)
	}
	config.ClientAuth = tls.VerifyClientCertIfGiven
	return config, nil
}

// check is what cannot be of the configuration as a whole, before anything is read.
func (t TLS) check(open bool) error {
	switch {
	case (t.CertFile == "") != (t.KeyFile == ""):
		return fault.New(fault.InvalidArgument, "found one of HEADWATER_TLS_CERT (tls_cert) and HEADWATER_TLS_KEY (tls_key), expected both, or neither")
	case t.ClientCAFile != "" && t.CertFile == "":
		return fault.New(fault.InvalidArgument, "found HEADWATER_TLS_CLIENT_CA (tls_client_ca) without HEADWATER_TLS_CERT and HEADWATER_TLS_KEY, expected all, for clients show "+
			"certificates only to a server that does")
	case t.ClientCAFile != "" && open:
		return fault.New(fault.InvalidArgument, "found HEADWATER_TLS_CLIENT_CA (tls_client_ca) for a server that asks nobody who calls (HEADWATER_INSECURE_NO_AUTH, "+
			"insecure_no_auth), expected one of the two")
	}
	return nil
}

// peerCertificate is the certificate of the client that a call came by, which the handshake has verified, or nil.
func peerCertificate(ctx context.Context) *x509.Certificate {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 {
		return nil
	}
	return info.State.VerifiedChains[0][0]
}

// startTLS reads the certificates, where there are any. nil: calls are not encrypted.
func (s *Server) startTLS() (credentials.TransportCredentials, error) {
	if err := s.config.TLS.check(s.config.InsecureNoAuth); err != nil || s.config.TLS.CertFile == "" {
		return nil, err
	}
	c, err := loadCertificates(s.config.TLS, s.config.Log)
	if err != nil {
		return nil, fmt.Errorf("read certificates: %w", err)
	}
	s.certificates = c
	return c.transport(), nil
}
