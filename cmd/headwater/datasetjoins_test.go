package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

func TestDatasetBuildOfFeatures(t *testing.T) {
	c := &canned{}
	do := c.serve(t)
	spine := file(t, "spine.csv", "home,away,origin,gate,timestamp\n12,7,1,3,2001-01-01\nORD,JFK,,,2001-01-02\n")
	out := filepath.Join(t.TempDir(), "out.csv")
	build := func(args ...string) result {
		return do(append([]string{"dataset", "build", "--spine", spine, "--out", out}, args...)...)
	}
	build("--name", "few", "--feature", "airport_delays.mean,gate_delays@2.late", "--feature", "airport_delays.departures",
		"--join", "home_:origin=home@airport_delays", "--join", "away_:origin=away@airport_delays").expect(t, exitDone, "*", "")
	if got := fmt.Sprint(c.built.Features, c.built.Joins[0].Prefix, c.built.Joins[0].KeyMapping, c.built.Joins[0].Views, c.built.Joins[1].Prefix, c.built.Name); got !=
		"[airport_delays.mean gate_delays@2.late airport_delays.departures]home_map[origin:home] [airport_delays]away_few" {
		t.Errorf("found the header %s", got)
	}
	// The keys of joins are of their types, and those of the view that no join reads too: an origin is text.
	want := "home:utf8 away:utf8 origin:utf8 gate:int64 timestamp:timestamp\n12 7 1 3 2001-01-01T00:00:00Z\nORD JFK (null) (null) 2001-01-02T00:00:00Z"
	if c.spine != want {
		t.Errorf("found spine\n%s\nexpected\n%s", c.spine, want)
	}
	// With no views named, each that has the key is read so, and the key itself is no column of the spine.
	joined := file(t, "spine.csv", "home,gate,timestamp\n12,3,2001-01-01\n")
	do("dataset", "build", "--spine", joined, "--out", out, "--service", "delays", "--join", "home_:origin=home").expect(t, exitDone, "*", "")
	if want := "home:utf8 gate:int64 timestamp:timestamp\n12 3 2001-01-01T00:00:00Z"; c.spine != want {
		t.Errorf("found spine\n%s\nexpected\n%s", c.spine, want)
	}

	usage := "expected PREFIX:KEY=COLUMN[,KEY2=COLUMN2][@VIEW,VIEW2], such as home_:airport=home_airport\n"
	for _, join := range []string{"home_", ":origin=home", "home_:origin", "home_:", "home_:origin=a,origin=b", "home_:origin=home@", "home_:origin=home@a,"} {
		build("--service", "delays", "--join", join).expect(t, exitUsage, "", fmt.Sprintf("headwater: found --join %q, ", join)+usage)
	}
	build("--service", "delays", "--join", "home_:orign=home").expect(t, exitUsage, "", "headwater: --join home_: found key orign, expected one of service delays: gate, origin\n")
	build("--feature", "gate_delays.late", "--name", "x", "--key-mapping", "orign=home").expect(t, exitUsage, "",
		"headwater: --key-mapping: found key orign, expected one of the features: gate, origin\n")
	build("--feature", "gate_delays.late", "--service", "delays").expect(t, exitUsage, "", "headwater: found --service and --feature, expected one of the two\n")
	if r := build("--feature", "gate_delays.late"); r.code != exitUsage || !strings.Contains(r.err, "--name") {
		t.Errorf("found status %d and %s", r.code, r.err)
	}
	build("--feature", "gate_dlays.late", "--name", "x").expect(t, exitNotFound, "", "headwater: there is no view gate_dlays; `headwater list` shows what there is\n")

	// Who may not look at definitions has the file's own types.
	c.blind = true
	build("--name", "few", "--feature", "airport_delays.mean", "--join", "home_:origin=home").expect(t, exitDone, "*", "")
	if !strings.HasPrefix(c.spine, "home:utf8 away:utf8 origin:int64 gate:int64 timestamp:timestamp\n") {
		t.Errorf("found spine\n%s", c.spine)
	}
}

func TestDatasetBuildOfWhatIsNotCovered(t *testing.T) {
	do := (&canned{}).serve(t)
	spine, out := file(t, "spine.csv", "origin,gate,timestamp\nORD,7,2001-01-01\n"), filepath.Join(t.TempDir(), "out.csv")
	r := do("dataset", "build", "--service", "delays", "--spine", spine, "--out", out, "--allow-partial")
	r.expect(t, exitDone, "*", "WARNING: no run of view airport_delays@1 covers 2 rows of the spine, from 2001-02-03T04:05:06Z to 2001-02-04T00:00:00Z: values may be "+
		"missing that a later run has\n")
	if want := "\nnot covered\n  VIEW              ROWS  FIRST                 LAST\n  airport_delays@1     2  2001-02-03T04:05:06Z  2001-02-04T00:00:00Z\n"; !strings.Contains(r.out, want) {
		t.Errorf("found\n%s\nexpected %s", r.out, want)
	}
}

func TestDatasetBuildOfWhatMayLeak(t *testing.T) {
	c := &canned{}
	do := c.serve(t)
	spine, out := file(t, "spine.csv", "origin,gate,timestamp\nORD,7,2001-01-01\n"), filepath.Join(t.TempDir(), "out.csv")
	build := func(knowledge string) result {
		return do("dataset", "build", "--service", "delays", "--spine", spine, "--out", out, "--knowledge", knowledge)
	}
	r := build("event")
	r.expect(t, exitDone, "*", "WARNING: dataset delays@1 MAY LEAK: rows have values that arrived after their times, which no model has when it serves (knowledge event)\n")
	if want := "\nknowledge       event: VALUES MAY LEAK FROM THE FUTURE\n"; !strings.Contains(r.out, want) {
		t.Errorf("found\n%s\nexpected %s", r.out, want)
	}
	build("arrival").expect(t, exitDone, "*", "")
	build("all").expect(t, exitUsage, "", "headwater: found --knowledge \"all\", expected arrival or event\n")
	m := manifest("s0")
	m.MayLeak = true
	if got := stateText(m); got != "released, MAY LEAK" {
		t.Errorf("found %s", got)
	}
}

func TestManifestsOfFeatures(t *testing.T) {
	m := manifest("s0")
	m.Service, m.ServiceVersion = "", 0
	m.Features = []string{"airport_delays@1.departures"}
	m.Joins, _ = parseJoins([]string{"home_:origin=home@airport_delays,gate_delays"})
	text := ""
	for _, row := range manifestSections(m)[0].rows {
		text += strings.Join(row, " ") + "\n"
	}
	for _, want := range []string{"features 1\n", "join home_ origin is column home for views airport_delays, gate_delays\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("found\n%s\nexpected %s", text, want)
		}
	}
}
