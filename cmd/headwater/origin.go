package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// origin says where definitions come from: `git:COMMIT` of the work tree that holds the paths, with ` with changes` behind it
// where they are not as they were committed; several, with commas, for paths in several work trees. Empty: in none, or git is
// not there.
func origin(ctx context.Context, paths []string) string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	git := func(folder string, args ...string) (string, error) {
		out, err := exec.CommandContext(ctx, "git", append([]string{"-C", folder}, args...)...).Output()
		return strings.TrimSpace(string(out)), err
	}
	var trees []string
	held := map[string][]string{}
	for _, path := range paths {
		absolute, err := filepath.Abs(path)
		if err != nil {
			continue
		}
		// Git knows of no links on the way to a work tree.
		if real, err := filepath.EvalSymlinks(absolute); err == nil {
			absolute = real
		}
		folder := absolute
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			folder = filepath.Dir(absolute)
		}
		tree, err := git(folder, "rev-parse", "--show-toplevel")
		if err != nil || tree == "" {
			continue
		}
		if !slices.Contains(trees, tree) {
			trees = append(trees, tree)
		}
		held[tree] = append(held[tree], absolute)
	}
	var origins []string
	for _, tree := range trees {
		commit, err := git(tree, "rev-parse", "HEAD")
		if err != nil || commit == "" {
			continue
		}
		text := "git:" + commit
		// Literal: a path with a star in its name is one path.
		args := append([]string{"--literal-pathspecs", "status", "--porcelain", "--"}, held[tree]...)
		if changed, err := git(tree, args...); err != nil || changed != "" {
			text += " with changes"
		}
		origins = append(origins, text)
	}
	return strings.Join(origins, ", ")
}
