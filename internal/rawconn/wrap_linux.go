//go:build linux && !386 && !race

package rawconn

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"google.golang.org/grpc/mem"
)

// Wrap is c with other reads and writes, if it is of TCP, and else c. The other methods are c's own.
func Wrap(c net.Conn) net.Conn {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return c
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return c
	}
	w := &conn{TCPConn: tcp, raw: raw}
	w.in.step, w.in.ready, w.out.step = w.in.receive, w.in.receiveReady, w.out.send
	return w
}

// tcpUserTimeout is TCP_USER_TIMEOUT, in milliseconds, which syscall does not have everywhere.
const tcpUserTimeout = 0x12

// limit bounds how long what was sent goes unacknowledged. A connection that cannot be limited, because it is gone, says so when it is read.
func limit(c net.Conn, unacknowledged time.Duration) {
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(unacknowledged.Milliseconds()))
	})
}

// conn is safe for concurrent use, as every net.Conn.
type conn struct {
	*net.TCPConn
	raw     syscall.RawConn
	in, out half
}

// half is one direction of a connection, and what is under way in it.
type half struct {
	mu sync.Mutex
	// b is what is read into, or written, of which n bytes are done, until err.
	b   []byte
	n   int
	err syscall.Errno
	// step is receive or send, and ready receiveReady. They report false when the socket must be waited for.
	step, ready func(fd uintptr) bool
	// buffer is one of pool, of size, that receiveReady received into.
	pool   mem.BufferPool
	size   int
	buffer *[]byte
}

// most is how many bytes one system call moves. A processor is with it meanwhile, and who collects garbage waits.
const most = 256 << 10

// A RawSyscall, which the scheduler does not hear of, must not wait: nothing here does, also on a descriptor that somebody had block.

func (h *half) receive(fd uintptr) bool {
	b := h.b[:min(len(h.b), most)]
	for {
		n, _, err := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), syscall.MSG_DONTWAIT, 0, 0)
		switch err {
		case 0:
			h.n = int(n)
			return true
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			h.err = err
			return true
		}
	}
}

// receiveReady takes a buffer only for what is there.
func (h *half) receiveReady(fd uintptr) bool {
	h.buffer = h.pool.Get(h.size)
	h.b = *h.buffer
	if h.receive(fd) {
		return true
	}
	h.pool.Put(h.buffer)
	h.buffer, h.b = nil, nil
	return false
}

func (h *half) send(fd uintptr) bool {
	for h.n < len(h.b) {
		b := h.b[h.n:min(len(h.b), h.n+most)]
		// The signal of a connection that is gone would be one to the process.
		n, _, err := syscall.RawSyscall6(syscall.SYS_SENDTO, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), syscall.MSG_NOSIGNAL|syscall.MSG_DONTWAIT, 0, 0)
		switch err {
		case 0:
			if h.n += int(n); n == 0 {
				return true
			}
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			h.err = err
			return true
		}
	}
	return true
}

// Read is of net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return c.TCPConn.Read(p)
	}
	n, err := c.move("read", &c.in, c.raw.Read, p)
	if n == 0 && err == nil {
		return 0, io.EOF
	}
	return n, err
}

// ReadOnReady is what gRPC asks for of a connection on which it would wait without holding a buffer, as it does on those of net: a buffer
// of the pool is taken when there is something to read. Whoever has it gives it back.
func (c *conn) ReadOnReady(size int, pool mem.BufferPool) (*[]byte, int, error) {
	h := &c.in
	h.mu.Lock()
	defer h.mu.Unlock()
	h.size, h.pool = size, pool
	n, err := c.do("read", h, c.raw.Read, h.ready)
	buffer := h.buffer
	h.buffer, h.pool = nil, nil
	if n == 0 && err == nil {
		err = io.EOF
	}
	if err != nil {
		if buffer != nil {
			pool.Put(buffer)
		}
		return nil, 0, err
	}
	return buffer, n, nil
}

// Write is of net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return c.TCPConn.Write(p)
	}
	n, err := c.move("write", &c.out, c.raw.Write, p)
	if n < len(p) && err == nil {
		return n, io.ErrUnexpectedEOF
	}
	return n, err
}

// move reads into p or writes it, when nobody else does.
func (c *conn) move(op string, h *half, on func(step func(fd uintptr) bool) error, p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.b = p
	return c.do(op, h, on, h.step)
}

// do has a step done on the descriptor, and says what net would of an error. It holds nothing of the caller's afterwards.
func (c *conn) do(op string, h *half, on func(step func(fd uintptr) bool) error, step func(fd uintptr) bool) (int, error) {
	h.n, h.err = 0, 0
	err := on(step)
	h.b = nil
	switch {
	case err != nil:
		if of := (*net.OpError)(nil); errors.As(err, &of) {
			err = of.Err
		}
	case h.err != 0:
		err = os.NewSyscallError(op, h.err)
	default:
		return h.n, nil
	}
	return h.n, &net.OpError{Op: op, Net: c.LocalAddr().Network(), Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}
