// Package lineage answers where things come from and what they reach: a graph of sources, loads, runs, views, features,
// services, datasets, models, single predictions and consumers outside, and one of the columns of sources and views, walked up or down from one of its nodes, as it is or as it was.
//
// Check holds all that is stored to the records that it should lead to.
//
// It may import feature, the generated messages and internal packages. It decides nothing about who may read. The graph is computed from
// the records that applying, ingesting, materializing and building datasets commit; what of them only it needs is in tables of its own,
// which are written in those commits: run_span and run_correction by RecordRun, model by RegisterModel, definition_column, definition_input and
// column_edge by the database's note_definition, consumer_input by its note_consumer. What others told of how sources came about is read from the tables of package openlineage, and
// what was logged of online reads and predictions from those of packages readlog and feedback. It renders nothing; a graph goes to its caller as nodes and edges.
//
// Invariants:
//   - A run is behind a view version at sequence s when it is the last one published by s, or when rows that it wrote are
//     visible at s. A view is asked at its newest published sequence, a dataset at the one that it was built at, and a run that
//     read the view at the one that it read. So a run
//     all of whose rows were corrected is behind the view no longer, and is behind an older dataset for good; and a run
//     that is not published is behind nothing. It is told by run_span, which no collection of the history shortens.
//   - Every edge that a walk down follows, a walk up from its far end follows too, but for those between a view whose columns were asked
//     for and these, which stand for the question, and those to logged reads, which are one node for each service version: no walk grows with
//     how much was read, and none but that from a prediction looks into the log.
//   - From a prediction, the runs behind views are those whose rows it was given.
//   - What edges are computed from are appended facts with their position or time, so that a walk needs no transaction of its own, and
//     the graph as of a moment is what it was then.
package lineage
