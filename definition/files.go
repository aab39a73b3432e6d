package definition

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/headwaterhq/headwater/internal/fault"
)

// maxFileSize is how many bytes one file of definitions may have: room for a query of the longest and more.
const maxFileSize = 2 << 20

// collect lists the files that paths stand for: a file stands for itself, a folder for the .yaml and .yml files in it
// and in its folders, in order of their names. What begins with a dot is left alone in folders. No file is listed twice.
func collect(paths []string) ([]string, []fault.Violation) {
	var files []string
	var violations []fault.Violation
	seen := map[string]bool{}
	add := func(path string) {
		key := path
		if absolute, err := filepath.Abs(path); err == nil {
			key = absolute
		}
		if !seen[key] {
			seen[key] = true
			files = append(files, path)
		}
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			violations = append(violations, unreadable(path, err))
			continue
		}
		if !info.IsDir() {
			add(path)
			continue
		}
		before := len(files)
		err = filepath.WalkDir(path, func(at string, entry fs.DirEntry, err error) error {
			switch extension := filepath.Ext(at); {
			case err != nil:
				violations = append(violations, unreadable(at, err))
				if entry != nil && entry.IsDir() {
					return fs.SkipDir
				}
			case at != path && strings.HasPrefix(entry.Name(), "."):
				if entry.IsDir() {
					return fs.SkipDir
				}
			case !entry.IsDir() && (extension == ".yaml" || extension == ".yml"):
				if v := outside(path, at); v != nil {
					violations = append(violations, *v)
					break
				}
				add(at)
			}
			return nil
		})
		if err != nil {
			violations = append(violations, unreadable(path, err))
		}
		if len(files) == before && len(violations) == 0 {
			violations = append(violations, fault.Violation{File: path,
				Description: "found no .yaml or .yml file in this folder, expected definitions; name the folder or files that hold them"})
		}
	}
	return files, violations
}

func unreadable(path string, err error) fault.Violation {
	v := fault.Violation{File: path}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		v.Description = "found no such file or folder; check the path"
	case errors.Is(err, fs.ErrPermission):
		v.Description = "found a file or folder that may not be read; check its permissions"
	default:
		v.Description = fmt.Sprintf("cannot be read: %v", err)
	}
	return v
}

// outside says what is wrong with a file that was found in a folder, and that is not a file there: a link in a folder that came from others
// may lead to any file, parts of which would be in what is told of it. nil: nothing is.
func outside(folder, at string) *fault.Violation {
	root, err := filepath.EvalSymlinks(folder)
	var real string
	if err == nil {
		real, err = filepath.EvalSymlinks(at)
	}
	var info fs.FileInfo
	if err == nil {
		info, err = os.Stat(real)
	}
	if err != nil {
		v := unreadable(at, err)
		return &v
	}
	if within, err := filepath.Rel(root, real); err != nil || !filepath.IsLocal(within) {
		return &fault.Violation{File: at, Description: "found a link that leads out of the folder, expected a file in it; name the file that it leads to, if that is meant"}
	}
	if !info.Mode().IsRegular() {
		return &fault.Violation{File: at, Description: fmt.Sprintf("found something that is no file (%s), expected definitions; remove it or call it otherwise", info.Mode().Type())}
	}
	return nil
}

// readFile reads a file of definitions whole.
func readFile(path string) ([]byte, *fault.Violation) {
	f, err := os.Open(path)
	if err != nil {
		v := unreadable(path, err)
		return nil, &v
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		v := unreadable(path, err)
		return nil, &v
	}
	if len(data) > maxFileSize {
		return nil, &fault.Violation{File: path, Description: fmt.Sprintf(
			"found a file of more than %d MB, expected definitions of less; split it", maxFileSize>>20)}
	}
	return data, nil
}
