package server

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/headwaterhq/headwater/internal/notify"
)

// notify begins to tell webhooks.
func (s *Server) notify() error {
	told := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "headwater_webhook_notices_total", Help: "Notices to webhooks by what became of them: delivered, failed (and tried again) or parked.",
	}, []string{"webhook", "result"})
	if err := s.metrics.registry.Register(told); err != nil {
		return err
	}
	var err error
	s.notifier, err = notify.Start(notify.Config{
		Pool: s.pool, Webhooks: s.config.Webhooks, Log: s.config.Log, Count: func(webhook, result string) { told.WithLabelValues(webhook, result).Inc() },
	})
	return err
}
