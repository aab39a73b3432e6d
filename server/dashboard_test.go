package server

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/headwaterhq/headwater/internal/testenv"
)

var fullName = regexp.MustCompile(`fqName: "([^"]+)"`)

// metricNames are those that a server may tell Prometheus of, whether it has something to tell yet or not.
func (p *product) metricNames() (names []string) {
	descriptions := make(chan *prometheus.Desc)
	go func() {
		p.server.metrics.registry.Describe(descriptions)
		close(descriptions)
	}()
	for d := range descriptions {
		names = append(names, fullName.FindStringSubmatch(d.String())[1])
	}
	return names
}

// What is alerted on, drawn and documented is there.
func TestMetricsThatAreNamedExist(t *testing.T) {
	p := openProductWith(t, Config{PostgresURL: testenv.PostgresURL(t), RedisURL: testenv.RedisURL(t), ResultsDir: t.TempDir()})
	names := p.metricNames()
	exists := func(name string) bool {
		for _, suffix := range []string{"", "_bucket", "_sum", "_count"} {
			if base, ok := strings.CutSuffix(name, suffix); ok && slices.Contains(names, base) {
				return true
			}
		}
		return false
	}
	var dashboard struct {
		Templating struct {
			List []struct{ Query json.RawMessage }
		}
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	content, err := os.ReadFile("../deploy/grafana/headwater.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &dashboard); err != nil {
		t.Fatal(err)
	}
	metric := regexp.MustCompile(`\b(headwater|go|process)_[a-z_]+\b`)
	drawn := 0
	look := func(where, text string) {
		for _, name := range metric.FindAllString(text, -1) {
			drawn++
			if !exists(name) {
				t.Errorf("%s names %s, which no server has", where, name)
			}
		}
	}
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			look("panel "+panel.Title, target.Expr)
		}
	}
	for _, v := range dashboard.Templating.List {
		look("a variable", string(v.Query))
	}
	if drawn < 30 {
		t.Errorf("found %d names of metrics in the dashboard, expected them to be found", drawn)
	}
	alerts, err := os.ReadFile("../deploy/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(alerts)) {
		if expr, ok := strings.CutPrefix(strings.TrimSpace(line), "expr: "); ok {
			look("deploy/README.md", expr)
		}
	}
	documented, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasPrefix(name, "headwater_") && !strings.Contains(string(documented), "`"+name+"`") {
			t.Errorf("docs/metrics.md does not have %s", name)
		}
	}
}
