package openlineage

import (
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestNames(t *testing.T) {
	for url, want := range map[string]Database{
		"postgres://me:secret@DB.example.com:6432/warehouse?sslmode=disable": {"postgres://DB.example.com:6432", "warehouse"},
		"postgres://me@[::1]/warehouse":                                      {"postgres://[::1]:5432", "warehouse"},
		"host=/var/run/postgresql dbname=warehouse user=me":                  {"postgres://localhost:5432", "warehouse"},
	} {
		config, err := pgx.ParseConfig(url)
		if err != nil {
			t.Fatal(err)
		}
		if got := DatabaseOf(config); got != want {
			t.Errorf("%s: found %v, expected %v", url, got, want)
		}
	}
	for url, want := range map[string]string{
		"redis://me:se@cret@cache:6380/3":             "redis://cache:6380",
		"rediss://cache":                              "redis://cache:6379",
		"redis://node2:6379,node1:6379?timeout=1s":    "redis://node1:6379",
		"redis://:secret@[fd00::1]:7000,[fd00::2]:70": "redis://[fd00::1]:7000",
	} {
		if got := RedisNamespace(url); got != want {
			t.Errorf("%s: found %s, expected %s", url, got, want)
		}
	}
	n := Names{Namespace: "headwater", Postgres: Database{"postgres://db:5432", "hw"}, Redis: "redis://cache:6379", RedisPrefix: "hw",
		Sources: map[string]Database{"warehouse": {"postgres://wh:5433", "dwh"}}}
	for _, c := range []struct {
		got  Name
		want Name
	}{
		{n.history("delays", 2), Name{"postgres://db:5432", "hw.headwater_history.delays_v2"}},
		{n.landing("flights"), Name{"postgres://db:5432", "hw.headwater_landing.flights"}},
		{n.table("", "", "flights"), Name{"postgres://db:5432", "hw.public.flights"}},
		{n.table("warehouse", "air", "flights"), Name{"postgres://wh:5433", "dwh.air.flights"}},
		{n.table("unknown", "air", "flights"), Name{"postgres://unknown", "unknown.air.flights"}},
		{n.online("airport", "delays", 2), Name{"redis://cache:6379", "hw:airport/delays@2"}},
		{n.dataset("training"), Name{"headwater", "dataset.training"}},
	} {
		if c.got != c.want {
			t.Errorf("found %v, expected %v", c.got, c.want)
		}
	}
}

func TestCodeLocationsHaveNoSecrets(t *testing.T) {
	m := newMaker("v1")
	for origin, want := range map[string]string{
		"https://me:token@git.example.com/f/blob/0a1b/f.yaml?key=1#L3": "https://git.example.com/f/blob/0a1b/f.yaml#L3",
		"0a1b2c":                  "",
		"ssh://git.example.com/f": "",
	} {
		facet, ok := m.codeLocation(origin)
		if facet.URL != want || ok != (want != "") {
			t.Errorf("%s: found %q, expected %q", origin, facet.URL, want)
		}
	}
}
