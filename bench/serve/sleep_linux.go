package main

import (
	"encoding/binary"
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

// sleepUntil sleeps in the kernel: the runtime's own timers are rounded up to a millisecond in a process that is mostly idle,
// and requests would come in bunches. Where somebody else can run meanwhile the runtime does not hear of it: it would look after each
// sleep whether it takes long.
func sleepUntil(at time.Time) {
	for {
		left := time.Until(at)
		if left <= 0 {
			return
		}
		t := syscall.NsecToTimespec(left.Nanoseconds())
		if runtime.GOMAXPROCS(0) > 1 {
			_, _, _ = syscall.RawSyscall(syscall.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&t)), 0, 0)
		} else {
			_ = syscall.Nanosleep(&t, nil)
		}
	}
}

// awake has the processors wait for work awake, as latency is measured on Linux, until release is called: one that sleeps is given away by
// the host of a virtual machine, and is back after milliseconds. It reports whether this user may ask for that.
func awake() (release func(), is bool) {
	// The kernel holds to it for as long as the file is open.
	file, err := os.OpenFile("/dev/cpu_dma_latency", os.O_WRONLY, 0)
	if err != nil {
		return func() {}, false
	}
	release = func() { _ = file.Close() }
	_, err = file.Write(binary.NativeEndian.AppendUint32(nil, 0))
	return release, err == nil
}
