package localserver_test

import (
	"os"
	"path/filepath"
	"testing"
)

// What a server keeps is for its owner, whatever the modes that its own files get.
func TestDataIsPrivate(t *testing.T) {
	dir := filepath.Join(folder(t), "redis")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	startRedis(t, dir, true)
	postgres := filepath.Join(folder(t), "postgres")
	startPostgres(t, postgres, false)
	for _, private := range []string{dir, filepath.Join(postgres, "data")} {
		info, err := os.Stat(private)
		if err != nil {
			t.Fatal(err)
		}
		if found := info.Mode().Perm(); found&0o077 != 0 {
			t.Errorf("%s has mode %o, expected none for others", private, found)
		}
	}
	entries, err := os.ReadDir(postgres)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if found := info.Mode().Perm(); !e.IsDir() && found&0o077 != 0 {
			t.Errorf("%s has mode %o, expected none for others", e.Name(), found)
		}
	}
}
