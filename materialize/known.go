package materialize

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/offline"
)

// What a run computed is what it left live of its event times, and its record has the number and the digest of these rows, chunk by
// chunk. So it is known what is live without reading it, until a later run changes something there.

const (
	// maxKnownPieces is how many runs and chunks are looked at, and maxKnownRuns how many runs are looked among for them.
	maxKnownPieces = 1000
	maxKnownRuns   = 10_000
)

// piece is what a published run, or a chunk of one, left live.
type piece struct {
	seq   int64
	spans offline.Spans
	known offline.Known
	// changed is the event times of the whole run, if it changed anything.
	changed offline.Spans
}

// knownLive is what is live of some event times, less grain, as of a published sequence of a view version. nil: the records do not
// say.
func knownLive(ctx context.Context, q database.Querier, view, seq int64, spans offline.Spans) (*offline.Known, error) {
	pieces, err := listPieces(ctx, q, view, seq, spans)
	if err != nil {
		return nil, err
	}
	return addUp(pieces, spans, seq <= maxKnownRuns && len(pieces) < maxKnownPieces), nil
}

// addUp is what pieces together know of spans, the newest of them first. all: there are no others.
func addUp(pieces []piece, spans offline.Spans, all bool) *offline.Known {
	// A run that changed nothing may know more than those before it, or less: it cut what there is into other pieces.
	if known := addPieces(pieces, spans, all, func(p *piece) bool { return len(p.changed) > 0 }); known != nil {
		return known
	}
	return addPieces(pieces, spans, all, func(*piece) bool { return true })
}

// addPieces adds up those of some pieces that nothing changed later, and that together are spans. Where none is, there is nothing.
func addPieces(pieces []piece, spans offline.Spans, all bool, some func(*piece) bool) *offline.Known {
	known := &offline.Known{}
	var digest feature.SetDigest
	var changed, changing offline.Spans
	left := spans
	for i := range pieces {
		p := &pieces[i]
		if i > 0 && p.seq != pieces[i-1].seq {
			changed, changing = changed.Union(changing), nil
		}
		changing = changing.Union(p.changed)
		if !some(p) || len(p.spans.Minus(left)) > 0 || len(p.spans.Intersect(changed)) > 0 {
			continue
		}
		left = left.Minus(p.spans)
		known.Rows += p.known.Rows
		digest.AddDigest(p.known.Digest)
	}
	if len(left) > 0 && !all {
		return nil
	}
	for _, p := range pieces {
		if len(p.spans.Intersect(left)) > 0 {
			return nil
		}
	}
	known.Digest = digest.Digest()
	return known
}

func listPieces(ctx context.Context, q database.Querier, view, seq int64, spans offline.Spans) ([]piece, error) {
	rows, err := q.Query(ctx, `
		SELECT seq, produced, digest, ARRAY(SELECT lower(b) FROM unnest(spans) b ORDER BY 1), ARRAY(SELECT upper(b) FROM unnest(spans) b ORDER BY 1),
			ARRAY(SELECT lower(b) FROM unnest(changed) b ORDER BY 1), ARRAY(SELECT upper(b) FROM unnest(changed) b ORDER BY 1)
		FROM (
			SELECT r.seq, coalesce(c.produced, r.produced) AS produced, coalesce(c.digest, r.digest) AS digest, coalesce(c.spans, r.spans) AS spans,
				CASE WHEN r.inserted + r.withdrawn > 0 THEN r.spans END AS changed
			FROM headwater.run r LEFT JOIN headwater.run_chunk c ON c.run_id = r.id
			WHERE r.view_id = $1 AND r.seq <= $2 AND r.seq > $2 - $3::bigint AND r.state = 'published' AND r.spans && $4::text::tstzmultirange
			ORDER BY r.seq DESC, c.chunk LIMIT $5) AS pieces
		ORDER BY seq DESC`, view, seq, maxKnownRuns, spans.Multirange(), maxKnownPieces)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (piece, error) {
		var p piece
		var digest []byte
		var starts, ends, changedStarts, changedEnds []time.Time
		err := row.Scan(&p.seq, &p.known.Rows, &digest, &starts, &ends, &changedStarts, &changedEnds)
		copy(p.known.Digest[:], digest)
		p.spans, p.changed = spansOf(starts, ends), spansOf(changedStarts, changedEnds)
		return p, err
	})
}

func spansOf(starts, ends []time.Time) offline.Spans {
	list := make([]offline.Span, len(starts))
	for i := range starts {
		list[i] = offline.Span{Start: feature.TimeOf(starts[i]), End: feature.TimeOf(ends[i])}
	}
	return offline.NewSpans(list...)
}

// lastCut is the chunks of the newest run, up to a published sequence, that was cut into some.
func lastCut(ctx context.Context, q database.Querier, view, seq int64) ([]offline.Spans, error) {
	rows, err := q.Query(ctx, `
		SELECT ARRAY(SELECT lower(b) FROM unnest(c.spans) b ORDER BY 1), ARRAY(SELECT upper(b) FROM unnest(c.spans) b ORDER BY 1)
		FROM headwater.run_chunk c WHERE c.run_id = (
			SELECT r.id FROM headwater.run r WHERE r.view_id = $1 AND r.seq <= $2 AND r.seq > $2 - $3::bigint AND r.state = 'published'
				AND EXISTS (SELECT FROM headwater.run_chunk o WHERE o.run_id = r.id)
			ORDER BY r.seq DESC LIMIT 1)
		ORDER BY c.chunk`, view, seq, maxKnownRuns)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (offline.Spans, error) {
		var starts, ends []time.Time
		err := row.Scan(&starts, &ends)
		return spansOf(starts, ends), err
	})
}
