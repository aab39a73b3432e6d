package testenv

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// Files are the texts of the files in a folder and in those within it, by path. The folder may be that of a running server: a file that is
// renamed or deleted between being listed and being read is left out.
func Files(t testing.TB, folder string) map[string]string {
	t.Helper()
	texts := map[string]string{}
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err == nil:
			texts[path] = string(text)
		}
		return err
	})
	if err != nil {
		t.Fatalf("testenv: %v", err)
	}
	return texts
}
