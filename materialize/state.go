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
	// Covered is the event times less grain that its runs covered.
	Covered offline.Spans
	// Online is how new what is online is.
	Online Freshness
}

// GetViewState reads where a view version stands.
func GetViewState(ctx context.Context, q database.Querier, view string, version int) (s ViewState, err error) {
	var id int64
	var newest *time.Time
	err = q.QueryRow(ctx, `
		SELECT d.id, s.published_seq, coalesce(p.position, 0), p.published_at, s.live_rows,
			f.newest, coalesce(f.loaded_seq, 0), f.published_at
		FROM headwater.definition d
			JOIN headwater.view_state s ON s.view_id = d.id
			LEFT JOIN headwater.publish_log p ON p.view_id = d.id AND p.seq = s.published_seq
			LEFT JOIN headwater.online_freshness f ON f.view_id = d.id
		WHERE d.kind = 'view' AND d.name = $1 AND d.version = $2`, view, version).
		Scan(&id, &s.PublishedSeq, &s.Position, &s.PublishedAt, &s.LiveRows, &newest, &s.Online.LoadedSeq, &s.Online.PublishedAt)
	if err != nil {
		return s, err
	}
	if newest != nil {
		at := feature.TimeOf(*newest)
		s.Online.Newest = &at
	}
	s.Covered, err = offline.ReadSpans(ctx, q, "covered", `FROM headwater.view_state WHERE view_id = $1`, id)
	return s, err
}
