package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow/ipc"
)

//go:embed requirements.txt
var requirements []byte

//go:embed asof.py
var asof []byte

// python is the interpreter of an environment with the packages of requirements.txt, made when it is not there.
func (b *bench) python(ctx context.Context) (string, error) {
	environment, err := filepath.Abs(b.venv)
	if err != nil {
		return "", err
	}
	interpreter := filepath.Join(environment, "bin", "python")
	pinned := filepath.Join(environment, "requirements.txt")
	if have, err := os.ReadFile(pinned); err == nil && bytes.Equal(have, requirements) {
		return interpreter, nil
	}
	if out, err := exec.CommandContext(ctx, "python3", "-m", "venv", "--clear", environment).CombinedOutput(); err != nil {
		return "", fmt.Errorf("python3 -m venv %s: %w; install Python 3 with its venv module\n%s", environment, err, out)
	}
	// What is written last says that the packages are there.
	installing := pinned + ".new"
	if err := os.WriteFile(installing, requirements, 0o600); err != nil {
		return "", err
	}
	if out, err := exec.CommandContext(ctx, interpreter, "-m", "pip", "install", "--quiet", "-r", installing).CombinedOutput(); err != nil {
		return "", fmt.Errorf("pip install -r %s: %w\n%s", installing, err, out)
	}
	return interpreter, os.Rename(installing, pinned)
}

// duckdb measures DuckDB's ASOF JOIN of the same spine and history from Python, with the history in DuckDB already, and with
// what it takes to get it there.
func (b *bench) duckdb(ctx context.Context) error {
	interpreter, err := b.python(ctx)
	if err != nil {
		return err
	}
	script, spineFile := filepath.Join(b.servers.Folder, "asof.py"), filepath.Join(b.servers.Folder, "spine.arrows")
	if err := os.WriteFile(script, asof, 0o600); err != nil {
		return err
	}
	if err := writeSpine(spineFile, b.spine); err != nil {
		return err
	}
	var stderr bytes.Buffer
	command := exec.CommandContext(ctx, interpreter, script, b.servers.Postgres.URL(), historyTable(views[0]),
		strings.Join(featureNames(), ","), spineFile, filepath.Join(b.servers.Folder, "asof.arrows"))
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, stderr.String())
	}
	var found struct {
		HistoryRows int     `json:"history_rows"`
		Get         float64 `json:"get_s"`
		Join        float64 `json:"join_s"`
	}
	if err := json.Unmarshal(out, &found); err != nil {
		return err
	}
	if found.HistoryRows != b.history {
		return fmt.Errorf("found %d rows of history in DuckDB, expected %d", found.HistoryRows, b.history)
	}
	seconds := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	b.row("DuckDB: history out of Postgres", seconds(found.Get), b.history)
	b.row("DuckDB: ASOF JOIN to Arrow on disk", seconds(found.Join), len(b.spine))
	if b.pit > 0 {
		fmt.Printf("    ASOF JOIN alone: %.2f times the dataset's time\n", found.Join/b.pit.Seconds())
		b.ratio("duckdb_total_vs_pit", (found.Get+found.Join)/b.pit.Seconds(), "times the dataset's time, both together, 1 or more")
	}
	return nil
}

func writeSpine(path string, rows []spineRow) (err error) {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	spine := arrowOf(rows)
	w := ipc.NewWriter(file, ipc.WithSchema(spine.Schema))
	for batch, err := range spine.Batches {
		if err != nil {
			return err
		}
		if err := w.Write(batch); err != nil {
			return err
		}
	}
	return w.Close()
}
