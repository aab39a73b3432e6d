// Package online keeps, in Redis, the row that is current for each entity and view version: the codec of keys and rows,
// the writer that loads them, and the reader that answers online reads.
//
// An entity's rows are one hash: `PREFIX:ENTITY:KEY`, one field per view version, one packed row per field. The row is
// drawn byte by byte in docs/format/online-row.md, and golden vectors under testdata hold it still.
//
// It may import feature, read and the internal packages, and no other engine or slice. It knows nothing of definitions
// files, Postgres, principals or the wire.
//
// Invariant: a row is replaced only by one that is not older in (epoch, seq, event time, available at), whatever the
// order and number of writers; and what a reader makes of a row is what the point-in-time rule says at its time.
package online
