package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// progress is one line on a terminal that says how far long work is. On anything else than a terminal it says nothing.
type progress struct {
	to    io.Writer
	label string
	last  time.Time
	shown bool
}

const (
	barWidth      = 30
	progressEvery = 100 * time.Millisecond
)

func (a *app) progress(label string) *progress {
	p := &progress{label: label}
	if f, ok := a.err.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			p.to = f
		}
	}
	return p
}

// show draws a bar of a share from 0 to 1, and some words; without a bar when the share is negative.
func (p *progress) show(share float64, words string) {
	if p.to == nil || time.Since(p.last) < progressEvery {
		return
	}
	p.last, p.shown = time.Now(), true
	bar := ""
	if share >= 0 {
		full := int(min(share, 1) * barWidth)
		bar = "[" + strings.Repeat("#", full) + strings.Repeat(".", barWidth-full) + "] "
	}
	fmt.Fprintf(p.to, "\r\x1b[K%s %s%s", p.label, bar, words)
}

// clear takes the line away.
func (p *progress) clear() {
	if p.shown {
		fmt.Fprint(p.to, "\r\x1b[K")
		p.shown = false
	}
}
