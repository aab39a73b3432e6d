package testenv

import (
	"net"
	"strconv"
	"syscall"
	"testing"
)

// ClosedAddress is one of this machine at which connections are refused until the test's end. A socket holds its port without listening: one that
// was only found to be free could be given to another process meanwhile.
func ClosedAddress(t testing.TB) string {
	t.Helper()
	// No process that is started meanwhile is to hold the port after the test.
	syscall.ForkLock.RLock()
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(socket)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatalf("testenv: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Close(socket) })
	if err := syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatalf("testenv: %v", err)
	}
	name, err := syscall.Getsockname(socket)
	if err != nil {
		t.Fatalf("testenv: %v", err)
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(name.(*syscall.SockaddrInet4).Port))
}
