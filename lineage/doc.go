// Package lineage answers where things come from and what they reach: a graph of sources, loads, runs, views, features,
// services and datasets, walked up or down from one of its nodes.
//
// It may import feature, the generated messages and internal packages. It writes nothing, decides nothing about who may
// read, and owns no table: the graph is computed from the records that applying, ingesting, materializing and building
// datasets commit. It renders nothing either; a graph goes to its caller as nodes and edges.
//
// Invariants:
//   - A run is behind a view version at sequence s when it is the last one published by s, or when rows that it wrote are
//     visible at s. A view is asked at its newest published sequence, a dataset at the one that it was built at, and a run that
//     read the view at the one that it read. So a run
//     all of whose rows were corrected is behind the view no longer, and is behind an older dataset for good; and a run
//     that is not published is behind nothing.
//   - Every edge that a walk down follows, a walk up from its far end follows too.
//   - What edges are computed from are appended facts, so that a walk needs no transaction of its own.
package lineage
