// Package localserver runs a Postgres and a Redis of one's own as child processes: for `headwater dev`, and for tests.
//
// It owns finding the server programs, laying out and locking a data directory, starting, stopping, and saying in one
// message what is missing when that cannot be done. It imports internal/fault and the two drivers, nothing else of ours.
//
// The invariant: a data directory has at most one owner, the owner's servers do not outlive it, and no state that a
// kill -9 can leave behind needs a human hand. The directory's lock is inherited by the server, so it is free only when
// the server has gone as well. On Linux the kernel ends the server with its owner; elsewhere the next owner does.
//
// Servers listen on 127.0.0.1 only, on a free port, behind a generated password.
package localserver
