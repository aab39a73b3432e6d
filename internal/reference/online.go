package reference

import (
	"time"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/read"
)

// Online is the online rows of one view version: for each key, what the newest load that touched it found.
type Online struct{ rows map[string]read.Winner }

// Load brings the keys that run seq touched up to date at now: each gets its winner with the view at seq, whatever its age.
func (o *Online) Load(h *History, seq int64, now feature.Time) {
	if o.rows == nil {
		o.rows = map[string]read.Winner{}
	}
	for _, key := range h.Touched(seq) {
		o.rows[key] = h.PointInTime(key, now, 0, seq)
	}
}

// Get is what an online read at now answers. Only winners are stored: a key of which nothing was known at the time of its
// load has NO_ROW, also where the history says NOT_YET_KNOWN.
func (o *Online) Get(key string, now feature.Time, ttl time.Duration) read.Winner {
	w, ok := o.rows[key]
	switch {
	case !ok || w.Status != read.Present:
		return read.Winner{Status: read.NoRow}
	case ttl > 0 && w.EventTime < now.Add(-ttl):
		return read.Winner{Status: read.Expired}
	case w.EventTime > now || w.AvailableAt > now:
		return read.Winner{Status: read.NotYetKnown}
	}
	return w
}
