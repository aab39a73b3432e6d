package main

import (
	"testing"
	"time"

	"github.com/headwaterhq/headwater/server"
)

func TestWatchConfig(t *testing.T) {
	var got server.Config
	t.Setenv("HEADWATER_SLOW_READ", "20ms")
	c := watchConfig{SlowRead: "1s", ReadCache: "256MB", OTLPEndpoint: "http://127.0.0.1:4317", TraceShare: "0.5"}
	c.readEnvironment()
	if err := c.apply(&got); err != nil || got.SlowRead != 20*time.Millisecond || got.ReadCacheBytes != 256<<20 ||
		got.OTLPEndpoint != "http://127.0.0.1:4317" || got.TraceShare != 0.5 {
		t.Errorf("found %+v, %v, expected what the environment says, and else the file", got, err)
	}
	var none server.Config
	if err := (&watchConfig{}).apply(&none); err != nil || none.OTLPEndpoint != "" || none.TraceShare != 0.01 || none.SlowRead != 0 || none.ReadCacheBytes != 0 {
		t.Errorf("found %+v, %v, expected the defaults", none, err)
	}
	for want, c := range map[string]watchConfig{
		`HEADWATER_SLOW_READ (slow_read): found "soon", expected a duration from 1us to 1h, such as 50ms`: {SlowRead: "soon"},
		`HEADWATER_SLOW_READ (slow_read): found "0s", expected a duration from 1us to 1h, such as 50ms`:   {SlowRead: "0s"},
		`HEADWATER_READ_CACHE (read_cache): found "1kB", expected a size from 1MB, such as 64MB`:          {ReadCache: "1kB"},
		`HEADWATER_TRACE_SHARE (trace_share): found "2", expected a number from 0 to 1, such as 0.01`:     {TraceShare: "2"},
	} {
		if err := c.apply(&got); err == nil || err.Error() != want {
			t.Errorf("found %v, expected %s", err, want)
		}
	}
}
