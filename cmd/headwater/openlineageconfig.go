package main

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/lineage/openlineage"
	"github.com/headwaterhq/headwater/server"
)

// openLineageConfig says who is told, in OpenLineage's events, what is run, built and applied. Empty: nobody.
type openLineageConfig struct {
	// OpenLineageURL is an endpoint (HEADWATER_OPENLINEAGE_URL), OpenLineageAPIKey what lets the server in there
	// (HEADWATER_OPENLINEAGE_API_KEY), OpenLineageFile a file in its place (HEADWATER_OPENLINEAGE_FILE).
	OpenLineageURL    string `yaml:"openlineage_url"`
	OpenLineageAPIKey string `yaml:"openlineage_api_key"`
	OpenLineageFile   string `yaml:"openlineage_file"`
	// OpenLineageNamespace (HEADWATER_OPENLINEAGE_NAMESPACE) and OpenLineagePostgres (HEADWATER_OPENLINEAGE_POSTGRES) are names,
	// OpenLineageKeep is a number of days or a duration (HEADWATER_OPENLINEAGE_KEEP).
	OpenLineageNamespace string `yaml:"openlineage_namespace"`
	OpenLineagePostgres  string `yaml:"openlineage_postgres"`
	OpenLineageKeep      string `yaml:"openlineage_keep"`
	// OpenLineageListen is the address to take events of others on (HEADWATER_OPENLINEAGE_LISTEN). Empty: none.
	OpenLineageListen string `yaml:"openlineage_listen"`
}

func (c *openLineageConfig) readEnvironment() {
	for name, field := range map[string]*string{
		"HEADWATER_OPENLINEAGE_URL":       &c.OpenLineageURL,
		"HEADWATER_OPENLINEAGE_API_KEY":   &c.OpenLineageAPIKey,
		"HEADWATER_OPENLINEAGE_FILE":      &c.OpenLineageFile,
		"HEADWATER_OPENLINEAGE_NAMESPACE": &c.OpenLineageNamespace,
		"HEADWATER_OPENLINEAGE_POSTGRES":  &c.OpenLineagePostgres,
		"HEADWATER_OPENLINEAGE_KEEP":      &c.OpenLineageKeep,
		"HEADWATER_OPENLINEAGE_LISTEN":    &c.OpenLineageListen,
	} {
		if v := os.Getenv(name); v != "" {
			*field = v
		}
	}
}

// apply sets who is told, or is a usage fault that says which of the texts cannot be. None of them shows the key.
func (c *openLineageConfig) apply(to *server.Config) error {
	switch {
	case c.OpenLineageURL != "" && c.OpenLineageFile != "":
		return usagef("found HEADWATER_OPENLINEAGE_URL (openlineage_url) and HEADWATER_OPENLINEAGE_FILE (openlineage_file), expected one of them")
	case c.OpenLineageAPIKey != "" && c.OpenLineageURL == "":
		return usagef("found HEADWATER_OPENLINEAGE_API_KEY (openlineage_api_key) without an endpoint that it lets in to; set HEADWATER_OPENLINEAGE_URL " +
			"(openlineage_url)")
	case c.OpenLineageURL != "":
		if err := openlineage.CheckURL(c.OpenLineageURL); err != nil {
			return usagef("%v", err)
		}
	}
	if c.OpenLineagePostgres != "" {
		if host, port, err := net.SplitHostPort(c.OpenLineagePostgres); err != nil || host == "" || port == "" {
			return usagef("HEADWATER_OPENLINEAGE_POSTGRES (openlineage_postgres): found %q, expected HOST:PORT, such as db.example.com:5432", c.OpenLineagePostgres)
		}
	}
	keep := time.Duration(0)
	if c.OpenLineageKeep != "" {
		d, ok := parseAge(c.OpenLineageKeep)
		if !ok || d < time.Hour || d > 366*24*time.Hour {
			return usagef("HEADWATER_OPENLINEAGE_KEEP (openlineage_keep): found %q, expected 1h to 366d, such as 7d", c.OpenLineageKeep)
		}
		keep = d
	}
	to.OpenLineage = server.OpenLineage{
		URL: c.OpenLineageURL, APIKey: c.OpenLineageAPIKey, File: c.OpenLineageFile, Namespace: c.OpenLineageNamespace,
		PostgresHost: c.OpenLineagePostgres, Keep: keep,
	}
	return nil
}

// listenForEvents opens the address that events of others are taken on, or is nil where there is none.
func (c *openLineageConfig) listenForEvents() (net.Listener, error) {
	if c.OpenLineageListen == "" {
		return nil, nil
	}
	l, err := net.Listen("tcp", c.OpenLineageListen)
	if err != nil {
		return nil, fault.New(fault.FailedPrecondition, "cannot listen for OpenLineage events on %s: %v; name another address with HEADWATER_OPENLINEAGE_LISTEN "+
			"(openlineage_listen), or port 0 for a free one", c.OpenLineageListen, errors.Unwrap(err))
	}
	return l, nil
}

// serveEvents takes events of others on l until the function it returns is called.
func serveEvents(l net.Listener, s *server.Server) (stop func()) {
	if config := s.EventsTLS(); config != nil {
		l = tls.NewListener(l, config)
	}
	h := &http.Server{Handler: s.EventsHandler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 60 * time.Second}
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
