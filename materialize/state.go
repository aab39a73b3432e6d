package materialize

import (
	"context"
	"time"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/offline"
)

// ViewState is where a view version stands: what its newest published run left. Zero before the first.
type ViewState struct {
	PublishedSeq, Position int64
	PublishedAt            *time.Time
	LiveRows               int64
	// Covered is the span of event times less grain that its runs covered.
	Covered offline.Span
}

// GetViewState reads where a view version stands.
func GetViewState(ctx context.Context, q database.Querier, view string, version int) (s ViewState, err error) {
	var from, to *time.Time
	err = q.QueryRow(ctx, `
		SELECT s.published_seq, coalesce(p.position, 0), p.published_at, s.live_rows, s.covered_from, s.covered_to
		FROM headwater.definition d
			JOIN headwater.view_state s ON s.view_id = d.id
			LEFT JOIN headwater.publish_log p ON p.view_id = d.id AND p.seq = s.published_seq
		WHERE d.kind = 'view' AND d.name = $1 AND d.version = $2`, view, version).
		Scan(&s.PublishedSeq, &s.Position, &s.PublishedAt, &s.LiveRows, &from, &to)
	if from != nil && to != nil {
		s.Covered = offline.Span{Start: feature.TimeOf(*from), End: feature.TimeOf(*to)}
	}
	return s, err
}
