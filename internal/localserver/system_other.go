//go:build !linux

package localserver

import (
	"errors"
	"syscall"
)

// Only Linux has a death signal. Elsewhere a server outlives a killed owner until the next one takes the lock.
func setDeathSignal(*syscall.SysProcAttr, syscall.Signal) {}

// alive tells whether there is such a process.
func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

// livesIn tells whether a process is alive and, as far as we may know, works in the folder.
func livesIn(pid int, _ string) bool { return alive(pid) }
