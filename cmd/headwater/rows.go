package main

import (
	"iter"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/headwaterhq/headwater/internal/tabular"
)

// watched is a reader's batches, with a bar that follows them.
func watched(r *tabular.Reader, bar *progress) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		for batch, err := range r.Batches() {
			bar.show(r.Done(), counted(r.Rows(), "row"))
			if !yield(batch, err) {
				return
			}
		}
	}
}
