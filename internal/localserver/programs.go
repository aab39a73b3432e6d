package localserver

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/headwaterhq/headwater/internal/fault"
)

// The oldest major versions that Headwater runs on.
const (
	MinPostgres = 15
	MinRedis    = 7
)

// programs are the server programs of one Postgres installation.
type programs struct {
	dir   string
	major int
}

func (p programs) path(name string) string { return filepath.Join(p.dir, name) }

// findPostgres is the newest installation of at least MinPostgres, or of exactly major when that is not 0:
// HEADWATER_PG_BIN alone when set, else the system's usual folders and those of PATH.
func findPostgres(major int) (programs, error) {
	if dir := os.Getenv("HEADWATER_PG_BIN"); dir != "" {
		return givenPostgres(dir, major)
	}
	var best programs
	var found []string
	for _, dir := range postgresFolders() {
		p, err := postgresIn(dir)
		if err != nil {
			continue
		}
		found = append(found, fmt.Sprintf("%d in %s", p.major, p.dir))
		if p.major >= MinPostgres && (major == 0 || p.major == major) && p.major > best.major {
			best = p
		}
	}
	if best.major > 0 {
		return best, nil
	}
	wanted := fmt.Sprintf("Postgres %d or later", MinPostgres)
	if major > 0 {
		wanted = fmt.Sprintf("Postgres %d, which made the data directory", major)
	}
	have := "no Postgres server programs"
	if len(found) > 0 {
		have = "only Postgres " + strings.Join(found, ", ")
	}
	return programs{}, fault.New(fault.PostgresUnavailable,
		"found %s, need %s; %s, or set HEADWATER_PG_BIN to the folder that has initdb and postgres",
		have, wanted, installPostgres(runtime.GOOS, major))
}

func givenPostgres(dir string, major int) (programs, error) {
	p, err := postgresIn(dir)
	switch {
	case err != nil:
		return programs{}, fault.New(fault.PostgresUnavailable,
			"HEADWATER_PG_BIN is %s, which has no working initdb and postgres; "+
				"set it to the folder that has them, or unset it to have the usual folders searched", dir).Because(err)
	case p.major < MinPostgres:
		return programs{}, fault.New(fault.PostgresUnavailable,
			"HEADWATER_PG_BIN is %s, which has Postgres %d; Headwater needs %d or later", dir, p.major, MinPostgres)
	case major > 0 && p.major != major:
		return programs{}, fault.New(fault.PostgresUnavailable,
			"HEADWATER_PG_BIN is %s, which has Postgres %d, but the data directory was made by Postgres %d; "+
				"set it to a folder with Postgres %d, or choose another data directory", dir, p.major, major, major)
	}
	return p, nil
}

// postgresIn looks into dir for both programs and asks for their version.
func postgresIn(dir string) (programs, error) {
	if _, err := exec.LookPath(filepath.Join(dir, "initdb")); err != nil {
		return programs{}, err
	}
	out, err := exec.Command(filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return programs{}, err
	}
	// Such as "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)" or "postgres (PostgreSQL) 18beta1".
	_, version, ok := strings.Cut(string(out), "(PostgreSQL) ")
	if !ok {
		return programs{}, fmt.Errorf("unknown version %q", out)
	}
	var major int
	if _, err := fmt.Sscanf(version, "%d", &major); err != nil {
		return programs{}, fmt.Errorf("unknown version %q: %w", out, err)
	}
	return programs{dir: dir, major: major}, nil
}

func postgresFolders() []string {
	var folders []string
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",
		"/usr/pgsql-*/bin",
		"/usr/local/pgsql/bin",
		"/opt/homebrew/opt/postgresql@*/bin",
		"/usr/local/opt/postgresql@*/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
	} {
		// The patterns are constants, and well formed.
		match, _ := filepath.Glob(pattern)
		folders = append(folders, match...)
	}
	return append(folders, filepath.SplitList(os.Getenv("PATH"))...)
}

// findRedis is the path of a redis-server (or valkey-server) of at least MinRedis: HEADWATER_REDIS_BIN's alone when set,
// else the first in PATH and the usual folders.
func findRedis() (string, error) {
	if dir := os.Getenv("HEADWATER_REDIS_BIN"); dir != "" {
		path := filepath.Join(dir, "redis-server")
		major, err := redisMajor(path)
		switch {
		case err != nil:
			return "", fault.New(fault.RedisUnavailable,
				"HEADWATER_REDIS_BIN is %s, which has no working redis-server; "+
					"set it to the folder that has it, or unset it to have PATH searched", dir).Because(err)
		case major < MinRedis:
			return "", fault.New(fault.RedisUnavailable,
				"HEADWATER_REDIS_BIN is %s, which has Redis %d; Headwater needs %d or later", dir, major, MinRedis)
		}
		return path, nil
	}
	have := "no redis-server in PATH"
	for _, name := range []string{
		"redis-server", "valkey-server",
		"/usr/bin/redis-server", "/usr/local/bin/redis-server", "/opt/homebrew/bin/redis-server",
	} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		major, err := redisMajor(path)
		if err == nil && major >= MinRedis {
			return path, nil
		}
		if err == nil {
			have = fmt.Sprintf("only Redis %d in %s", major, path)
		}
	}
	return "", fault.New(fault.RedisUnavailable,
		"found %s, need Redis %d or later; %s, or set HEADWATER_REDIS_BIN to the folder that has redis-server",
		have, MinRedis, installRedis(runtime.GOOS))
}

// redisMajor asks the program at path for its version.
func redisMajor(path string) (int, error) {
	out, err := exec.Command(path, "--version").Output()
	if err != nil {
		return 0, err
	}
	// Such as "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64" or "Valkey server v=8.1.0 …".
	_, version, _ := strings.Cut(string(out), " v=")
	var major int
	if _, err := fmt.Sscanf(version, "%d", &major); err != nil {
		return 0, fmt.Errorf("unknown version %q: %w", out, err)
	}
	return major, nil
}

func installPostgres(system string, major int) string {
	switch {
	case system == "darwin" && major > 0:
		return fmt.Sprintf("run `brew install postgresql@%d`", major)
	case system == "darwin":
		return "run `brew install postgresql@17`"
	case major > 0:
		return fmt.Sprintf("run `apt-get install postgresql-%d` on Debian or Ubuntu, "+
			"or install that version's server package of your system", major)
	default:
		return "run `apt-get install postgresql` on Debian or Ubuntu, or install your system's Postgres server package"
	}
}

func installRedis(system string) string {
	if system == "darwin" {
		return "run `brew install redis`"
	}
	return "run `apt-get install redis-server` on Debian or Ubuntu, or install your system's Redis (7.0 or later) or Valkey"
}
