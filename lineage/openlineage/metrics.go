package openlineage

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts what this process did with events. A nil one counts nothing.
type Metrics struct{ events *prometheus.CounterVec }

// NewMetrics registers the metrics of events with r, and those of what waits in pool.
func NewMetrics(r prometheus.Registerer, pool *pgxpool.Pool) (*Metrics, error) {
	m := &Metrics{events: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "headwater_openlineage_events_total", Help: "OpenLineage events by what became of them: delivered, failed (and tried again), parked or given_up.",
	}, []string{"result"})}
	return m, errors.Join(r.Register(m.events), r.Register(&waiting{pool: pool}))
}

func (m *Metrics) count(result string) { m.add(result, 1) }

func (m *Metrics) add(result string, n float64) {
	if m != nil {
		m.events.WithLabelValues(result).Add(n)
	}
}

// waiting is gauges that are read out of Postgres when they are asked for, so that every server tells the same.
type waiting struct{ pool *pgxpool.Pool }

var (
	messagesWaiting = prometheus.NewDesc("headwater_outbox_messages", "Messages that wait to be sent.", nil, nil)
	messagesAge     = prometheus.NewDesc("headwater_outbox_age_seconds", "Age of the oldest message that waits to be sent.", nil, nil)
	messagesParked  = prometheus.NewDesc("headwater_outbox_parked", "Messages that their receiver refuses, and that are not tried again.", nil, nil)
)

// stateTimeout bounds the query of one collection.
const stateTimeout = 2 * time.Second

// Describe is prometheus.Collector's.
func (w *waiting) Describe(ch chan<- *prometheus.Desc) {
	ch <- messagesWaiting
	ch <- messagesAge
	ch <- messagesParked
}

// Collect is prometheus.Collector's.
func (w *waiting) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), stateTimeout)
	defer cancel()
	var waits, parked int64
	var age float64
	err := w.pool.QueryRow(ctx, `SELECT count(*) FILTER (WHERE parked_at IS NULL), count(*) FILTER (WHERE parked_at IS NOT NULL),
		coalesce(extract(epoch FROM clock_timestamp() - min(created_at) FILTER (WHERE parked_at IS NULL)), 0)::float8 FROM headwater.outbox WHERE channel <> 'notice'`).
		Scan(&waits, &parked, &age)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(messagesWaiting, err)
		return
	}
	ch <- prometheus.MustNewConstMetric(messagesWaiting, prometheus.GaugeValue, float64(waits))
	ch <- prometheus.MustNewConstMetric(messagesAge, prometheus.GaugeValue, age)
	ch <- prometheus.MustNewConstMetric(messagesParked, prometheus.GaugeValue, float64(parked))
}
