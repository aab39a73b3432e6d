package localserver

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"syscall"
)

// setDeathSignal has the kernel send s to the child when the thread that starts it ends.
func setDeathSignal(attr *syscall.SysProcAttr, s syscall.Signal) { attr.Pdeathsig = s }

// alive tells whether there is such a process. One that has ended but that nobody waited for is not: where process 1 reaps
// nothing, as in many containers, those stay forever.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ESRCH)
	}
	// "PID (NAME) STATE …", where NAME may hold anything.
	state := bytes.TrimSpace(stat[bytes.LastIndexByte(stat, ')')+1:])
	return len(state) == 0 || state[0] != 'Z' && state[0] != 'X'
}

// livesIn tells whether a process is alive and, as far as we may know, works in the folder.
func livesIn(pid int, folder string) bool {
	if !alive(pid) {
		return false
	}
	cwd, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/cwd")
	return err != nil || cwd == folder
}
