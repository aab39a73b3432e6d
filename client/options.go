package client

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/grpcflow"
)

const (
	// defaultMaxAnswer bounds one message of the server, in bytes. Streams are cut near 1 MiB; lists are the largest.
	defaultMaxAnswer = 64 << 20
	// defaultReadTimeout is long for a read: it ends what would else wait for ever.
	defaultReadTimeout = 10 * time.Second
	defaultKeepAlive   = 30 * time.Second
	// keepAliveTimeout is how long the answer to a ping may take.
	keepAliveTimeout = 10 * time.Second
	// minKeepAlive is how often a server lets a client ping it.
	minKeepAlive = 10 * time.Second
	// Between tries to connect: gRPC's own two minutes would outlast most outages.
	firstReconnect, mostReconnect = 100 * time.Millisecond, 5 * time.Second
	connectTimeout                = 5 * time.Second
)

// Options of a connection. The zero Options are those of a server on this machine.
type Options struct {
	// Transport protects the connection, as TLS.Credentials does. nil: it is not encrypted, and the token can be read on the way.
	Transport credentials.TransportCredentials
	// UserAgent is put before gRPC's own. Empty: `headwater-go`.
	UserAgent string
	// MaxAnswer bounds one message of the server, in bytes. 0: 64 MiB.
	MaxAnswer int
	// ReadTimeout is the deadline of a GetFeatures whose context has none. 0: 10 s. Below 0: none.
	ReadTimeout time.Duration
	// KeepAlive is after how much silence, while calls are open, the client asks whether the server is still there: a connection that
	// does not answer within 10 s is lost, and what is open on it fails. 0: 30 s. Less than 10 s is taken as that, since servers cut
	// off who asks more often. Below 0: it never asks.
	KeepAlive time.Duration
	// NoRetries has each call tried once. Else those that change nothing are tried up to four times while the server is away or
	// refuses them for a time, within their deadline and a budget.
	NoRetries bool
}

// dial is gRPC's part of the options.
func (o Options) dial() []grpc.DialOption {
	transport := o.Transport
	if transport == nil {
		transport = insecure.NewCredentials()
	}
	list := append(grpcflow.Client(),
		grpc.WithTransportCredentials(transport),
		grpc.WithUserAgent(cmp.Or(o.UserAgent, "headwater-go")),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(cmp.Or(o.MaxAnswer, defaultMaxAnswer))),
		// What a name server says of it would take the place of ours.
		grpc.WithDisableServiceConfig(),
		grpc.WithDefaultServiceConfig(serviceConfigOf(o)),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: firstReconnect, Multiplier: 1.6, Jitter: 0.2, MaxDelay: mostReconnect},
			MinConnectTimeout: connectTimeout,
		}),
	)
	if o.KeepAlive >= 0 {
		list = append(list, grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: max(cmp.Or(o.KeepAlive, defaultKeepAlive), minKeepAlive), Timeout: keepAliveTimeout,
		}))
	}
	return list
}

// TLS is how a server is known, and how it knows the client. The zero TLS trusts the authorities of this machine.
type TLS struct {
	// CAFile has the certificates of the authorities that are trusted instead, in PEM (HEADWATER_CA_FILE).
	CAFile string
	// CertFile and KeyFile are the client's own certificate and its key, in PEM (HEADWATER_CERT_FILE, HEADWATER_KEY_FILE). Both, or neither.
	CertFile, KeyFile string
	// ServerName is the host that the server's certificate must be for. Empty: the host of its address.
	ServerName string
}

// Credentials reads the files, for Options.Transport. An error is an INVALID_ARGUMENT fault that names the file.
func (t TLS) Credentials() (credentials.TransportCredentials, error) {
	if (t.CertFile == "") != (t.KeyFile == "") {
		return nil, fault.New(fault.InvalidArgument, "found one of HEADWATER_CERT_FILE and HEADWATER_KEY_FILE, expected both, or neither")
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CAFile != "" {
		content, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fault.New(fault.InvalidArgument, "HEADWATER_CA_FILE: file %s: %v; check the path", t.CAFile, errors.Unwrap(err))
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(content) {
			return nil, fault.New(fault.InvalidArgument, "HEADWATER_CA_FILE: found no certificate in %s, expected those of authorities, in PEM", t.CAFile)
		}
	}
	if t.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fault.New(fault.InvalidArgument, "HEADWATER_CERT_FILE and HEADWATER_KEY_FILE: %v; expected a certificate and its key, in PEM", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return credentials.NewTLS(config), nil
}
