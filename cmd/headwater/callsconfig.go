package main

import (
	"os"
	"strconv"
	"time"

	"github.com/headwaterhq/headwater/server"
)

// callsConfig says what callers may ask of a server, and who they are taken for. Empty: the server's defaults.
type callsConfig struct {
	// InsecureNoAuth (HEADWATER_INSECURE_NO_AUTH) and Reflection (HEADWATER_REFLECTION) are on or off.
	InsecureNoAuth string `yaml:"insecure_no_auth"`
	Reflection     string `yaml:"reflection"`
	// MaxReads (HEADWATER_MAX_READS), MaxWaitingReads (HEADWATER_MAX_WAITING_READS) and MaxStreams (HEADWATER_MAX_STREAMS) are numbers.
	MaxReads        string `yaml:"max_reads"`
	MaxWaitingReads string `yaml:"max_waiting_reads"`
	MaxStreams      string `yaml:"max_streams"`
	// MaxRequest (HEADWATER_MAX_REQUEST) and MaxAnswer (HEADWATER_MAX_ANSWER) are sizes.
	MaxRequest string `yaml:"max_request"`
	MaxAnswer  string `yaml:"max_answer"`
	// ReadWait (HEADWATER_READ_WAIT), ConnectionAge (HEADWATER_CONNECTION_AGE), DrainDelay (HEADWATER_DRAIN_DELAY) and DrainTime
	// (HEADWATER_DRAIN_TIME) are durations.
	ReadWait      string `yaml:"read_wait"`
	ConnectionAge string `yaml:"connection_age"`
	DrainDelay    string `yaml:"drain_delay"`
	DrainTime     string `yaml:"drain_time"`
}

// defaultDrainDelay is long enough for a client that watches the server's health, and short for whoever waits for its end.
const defaultDrainDelay = time.Second

func (c *callsConfig) fields() map[string]*string {
	return map[string]*string{
		"HEADWATER_INSECURE_NO_AUTH":  &c.InsecureNoAuth,
		"HEADWATER_REFLECTION":        &c.Reflection,
		"HEADWATER_MAX_READS":         &c.MaxReads,
		"HEADWATER_MAX_WAITING_READS": &c.MaxWaitingReads,
		"HEADWATER_MAX_STREAMS":       &c.MaxStreams,
		"HEADWATER_MAX_REQUEST":       &c.MaxRequest,
		"HEADWATER_MAX_ANSWER":        &c.MaxAnswer,
		"HEADWATER_READ_WAIT":         &c.ReadWait,
		"HEADWATER_CONNECTION_AGE":    &c.ConnectionAge,
		"HEADWATER_DRAIN_DELAY":       &c.DrainDelay,
		"HEADWATER_DRAIN_TIME":        &c.DrainTime,
	}
}

func (c *callsConfig) readEnvironment() {
	for name, field := range c.fields() {
		if v := os.Getenv(name); v != "" {
			*field = v
		}
	}
}

// apply puts what is given into a server's configuration, or is a usage fault that says what of it cannot be.
func (c *callsConfig) apply(to *server.Config) error {
	to.DrainDelay = defaultDrainDelay
	reflection := true
	for _, f := range []struct {
		name, text string
		to         *bool
	}{
		{"HEADWATER_INSECURE_NO_AUTH (insecure_no_auth)", c.InsecureNoAuth, &to.InsecureNoAuth},
		{"HEADWATER_REFLECTION (reflection)", c.Reflection, &reflection},
	} {
		switch f.text {
		case "":
		case "on", "off":
			*f.to = f.text == "on"
		default:
			return usagef("%s: found %q, expected on or off", f.name, f.text)
		}
	}
	to.NoReflection = !reflection
	for _, f := range []struct {
		name, text string
		to         *int
	}{
		{"HEADWATER_MAX_READS (max_reads)", c.MaxReads, &to.Limits.Reads},
		{"HEADWATER_MAX_WAITING_READS (max_waiting_reads)", c.MaxWaitingReads, &to.Limits.WaitingReads},
		{"HEADWATER_MAX_STREAMS (max_streams)", c.MaxStreams, &to.Limits.Streams},
	} {
		if f.text == "" {
			continue
		}
		n, err := strconv.Atoi(f.text)
		if err != nil || n < 1 || n > 1_000_000 {
			return usagef("%s: found %q, expected a number from 1 to 1000000", f.name, f.text)
		}
		*f.to = n
	}
	for _, f := range []struct {
		name, text string
		to         *int
	}{
		{"HEADWATER_MAX_REQUEST (max_request)", c.MaxRequest, &to.Limits.RequestBytes},
		{"HEADWATER_MAX_ANSWER (max_answer)", c.MaxAnswer, &to.Limits.AnswerBytes},
	} {
		if f.text == "" {
			continue
		}
		n, ok := parseSize(f.text)
		if !ok || n > 1<<30 {
			return usagef("%s: found %q, expected a size such as 16MB, at most 1GB", f.name, f.text)
		}
		*f.to = int(n)
	}
	for _, f := range []struct {
		name, text string
		least      time.Duration
		to         *time.Duration
	}{
		{"HEADWATER_READ_WAIT (read_wait)", c.ReadWait, time.Millisecond, &to.Limits.ReadWait},
		{"HEADWATER_CONNECTION_AGE (connection_age)", c.ConnectionAge, time.Second, &to.Limits.ConnectionAge},
		{"HEADWATER_DRAIN_DELAY (drain_delay)", c.DrainDelay, 0, &to.DrainDelay},
		{"HEADWATER_DRAIN_TIME (drain_time)", c.DrainTime, time.Millisecond, &to.DrainTime},
	} {
		if f.text == "" {
			continue
		}
		d, err := time.ParseDuration(f.text)
		if err != nil || d < f.least || d > 24*time.Hour {
			return usagef("%s: found %q, expected a duration from %s to 24h", f.name, f.text, f.least)
		}
		*f.to = d
	}
	return nil
}
