package online

import (
	"time"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/read"
)

// Found is how many rows of a view have a status.
type Found struct {
	View   *feature.ViewVersion
	Status read.Status
	Rows   int
	// Age is the time from the event time of the first of them to the read, where it is Aged: it has a winner.
	Age  time.Duration
	Aged bool
}

// AppendFound appends what Judge found for the rows of each view, at now.
func (l *Lookup) AppendFound(dst []Found, now feature.Time) []Found {
	for v := range l.plan.views {
		begin := len(dst)
	rows:
		for _, k := range l.rows[v] {
			j := &l.judged[v][k]
			for i := begin; i < len(dst); i++ {
				if dst[i].Status == j.status {
					dst[i].Rows++
					continue rows
				}
			}
			f := Found{View: l.plan.views[v].Version, Status: j.status, Rows: 1}
			if j.row != "" {
				f.Age, f.Aged = now.Time().Sub(j.eventTime.Time()), true
			}
			dst = append(dst, f)
		}
	}
	return dst
}
