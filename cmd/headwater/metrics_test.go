package main

import (
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// scrape reads the metrics of a server.
func scrape(t *testing.T, address string) string {
	t.Helper()
	resp, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("found status %d, %v and %s", resp.StatusCode, err, body)
	}
	return string(body)
}

func TestRunsAreToldToPrometheusAndMeasured(t *testing.T) {
	t.Parallel()
	address := freeAddress(t)
	w := openShop(t, startServe(t, testenv.EmptyPostgresURL(t), testenv.RedisURL(t), metricsListenVariable+"="+address))
	// A row without a key: the run of ratios fails, and the next one without that load is published.
	w.must(t, "ingest", "sales", file(t, "keyless.csv", "at,shop,amount,kind\n2001-01-01 12:05,a,1,keyless\n"))
	w.run("materialize", "ratios", "--wait").expect(t, exitFailed, "*", "*")
	if lines := strings.Split(w.must(t, "quality"), "\n"); !strings.HasPrefix(lines[0], "NODE") || !regexp.MustCompile(`^view:ratios@1 +0 +checks .*the run failed`).MatchString(lines[1]) {
		t.Errorf("found\n%s", strings.Join(lines, "\n"))
	}
	w.must(t, "loads", "retract", "2", "--reason", "a sale of no shop")
	w.must(t, "materialize", "ratios", "--wait")

	lines := []string{
		`headwater_runs_ended_total{state="failed",view="ratios@1"} 1`,
		`headwater_runs_ended_total{state="published",view="ratios@1"} 2`,
		`headwater_runs_ended_total{state="published",view="totals@1"} 1`,
		`headwater_run_duration_seconds_count{state="published",view="ratios@1"} 2`,
		`headwater_run_rows_total{bucket="read",view="totals@1"} 6`,
		`headwater_run_rows_total{bucket="inserted",view="totals@1"} 4`,
		`headwater_online_load_rows_total{result="written",view="totals@1"} 2`,
		`headwater_view_live_rows{view="totals@1"} 4`,
		`headwater_runs_queued{view="totals@1"} 0`,
	}
	// A run is counted a moment after it has ended for who waits for it.
	text := scrape(t, address)
	isMissing := func(line string) bool { return !strings.Contains(text, line+"\n") }
	for deadline := time.Now().Add(time.Minute); slices.ContainsFunc(lines, isMissing) && time.Now().Before(deadline); text = scrape(t, address) {
		time.Sleep(10 * time.Millisecond)
	}
	for _, line := range lines {
		if isMissing(line) {
			t.Errorf("found no line %s in\n%s", line, grepped(text, line[:strings.Index(line, "{")]))
		}
	}
	for _, name := range []string{
		`headwater_view_published_age_seconds{view="ratios@1"} `, `headwater_view_covered_lag_seconds{view="ratios@1"} `,
		`headwater_view_online_newest_age_seconds{view="ratios@1"} `, `headwater_view_online_run_age_seconds{view="ratios@1"} `,
		`headwater_run_phase_duration_seconds_sum{phase=`, `process_resident_memory_bytes `,
	} {
		if !strings.Contains(text, "\n"+name) {
			t.Errorf("found no %s", name)
		}
	}

	if out := w.must(t, "describe", "view", "totals"); !regexp.MustCompile(`(?m)^online +run 1, published 20\S+Z, newest event time 2001-\S+Z, \S+ old$`).MatchString(out) {
		t.Errorf("found\n%s", out)
	}

	var stats headwaterv1.RunStatsResponse
	w.ask(t, &stats, "runs", "stats", "--view", "ratios")
	if len(stats.Views) != 1 {
		t.Fatalf("found %v, expected one view", stats.Views)
	}
	s := stats.Views[0]
	if s.Published != 2 || s.Failed != 1 || s.GetSuccessRate() < 0.66 || s.GetSuccessRate() > 0.67 || s.RecoverSeconds == nil ||
		!strings.Contains(s.LastError, "join key") {
		t.Errorf("found %v", s)
	}
	if out := w.must(t, "runs", "stats"); !strings.Contains(out, "totals@1") || !strings.Contains(out, "66.7%") {
		t.Errorf("found\n%s", out)
	}
	w.run("runs", "stats", "--since", "2999-01-01").expect(t, exitUsage, "", "*")

	// Runs of a view over time, with a line of bars, and as JSON.
	if out := w.must(t, "quality", "ratios", "--since", "2001-01-01"); !regexp.MustCompile(`^2001-01-01T00:00:00Z ▏ *[▁▂▃▄▅▆▇█]▕ now [0-9]+`).MatchString(out) || strings.Count(out, "\nview:ratios@1 ") != 3 ||
		!strings.Contains(out, "the run failed") {
		t.Errorf("found\n%s", out)
	}
	var quality headwaterv1.GetQualityResponse
	w.ask(t, &quality, "quality", "source:sales")
	if len(quality.GetNodes()) != 1 || len(quality.GetHistory()) == 0 || quality.GetNodes()[0].GetParts()[1].GetName() != "quarantine" {
		t.Errorf("found %v", &quality)
	}
	if out := w.must(t, "quality", "--kind", "service"); strings.Contains(out, "view:ratios@1 ") || strings.Contains(out, "source:") {
		t.Errorf("found\n%s", out)
	}
	w.run("quality", "source:sales", "--kind", "view").expect(t, exitUsage, "", "headwater: found --kind view with a NODE, expected one of them\n")
	w.run("quality", "--kind", "load").expect(t, exitUsage, "", "*")
}

// grepped is the lines of text that begin with name.
func grepped(text, name string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, name) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// Profiles are there for who asked for them, and for nobody else.
func TestProfilesAreServedWhereTheyAreWanted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		profiles string
		status   int
	}{{"on", http.StatusOK}, {"off", http.StatusNotFound}} {
		address := freeAddress(t)
		startServe(t, testenv.EmptyPostgresURL(t), testenv.RedisURL(t), metricsListenVariable+"="+address, metricsProfilesVariable+"="+c.profiles)
		scrape(t, address)
		resp, err := http.Get("http://" + address + "/debug/pprof/allocs")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if body, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != c.status || len(body) == 0 {
			t.Errorf("profiles %s: found status %d, %d bytes and %v, expected %d", c.profiles, resp.StatusCode, len(body), err, c.status)
		}
	}
	if _, err := wantsProfiles("yes"); err == nil || err.Error() != `HEADWATER_METRICS_PROFILES (metrics_profiles): found "yes", expected on or off` {
		t.Errorf("found %v", err)
	}
}
