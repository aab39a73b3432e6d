// Package rawconn is connections of TCP that cost Go's scheduler less. It may import gRPC's buffers alone.
//
// Around each system call the runtime notes that a goroutine may be gone for long, and a thread of it looks every few dozen
// microseconds for such that have been, to give their processor to another thread. A socket of Go's never waits in a system call,
// but one that moves some ten thousand bytes may take as long as that: then that thread runs all the time, takes processors from
// whoever has work on them, and wakes others for nothing. Here the runtime is not told.
//
// Invariant: whoever uses a connection sees no difference, in what comes and in what fails. Waiting is Go's, with its deadlines.
package rawconn

import (
	"net"
	"time"
)

// Listener wraps each connection that l accepts. Of what was sent on it no byte may go unacknowledged for longer than unacknowledged, or the
// kernel ends it; 0 is as long as the kernel has it. gRPC sets that by its keepalive's timeout, but on connections of net alone.
func Listener(l net.Listener, unacknowledged time.Duration) net.Listener {
	return listener{l, unacknowledged}
}

type listener struct {
	net.Listener
	unacknowledged time.Duration
}

// Accept is of net.Listener.
func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	w := Wrap(c)
	if w != c && l.unacknowledged > 0 {
		limit(c, l.unacknowledged)
	}
	return w, nil
}
