package main

import (
	"os"
	"time"

	"github.com/headwaterhq/headwater/server"
)

// readLogConfig is about the log of online reads, and what is kept beside it of the predictions that were made of them.
type readLogConfig struct {
	// ReadLogDir is a folder of this process's own for reads on their way to Postgres (HEADWATER_READ_LOG_DIR). Empty: the audit
	// folder's name with `-reads` behind it.
	ReadLogDir string `yaml:"read_log_dir"`
	// ReadLogBytes is a size (HEADWATER_READ_LOG_BYTES), ReadLogRetention a number of days or a duration
	// (HEADWATER_READ_LOG_RETENTION). Empty: the defaults of package readlog.
	ReadLogBytes     string `yaml:"read_log_bytes"`
	ReadLogRetention string `yaml:"read_log_retention"`
	// FeedbackRetention is a number of days or a duration (HEADWATER_FEEDBACK_RETENTION). Empty: the default of package quality/feedback.
	FeedbackRetention string `yaml:"feedback_retention"`
}

func (c *readLogConfig) readEnvironment() {
	for name, field := range map[string]*string{
		"HEADWATER_READ_LOG_DIR":       &c.ReadLogDir,
		"HEADWATER_READ_LOG_BYTES":     &c.ReadLogBytes,
		"HEADWATER_READ_LOG_RETENTION": &c.ReadLogRetention,
		"HEADWATER_FEEDBACK_RETENTION": &c.FeedbackRetention,
	} {
		if v := os.Getenv(name); v != "" {
			*field = v
		}
	}
}

// apply sets how reads are kept, or is a usage fault that says which of the texts cannot be.
func (c *readLogConfig) apply(to *server.Config) error {
	if c.ReadLogDir != "" {
		to.ReadLogDir = c.ReadLogDir
	}
	if c.ReadLogBytes != "" {
		n, ok := parseSize(c.ReadLogBytes)
		if !ok {
			return usagef("HEADWATER_READ_LOG_BYTES (read_log_bytes): found %q, expected a size such as 1GB (kB, MB or GB)", c.ReadLogBytes)
		}
		to.ReadLogBytes = n
	}
	if c.ReadLogRetention != "" {
		d, ok := parseAge(c.ReadLogRetention)
		if !ok || d < 24*time.Hour {
			return usagef("HEADWATER_READ_LOG_RETENTION (read_log_retention): found %q, expected a day or more, such as 90d", c.ReadLogRetention)
		}
		to.ReadLogRetention = d
	}
	if c.FeedbackRetention != "" {
		d, ok := parseAge(c.FeedbackRetention)
		if !ok || d < 24*time.Hour {
			return usagef("HEADWATER_FEEDBACK_RETENTION (feedback_retention): found %q, expected a day or more, such as 90d", c.FeedbackRetention)
		}
		to.FeedbackRetention = d
	}
	return nil
}
