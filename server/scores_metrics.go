package server

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// maxScoredNodes bounds of how many nodes Prometheus is told, the worst.
const maxScoredNodes = 2000

// scoreMetrics tells Prometheus of the scores of the last look. A scrape asks nothing of Postgres.
type scoreMetrics struct {
	scores                              *scorer
	score, part, checks, drift, leftOut *prometheus.Desc
}

func newScoreMetrics(s *scorer) *scoreMetrics {
	gauge := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &scoreMetrics{
		scores:  s,
		score:   gauge("headwater_quality_score", "How good a view, a service or a source is, from 0 to 100. Left out while nothing is known.", "kind", "node"),
		part:    gauge("headwater_quality_part", "A part of that score, from 0 to 1. Left out while it is unknown.", "kind", "node", "part"),
		checks:  gauge("headwater_checks", "Checks of the newest run by what came of them: passed, warned or failed.", "kind", "node", "state"),
		drift:   gauge("headwater_drift_columns", "Columns of the newest run by the verdict on their drift: ok, warn or fail.", "kind", "node", "verdict"),
		leftOut: gauge("headwater_quality_nodes_left_out", "Nodes that are not told of, because there are too many."),
	}
}

// Describe is prometheus.Collector's.
func (m *scoreMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.score, m.part, m.checks, m.drift, m.leftOut} {
		to <- d
	}
}

// Collect is prometheus.Collector's.
func (m *scoreMetrics) Collect(to chan<- prometheus.Metric) {
	newest := m.scores.newest.Load()
	if newest == nil {
		return
	}
	all := worstFirst(*newest)
	to <- prometheus.MustNewConstMetric(m.leftOut, prometheus.GaugeValue, float64(max(len(all)-maxScoredNodes, 0)))
	for _, one := range all[:min(len(all), maxScoredNodes)] {
		_, node, _ := strings.Cut(one.node, ":")
		tell := func(d *prometheus.Desc, value float64, labels ...string) {
			to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, append([]string{one.kind, node}, labels...)...)
		}
		if one.score != nil {
			tell(m.score, *one.score)
		}
		for i := range one.parts {
			if p := &one.parts[i]; p.Value != nil {
				tell(m.part, *p.Value, p.Name)
			}
		}
		if n := one.checks; n.Passed+n.Warned+n.Failed > 0 {
			tell(m.checks, float64(n.Passed), "passed")
			tell(m.checks, float64(n.Warned), "warned")
			tell(m.checks, float64(n.Failed), "failed")
		}
		if n := one.drift; n.OK+n.Warned+n.Failed > 0 {
			tell(m.drift, float64(n.OK), "ok")
			tell(m.drift, float64(n.Warned), "warn")
			tell(m.drift, float64(n.Failed), "fail")
		}
	}
}
