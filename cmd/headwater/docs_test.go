package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"google.golang.org/grpc/codes"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

func readDoc(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	commandHeading = regexp.MustCompile("(?m)^### `(headwater[^`]*)`$")
	anyHeading     = regexp.MustCompile("(?m)^#+ ")
	flagRow        = regexp.MustCompile("(?m)^\\| `--([a-z-]+)`")
)

// commandSections are the parts of docs/cli.md about one command each, by the command's path.
func commandSections(text string, paths []string) map[string]string {
	sections := map[string]string{}
	for _, at := range commandHeading.FindAllStringSubmatchIndex(text, -1) {
		usage, body := text[at[2]:at[3]], text[at[1]:]
		if end := anyHeading.FindStringIndex(body); end != nil {
			body = body[:end[0]]
		}
		name := usage
		for !slices.Contains(paths, name) && name != "" {
			name = name[:max(strings.LastIndexByte(name, ' '), 0)]
		}
		if name == "" {
			name = usage
		}
		sections[name] = body
	}
	return sections
}

func TestCommandsAreDocumented(t *testing.T) {
	text := readDoc(t, "../../docs/cli.md")
	root := newRoot(streams{})
	commands := map[string]*cobra.Command{}
	var collect func(c *cobra.Command)
	collect = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			collect(sub)
		}
		// One that has commands, and does something itself too, has flags.
		if !c.HasSubCommands() || c.HasLocalFlags() && c != root {
			commands[c.CommandPath()] = c
		}
	}
	collect(root)
	// Cobra adds its help command only when it runs.
	commands["headwater help"] = newHelp(root)
	var paths []string
	for path := range commands {
		paths = append(paths, path)
	}
	sections := commandSections(text, paths)
	for path, c := range commands {
		section, ok := sections[path]
		if !ok {
			t.Errorf("docs/cli.md has no section on `%s`", path)
			continue
		}
		delete(sections, path)
		var documented []string
		for _, m := range flagRow.FindAllStringSubmatch(section, -1) {
			documented = append(documented, m[1])
		}
		c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			i := slices.Index(documented, f.Name)
			switch {
			case f.Name == "help":
			case i < 0:
				t.Errorf("docs/cli.md does not have --%s of `%s`", f.Name, path)
			default:
				documented = slices.Delete(documented, i, i+1)
			}
		})
		if len(documented) > 0 {
			t.Errorf("docs/cli.md has flags that `%s` does not: %s", path, strings.Join(documented, ", "))
		}
	}
	for name := range sections {
		t.Errorf("docs/cli.md has a section on `%s`, which is not a command", name)
	}
	root.PersistentFlags().VisitAll(func(f *pflag.Flag) {
		if !strings.Contains(text, "| `--"+f.Name+"`") {
			t.Errorf("docs/cli.md does not have --%s", f.Name)
		}
	})
}

func TestConfigurationIsDocumented(t *testing.T) {
	root := newRoot(streams{})
	serve, _, err := root.Find([]string{"serve"})
	if err != nil {
		t.Fatal(err)
	}
	text := readDoc(t, "../../docs/cli.md")
	for _, word := range []string{
		"HEADWATER_POSTGRES_URL", "HEADWATER_REDIS_URL", "HEADWATER_REDIS_PREFIX", "HEADWATER_LISTEN", "HEADWATER_AUDIT_DIR",
		"postgres_url", "redis_url", "redis_prefix", "listen", "audit_dir",
		"HEADWATER_VIEW_TIMEOUT", "HEADWATER_VIEW_WORK_MEM", "HEADWATER_VIEW_TEMP_FILES", "view_timeout", "view_work_mem", "view_temp_files",
		"HEADWATER_SOURCE_NAME_URL", "source_databases", "HEADWATER_RUN_CHUNK_WORKERS", "run_chunk_workers", "HEADWATER_PROFILES",
		"HEADWATER_RESULTS_DIR", "HEADWATER_RESULTS_BYTES", "HEADWATER_RESULTS_DAYS", "results_dir", "results_bytes", "results_days",
		"HEADWATER_HISTORY_RETENTION", "history_retention",
		"HEADWATER_MAX_READS", "HEADWATER_MAX_WAITING_READS", "HEADWATER_READ_WAIT", "HEADWATER_MAX_REQUEST", "HEADWATER_MAX_ANSWER",
		"max_reads", "max_waiting_reads", "read_wait", "max_request", "max_answer",
		"HEADWATER_MAX_STREAMS", "HEADWATER_CONNECTION_AGE", "HEADWATER_DRAIN_DELAY", "HEADWATER_DRAIN_TIME", "HEADWATER_REFLECTION",
		"max_streams", "connection_age", "drain_delay", "drain_time", "reflection", "HEADWATER_INSECURE_NO_AUTH", "insecure_no_auth", "HEADWATER_SLOW_READ", "slow_read", "HEADWATER_READ_CACHE", "read_cache",
		"HEADWATER_TLS_CERT", "HEADWATER_TLS_KEY", "HEADWATER_TLS_CLIENT_CA", "tls_cert", "tls_key", "tls_client_ca",
		"HEADWATER_OIDC_ISSUER", "HEADWATER_OIDC_AUDIENCE", "HEADWATER_OIDC_ALGORITHMS", "HEADWATER_OIDC_JWKS_URL", "HEADWATER_OIDC_PRINCIPAL_CLAIM",
		"HEADWATER_OIDC_ROLES_CLAIM", "HEADWATER_OIDC_ROLES", "HEADWATER_OIDC_ATTRIBUTES", "HEADWATER_OIDC_MAX_AGE",
		"oidc_issuer", "oidc_audience", "oidc_algorithms", "oidc_jwks_url", "oidc_principal_claim", "oidc_roles_claim", "oidc_roles", "oidc_attributes", "oidc_max_age",
		"HEADWATER_OTLP_ENDPOINT", "otlp_endpoint", "HEADWATER_TRACE_SHARE", "trace_share",
		"HEADWATER_AUDIT", "HEADWATER_AUDIT_KEY", "HEADWATER_AUDIT_RETENTION", "audit", "audit_key", "audit_retention",
		"HEADWATER_READ_LOG_DIR", "HEADWATER_READ_LOG_BYTES", "HEADWATER_READ_LOG_RETENTION", "read_log_dir", "read_log_bytes", "read_log_retention",
		"HEADWATER_FEEDBACK_RETENTION", "feedback_retention",
		"HEADWATER_WEBHOOK_URL", "HEADWATER_WEBHOOK_SECRET", "HEADWATER_WEBHOOK_EVENTS", "webhooks", "HEADWATER_LOW_SCORE", "low_score",
	} {
		if !strings.Contains(text, "`"+word+"`") {
			t.Errorf("docs/cli.md does not have %s", word)
		}
		if !strings.Contains(serve.Long, word) {
			t.Errorf("`headwater serve --help` does not have %s", word)
		}
	}
}

func TestReasonsAreDocumented(t *testing.T) {
	rows := map[string][]string{}
	for line := range strings.Lines(readDoc(t, "../../docs/errors.md")) {
		if cells := strings.Split(line, " | "); strings.HasPrefix(line, "| `") && len(cells) == 5 {
			rows[strings.Trim(cells[0], "| `")] = cells
		}
	}
	for number, name := range headwaterv1.ErrorReason_name {
		if number == 0 {
			continue
		}
		reason := fault.Reason(number)
		short := strings.TrimPrefix(name, "ERROR_REASON_")
		row, ok := rows[short]
		if !ok {
			t.Errorf("docs/errors.md has no row of five cells for %s", short)
			continue
		}
		delete(rows, short)
		var code codes.Code
		if err := code.UnmarshalJSON([]byte(strconv.Quote(row[1]))); err != nil || code != fault.Code(reason) {
			t.Errorf("docs/errors.md gives %s the code %s, expected %s", short, row[1], fault.Code(reason))
		}
		if want := strconv.Itoa(exitCode(fault.New(reason, "x"))); row[2] != want {
			t.Errorf("docs/errors.md gives %s the exit status %s, expected %s", short, row[2], want)
		}
	}
	for name := range rows {
		t.Errorf("docs/errors.md has a row for %s, which is not a reason", name)
	}
}

// What a message or a page tells someone to run must be there to be run.
func TestCommandsThatAreNamedExist(t *testing.T) {
	root := newRoot(streams{})
	root.AddCommand(newHelp(root))
	named := regexp.MustCompile("(?:`|\\$ |send some: |rows first: )headwater((?: [a-z]+(?:-[a-z]+)*)+)")
	count := 0
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != "../.." && strings.HasPrefix(entry.Name(), "."):
			return fs.SkipDir
		case entry.IsDir() || strings.HasSuffix(path, "_test.go"):
			return nil
		case !slices.Contains([]string{".go", ".md", ".sh"}, filepath.Ext(path)):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range named.FindAllSubmatch(text, -1) {
			words := strings.Fields(string(m[1]))
			count++
			c, _, err := root.Find(words[:1])
			if err == nil && c != root && c.HasSubCommands() && len(words) > 1 {
				words = words[:2]
				c, _, err = c.Find(words[1:])
			} else {
				words = words[:1]
			}
			if err == nil && c.Name() != words[len(words)-1] {
				err = errors.New("there is no such command")
			}
			if err != nil {
				t.Errorf("%s names `headwater %s`: %v", path, strings.Join(words, " "), err)
			}
		}
		return nil
	})
	if err != nil || count < 50 {
		t.Errorf("found %d commands named (%v), expected more", count, err)
	}
}
