package main

import (
	"testing"
	"time"

	"github.com/headwaterhq/headwater/offline"
)

func TestViewConfig(t *testing.T) {
	for _, c := range []struct {
		config viewConfig
		want   offline.Bounds
		err    string
	}{
		{viewConfig{}, offline.Bounds{Timeout: time.Hour, WorkMemory: 64 << 20}, ""},
		{viewConfig{Timeout: "90s", WorkMem: "512kB", TempFiles: "10 GB"},
			offline.Bounds{Timeout: 90 * time.Second, WorkMemory: 512 << 10, TempFiles: 10 << 30}, ""},
		{viewConfig{Timeout: "0"}, offline.Bounds{}, `HEADWATER_VIEW_TIMEOUT (view_timeout): found "0", expected a duration such as 1h or 90s`},
		{viewConfig{Timeout: "an hour"}, offline.Bounds{},
			`HEADWATER_VIEW_TIMEOUT (view_timeout): found "an hour", expected a duration such as 1h or 90s`},
		{viewConfig{Timeout: "1000h"}, offline.Bounds{}, "the timeout of views' SQL: found 1000h0m0s, expected from 1ms to 576h0m0s"},
		{viewConfig{WorkMem: "64"}, offline.Bounds{},
			`HEADWATER_VIEW_WORK_MEM (view_work_mem): found "64", expected a size such as 64MB (kB, MB or GB)`},
		{viewConfig{WorkMem: "1kB"}, offline.Bounds{}, "the work memory of views' SQL: found 1024 bytes, expected from 64kB to 2047GB"},
		{viewConfig{TempFiles: "-1MB"}, offline.Bounds{},
			`HEADWATER_VIEW_TEMP_FILES (view_temp_files): found "-1MB", expected a size such as 64MB (kB, MB or GB)`},
	} {
		found, err := c.config.bounds()
		if c.err == "" && (err != nil || found != c.want) {
			t.Errorf("%+v: found %+v, %v, expected %+v", c.config, found, err, c.want)
		}
		if c.err != "" && (err == nil || err.Error() != c.err) {
			t.Errorf("%+v\nfound    %v\nexpected %s", c.config, err, c.err)
		}
	}
}

// The environment goes before the file.
func TestViewConfigOfTheEnvironment(t *testing.T) {
	t.Setenv("HEADWATER_VIEW_TIMEOUT", "5m")
	c := viewConfig{Timeout: "1h", WorkMem: "1MB"}
	c.readEnvironment()
	if c.Timeout != "5m" || c.WorkMem != "1MB" {
		t.Errorf("found %+v", c)
	}
}
