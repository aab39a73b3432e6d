package openlineage

import (
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// DefaultNamespace is that of jobs and datasets of ours unless another is configured.
const DefaultNamespace = "headwater"

// Names says how things are called, as the specification's naming rules say where they do.
type Names struct {
	// Namespace is that of our jobs, and of datasets that are in no store of others.
	Namespace string
	// Postgres is Headwater's own database, and Sources are those that sources name.
	Postgres Database
	Sources  map[string]Database
	// Redis is the namespace of the online store, `redis://HOST:PORT`, and RedisPrefix what its keys begin with.
	Redis, RedisPrefix string
}

// Database is a Postgres database: its server as `postgres://HOST:PORT`, and its name.
type Database struct{ Namespace, Name string }

// DatabaseOf is the name of the database that config leads to, without what is secret of it.
func DatabaseOf(config *pgx.ConnConfig) Database {
	host := config.Host
	if host == "" || strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@") {
		// A socket of this machine.
		host = "localhost"
	}
	return Database{Namespace: "postgres://" + net.JoinHostPort(host, strconv.Itoa(int(config.Port))), Name: config.Database}
}

// RedisNamespace is the namespace of the Redis of a URL as the server is given it, without what is secret of it. Of several addresses it is
// the first in order.
func RedisNamespace(redisURL string) string {
	_, rest, ok := strings.Cut(redisURL, "://")
	if !ok {
		return "redis://localhost:6379"
	}
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		rest = rest[i+1:]
	}
	rest, _, _ = strings.Cut(rest, "/")
	rest, _, _ = strings.Cut(rest, "?")
	addresses := strings.Split(rest, ",")
	slices.Sort(addresses)
	u := url.URL{Host: addresses[0]}
	host, port := u.Hostname(), u.Port()
	if host == "" {
		host = "localhost"
	}
	if port == "" {
		port = "6379"
	}
	return "redis://" + net.JoinHostPort(host, port)
}

// Name is a job or a dataset: the name within its namespace.
type Name struct{ Namespace, Name string }

func (n Names) job(name string) Name { return Name{n.Namespace, name} }

func (n Names) history(view string, version int) Name {
	return n.own("headwater_history", view+"_v"+strconv.Itoa(version))
}

func (n Names) landing(source string) Name { return n.own("headwater_landing", source) }

func (n Names) own(schema, table string) Name {
	return Name{n.Postgres.Namespace, n.Postgres.Name + "." + schema + "." + table}
}

// table is a table of others: of the database that a source names, or of our own for "".
func (n Names) table(database, schema, table string) Name {
	db, known := n.Postgres, true
	if database != "" {
		db, known = n.Sources[database]
	}
	if !known {
		// This server does not know the database, which another may.
		db = Database{Namespace: "postgres://" + database, Name: database}
	}
	if schema == "" {
		schema = "public"
	}
	return Name{db.Namespace, db.Name + "." + schema + "." + table}
}

// online is a view version in Redis. There is no rule for the names of what is in a Redis; docs/openlineage.md says ours.
func (n Names) online(entity, view string, version int) Name {
	return Name{n.Redis, n.RedisPrefix + ":" + entity + "/" + view + "@" + strconv.Itoa(version)}
}

func (n Names) file(name string) Name { return Name{"file", name} }

// dataset is a training dataset, by its name: its version is a facet.
func (n Names) dataset(name string) Name { return Name{n.Namespace, "dataset." + name} }

// runID is the id of a run in the specification's sense, which is the same however often and from wherever it is told: a UUID of version 5
// of this installation's id and what the run is.
func runID(installation uuid.UUID, what string) string {
	return uuid.NewSHA1(installation, []byte(what)).String()
}
