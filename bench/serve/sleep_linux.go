package main

import (
	"syscall"
	"time"
)

// sleepUntil sleeps in the kernel: the runtime's own timers are rounded up to a millisecond in a process that is mostly idle,
// and requests would come in bunches.
func sleepUntil(at time.Time) {
	for {
		left := time.Until(at)
		if left <= 0 {
			return
		}
		t := syscall.NsecToTimespec(left.Nanoseconds())
		_ = syscall.Nanosleep(&t, nil)
	}
}
