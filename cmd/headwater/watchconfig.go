package main

import (
	"os"
	"time"

	"github.com/headwaterhq/headwater/server"
)

// watchConfig says which reads a server logs, and what it keeps of them in memory. Empty: the server's defaults.
type watchConfig struct {
	// SlowRead is a duration (HEADWATER_SLOW_READ), ReadCache a size (HEADWATER_READ_CACHE).
	SlowRead  string `yaml:"slow_read"`
	ReadCache string `yaml:"read_cache"`
}

func (c *watchConfig) readEnvironment() {
	for name, field := range map[string]*string{
		"HEADWATER_SLOW_READ":  &c.SlowRead,
		"HEADWATER_READ_CACHE": &c.ReadCache,
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
	return nil
}
