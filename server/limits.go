package server

import (
	"runtime"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
)

// Limits bound what callers may ask of a server at once. The zero value is good: each field that is zero has its default.
type Limits struct {
	// Reads is how many online reads are worked on at once. Default: 64 for each processor that Go uses.
	Reads int
	// WaitingReads is how many more wait for their turn, none of them longer than ReadWait. Further ones are refused. Defaults: twice
	// Reads, a second.
	WaitingReads int
	ReadWait     time.Duration
	// RequestBytes and AnswerBytes bound one message of a call or a stream. Defaults: 16 MiB, 64 MiB.
	RequestBytes, AnswerBytes int
	// Streams is how many calls one connection may have open at once; a client's further ones wait. Default: 1,000.
	Streams int
	// ConnectionAge is after how long a connection is asked to be made anew, give or take a tenth, so that callers spread over the
	// servers there are; calls on it end in peace. Default: an hour.
	ConnectionAge time.Duration
}

// maxMessage is Limits.RequestBytes by default. Larger data comes in streams of messages near 1 MiB.
const maxMessage = 16 << 20

func (l Limits) withDefaults() Limits {
	set := func(field *int, value int) {
		if *field <= 0 {
			*field = value
		}
	}
	set(&l.Reads, 64*runtime.GOMAXPROCS(0))
	set(&l.WaitingReads, 2*l.Reads)
	set(&l.RequestBytes, maxMessage)
	set(&l.AnswerBytes, 64<<20)
	set(&l.Streams, 1000)
	if l.ReadWait <= 0 {
		l.ReadWait = time.Second
	}
	if l.ConnectionAge <= 0 {
		l.ConnectionAge = time.Hour
	}
	return l
}

func (l Limits) admission() *admission {
	return &admission{most: l.Reads, mostWaiting: l.WaitingReads, patience: l.ReadWait}
}

const (
	// maxHeaderBytes bounds the headers of a call: a token has 63 bytes, and one of other issuers some thousands.
	maxHeaderBytes = 64 << 10
	// pingAfter is how long a connection may be silent before the server asks whether anyone is there, and pingTimeout how long it
	// waits for an answer.
	pingAfter, pingTimeout = time.Minute, 20 * time.Second
	// pingsEvery is how often a client may ask; one that does so more often is cut off.
	pingsEvery = 10 * time.Second
	// handshakeTimeout is how long a new connection may take to say anything sensible.
	handshakeTimeout = 20 * time.Second
)

// options are gRPC's part of the limits.
func (l Limits) options() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.MaxRecvMsgSize(l.RequestBytes),
		grpc.MaxSendMsgSize(l.AnswerBytes),
		grpc.MaxConcurrentStreams(uint32(l.Streams)),
		grpc.MaxHeaderListSize(maxHeaderBytes),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: l.ConnectionAge, Time: pingAfter, Timeout: pingTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingsEvery, PermitWithoutStream: true}),
	}
}
