package main

import (
	"testing"
	"time"

	"github.com/headwaterhq/headwater/server"
)

func TestResultsConfig(t *testing.T) {
	for _, c := range []struct {
		config resultsConfig
		bytes  int64
		age    time.Duration
		err    string
	}{
		{config: resultsConfig{Dir: "r"}},
		{config: resultsConfig{Dir: "r", Bytes: "2GB", Days: "30"}, bytes: 2 << 30, age: 30 * 24 * time.Hour},
		{config: resultsConfig{Bytes: "10"}, err: `HEADWATER_RESULTS_BYTES (results_bytes): found "10", expected a size such as 10GB (kB, MB or GB)`},
		{config: resultsConfig{Days: "0"}, err: `HEADWATER_RESULTS_DAYS (results_days): found "0", expected a number of days, 1 or more`},
		{config: resultsConfig{Days: "200000"}, err: `HEADWATER_RESULTS_DAYS (results_days): found "200000", expected a number of days, 1 or more`},
		{config: resultsConfig{HistoryRetention: "0d"},
			err: `HEADWATER_HISTORY_RETENTION (history_retention): found "0d", expected a number of days or a duration, such as 90d or 36h`},
	} {
		var found server.Config
		err := c.config.apply(&found)
		if c.err != "" {
			if err == nil || err.Error() != c.err {
				t.Errorf("%+v\nfound    %v\nexpected %s", c.config, err, c.err)
			}
			continue
		}
		if err != nil || found.ResultsDir != c.config.Dir || found.ResultsBytes != c.bytes || found.ResultsAge != c.age {
			t.Errorf("%+v: found %+v, %v", c.config, found, err)
		}
	}
}

func TestAges(t *testing.T) {
	for text, want := range map[string]time.Duration{"90d": 90 * 24 * time.Hour, "36h": 36 * time.Hour, "0": 0, "0d": 0} {
		if d, ok := parseAge(text); !ok || d != want {
			t.Errorf("%s: found %s, %t", text, d, ok)
		}
	}
	for _, text := range []string{"", "d", "-1d", "-1h", "90", "1.5d", "9999999d"} {
		if d, ok := parseAge(text); ok {
			t.Errorf("%q: found %s, expected that it is refused", text, d)
		}
	}
}
