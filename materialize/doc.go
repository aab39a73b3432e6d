// Package materialize owns the life of a run: queueing it, taking the lease and the sequence of its view version, having
// package offline compute and write it, publishing it in one commit, and loading the online store from what was published.
//
// It also cuts large runs into chunks, computes published runs again, and queues runs on schedules and after what they read.
//
// It may import feature, read, the internal packages and the engines, of which it uses offline, online and quality; what else
// a publication holds (its audit record) is given to it by its Config.
//
// Invariants:
//   - One run per view version at a time, from reading its input to publishing. The lease is an advisory lock, so it ends
//     with the connection that holds it; every write also checks that the attempt it belongs to is still the newest.
//   - A run ends published, or everything it wrote is undone before the next takes a sequence.
//   - What readers see of a run, its record, its lineage, its audit record and the job that loads it online are one commit.
package materialize
