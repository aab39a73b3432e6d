package outbox

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

// Gauges are the metrics of what waits to be sent and of what is parked, of all channels.
func Gauges(pool *pgxpool.Pool) prometheus.Collector { return &gauges{pool: pool} }

// gauges are read out of Postgres when they are asked for, so that every server tells the same.
type gauges struct{ pool *pgxpool.Pool }

var (
	messagesWaiting = prometheus.NewDesc("headwater_outbox_messages", "Messages that wait to be sent.", nil, nil)
	messagesAge     = prometheus.NewDesc("headwater_outbox_age_seconds", "Age of the oldest message that waits to be sent.", nil, nil)
	messagesParked  = prometheus.NewDesc("headwater_outbox_parked", "Messages that their receiver refuses, and that are not tried again.", nil, nil)
)

// stateTimeout bounds the query of one collection.
const stateTimeout = 2 * time.Second

// Describe is prometheus.Collector's.
func (g *gauges) Describe(ch chan<- *prometheus.Desc) {
	ch <- messagesWaiting
	ch <- messagesAge
	ch <- messagesParked
}

// Collect is prometheus.Collector's.
func (g *gauges) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), stateTimeout)
	defer cancel()
	var waits, parked int64
	var age float64
	err := g.pool.QueryRow(ctx, `SELECT count(*) FILTER (WHERE parked_at IS NULL), count(*) FILTER (WHERE parked_at IS NOT NULL),
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
