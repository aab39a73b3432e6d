package openlineage

import "github.com/prometheus/client_golang/prometheus"

// Metrics counts what this process did with events. A nil one counts nothing.
type Metrics struct{ events *prometheus.CounterVec }

// NewMetrics registers the metrics of events with r.
func NewMetrics(r prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{events: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "headwater_openlineage_events_total", Help: "OpenLineage events by what became of them: delivered, failed (and tried again), parked or given_up.",
	}, []string{"result"})}
	return m, r.Register(m.events)
}

func (m *Metrics) count(result string) { m.add(result, 1) }

func (m *Metrics) add(result string, n float64) {
	if m != nil {
		m.events.WithLabelValues(result).Add(n)
	}
}
