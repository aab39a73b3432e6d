// Package analysis reads what Postgres made of a view's SQL: its analysed tree, with every name resolved. It says what in
// it may mean another thing at another time, and what each output column is made of.
//
// It may import feature and the driver. It knows neither tables nor runs: who calls it has made the relations that the SQL
// reads, and the temporary view that the SQL has become.
//
// Invariants:
//   - What passes gives the same rows for the same input, whatever the order of the input's rows, the plan, the clock and
//     the session's settings before the call.
//   - A rule that cannot decide refuses, and says how to write it so that it can; only what an event time means is given
//     the benefit of the doubt.
//   - The tree is read by the names of its fields, so that a field of a newer Postgres is passed over.
package analysis
