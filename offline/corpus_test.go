package offline

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// The corpus is SQL as people write it, under testdata/corpus, with what is to be said of each. README.md there has the
// format. With -update, what is said is written into the files, to be read before it is committed.

var update = flag.Bool("update", false, "write what is found into the corpus")

// snippet is one view of the corpus.
type snippet struct {
	file, name      string
	head, sql       []string
	verdict         []string
	grain, lookback time.Duration
	functions       []feature.FunctionAllowance
	inputs          bool
}

const (
	corpusStart feature.Time = 1_700_000_000_000_000 / 3_600_000_000 * 3_600_000_000
	corpusEnd   feature.Time = corpusStart + 96*3_600_000_000
)

func TestCorpus(t *testing.T) {
	pool := testenv.Postgres(t)
	sources := readCorpusSources(t)
	seedCorpus(t, pool, sources)
	accepted, refused, goldens := 0, 0, 0
	told := toldBy(t, pool)
	for _, file := range corpusFiles(t) {
		snippets := readCorpus(t, file)
		for _, s := range snippets {
			v := s.view(sources)
			found, err := analysed(t, pool, v)
			verdict := s.said(t, found, err)
			if *update {
				s.verdict = verdict
			} else if !slices.Equal(told(verdict), told(s.verdict)) {
				t.Errorf("%s: %s\n%s\nfound:\n%s\nexpected:\n%s", filepath.Base(file), s.name, strings.Join(s.sql, "\n"),
					strings.Join(verdict, "\n"), strings.Join(s.verdict, "\n"))
			}
			if err != nil {
				refused++
				continue
			}
			accepted++
			if s.inputs {
				goldens++
			}
			first, second := digests(t, pool, v)
			if first != second {
				t.Errorf("%s: %s\n%s\nthe digest is %s over the rows in one order, and %s over the same in another", filepath.Base(file), s.name,
					strings.Join(s.sql, "\n"), first, second)
			}
		}
		if *update {
			writeCorpus(t, file, snippets)
		}
	}
	t.Logf("%d accepted, %d refused, %d with their inputs", accepted, refused, goldens)
	if accepted+refused < 380 || goldens < 90 {
		t.Errorf("found %d snippets, %d with their inputs, expected at least 380 and 90", accepted+refused, goldens)
	}
}

// toldBy is what of a verdict every version of Postgres tells alike. From 17 on its trees do not say where in the SQL their parts stand, so
// that places, and names in a remedy that are read there, are looked for by words; and what of several refusals comes first goes by place.
func toldBy(t *testing.T, pool *pgxpool.Pool) func(verdict []string) []string {
	t.Helper()
	var version int
	if err := pool.QueryRow(t.Context(), `SELECT current_setting('server_version_num')::int`).Scan(&version); err != nil {
		t.Fatal(err)
	}
	if version < 170_000 {
		return func(verdict []string) []string { return verdict }
	}
	return func(verdict []string) []string {
		if len(verdict) == 0 || verdict[0] != "refused" {
			return verdict
		}
		var list []string
		for _, line := range verdict[1:] {
			_, line, _ = strings.Cut(line, " ")
			if line, _, _ = strings.Cut(line, ", expected"); strings.HasPrefix(line, "found the constant ") {
				// Of several, the first is told.
				line = "found a constant"
			}
			list = append(list, line)
		}
		slices.Sort(list)
		return append([]string{"refused"}, slices.Compact(list)...)
	}
}

func corpusFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/corpus/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("no corpus: %v", err)
	}
	return files
}

// readCorpus cuts a file into snippets: `-- == NAME`, lines `-- KEY VALUE`, the SQL, and the verdict in lines `-- >`.
func readCorpus(t testing.TB, file string) []*snippet {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []*snippet
	var s *snippet
	for _, line := range strings.Split(string(text), "\n") {
		switch {
		case strings.HasPrefix(line, "-- == "):
			s = &snippet{file: file, name: strings.TrimPrefix(line, "-- == ")}
			all = append(all, s)
		case s == nil:
		case strings.HasPrefix(line, "-- > "):
			s.verdict = append(s.verdict, strings.TrimPrefix(line, "-- > "))
		case strings.HasPrefix(line, "-- ") && len(s.sql) == 0:
			s.head = append(s.head, line)
			s.directive(t, strings.TrimPrefix(line, "-- "))
		case line != "" || len(s.sql) > 0 && len(s.verdict) == 0:
			s.sql = append(s.sql, line)
		}
	}
	for _, s := range all {
		for len(s.sql) > 0 && s.sql[len(s.sql)-1] == "" {
			s.sql = s.sql[:len(s.sql)-1]
		}
	}
	return all
}

func (s *snippet) directive(t testing.TB, line string) {
	t.Helper()
	key, value, _ := strings.Cut(line, " ")
	var err error
	switch key {
	case "grain":
		s.grain, err = time.ParseDuration(value)
	case "lookback":
		s.lookback, err = time.ParseDuration(value)
	case "function":
		s.functions = append(s.functions, feature.FunctionAllowance{Function: value, Reason: "it is pure"})
	case "inputs":
		s.inputs = true
	default:
		err = fmt.Errorf("no directive %q", key)
	}
	if err != nil {
		t.Fatalf("%s: %s: %v", s.file, s.name, err)
	}
}

func writeCorpus(t *testing.T, file string, snippets []*snippet) {
	t.Helper()
	old, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, _, _ := strings.Cut(string(old), "-- == ")
	var b bytes.Buffer
	b.WriteString(head)
	for i, s := range snippets {
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "-- == %s\n", s.name)
		for _, line := range append(slices.Clone(s.head), s.sql...) {
			b.WriteString(line + "\n")
		}
		for _, line := range s.verdict {
			b.WriteString("-- > " + line + "\n")
		}
	}
	if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// view is the view with the snippet's SQL, over the sources that it names.
func (s *snippet) view(sources []*feature.SourceVersion) *feature.ViewVersion {
	sql := strings.Join(s.sql, "\n")
	var named []*feature.SourceVersion
	for _, src := range sources {
		if strings.Contains(sql, src.Name) {
			named = append(named, src)
		}
	}
	return &feature.ViewVersion{Version: 1, SourceVersions: named, View: feature.View{
		Name: "snippet", Grain: s.grain, Lookback: s.lookback, SQL: &feature.SQLTransform{Query: sql, Functions: s.functions},
	}}
}

func analysed(t *testing.T, pool *pgxpool.Pool, v *feature.ViewVersion) (found *feature.Analysis, err error) {
	t.Helper()
	err = inRolledBack(t, pool, func(tx pgx.Tx) error {
		sp, err := tx.Begin(t.Context())
		if err != nil {
			return err
		}
		found, err = analyseView(t.Context(), sp, v)
		if rollback := sp.Rollback(t.Context()); rollback != nil {
			return rollback
		}
		return err
	})
	return found, err
}

// said is the verdict in the words of the corpus.
func (s *snippet) said(t *testing.T, found *feature.Analysis, err error) []string {
	t.Helper()
	if err != nil {
		f := fault.As(err)
		if f == nil {
			t.Fatalf("%s: %s: %v", s.file, s.name, err)
		}
		lines := []string{"refused"}
		for _, v := range f.Violations {
			place := fmt.Sprintf("%d:%d", v.Line, v.Column)
			if v.Field != "sql.query" {
				place = v.Field
			}
			lines = append(lines, place+" "+v.Description)
		}
		return lines
	}
	lines := []string{"accepted"}
	if !s.inputs {
		return lines
	}
	// One line for each column and kind.
	for i, in := range found.Inputs {
		name := in.Relation + "." + in.InputColumn
		if i > 0 && found.Inputs[i-1].Column == in.Column && found.Inputs[i-1].Kind == in.Kind {
			lines[len(lines)-1] += " " + name
			continue
		}
		lines = append(lines, fmt.Sprintf("%s: %s %s", in.Column, in.Kind, name))
	}
	var uses []string
	for name, columns := range found.Uses {
		uses = append(uses, "uses "+name+"("+strings.Join(columns, ", ")+")")
	}
	slices.Sort(uses)
	lines = append(lines, uses...)
	for _, f := range found.Functions {
		lines = append(lines, "calls "+f.Function)
	}
	return lines
}

// digests runs a view twice: over rows in one order with Postgres's standard settings, and over the same rows in another
// order, with other plans, and with other settings in the session before the call.
func digests(t *testing.T, pool *pgxpool.Pool, v *feature.ViewVersion) (first, second string) {
	t.Helper()
	run := func(schema string, settings [][2]string) (digest string) {
		_ = inRolledBack(t, pool, func(tx pgx.Tx) error {
			sp, err := tx.Begin(t.Context())
			if err != nil {
				return err
			}
			defer func() { _ = sp.Rollback(t.Context()) }()
			if digest, err = digestOf(t.Context(), sp, v, schema, settings); err != nil {
				t.Errorf("%s\nfailed over rows of %s: %v", v.SQL.Query, schema, err)
			}
			return nil
		})
		return digest
	}
	first = run("first", nil)
	second = run("second", [][2]string{
		{"TimeZone", "Asia/Kolkata"}, {"DateStyle", "German, DMY"}, {"IntervalStyle", "sql_standard"}, {"search_path", "second, public"},
		{"extra_float_digits", "-5"}, {"bytea_output", "escape"}, {"default_text_search_config", "pg_catalog.english"},
		{"enable_hashagg", "off"}, {"enable_hashjoin", "off"}, {"enable_nestloop", "off"}, {"enable_indexscan", "off"}, {"work_mem", "64kB"},
		{"force_parallel_mode", "on"}, {"debug_parallel_query", "on"}, {"parallel_setup_cost", "0"}, {"parallel_tuple_cost", "0"},
		{"min_parallel_table_scan_size", "0"}, {"max_parallel_workers_per_gather", "4"}, {"from_collapse_limit", "1"},
	})
	return first, second
}

func digestOf(ctx context.Context, tx pgx.Tx, v *feature.ViewVersion, schema string, settings [][2]string) (digest string, err error) {
	for _, s := range settings {
		// Not every version has all of them.
		if _, err := tx.Exec(ctx, `SELECT set_config(name, $2, true) FROM pg_settings WHERE name = $1 OR lower(name) = lower($1)
			UNION ALL SELECT set_config($1, $2, true) WHERE $1 = 'search_path'`, s[0], s[1]); err != nil {
			return "", err
		}
	}
	if err := pinSession(ctx, tx); err != nil {
		return "", err
	}
	for _, src := range v.SourceVersions {
		if _, err := tx.Exec(ctx, "CREATE TEMPORARY VIEW "+quote(src.Name)+" AS "+sourceSelect(src, quote(schema, src.Name), "")); err != nil {
			return "", err
		}
	}
	if err := createOutputView(ctx, tx, v, Span{Start: corpusStart, End: corpusEnd}); err != nil {
		return "", err
	}
	err = tx.QueryRow(ctx, `SELECT count(*) || ' ' || coalesce(md5(string_agg(r::text, E'\n' ORDER BY r::text COLLATE "C")), '') FROM `+
		temporary(outputView)+" r").Scan(&digest)
	return digest, err
}

// readCorpusSources reads lines `-- source NAME(COLUMN TYPE, …) event COLUMN [arrival SQL] [key COLUMN…]`.
func readCorpusSources(t testing.TB) []*feature.SourceVersion {
	t.Helper()
	text, err := os.ReadFile("testdata/corpus/sources.txt")
	if err != nil {
		t.Fatal(err)
	}
	var all []*feature.SourceVersion
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		if strings.HasPrefix(line, "#") || line == "" {
			continue
		}
		name, rest, _ := strings.Cut(line, ": ")
		src := &feature.SourceVersion{Version: 1, Source: feature.Source{Name: name}}
		for _, part := range strings.Split(rest, "; ") {
			key, value, _ := strings.Cut(part, " ")
			switch key {
			case "event":
				src.EventTime = value
			case "arrival":
				src.ArrivalExpression = value
			case "key":
				src.UniqueKey = strings.Fields(value)
			default:
				typ, err := feature.ParseType(value)
				if err != nil {
					t.Fatal(err)
				}
				src.Columns = append(src.Columns, feature.Column{Name: key, Type: typ})
			}
		}
		all = append(all, src)
	}
	return all
}

// seedCorpus fills each source with random rows full of ties, twice: in one order, and in another.
func seedCorpus(t *testing.T, pool *pgxpool.Pool, sources []*feature.SourceVersion) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	exec := func(sql string) {
		if _, err := pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	exec(`CREATE SCHEMA first; CREATE SCHEMA second;
		CREATE FUNCTION public.twice(n bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT n * 2';
		CREATE FUNCTION public.wobbly(n bigint) RETURNS bigint LANGUAGE sql AS 'SELECT n + (random() * 9)::bigint';
		CREATE FUNCTION public.liar(n bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT n + extract(epoch FROM now())::bigint';
		CREATE FUNCTION public.outer_twice(n bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT public.twice(n)';
		CREATE FUNCTION public.reader(n bigint) RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) + n FROM headwater.token';
		CREATE FUNCTION public.plain(n bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN n + 1; END';
		CREATE AGGREGATE public.total(bigint) (SFUNC = int8pl, STYPE = bigint, INITCOND = '0');
		CREATE OPERATOR public.@#@ (FUNCTION = public.twice, RIGHTARG = bigint);
		CREATE TYPE public.mood AS ENUM ('sad', 'happy')`)
	for _, src := range sources {
		columns := make([]string, len(src.Columns))
		for i, c := range src.Columns {
			columns[i] = quote(c.Name) + " " + columnType(c.Type)
		}
		for _, schema := range []string{"first", "second"} {
			exec("CREATE TABLE " + quote(schema, src.Name) + " (" + strings.Join(columns, ", ") + ")")
		}
		seen := map[string]bool{}
		var rows []string
		for n := range 300 {
			values := make([]string, len(src.Columns))
			key := ""
			for i, c := range src.Columns {
				values[i] = randomLiteral(r, c, n, slices.Contains(src.UniqueKey, c.Name) || c.Name == src.EventTime)
				if slices.Contains(src.UniqueKey, c.Name) {
					key += values[i] + ","
				}
			}
			if key != "" && seen[key] {
				continue
			}
			seen[key] = true
			rows = append(rows, "("+strings.Join(values, ", ")+")")
		}
		for _, schema := range []string{"first", "second"} {
			exec("INSERT INTO " + quote(schema, src.Name) + " VALUES " + strings.Join(rows, ", ") + "; ANALYZE " + quote(schema, src.Name))
			r.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		}
	}
}

func randomLiteral(r *rand.Rand, c feature.Column, n int, required bool) string {
	if !required && r.IntN(8) == 0 {
		return "NULL"
	}
	pick := func(all ...string) string { return all[r.IntN(len(all))] }
	switch {
	case c.Type == feature.TypeInt64 && c.Name == "id":
		return strconv.Itoa(n)
	case c.Type == feature.TypeInt64:
		return strconv.Itoa(r.IntN(12) - 3)
	case c.Type == feature.TypeFloat64:
		return pick("0.1", "0.2", "0.7", "1e16", "-1e16", "3.3", "1e-7", "-0.3", "12345.678")
	case c.Type == feature.TypeBool:
		return pick("true", "false")
	case c.Type == feature.TypeTimestamp:
		return timeLiteral(corpusStart + feature.Time(r.IntN(96*6))*600_000_000)
	case c.Name == "payload":
		return pick(`'{"a": 1, "tags": ["x", "y"], "name": "Ann"}'`, `'{"a": 2, "tags": [], "name": "bob"}'`, `'{"a": null, "tags": ["y", "x", "x"]}'`,
			`'{"a": 1.50, "name": "Émile", "tags": ["é"]}'`)
	case c.Type == feature.TypeString:
		return pick("'a'", "'b'", "'A'", "'aé'", "'c d'", "'10'", "'9'")
	}
	return fmt.Sprintf("(%d / 4.0)::numeric", r.IntN(40))
}
