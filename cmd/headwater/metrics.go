package main

import (
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/server"
)

// metricsListenVariable is the environment's name for the address that Prometheus is answered on.
const metricsListenVariable = "HEADWATER_METRICS_LISTEN"

// listenForMetrics opens the address that Prometheus is answered on.
func listenForMetrics(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fault.New(fault.FailedPrecondition, "cannot listen for Prometheus on %s: %v; name another address with %s (metrics_listen), "+
			"or port 0 for a free one", address, errors.Unwrap(err), metricsListenVariable)
	}
	return l, nil
}

// serveMetrics answers scrapes of /metrics on l until the function it returns is called.
func serveMetrics(l net.Listener, s *server.Server) (stop func()) {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", s.MetricsHandler())
	h := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = h.Serve(l)
	}()
	return func() {
		_ = h.Close()
		<-ended
	}
}
