package materialize

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts the runs and online loads that this process carried to their end. A nil one counts nothing.
type Metrics struct {
	ended         *prometheus.CounterVec
	duration      *prometheus.HistogramVec
	phase         *prometheus.HistogramVec
	rows          *prometheus.CounterVec
	interrupted   *prometheus.CounterVec
	onlineRows    *prometheus.CounterVec
	verifications *prometheus.CounterVec
}

// NewMetrics registers the metrics of runs with r.
func NewMetrics(r prometheus.Registerer) (*Metrics, error) {
	// From 50 ms to 7 h.
	seconds := prometheus.ExponentialBuckets(0.05, 2, 20)
	m := &Metrics{
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headwater_runs_ended_total", Help: "Runs that ended, by the state that they ended in: published, failed or cancelled.",
		}, []string{"view", "state"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "headwater_run_duration_seconds", Help: "Time from a run's start to its end.", Buckets: seconds,
		}, []string{"view", "state"}),
		phase: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "headwater_run_phase_duration_seconds", Help: "Time of each phase of a published run.", Buckets: seconds,
		}, []string{"view", "phase"}),
		rows: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headwater_run_rows_total", Help: "Rows of published runs, by the bucket of the ledger that they are in.",
		}, []string{"view", "bucket"}),
		interrupted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headwater_run_attempts_interrupted_total", Help: "Attempts to carry a run that ended without its end: it is tried again.",
		}, []string{"view"}),
		onlineRows: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headwater_online_load_rows_total", Help: "Rows that online loads offered to Redis: written, stale, and of these the tombstones.",
		}, []string{"view", "result"}),
		verifications: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headwater_runs_verified_total", Help: "Runs that were computed again, by the verdict: same, source_changed, different (an alarm) or errored.",
		}, []string{"view", "verdict"}),
	}
	return m, errors.Join(r.Register(m.ended), r.Register(m.duration), r.Register(m.phase), r.Register(m.rows),
		r.Register(m.interrupted), r.Register(m.onlineRows), r.Register(m.verifications))
}

// verified counts a run that was computed again.
func (m *Metrics) verified(v *Verification) {
	if m != nil {
		m.verifications.WithLabelValues(viewLabel(v.Run), string(v.Verdict)).Inc()
	}
}

func viewLabel(r *Run) string { return r.View + "@" + strconv.Itoa(r.ViewVersion) }

// runEnded counts a run that has ended.
func (m *Metrics) runEnded(r *Run) {
	if m == nil || !r.State.Ended() {
		return
	}
	view := viewLabel(r)
	m.ended.WithLabelValues(view, string(r.State)).Inc()
	if r.StartedAt != nil && r.EndedAt != nil {
		m.duration.WithLabelValues(view, string(r.State)).Observe(r.EndedAt.Sub(*r.StartedAt).Seconds())
	}
	if r.State != Published {
		return
	}
	for _, p := range r.Phases {
		m.phase.WithLabelValues(view, p.Name).Observe((time.Duration(p.Micros) * time.Microsecond).Seconds())
	}
	l := r.Ledger
	for bucket, n := range map[string]int64{
		"read": l.Read, "accepted": l.Accepted, "quarantined": l.Quarantined, "duplicate": l.Duplicate, "dropped": l.Dropped,
		"too_late": l.TooLate, "used": l.Used, "filtered": l.Filtered, "unaccounted": l.Unaccounted, "produced": l.Produced,
		"unchanged": l.Unchanged, "inserted": l.Inserted, "withdrawn": l.Withdrawn,
	} {
		m.rows.WithLabelValues(view, bucket).Add(float64(n))
	}
}

// runInterrupted counts an attempt after which the run is tried again.
func (m *Metrics) runInterrupted(r *Run) {
	if m != nil {
		m.interrupted.WithLabelValues(viewLabel(r)).Inc()
	}
}

// loadEnded counts an online load that has ended.
func (m *Metrics) loadEnded(r *Run) {
	if m == nil {
		return
	}
	view := viewLabel(r)
	m.onlineRows.WithLabelValues(view, "written").Add(float64(r.OnlineWritten))
	m.onlineRows.WithLabelValues(view, "stale").Add(float64(r.OnlineStale))
	m.onlineRows.WithLabelValues(view, "tombstone").Add(float64(r.OnlineTombstones))
}

// States are gauges that are read out of Postgres when they are asked for, so that every server tells the same.
type States struct {
	pool *pgxpool.Pool

	age, lag, live, queued, running, pending, waiting, newest, loaded *prometheus.Desc
}

// stateTimeout bounds the query of one collection.
const stateTimeout = 2 * time.Second

// NewStates makes the collector of where view versions stand.
func NewStates(pool *pgxpool.Pool) *States {
	gauge := func(name, help string) *prometheus.Desc { return prometheus.NewDesc(name, help, []string{"view"}, nil) }
	return &States{
		pool:    pool,
		age:     gauge("headwater_view_published_age_seconds", "Time since the newest run of the view version was published."),
		lag:     gauge("headwater_view_covered_lag_seconds", "Time from the end of what the runs of the view version cover to now."),
		live:    gauge("headwater_view_live_rows", "Rows of the view version that no run has ended."),
		queued:  gauge("headwater_runs_queued", "Runs that wait."),
		running: gauge("headwater_runs_running", "Runs at work."),
		waiting: gauge("headwater_runs_queued_age_seconds", "Time since the oldest of the runs that wait was asked for."),
		pending: gauge("headwater_online_loads_pending", "Published runs that are not in the online store yet."),
		newest:  gauge("headwater_view_online_newest_age_seconds", "Age of the newest event time of the view version that is online."),
		loaded:  gauge("headwater_view_online_run_age_seconds", "Time since the newest run that is online of the view version was published."),
	}
}

// Describe is prometheus.Collector's.
func (s *States) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{s.age, s.lag, s.live, s.queued, s.running, s.waiting, s.pending, s.newest, s.loaded} {
		ch <- d
	}
}

const selectStates = `
	SELECT d.name || '@' || d.version, s.live_rows,
		extract(epoch FROM clock_timestamp() - p.published_at)::float8, extract(epoch FROM clock_timestamp() - upper(s.covered))::float8,
		r.queued, r.running, r.pending, coalesce(extract(epoch FROM clock_timestamp() - r.oldest), 0)::float8,
		greatest(extract(epoch FROM clock_timestamp() - f.newest), 0)::float8, extract(epoch FROM clock_timestamp() - f.published_at)::float8
	FROM headwater.view_state s
		JOIN headwater.definition d ON d.id = s.view_id
		LEFT JOIN headwater.publish_log p ON p.view_id = s.view_id AND p.seq = s.published_seq
		LEFT JOIN headwater.online_freshness f ON f.view_id = s.view_id
		CROSS JOIN LATERAL (
			SELECT count(*) FILTER (WHERE state = 'queued') AS queued, count(*) FILTER (WHERE state = 'running') AS running,
				count(*) FILTER (WHERE online_state = 'pending') AS pending, min(queued_at) FILTER (WHERE state = 'queued') AS oldest
			FROM headwater.run WHERE view_id = s.view_id AND (state IN ('queued', 'running') OR online_state = 'pending')) AS r
	ORDER BY 1`

// Collect is prometheus.Collector's. When Postgres does not answer in time it tells so by an invalid metric, which makes the
// scrape say why.
func (s *States) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), stateTimeout)
	defer cancel()
	rows, err := s.pool.Query(ctx, selectStates)
	if err == nil {
		_, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (struct{}, error) {
			var view string
			var live, queued, running, pending int64
			var age, lag, newest, loaded *float64
			var waiting float64
			err := row.Scan(&view, &live, &age, &lag, &queued, &running, &pending, &waiting, &newest, &loaded)
			if err != nil {
				return struct{}{}, err
			}
			tell := func(d *prometheus.Desc, v float64) {
				ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, view)
			}
			if age != nil {
				tell(s.age, *age)
			}
			if lag != nil {
				tell(s.lag, *lag)
			}
			if newest != nil {
				tell(s.newest, *newest)
			}
			if loaded != nil {
				tell(s.loaded, *loaded)
			}
			tell(s.live, float64(live))
			tell(s.queued, float64(queued))
			tell(s.running, float64(running))
			tell(s.waiting, waiting)
			tell(s.pending, float64(pending))
			return struct{}{}, nil
		})
	}
	if err != nil {
		ch <- prometheus.NewInvalidMetric(s.queued, err)
	}
}
