// Package tabular turns files into Arrow record batches and Arrow record batches into files: Parquet, CSV, NDJSON and
// Arrow IPC.
//
// It may import feature and internal/fault, and knows neither the wire nor the stores. Everything it reads is checked
// where it is read, so that what leaves this package fits the schema asked for, is valid UTF-8 without NUL, and holds
// timestamps in microseconds, UTC; a file that does not fit gives one fault that names the file, the row (the line in
// text files), the column, what was found, what was expected and what to try.
//
// Invariants: memory is bounded by batches and not by the file; what is read is what was hashed; a file that is written
// appears whole under its name or not at all; the same data written twice has the same bytes.
package tabular
