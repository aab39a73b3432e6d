//go:build !linux

package localserver

import "syscall"

// Only Linux has a death signal. Elsewhere a server outlives a killed owner until the next one takes the lock.
func setDeathSignal(*syscall.SysProcAttr, syscall.Signal) {}
