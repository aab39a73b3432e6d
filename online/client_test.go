package online

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/localserver"
	"github.com/headwaterhq/headwater/internal/testenv"
	"github.com/headwaterhq/headwater/read"
)

func TestOpen(t *testing.T) {
	ctx := context.Background()
	server := testenv.RedisURL(t)
	client, err := Open(ctx, server, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, ok := client.(*redis.Client); !ok {
		t.Errorf("found a %T for a plain Redis, expected a *redis.Client", client)
	}
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("", "wrong-secret")
	client, err = Open(ctx, u.String(), Options{})
	if err == nil {
		client.Close()
		t.Skip("the given Redis takes any password")
	}
	expected := "Redis at " + u.Host + " refused the user or the password; set HEADWATER_REDIS_URL to redis://USER:PASSWORD@HOST:PORT " +
		"with those it knows"
	if fault.ReasonOf(err) != fault.RedisUnavailable || err.Error() != expected {
		t.Errorf("found error %v, expected %s", err, expected)
	}
}

func TestURLsThatCannotBeRead(t *testing.T) {
	for given, found := range map[string]string{
		"":                                 "no scheme",
		"user:secret@localhost:6379":       "no scheme",
		"http://user:secret@localhost":     "another scheme than redis and rediss",
		"redis://:secret@":                 "no host",
		"redis://:secret@a:1,":             "no host",
		"redis://:secret@a:x":              "a malformed user, host, port or database",
		"redis://:secret@a:1,b:x":          "a malformed user, host, port or database",
		"redis://:secret@a:1/x":            "a malformed user, host, port or database",
		"redis://:secret%zz@a:1":           "a malformed user, host, port or database",
		"redis://:sec/secret@a:1":          "an @ after the hosts (in a password, write / as %2F, ? as %3F, # as %23 and @ as %40)",
		"redis://:secret@a:1?pool_size=10": "options after the hosts",
	} {
		_, err := Open(context.Background(), given, Options{})
		expected := "the Redis URL cannot be read: found " + found +
			", expected redis://[USER:PASSWORD@]HOST:PORT[,HOST:PORT…][/DATABASE], with rediss:// for TLS"
		if fault.ReasonOf(err) != fault.InvalidArgument || err.Error() != expected {
			t.Errorf("%s:\n found error %v\n expected    %s", given, err, expected)
		}
	}
}

func TestURLsThatAreRead(t *testing.T) {
	for given, addresses := range map[string][]string{
		"redis://localhost":                       {"localhost:6379"},
		"redis://user:p%40ss@h:1/2":               {"h:1"},
		"rediss://user:p@ss@h1:1,h2,[::1]:7":      {"h1:1", "h2:6379", "[::1]:7"},
		"redis://user:p,ss@10.0.0.1:1,10.0.0.2:2": {"10.0.0.1:1", "10.0.0.2:2"},
	} {
		o, found, err := parseURL(given)
		if err != nil || !slices.Equal(found, addresses) {
			t.Errorf("%s: found %q, %v, expected %q", given, found, err, addresses)
			continue
		}
		if (o.TLSConfig != nil) != strings.HasPrefix(given, "rediss") {
			t.Errorf("%s: found TLS %v", given, o.TLSConfig != nil)
		}
	}
	if o, _, err := parseURL("redis://user:p%40,s@h:1/2"); err != nil || o.Username != "user" || o.Password != "p@,s" || o.DB != 2 {
		t.Errorf("found %+v, %v, expected user, password and database of the URL", o, err)
	}
}

func TestOpenWithoutServer(t *testing.T) {
	at := testenv.ClosedAddress(t)
	for _, given := range []string{"redis://user:secret@" + at, "redis://user:secret@" + at + "," + at} {
		_, err := Open(context.Background(), given, Options{})
		expected := "Redis at " + strings.Split(given, "@")[1] + " is not reachable: connection refused; " +
			"start it, or set HEADWATER_REDIS_URL to one that runs"
		if fault.ReasonOf(err) != fault.RedisUnavailable || err.Error() != expected {
			t.Errorf("found error %v, expected %s", err, expected)
		}
	}
	_, err := Open(context.Background(), "redis://a:1,b:2/3", Options{})
	expected := "found database 3 for the Redis Cluster at a:1,b:2, expected none: a cluster has no other than 0"
	if fault.ReasonOf(err) != fault.InvalidArgument || err.Error() != expected {
		t.Errorf("found error %v, expected %s", err, expected)
	}
}

func TestRedisStopped(t *testing.T) {
	ctx := context.Background()
	server, err := localserver.StartRedis(ctx, localserver.RedisConfig{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Stop()
	client, err := Open(ctx, server.URL(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	v := view(1, "delays", "airport", columns(feature.TypeInt64))
	item := Item{"airport", "JFK", 1, pack(t, v, Header{Seq: 1, RunSeq: 1}, feature.Int64(1))}
	mustWrite(t, client, item)
	readOne(t, client, planOf(v), key("JFK"), 0)
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}

	expected := "Redis at " + client.(*redis.Client).Options().Addr + " is not reachable: connection refused; " +
		"start it, or set HEADWATER_REDIS_URL to one that runs"
	_, err = NewWriter(client, DefaultPrefix).Write(ctx, []Item{item})
	if fault.ReasonOf(err) != fault.RedisUnavailable || err.Error() != expected {
		t.Errorf("writing: found error %v, expected %s", err, expected)
	}
	_, err = NewReader(client, DefaultPrefix).Read(ctx, NewPlan(planOf(v)), [][]Key{{key("JFK")}}, 0)
	if fault.ReasonOf(err) != fault.RedisUnavailable || err.Error() != expected {
		t.Errorf("reading: found error %v, expected %s", err, expected)
	}
}

func TestCluster(t *testing.T) {
	addresses := testenv.RedisCluster(t)
	address := addresses[0]
	ctx := context.Background()
	client, err := Open(ctx, "redis://"+strings.Join(addresses, ","), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if !isCluster(client) {
		t.Fatalf("found a %T for several hosts, expected a *redis.ClusterClient", client)
	}

	t.Run("one host", func(t *testing.T) {
		client, err := Open(ctx, "redis://"+address, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		if !isCluster(client) {
			t.Errorf("found a %T, expected a *redis.ClusterClient, as the server says it is a node of one", client)
		}
	})

	t.Run("slots", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			key := rapid.OneOf(rapid.String(), rapid.StringMatching(`hw:airport:[ab{}]{0,8}`)).Draw(t, "key")
			expected, err := client.ClusterKeySlot(ctx, key).Result()
			if err != nil {
				t.Fatal(err)
			}
			if slot := int64(slotOf([]byte(key))); slot != expected {
				t.Fatalf("%q: found slot %d, expected %d", key, slot, expected)
			}
		})
	})

	t.Run("write and read", func(t *testing.T) {
		v := view(1, "delays", "airport", columns(feature.TypeInt64))
		var items []Item
		var keys []Key
		const entities = 3000
		for n := range entities {
			text := strconv.Itoa(n % (entities / 2))
			if n%10 == 0 {
				text = "{same slot}" + text
			}
			h := Header{Seq: int64(n + 1), RunSeq: 1}
			items = append(items, Item{"airport", text, 1, pack(t, v, h, feature.Int64(int64(n)))})
			keys = append(keys, key(text))
		}
		flushScripts := func() {
			t.Helper()
			err := client.(*redis.ClusterClient).ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
				return node.ScriptFlush(ctx).Err()
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		flushScripts()
		result := mustWrite(t, client, items...)
		if result != (Result{Written: entities, Added: entities / 2}) {
			t.Errorf("found %+v, expected %d written, and half of them added", result, entities)
		}
		winners, err := NewReader(client, DefaultPrefix).Read(ctx, NewPlan(planOf(v)), [][]Key{keys}, 0)
		if err != nil {
			t.Fatal(err)
		}
		for n, w := range winners[0] {
			expected := int64(entities/2 + n%(entities/2))
			if w.Status != read.Present || w.Values[0].Int64() != expected {
				t.Fatalf("%s: found %v %v, expected %d", keys[n].Text, w.Status, w.Values, expected)
			}
		}
		// The same again finds all of it there: half of it as it is, and half newer. Of another view version there is nothing.
		flushScripts()
		writer := NewWriter(client, DefaultPrefix)
		result, err = writer.Add(ctx, items)
		if want := (Result{Written: entities / 2, Stale: entities / 2}); err != nil || result != want {
			t.Errorf("found %+v (%v), expected %+v", result, err, want)
		}
		for n := range items {
			items[n].ViewID = 2
		}
		result, err = writer.Add(ctx, items)
		if want := (Result{Written: entities, Added: entities / 2}); err != nil || result != want {
			t.Errorf("found %+v (%v) of another view version, expected %+v", result, err, want)
		}
		var listed []string
		if err := NewReader(client, DefaultPrefix).Keys(ctx, "airport", func(keys []string) error {
			listed = append(listed, keys...)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if len(listed) != entities/2 {
			t.Errorf("found %d keys on all masters, expected %d", len(listed), entities/2)
		}
	})

	// A client for a plain Redis, given a cluster, must fail and say why.
	t.Run("plain client", func(t *testing.T) {
		plain := redis.NewClient(&redis.Options{Addr: address})
		defer plain.Close()
		v := view(1, "delays", "airport", columns(feature.TypeInt64))
		row := pack(t, v, Header{Seq: 1, RunSeq: 1}, feature.Int64(1))
		_, err := NewWriter(plain, DefaultPrefix).Write(ctx, []Item{{"airport", "a", 1, row}, {"airport", "b", 1, row}})
		expected := "Redis at " + address + " is a node of a cluster; " +
			"set HEADWATER_REDIS_URL to redis://HOST:PORT,HOST:PORT with two of its nodes or more"
		if fault.ReasonOf(err) != fault.RedisUnavailable || err.Error() != expected {
			t.Errorf("found error %v, expected %s", err, expected)
		}
	})
}
