// Package quality holds rows to what is expected of them: each row by itself, and all that a run reads or makes together. It
// keeps what it found: the results of checks, as history by view version and check.
//
// It imports feature, expr and internal packages, and no other engine: what it measures is given to it as SQL over a snapshot of
// others. A result tells of a value of a row in its examples only, so that whoever may not read the rows can be told all else.
package quality
