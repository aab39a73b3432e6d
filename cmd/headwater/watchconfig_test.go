package main

import (
	"testing"
	"time"

	"github.com/headwaterhq/headwater/server"
)

func TestWatchConfig(t *testing.T) {
	var got server.Config
	t.Setenv("HEADWATER_SLOW_READ", "20ms")
	c := watchConfig{SlowRead: "1s", ReadCache: "256MB"}
	c.readEnvironment()
	if err := c.apply(&got); err != nil || got.SlowRead != 20*time.Millisecond || got.ReadCacheBytes != 256<<20 {
		t.Errorf("found %s, %d, %v, expected what the environment says, and else the file", got.SlowRead, got.ReadCacheBytes, err)
	}
	for want, c := range map[string]watchConfig{
		`HEADWATER_SLOW_READ (slow_read): found "soon", expected a duration from 1us to 1h, such as 50ms`: {SlowRead: "soon"},
		`HEADWATER_SLOW_READ (slow_read): found "0s", expected a duration from 1us to 1h, such as 50ms`:   {SlowRead: "0s"},
		`HEADWATER_READ_CACHE (read_cache): found "1kB", expected a size from 1MB, such as 64MB`:          {ReadCache: "1kB"},
	} {
		if err := c.apply(&got); err == nil || err.Error() != want {
			t.Errorf("found %v, expected %s", err, want)
		}
	}
}
