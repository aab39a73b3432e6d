// Package testenv gives tests a real Postgres and a real Redis, addresses at which nobody answers, and the files of servers that run.
//
// It owns the servers' life in a test process, and the handing out of databases. It imports internal/localserver,
// internal/database and the drivers, and is imported by tests alone.
//
// The invariant: what a test is given, no other test uses, neither in this process nor in another on the same servers. So
// tests may run in parallel, commit, LISTEN and FLUSHDB as they like; FLUSHALL alone is forbidden.
//
// Servers are those of HEADWATER_TEST_POSTGRES_URL and HEADWATER_TEST_REDIS_URL when set (`make test` sets them), else are
// started when first asked for and stopped at the process's end. Their files are in memory, where /dev/shm has room for them and TMPDIR does not say
// otherwise. The TestMain of a package that uses this one is:
//
//	func TestMain(m *testing.M) { testenv.Main(m) }
package testenv
