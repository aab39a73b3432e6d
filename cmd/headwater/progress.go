package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// progress is one line on a terminal that says how far long work is. On anything else than a terminal it says nothing but the
// steps of step.
type progress struct {
	to    io.Writer
	label string
	last  time.Time
	shown bool
	// plain is where lines go instead when there is no terminal, once the work has taken a while since it began; said is the
	// last of them.
	plain io.Writer
	began time.Time
	said  string
}

const (
	barWidth      = 30
	progressEvery = 100 * time.Millisecond
	// plainAfter is how long work may take without a line where there is no terminal.
	plainAfter = 10 * time.Second
)

func (a *app) progress(label string) *progress {
	p := &progress{label: label, plain: a.err, began: time.Now()}
	if f, ok := a.err.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			p.to, p.plain = f, nil
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

// step is show of work that goes in steps: what it does, and how far that is. Without a terminal
// each step is a line, of work that takes long.
func (p *progress) step(share float64, what, far string) {
	if p.plain != nil && what != p.said && time.Since(p.began) >= plainAfter {
		p.said = what
		fmt.Fprintln(p.plain, p.label+": "+what)
	}
	if far != "" {
		what += ", " + far
	}
	p.show(share, what)
}

// clear takes the line away.
func (p *progress) clear() {
	if p.shown {
		fmt.Fprint(p.to, "\r\x1b[K")
		p.shown = false
	}
}
