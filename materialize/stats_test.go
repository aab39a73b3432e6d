package materialize

import (
	"testing"
	"time"
)

var statsBegin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// ranAt is a run that ended the minutes after statsBegin, having taken a minute.
func ranAt(minutes int, state State) endedRun {
	ended := statsBegin.Add(time.Duration(minutes) * time.Minute)
	started := ended.Add(-time.Minute)
	r := endedRun{State: state, StartedAt: &started, EndedAt: ended, Read: 10, Quarantined: 1}
	if state == Failed {
		r.Error = "it failed"
	}
	return r
}

func TestStatsMeasureReliability(t *testing.T) {
	s := measure([]endedRun{
		ranAt(10, Published), ranAt(20, Failed), ranAt(30, Failed), ranAt(40, Cancelled), ranAt(50, Published), ranAt(60, Failed),
	})
	if s.Published != 2 || s.Failed != 3 || s.Cancelled != 1 || s.Read != 20 || s.Quarantined != 2 || s.LastError != "it failed" {
		t.Errorf("found %+v", s)
	}
	if s.SuccessRate == nil || *s.SuccessRate != 0.4 {
		t.Errorf("found success rate %v, expected 0.4", s.SuccessRate)
	}
	// From the first of the two failures; the last one has not been recovered from.
	if s.Recover == nil || *s.Recover != 30*time.Minute {
		t.Errorf("found %v to recover, expected 30m", s.Recover)
	}
	if *s.Median != time.Minute || *s.P95 != time.Minute || !s.LastPublishedAt.Equal(statsBegin.Add(50*time.Minute)) {
		t.Errorf("found %v, %v, %v", s.Median, s.P95, s.LastPublishedAt)
	}
}

func TestStatsOfNothingAreAbsent(t *testing.T) {
	s := measure(nil)
	if s.SuccessRate != nil || s.Recover != nil || s.Median != nil || s.P95 != nil || s.LastPublishedAt != nil {
		t.Errorf("found %+v, expected nothing measured", s)
	}
}

func TestQuantilesAreOfTheDurationsThereAre(t *testing.T) {
	var durations []time.Duration
	for i := range 20 {
		durations = append(durations, time.Duration(i+1)*time.Second)
	}
	if m, p := *quantile(durations, 0.5), *quantile(durations, 0.95); m != 10*time.Second || p != 19*time.Second {
		t.Errorf("found median %v and p95 %v, expected 10s and 19s", m, p)
	}
}

// A run an hour is demanded; it was there for the first half of four hours.
func TestFreshnessIsTheShareOfTimeThatItWasKept(t *testing.T) {
	hourly := func(at time.Time) time.Time { return at.Add(-time.Hour) }
	runs := []endedRun{ranAt(0, Published), ranAt(30, Published), ranAt(61, Published), ranAt(90, Failed)}
	kept := freshnessKept(runs, statsBegin.Add(-time.Hour), statsBegin.Add(4*time.Hour), hourly)
	if kept == nil || *kept < 0.49 || *kept > 0.51 {
		t.Errorf("found %v, expected about half", kept)
	}
	if kept := freshnessKept(nil, statsBegin, statsBegin.Add(time.Hour), hourly); kept != nil {
		t.Errorf("found %v of no runs, expected nothing", *kept)
	}
	nothing := func(time.Time) time.Time { return time.Time{} }
	if kept := freshnessKept(runs, statsBegin, statsBegin.Add(time.Hour), nothing); kept != nil {
		t.Errorf("found %v where nothing is demanded, expected nothing", *kept)
	}
}
