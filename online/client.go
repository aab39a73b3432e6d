package online

import (
	"context"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/headwaterhq/headwater/internal/fault"
)

// Options are how a client behaves. The zero Options are the defaults.
type Options struct {
	// PoolSize is the most connections per node; default 10 per CPU. A Reader has as many of its own.
	PoolSize int
	// DialTimeout bounds one attempt to connect; default 1 s.
	DialTimeout time.Duration
	// Timeout bounds one write to a connection and one wait for an answer, beside the context's deadline; default 2 s.
	Timeout time.Duration
}

const (
	defaultDialTimeout = time.Second
	defaultTimeout     = 2 * time.Second

	// A deadline that fires while go-redis waits to try again overwrites the answers of healthy nodes with an error, so
	// retries are few and their waits short.
	retries         = 2
	minRetryBackoff = 2 * time.Millisecond
	maxRetryBackoff = 8 * time.Millisecond
	dialRetries     = 1

	// With the client's own interval of a minute a failover costs that long.
	stateReloadInterval = 2 * time.Second
)

const urlForm = "redis://[USER:PASSWORD@]HOST:PORT[,HOST:PORT…][/DATABASE], with rediss:// for TLS"

// Open connects to the Redis of a redis:// or rediss:// URL. Several hosts with commas between them are nodes of one
// Redis Cluster, and so is a single host whose server says it is. The client is a *redis.Client or a
// *redis.ClusterClient; the caller closes it.
//
// A URL that cannot be read is an INVALID_ARGUMENT fault, a server that does not answer a REDIS_UNAVAILABLE one that
// names its address. Neither holds the URL's password.
func Open(ctx context.Context, url string, options Options) (redis.UniversalClient, error) {
	o, addresses, err := parseURL(url)
	if err != nil {
		return nil, err
	}
	options.apply(o)
	if len(addresses) > 1 {
		return openCluster(ctx, o, addresses)
	}
	client := redis.NewClient(o)
	if err := client.Ping(ctx).Err(); err != nil {
		defer client.Close()
		return nil, failed(ctx, client, err)
	}
	if !saysCluster(ctx, client) {
		return client, nil
	}
	if err := client.Close(); err != nil {
		return nil, failed(ctx, client, err)
	}
	return openCluster(ctx, o, addresses)
}

func (options Options) apply(o *redis.Options) {
	o.PoolSize = options.PoolSize
	o.DialTimeout = options.DialTimeout
	if o.DialTimeout <= 0 {
		o.DialTimeout = defaultDialTimeout
	}
	o.ReadTimeout = options.Timeout
	if o.ReadTimeout <= 0 {
		o.ReadTimeout = defaultTimeout
	}
	o.WriteTimeout = o.ReadTimeout
	o.ContextTimeoutEnabled = true
	o.MaxRetries = retries
	o.MinRetryBackoff, o.MaxRetryBackoff = minRetryBackoff, maxRetryBackoff
	o.DialerRetries = dialRetries
	// Nothing that is asked has another answer in RESP3, where each reply is looked at for notifications that may stand before it.
	o.Protocol = 2
	// Neither is known to Redis 7.0: each would be one more command, refused, per connection.
	o.DisableIdentity = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

func openCluster(ctx context.Context, o *redis.Options, addresses []string) (redis.UniversalClient, error) {
	if o.DB != 0 {
		return nil, fault.New(fault.InvalidArgument,
			"found database %d for the Redis Cluster at %s, expected none: a cluster has no other than 0", o.DB, strings.Join(addresses, ","))
	}
	if o.TLSConfig != nil {
		// Empty, it is taken from the address of each node.
		o.TLSConfig.ServerName = ""
	}
	client := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs:                      addresses,
		Username:                   o.Username,
		Password:                   o.Password,
		TLSConfig:                  o.TLSConfig,
		PoolSize:                   o.PoolSize,
		DialTimeout:                o.DialTimeout,
		ReadTimeout:                o.ReadTimeout,
		WriteTimeout:               o.WriteTimeout,
		Protocol:                   o.Protocol,
		ContextTimeoutEnabled:      o.ContextTimeoutEnabled,
		MaxRedirects:               retries,
		MinRetryBackoff:            o.MinRetryBackoff,
		MaxRetryBackoff:            o.MaxRetryBackoff,
		DialerRetries:              o.DialerRetries,
		DisableIdentity:            o.DisableIdentity,
		MaintNotificationsConfig:   o.MaintNotificationsConfig,
		ClusterStateReloadInterval: stateReloadInterval,
	})
	client.AddHook(reloadHook{client})
	if err := client.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
		return node.Ping(ctx).Err()
	}); err != nil {
		defer client.Close()
		return nil, failed(ctx, client, err)
	}
	return client, nil
}

// saysCluster asks a server for its mode. One that does not know the question is no cluster.
func saysCluster(ctx context.Context, client *redis.Client) bool {
	// A name and a value in turns.
	hello, err := client.Do(ctx, "HELLO").Slice()
	if err != nil {
		return false
	}
	for i := 0; i+1 < len(hello); i += 2 {
		if hello[i] == "mode" {
			return hello[i+1] == "cluster"
		}
	}
	return false
}

// parseURL takes the hosts apart itself, as a URL has one only, and leaves the rest to the client. Its messages quote
// nothing of the URL but the scheme and hosts, since what is malformed may be the password.
func parseURL(url string) (o *redis.Options, addresses []string, err error) {
	refuse := func(found string) error {
		return fault.New(fault.InvalidArgument, "the Redis URL cannot be read: found %s, expected %s", found, urlForm)
	}
	scheme, rest, ok := strings.Cut(url, "://")
	if !ok {
		return nil, nil, refuse("no scheme")
	}
	if scheme != "redis" && scheme != "rediss" {
		return nil, nil, refuse("another scheme than redis and rediss")
	}
	hosts, path := rest, ""
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		hosts, path = rest[:end], rest[end:]
	}
	switch {
	case strings.Contains(path, "@"):
		return nil, nil, refuse("an @ after the hosts (in a password, write / as %2F, ? as %3F, # as %23 and @ as %40)")
	case strings.ContainsAny(path, "?#"):
		return nil, nil, refuse("options after the hosts")
	}
	user := ""
	if at := strings.LastIndexByte(hosts, '@'); at >= 0 {
		user, hosts = hosts[:at+1], hosts[at+1:]
	}
	for host := range strings.SplitSeq(hosts, ",") {
		one, err := redis.ParseURL(scheme + "://" + user + host + path)
		if err != nil {
			return nil, nil, refuse("a malformed user, host, port or database")
		}
		if name, _, err := net.SplitHostPort(one.Addr); err != nil || name == "" || host == "" {
			return nil, nil, refuse("no host")
		}
		if o == nil {
			o = one
		}
		addresses = append(addresses, one.Addr)
	}
	return o, addresses, nil
}
