package main

import (
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

func TestDatasetBuildOfASpineThatIsRead(t *testing.T) {
	c := &canned{}
	do := c.serve(t)
	spine := file(t, "spine.csv", "origin,gate,timestamp\nORD,3,2001-01-01\n")
	out := filepath.Join(t.TempDir(), "out.csv")
	build := func(args ...string) result {
		return do(append([]string{"dataset", "build", "--service", "delays", "--out", out}, args...)...)
	}
	build("--spine", spine).expect(t, exitDone, "*", "")
	if c.built.GetSpine() != nil || c.built.GetTimestampColumn() != "timestamp" {
		t.Errorf("found header %v", c.built)
	}
	const sql = "SELECT origin, at AS timestamp\nFROM orders; -- 'all'"
	query := &headwaterv1.SpineQuery{Sql: sql, Sources: []string{"orders@2", "refunds", "more"}}
	for _, args := range [][]string{{"--spine-sql", sql}, {"--spine-sql-file", file(t, "spine.sql", sql)}} {
		build(append(args, "--spine-source", "orders@2,refunds", "--spine-source", "more")...).expect(t, exitDone, "*", "")
		if !proto.Equal(c.built.GetQuery(), query) || c.built.GetTimestampColumn() != "timestamp" {
			t.Errorf("found header %v\nexpected %v", c.built, query)
		}
	}
	build("--spine-events", "orders", "--from", "2001-01-01", "--to", "2001-01-02T03:04:05Z", "--spine-columns", "origin,gate").expect(t, exitDone, "*", "")
	events := &headwaterv1.SpineEvents{Source: "orders", From: at("2001-01-01T00:00:00Z"), To: at("2001-01-02T03:04:05Z"), Columns: []string{"origin", "gate"}}
	if !proto.Equal(c.built.GetEvents(), events) || c.built.GetTimestampColumn() != "" {
		t.Errorf("found header %v\nexpected %v", c.built, events)
	}
	build("--spine-events", "orders", "--timestamp", "seen").expect(t, exitDone, "*", "")
	if !proto.Equal(c.built.GetEvents(), &headwaterv1.SpineEvents{Source: "orders"}) || c.built.GetTimestampColumn() != "seen" {
		t.Errorf("found header %v", c.built)
	}

	for want, args := range map[string][]string{
		"`headwater dataset build` needs --spine, --spine-sql, --spine-sql-file or --spine-events; see `headwater dataset build --help`": {},
		"found --spine and --spine-events, expected one of them: a spine comes from one place":                                           {"--spine", spine, "--spine-events", "orders"},
		"found --spine-sql and --spine-sql-file, expected one of them: a spine comes from one place":                                     {"--spine-sql", sql, "--spine-sql-file", spine},
		"found --spine-sql without --spine-source, expected the sources that it reads":                                                   {"--spine-sql", sql},
		"--spine-sql: found no SQL, expected a SELECT":                                                                                   {"--spine-sql", " ", "--spine-source", "orders"},
		"found --spine-source beside --spine-events, expected it with --spine-sql or --spine-sql-file only":                              {"--spine-events", "orders", "--spine-source", "orders"},
		"found --from beside --spine-sql, expected it with --spine-events only":                                                          {"--spine-sql", sql, "--spine-source", "orders", "--from", "2001-01-01"},
		"found --spine-columns beside --spine, expected it with --spine-events only":                                                     {"--spine", spine, "--spine-columns", "a"},
		"found --format beside --spine-events, expected it with --spine only":                                                            {"--spine-events", "orders", "--format", "csv"},
	} {
		build(args...).expect(t, exitUsage, "", "headwater: "+want+"\n")
	}
	if r := build("--spine-events", "orders", "--to", "soon"); r.code != exitUsage || !strings.HasPrefix(r.err, "headwater: --to: ") {
		t.Errorf("found status %d and %s", r.code, r.err)
	}
	build("--spine-sql-file", "gone.sql", "--spine-source", "orders").expect(t, exitNotFound, "", "headwater: gone.sql: the spine's SQL cannot be read; check the path\n")
}

func TestManifestsOfSpinesThatWereRead(t *testing.T) {
	shown := func(o *headwaterv1.SpineOrigin) string {
		m := manifest("s0")
		m.SpineOrigin = o
		var lines []string
		for _, row := range manifestSections(m)[0].rows {
			if strings.HasPrefix(row[0], "spine") && row[0] != "spine digest" {
				lines = append(lines, strings.Join(row, " "))
			}
		}
		return strings.Join(lines, "\n")
	}
	sources := []*headwaterv1.SpineSource{{Source: "orders", Version: 2, LoadNumber: 7}, {Source: "others", Version: 1}}
	want := "spine query of orders@2 up to load number 7, others@1\nspine sql SELECT a FROM b"
	if got := shown(&headwaterv1.SpineOrigin{Sql: "SELECT a\n  FROM b", Sources: sources}); got != want {
		t.Errorf("found\n%s\nexpected\n%s", got, want)
	}
	events := &headwaterv1.SpineEvents{Source: "orders@2", From: at("2001-01-01T00:00:00Z"), To: at("2001-01-02T00:00:00Z")}
	want = "spine events of orders@2 up to load number 7 [2001-01-01T00:00:00Z, 2001-01-02T00:00:00Z)"
	if got := shown(&headwaterv1.SpineOrigin{Events: events, Sources: sources[:1]}); got != want {
		t.Errorf("found\n%s\nexpected\n%s", got, want)
	}
	if got := shown(nil); got != "" {
		t.Errorf("found %s", got)
	}
}
