// Package feedback keeps what models predicted and what became of it: predictions by their time and outcomes by the day on which they were
// reported, each in a partition per day of UTC that is dropped whole when it is older than feedback is kept.
//
// It imports internal packages only. Keys and ids that are to be recognised are given to it as hashes, which others make. Invariants: a prediction is
// kept once under its id, whatever is sent again; an outcome counts however late it comes, and whether its prediction came before or after it; of several
// outcomes of a prediction the one that was known last counts; of a prediction that was erased nothing is kept again.
package feedback
