// Package online keeps, in Redis, the row that is current for each entity and view version: the codec of keys and rows,
// the writer that loads them, and the reader that answers online reads.
//
// An entity's rows are one hash: `PREFIX:ENTITY:KEY`, one field per view version, one packed row per field. The row is
// drawn byte by byte in docs/format/online-row.md, and golden vectors under testdata hold it still.
//
// It may import feature, read and the internal packages, and no other engine or slice. It knows nothing of definitions
// files, Postgres or principals.
//
// A tombstone is never removed. It is all that keeps older rows out: a writer that read an older sequence, and was stopped
// before it wrote or whose bytes are still under way, is seen by nobody, whatever Postgres says of loads and leases, and its row
// would be taken where nothing is. To remove one would need a bound on how late a write may arrive that Redis itself keeps: each
// would have to name a time by Redis's clock, from before the sequence was read, after which it is refused. Then tombstones of
// publications older than the bound could go while no older load is pending. A script can refuse so, but not the commands
// of Writer.Add.
//
// Reads have connections of their own, which know HMGET and nothing else (ADR 0057); whatever is not answered there is asked again by
// go-redis. A connection is used again only where it is known that no reply is to come on it: else a read could get another's rows.
//
// In a Redis Cluster go-redis sends what is of one node in one pipeline. A script runs per slot there, and so about once per
// row, which is why Writer.Add has none.
//
// A Lookup is one read. What it finds stays packed until it is written into an answer, column by column, or unpacked for what
// needs values. Of the wire it knows how internal/wire writes a vector of values, and no more.
//
// Invariant: a row is replaced only by one that is not older in (epoch, seq, event time, available at), whatever the
// order and number of writers; and what a reader makes of a row is what the point-in-time rule says at its time.
package online
