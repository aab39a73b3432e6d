package main

import (
	"math"
	"os"
	"strconv"
	"time"

	"github.com/headwaterhq/headwater/server"
)

// resultsConfig is about what is kept of the past: results of datasets, so that they need not be computed again, and history.
type resultsConfig struct {
	// Dir is their folder (HEADWATER_RESULTS_DIR). Empty: none is kept.
	Dir string `yaml:"results_dir"`
	// Bytes is a size (HEADWATER_RESULTS_BYTES), Days a number (HEADWATER_RESULTS_DAYS). Empty: the defaults of package dataset.
	Bytes string `yaml:"results_bytes"`
	Days  string `yaml:"results_days"`
	// HistoryRetention is a number of days or a duration (HEADWATER_HISTORY_RETENTION). Empty: each collection says it.
	HistoryRetention string `yaml:"history_retention"`
}

func (c *resultsConfig) readEnvironment() {
	for name, field := range map[string]*string{
		"HEADWATER_RESULTS_DIR":       &c.Dir,
		"HEADWATER_RESULTS_BYTES":     &c.Bytes,
		"HEADWATER_RESULTS_DAYS":      &c.Days,
		"HEADWATER_HISTORY_RETENTION": &c.HistoryRetention,
	} {
		if v := os.Getenv(name); v != "" {
			*field = v
		}
	}
}

// apply sets what a server is to keep, or is a usage fault that says which of the texts cannot be.
func (c *resultsConfig) apply(to *server.Config) error {
	to.ResultsDir = c.Dir
	if c.Bytes != "" {
		n, ok := parseSize(c.Bytes)
		if !ok {
			return usagef("HEADWATER_RESULTS_BYTES (results_bytes): found %q, expected a size such as 10GB (kB, MB or GB)", c.Bytes)
		}
		to.ResultsBytes = n
	}
	if c.Days != "" {
		const day = 24 * time.Hour
		n, err := strconv.Atoi(c.Days)
		if err != nil || n < 1 || n > int(math.MaxInt64/day) {
			return usagef("HEADWATER_RESULTS_DAYS (results_days): found %q, expected a number of days, 1 or more", c.Days)
		}
		to.ResultsAge = time.Duration(n) * day
	}
	if c.HistoryRetention != "" {
		d, ok := parseAge(c.HistoryRetention)
		if !ok || d == 0 {
			return usagef("HEADWATER_HISTORY_RETENTION (history_retention): found %q, expected a number of days or a duration, such as 90d or 36h",
				c.HistoryRetention)
		}
		to.HistoryRetention = d
	}
	return nil
}
