package localserver_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/internal/localserver"
)

// Whoever is killed leaves rolled back transactions behind, and its Postgres dies with it: perhaps between the files of an
// unlogged table and the log.
func TestPostgresRecoversFromARollbackThatWasNotLogged(t *testing.T) {
	dir := filepath.Join(folder(t), "postgres")
	p, err := localserver.StartPostgres(t.Context(), localserver.PostgresConfig{Dir: dir, Durable: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Stop() })
	keep(t, p.URL())

	conn, err := pgx.Connect(t.Context(), p.URL())
	if err != nil {
		t.Fatal(err)
	}
	exec := func(statement string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	exec("BEGIN")
	exec("CREATE UNLOGGED TABLE spine (k text)")
	// Another's commit takes the table's creation to the log.
	query(t, p.URL(), "SELECT pg_current_xact_id()::text")
	writer, err := strconv.Atoi(query(t, p.URL(), "SELECT pid::text FROM pg_stat_activity WHERE backend_type = 'walwriter'"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := os.ReadFile(filepath.Join(dir, "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(pid), "\n")
	server, err := strconv.Atoi(line)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(writer, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	exec("ROLLBACK")
	for _, s := range []struct {
		pid    int
		signal syscall.Signal
	}{{server, syscall.SIGQUIT}, {writer, syscall.SIGQUIT}, {writer, syscall.SIGCONT}} {
		if err := syscall.Kill(s.pid, s.signal); err != nil {
			t.Fatal(err)
		}
	}
	_ = conn.Close(t.Context())
	// Gives the folder back; the server ends on its own.
	_ = p.Stop()

	again := startPostgres(t, dir, true)
	if got := query(t, again.URL(), "SELECT answer FROM kept"); got != "yes" {
		t.Errorf("Postgres kept %q", got)
	}
	if got := query(t, again.URL(), "SELECT coalesce(to_regclass('spine')::text, 'none')"); got != "none" {
		t.Errorf("found %s, expected the table of the rolled back transaction gone", got)
	}
}
