package server

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/quality/feedback"
	"github.com/headwaterhq/headwater/retention"
)

const (
	// placeFeedback is the place of predictions and outcomes in the record of an erasure, by model.
	placeFeedback = "feedback"
	// stepErasingFeedback is a step of an erasure, beside those of forget.go.
	stepErasingFeedback = "erasing feedback"
)

func (f *forgetting) entityHashes() [][]byte {
	return f.reads.Hashes(f.trace.Entity.Name, f.trace.Key)
}

func (f *forgetting) countFeedback(ctx context.Context) (all []retention.Erased, err error) {
	counts, err := f.feedback.Count(ctx, f.entityHashes())
	for model, rows := range counts {
		all = append(all, retention.Erased{Place: placeFeedback, Name: model, Rows: rows})
	}
	return all, err
}

// erasingFeedback is what of predictions and outcomes is to be erased: what has the entity's key, and what was made of rows of reads that go.
func (f *forgetting) erasingFeedback(e *retention.Erasure) feedback.Erasing {
	return feedback.Erasing{
		Entities: f.entityHashes(),
		Hash:     func(model, id string) []byte { return f.reads.Hashes(predictionOf+model, id)[0] },
		Record: func(ctx context.Context, tx pgx.Tx, model string, rows int64) error {
			if err := retention.Record(ctx, tx, e.ID, retention.Erased{Place: placeFeedback, Name: model, Rows: rows}); err != nil {
				return err
			}
			return f.step.reached(stepErasingFeedback)
		},
	}
}

func (f *forgetting) eraseFeedback(ctx context.Context, e *retention.Erasure) error {
	return f.feedback.Erase(ctx, f.erasingFeedback(e))
}
