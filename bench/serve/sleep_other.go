//go:build !linux

package main

import "time"

func sleepUntil(at time.Time) { time.Sleep(time.Until(at)) }

func awake() (release func(), is bool) { return func() {}, false }
