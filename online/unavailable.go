package online

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9"

	"github.com/headwaterhq/headwater/internal/fault"
)

// address is HOST:PORT of the client's server, or of each node that a cluster was given by, with commas.
func address(client redis.UniversalClient) string {
	switch c := client.(type) {
	case *redis.Client:
		return c.Options().Addr
	case *redis.ClusterClient:
		return strings.Join(c.Options().Addrs, ",")
	}
	return "an unknown address"
}

func isCluster(client redis.UniversalClient) bool {
	_, ok := client.(*redis.ClusterClient)
	return ok
}

// failed makes a fault of what the client returned. It names the address and the remedy; the client's own words are the
// hidden cause.
func failed(ctx context.Context, client redis.UniversalClient, err error) *fault.Fault {
	at := address(client)
	f := &fault.Fault{}
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		f = fault.New(fault.Cancelled, "the call to Redis at %s was cancelled", at)
	case ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded):
		f = fault.New(fault.DeadlineExceeded,
			"the deadline passed before Redis at %s had answered; ask again with a longer one, or for less at once", at)
	default:
		found, remedy := diagnose(err)
		f = fault.New(fault.RedisUnavailable, "Redis at %s %s; %s", at, found, remedy)
	}
	return f.Because(err).With("address", at)
}

func diagnose(err error) (found, remedy string) {
	const start = "start it, or set HEADWATER_REDIS_URL to one that runs"
	var (
		dns       *net.DNSError
		timeout   interface{ Timeout() bool }
		record    tls.RecordHeaderError
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		invalid   x509.CertificateInvalidError
		reply     redis.Error
	)
	switch {
	case redis.IsAuthError(err):
		return "refused the user or the password", "set HEADWATER_REDIS_URL to redis://USER:PASSWORD@HOST:PORT with those it knows"
	case redis.IsPermissionError(err):
		return "does not let this user run a command that online rows need",
			"allow it PING, INFO, SCAN, HMGET, HGET, HSET, HSETNX, HEXISTS, HDEL, DEL, EVALSHA and SCRIPT LOAD on the keys of the prefix, and for a " +
				"cluster CLUSTER SLOTS and COMMAND (ACL SETUSER)"
	case redis.IsOOMError(err):
		return "is out of memory", "raise its maxmemory, or free some"
	case redis.IsReadOnlyError(err):
		return "is a replica that cannot be written", "set HEADWATER_REDIS_URL to its master"
	case redis.IsLoadingError(err):
		return "is still loading its data", "try again when it is done"
	case redis.IsMaxClientsError(err):
		return "has no connection left", "raise its maxclients, or stop other clients"
	case redis.IsClusterDownError(err), redis.IsMasterDownError(err), redis.IsTryAgainError(err):
		return "cannot answer for a part of the cluster now", "try again; if it lasts, look at CLUSTER INFO"
	case redis.HasErrorPrefix(err, "MISCONF"):
		return "takes no writes because it cannot save to disk", "look at its log and its disk"
	case redis.HasErrorPrefix(err, "MOVED"), redis.HasErrorPrefix(err, "CROSSSLOT"):
		return "is a node of a cluster", "set HEADWATER_REDIS_URL to redis://HOST:PORT,HOST:PORT with two of its nodes or more"
	case redis.HasErrorPrefix(err, "WRONGTYPE"):
		return "holds something else under a key of an online row", "give Headwater a prefix of its own"
	case errors.As(err, &reply):
		return "refused a command", "the server's log says which and why"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "is not reachable: connection refused", start
	case errors.As(err, &dns):
		return "is not reachable: no such host", "correct the host in HEADWATER_REDIS_URL"
	case errors.As(err, &record):
		return "does not speak TLS", "use redis:// instead of rediss:// in HEADWATER_REDIS_URL, or turn TLS on"
	case errors.As(err, &authority), errors.As(err, &name), errors.As(err, &invalid):
		return "shows a certificate that is not trusted for this host", "correct the host in HEADWATER_REDIS_URL, or install its authority"
	case errors.Is(err, redis.ErrPoolTimeout):
		return "has all connections of the pool in use", "send fewer requests at once, or raise the pool's size"
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, os.ErrDeadlineExceeded):
		return "did not answer in time", "look at its load and at the network between"
	}
	return "closed the connection or cannot be reached", start
}
