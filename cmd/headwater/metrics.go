package main

import (
	"errors"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/server"
)

// metricsListenVariable is the environment's name for the address that Prometheus is answered on.
const metricsListenVariable = "HEADWATER_METRICS_LISTEN"

// metricsProfilesVariable is the environment's name for whether profiles of the process are to be had there too.
const metricsProfilesVariable = "HEADWATER_METRICS_PROFILES"

// wantsProfiles reads metrics_profiles, or is a usage fault.
func wantsProfiles(text string) (bool, error) {
	switch text {
	case "", "off":
		return false, nil
	case "on":
		return true, nil
	}
	return false, usagef("%s (metrics_profiles): found %q, expected on or off", metricsProfilesVariable, text)
}

// listenForMetrics opens the address that Prometheus is answered on.
func listenForMetrics(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fault.New(fault.FailedPrecondition, "cannot listen for Prometheus on %s: %v; name another address with %s (metrics_listen), "+
			"or port 0 for a free one", address, errors.Unwrap(err), metricsListenVariable)
	}
	return l, nil
}

// serveMetrics answers scrapes of /metrics on l, and with profiles what Go's tools ask for below /debug/pprof/, until the function
// it returns is called.
func serveMetrics(l net.Listener, s *server.Server, profiles bool) (stop func()) {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", s.MetricsHandler())
	if profiles {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	h := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 60 * time.Second}
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
