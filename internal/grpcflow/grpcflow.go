// Package grpcflow is how much the two sides of a connection may send each other before the other has read it. It may import gRPC
// alone.
//
// Invariant: the windows do not change. gRPC's own grow with what it measures, and for that it sends a ping behind the first data
// that follows the answer to its last: where calls are small, that is a ping and its answer, a write and a read of either side, for
// about every second request.
package grpcflow

import "google.golang.org/grpc"

const (
	// streamWindow is what one call may have under way, in bytes: 40 MB/s over a line of 100 ms.
	streamWindow = 4 << 20
	// connectionWindow is that of all calls of a connection, and bounds what is held of it that nobody has read. gRPC's own grows as far.
	connectionWindow = 16 << 20
)

// Server is for what clients send.
func Server() []grpc.ServerOption {
	return []grpc.ServerOption{grpc.StaticStreamWindowSize(streamWindow), grpc.StaticConnWindowSize(connectionWindow)}
}

// Client is for what servers send.
func Client() []grpc.DialOption {
	return []grpc.DialOption{grpc.WithStaticStreamWindowSize(streamWindow), grpc.WithStaticConnWindowSize(connectionWindow)}
}
