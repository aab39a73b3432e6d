package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// profiled is how long a profile of processor time takes.
const profiled = 10 * time.Second

// profile writes profiles of the server while it is asked in the closed loop, and prints what takes most.
func (b *bench) profile(ctx context.Context, scrapes string) error {
	if err := os.MkdirAll(b.profiles, 0o755); err != nil {
		return err
	}
	for _, batch := range []int{1, 100} {
		file := filepath.Join(b.profiles, fmt.Sprintf("cpu-%d.pprof", batch))
		got := make(chan error, 1)
		go func() {
			got <- fetch(ctx, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", scrapes, int(profiled.Seconds())), file)
		}()
		s, err := measure(ctx, b.product, load{
			batch: batch, among: b.loaded, callers: b.callers, warm: warm, measured: profiled + time.Second,
		})
		if err != nil {
			return err
		}
		if err := <-got; err != nil {
			return err
		}
		memory := filepath.Join(b.profiles, fmt.Sprintf("allocs-%d.pprof", batch))
		if err := fetch(ctx, "http://"+scrapes+"/debug/pprof/allocs", memory); err != nil {
			return err
		}
		fmt.Printf("\n%d entities: %.0f requests/s, %.1f us of the server's processor each\n", batch, s.rate(), s.each(s.serverTime))
		for _, arguments := range [][]string{{"-top", "-nodecount=45", file}, {"-top", "-cum", "-nodecount=60", file}} {
			top := exec.CommandContext(ctx, "go", append([]string{"tool", "pprof"}, arguments...)...)
			top.Stdout, top.Stderr = os.Stdout, os.Stderr
			if err := top.Run(); err != nil {
				fmt.Printf("look at it with: go tool pprof -top %s\n", file)
				break
			}
		}
	}
	return nil
}

// fetch writes what is at a URL to a file.
func fetch(ctx context.Context, url, file string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: found status %s, expected 200", url, response.Status)
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer out.Close()
	_, err = io.Copy(out, response.Body)
	return err
}
