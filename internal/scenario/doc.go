// Package scenario reads scenario files, the small test language that README.md beside this file describes, and runs them:
// definitions, loads, runs and reads, with what is expected of each.
//
// It owns the language, and the engine that is the reference. It imports feature, read, definition and internal/reference;
// the engine that is the real store lives in the tests, and is held to the same files.
//
// Invariant: every expectation of a file is looked at by every engine. A word, column or cell that means nothing is an error,
// never passed over.
package scenario
