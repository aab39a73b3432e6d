// Package openlineage tells others, in the events of the OpenLineage specification, what was run, built and applied, and takes their events
// about what made the tables and files that sources are.
//
// It may import feature, the generated messages and internal packages. What is told comes out of the outbox, and is made of the committed
// records alone. What others told is in tables of its own, headwater.outside_job and its kin, which package lineage walks.
//
// Invariants:
//   - An event is sent at least once, the events of one run or build in their order, and always as the same bytes.
//   - Nothing that is sent is of rows, or secret: it is what callers are told who may list what it is about.
//   - A run waits for nobody who is told of it.
package openlineage
