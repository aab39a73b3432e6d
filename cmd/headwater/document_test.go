package main

import (
	"os"
	"path/filepath"
	"testing"
)

// A form that cannot show the result is refused before the deed, not after it.
func TestFormIsCheckedFirst(t *testing.T) {
	c := &canned{}
	do := c.serve(t)
	out := filepath.Join(t.TempDir(), "out.parquet")
	spine := file(t, "spine.csv", "origin,timestamp\nORD,2001-01-01\n")
	for _, args := range [][]string{
		{"loads", "retract", "7", "--reason", "wrong file"},
		{"loads", "show", "7"},
		{"runs", "show", "7"},
		{"describe", "entity", "airport"},
		{"dataset", "build", "--service", "s", "--spine", spine, "--out", out},
		{"dataset", "fetch", "delays@1", "--out", out},
		{"dataset", "show", "delays@1"},
	} {
		do(append(args, "-o", "csv")...).expect(t, exitUsage, "", "headwater: found -o csv, expected table or json: this result is not one table\n")
		if len(c.tokens) > 0 {
			t.Errorf("headwater %v asked the server first", args)
			c.tokens = nil
		}
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a file was written")
	}
}
