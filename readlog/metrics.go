package readlog

import "github.com/prometheus/client_golang/prometheus"

// What became of a read that was to be kept.
const (
	kept    = "kept"
	dropped = "dropped"
	refused = "refused"
)

// Metrics counts the reads that this process keeps. A nil one counts nothing.
type Metrics struct {
	reads    *prometheus.CounterVec
	registry prometheus.Registerer
}

// NewMetrics registers them.
func NewMetrics(r prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{registry: r, reads: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "headwater_read_log_reads_total",
		Help: "Online reads of services with a read log, by what became of them: kept, dropped (sampled ones, when the queue or the disk is full), refused (not answered).",
	}, []string{"outcome"})}
	for _, outcome := range []string{kept, dropped, refused} {
		m.reads.WithLabelValues(outcome)
	}
	return m, r.Register(m.reads)
}

func (m *Metrics) count(outcome string) {
	if m != nil {
		m.reads.WithLabelValues(outcome).Inc()
	}
}

// follow adds gauges of the log.
func (m *Metrics) follow(l *Log) {
	if m == nil {
		return
	}
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "headwater_read_log_pending_reads", Help: "Reads on this server's disk that are not in Postgres yet.",
		}, func() float64 { return float64(l.log.Pending()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "headwater_read_log_bytes", Help: "Room that the read log takes on this server's disk, in bytes.",
		}, func() float64 { return float64(l.log.Bytes()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "headwater_read_log_queued_reads", Help: "Sampled reads that wait to be written to this server's disk.",
		}, func() float64 { return float64(int64(len(l.queue)) + l.composing.Load()) }),
	)
}
