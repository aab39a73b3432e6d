package main

import (
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/headwaterhq/headwater/offline"
)

// viewConfig is what the SQL of a view may take, each time it runs.
type viewConfig struct {
	// Timeout is a duration (HEADWATER_VIEW_TIMEOUT); WorkMem (HEADWATER_VIEW_WORK_MEM) and TempFiles
	// (HEADWATER_VIEW_TEMP_FILES) are sizes. Empty: offline's defaults.
	Timeout   string `yaml:"view_timeout"`
	WorkMem   string `yaml:"view_work_mem"`
	TempFiles string `yaml:"view_temp_files"`
}

func (c *viewConfig) readEnvironment() {
	for name, field := range map[string]*string{
		"HEADWATER_VIEW_TIMEOUT":    &c.Timeout,
		"HEADWATER_VIEW_WORK_MEM":   &c.WorkMem,
		"HEADWATER_VIEW_TEMP_FILES": &c.TempFiles,
	} {
		if v := os.Getenv(name); v != "" {
			*field = v
		}
	}
}

// bounds reads the texts, or is a usage fault that says which of them cannot be.
func (c *viewConfig) bounds() (offline.Bounds, error) {
	b := offline.Bounds{Timeout: offline.DefaultTimeout, WorkMemory: offline.DefaultWorkMemory}
	if c.Timeout != "" {
		d, err := time.ParseDuration(c.Timeout)
		if err != nil || d <= 0 {
			return b, usagef("HEADWATER_VIEW_TIMEOUT (view_timeout): found %q, expected a duration such as 1h or 90s", c.Timeout)
		}
		b.Timeout = d
	}
	for _, size := range []struct {
		name, text string
		to         *int64
	}{
		{"HEADWATER_VIEW_WORK_MEM (view_work_mem)", c.WorkMem, &b.WorkMemory},
		{"HEADWATER_VIEW_TEMP_FILES (view_temp_files)", c.TempFiles, &b.TempFiles},
	} {
		if size.text == "" {
			continue
		}
		n, ok := parseSize(size.text)
		if !ok {
			return b, usagef("%s: found %q, expected a size such as 64MB (kB, MB or GB)", size.name, size.text)
		}
		*size.to = n
	}
	if err := b.Check(); err != nil {
		return b, usagef("%v", err)
	}
	return b, nil
}

// parseSize reads a whole number with a unit, as Postgres writes sizes.
func parseSize(s string) (bytes int64, ok bool) {
	for unit, shift := range map[string]uint{"kB": 10, "MB": 20, "GB": 30} {
		if digits, found := strings.CutSuffix(s, unit); found {
			n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
			return n << shift, err == nil && n > 0 && n <= 1<<32
		}
	}
	return 0, false
}
