// Package window computes windowed aggregations: from the rows of a source, in any order, the rows of a view's history.
//
// It owns the grid, what enters and leaves a window when, and the state of each aggregate: exact sums, extremes, distinct
// values and quantiles, all of which rows can be added to and taken from. It imports feature and nothing else of ours.
//
// Invariant: what comes out depends on the set of rows that went in, and not on their order, on how they are split among
// workers, or on where a run begins, but for the first point of a view's coverage, and for a first point whose history has
// values of other rows (Recall). The cost of a row does not grow with the
// length of its windows: it enters each once, and leaves it once.
package window
