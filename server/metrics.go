package server

import (
	"log/slog"
	"net/http"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/headwaterhq/headwater/materialize"
)

// metrics is what this server tells Prometheus.
type metrics struct {
	registry *prometheus.Registry
	runs     *materialize.Metrics
}

func newMetrics(pool *pgxpool.Pool) (*metrics, error) {
	m := &metrics{registry: prometheus.NewRegistry()}
	for _, c := range []prometheus.Collector{
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), materialize.NewStates(pool),
	} {
		if err := m.registry.Register(c); err != nil {
			return nil, err
		}
	}
	var err error
	m.runs, err = materialize.NewMetrics(m.registry)
	return m, err
}

// MetricsHandler answers scrapes of Prometheus. What cannot be had, such as gauges while Postgres is away, is left out and
// logged.
func (s *Server) MetricsHandler() http.Handler {
	return promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{
		ErrorLog:          slog.NewLogLogger(s.config.Log.Handler(), slog.LevelWarn),
		ErrorHandling:     promhttp.ContinueOnError,
		EnableOpenMetrics: true,
	})
}
