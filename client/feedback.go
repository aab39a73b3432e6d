package client

import (
	"context"
	"slices"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// FeedbackBatch is how many predictions or outcomes a server takes at once.
const FeedbackBatch = 1000

// LogPredictions sends any number of predictions of a model, in their order, as many at once as a server takes. On an error those of the batches before are
// kept, and the answer counts them; all may be sent again, since a prediction is known by its id.
func (c *Client) LogPredictions(ctx context.Context, model string, predictions []*headwaterv1.Prediction) (*headwaterv1.LogPredictionsResponse, error) {
	all := &headwaterv1.LogPredictionsResponse{}
	for batch := range slices.Chunk(predictions, FeedbackBatch) {
		r, err := c.Feedback.LogPredictions(ctx, &headwaterv1.LogPredictionsRequest{Model: model, Predictions: batch})
		if err != nil {
			return all, err
		}
		all.Logged += r.GetLogged()
		all.Duplicates += r.GetDuplicates()
		all.Erased += r.GetErased()
		all.Joined += r.GetJoined()
		all.WithoutRead += r.GetWithoutRead()
	}
	return all, nil
}

// ReportOutcomes sends any number of outcomes of a model's predictions, as LogPredictions does.
func (c *Client) ReportOutcomes(ctx context.Context, model string, outcomes []*headwaterv1.Outcome) (*headwaterv1.ReportOutcomesResponse, error) {
	all := &headwaterv1.ReportOutcomesResponse{}
	for batch := range slices.Chunk(outcomes, FeedbackBatch) {
		r, err := c.Feedback.ReportOutcomes(ctx, &headwaterv1.ReportOutcomesRequest{Model: model, Outcomes: batch})
		if err != nil {
			return all, err
		}
		all.Recorded += r.GetRecorded()
		all.Revised += r.GetRevised()
		all.Duplicates += r.GetDuplicates()
		all.Outdated += r.GetOutdated()
		all.Parked += r.GetParked()
		all.Erased += r.GetErased()
	}
	return all, nil
}
