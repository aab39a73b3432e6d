package server

import (
	"errors"
	"log/slog"
	"net/http"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/headwaterhq/headwater/materialize"
	"github.com/headwaterhq/headwater/online"
	"github.com/headwaterhq/headwater/readlog"
)

// metrics is what this server tells Prometheus.
type metrics struct {
	registry *prometheus.Registry
	runs     *materialize.Metrics
	reads    *readlog.Metrics
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
	if m.runs, err = materialize.NewMetrics(m.registry); err != nil {
		return nil, err
	}
	m.reads, err = readlog.NewMetrics(m.registry)
	return m, err
}

// addServing adds what is known of online reads under load, and whether the server asks who calls.
func (m *metrics) addServing(reads *admission, open bool) error {
	gauge := func(name, help string, value func() float64) error {
		return m.registry.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
	}
	return errors.Join(
		gauge("headwater_reads_running", "Online reads that are worked on now.", func() float64 {
			running, _, _ := reads.load()
			return float64(running)
		}),
		gauge("headwater_reads_waiting", "Online reads that wait for their turn now.", func() float64 {
			_, waiting, _ := reads.load()
			return float64(waiting)
		}),
		m.registry.Register(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "headwater_reads_refused_total", Help: "Online reads that were refused because too many ran and waited.",
		}, func() float64 {
			_, _, refused := reads.load()
			return float64(refused)
		})),
		gauge("headwater_authentication", "1 where callers must say who they are, 0 where everybody may do everything.", func() float64 {
			if open {
				return 0
			}
			return 1
		}),
	)
}

// addCache adds what is known of the rows that reads keep in memory.
func (m *metrics) addCache(stats func() online.CacheStats) error {
	gauge := func(name, help string, value func(online.CacheStats) float64) error {
		return m.registry.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return value(stats()) }))
	}
	count := func(result string, value func(online.CacheStats) int64) error {
		return m.registry.Register(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "headwater_read_cache_lookups_total", Help: "Entities that online reads looked for in memory, for views that declare a cache: hit or miss.",
			ConstLabels: prometheus.Labels{"result": result},
		}, func() float64 { return float64(value(stats())) }))
	}
	return errors.Join(
		count("hit", func(s online.CacheStats) int64 { return s.Hits }),
		count("miss", func(s online.CacheStats) int64 { return s.Misses }),
		gauge("headwater_read_cache_bytes", "About the memory that rows of views with a cache take.", func(s online.CacheStats) float64 { return float64(s.Bytes) }),
		gauge("headwater_read_cache_limit_bytes", "What that memory is bounded by.", func(s online.CacheStats) float64 { return float64(s.Most) }),
	)
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
