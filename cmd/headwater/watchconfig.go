package main

import (
	"os"
	"strconv"
	"time"

	"github.com/headwaterhq/headwater/internal/tracing"
	"github.com/headwaterhq/headwater/server"
)

// watchConfig says which reads a server logs and traces, and what it keeps of them in memory. Empty: the server's defaults.
type watchConfig struct {
	// SlowRead is a duration (HEADWATER_SLOW_READ), ReadCache a size (HEADWATER_READ_CACHE).
	SlowRead  string `yaml:"slow_read"`
	ReadCache string `yaml:"read_cache"`
	// OTLPEndpoint is a URL (HEADWATER_OTLP_ENDPOINT), TraceShare a number from 0 to 1 (HEADWATER_TRACE_SHARE).
	OTLPEndpoint string `yaml:"otlp_endpoint"`
	TraceShare   string `yaml:"trace_share"`
}

func (c *watchConfig) readEnvironment() {
	for name, field := range map[string]*string{
		"HEADWATER_SLOW_READ":     &c.SlowRead,
		"HEADWATER_READ_CACHE":    &c.ReadCache,
		"HEADWATER_OTLP_ENDPOINT": &c.OTLPEndpoint,
		"HEADWATER_TRACE_SHARE":   &c.TraceShare,
	} {
		if v := os.Getenv(name); v != "" {
			*field = v
		}
	}
}

// apply puts what is given into a server's configuration, or is a usage fault that says what of it cannot be.
func (c *watchConfig) apply(to *server.Config) error {
	if c.SlowRead != "" {
		d, err := time.ParseDuration(c.SlowRead)
		if err != nil || d < time.Microsecond || d > time.Hour {
			return usagef("HEADWATER_SLOW_READ (slow_read): found %q, expected a duration from 1us to 1h, such as 50ms", c.SlowRead)
		}
		to.SlowRead = d
	}
	if c.ReadCache != "" {
		n, ok := parseSize(c.ReadCache)
		if !ok || n < 1<<20 || n > 1<<40 {
			return usagef("HEADWATER_READ_CACHE (read_cache): found %q, expected a size from 1MB, such as 64MB", c.ReadCache)
		}
		to.ReadCacheBytes = int(n)
	}
	to.OTLPEndpoint, to.TraceShare = c.OTLPEndpoint, tracing.DefaultShare
	if c.TraceShare != "" {
		share, err := strconv.ParseFloat(c.TraceShare, 64)
		if err != nil || !(share >= 0 && share <= 1) {
			return usagef("HEADWATER_TRACE_SHARE (trace_share): found %q, expected a number from 0 to 1, such as 0.01", c.TraceShare)
		}
		to.TraceShare = share
	}
	return nil
}
