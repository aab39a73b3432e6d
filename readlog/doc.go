// Package readlog owns the log of online reads: what was answered to whom, of which runs, for services that keep it.
//
// A read goes to an append log on the server's own disk first, and from there to headwater.read_log in Postgres, which has a
// partition per day. Log takes reads and drains them; Find and List read them; Erase takes an entity out of them. It also
// owns the secret by which entities and sensitive values are hashed, and how long reads are kept.
//
// It may import feature, generated code and internal, and no other engine: what a read was computed of is for the server to say.
//
// Invariant: a read whose Append has returned is in Postgres once, under its read id, as soon as its disk and Postgres are there,
// whenever the process is killed; an entity that was erased does not come back with a read that was on a disk meanwhile.
package readlog
