package main

import (
	"testing"
	"time"

	"github.com/headwaterhq/headwater/server"
)

func TestCallsConfig(t *testing.T) {
	given := callsConfig{
		InsecureNoAuth: "on", Reflection: "off", MaxReads: "7", MaxWaitingReads: "8", MaxStreams: "9", MaxRequest: "1MB", MaxAnswer: "2MB",
		ReadWait: "10ms", ConnectionAge: "11m", DrainDelay: "0s", DrainTime: "12s",
	}
	want := server.Config{InsecureNoAuth: true, NoReflection: true, DrainTime: 12 * time.Second, Limits: server.Limits{
		Reads: 7, WaitingReads: 8, ReadWait: 10 * time.Millisecond, RequestBytes: 1 << 20, AnswerBytes: 2 << 20, Streams: 9, ConnectionAge: 11 * time.Minute,
	}}
	for _, c := range []struct {
		config callsConfig
		want   server.Config
		err    string
	}{
		{want: server.Config{DrainDelay: time.Second}},
		{config: given, want: want},
		{config: callsConfig{InsecureNoAuth: "yes"}, err: `HEADWATER_INSECURE_NO_AUTH (insecure_no_auth): found "yes", expected on or off`},
		{config: callsConfig{Reflection: "no"}, err: `HEADWATER_REFLECTION (reflection): found "no", expected on or off`},
		{config: callsConfig{MaxReads: "0"}, err: `HEADWATER_MAX_READS (max_reads): found "0", expected a number from 1 to 1000000`},
		{config: callsConfig{MaxAnswer: "2GB"}, err: `HEADWATER_MAX_ANSWER (max_answer): found "2GB", expected a size such as 16MB, at most 1GB`},
		{config: callsConfig{ReadWait: "0s"}, err: `HEADWATER_READ_WAIT (read_wait): found "0s", expected a duration from 1ms to 24h`},
		{config: callsConfig{DrainDelay: "-1s"}, err: `HEADWATER_DRAIN_DELAY (drain_delay): found "-1s", expected a duration from 0s to 24h`},
	} {
		var got server.Config
		err := c.config.apply(&got)
		switch {
		case c.err != "":
			if err == nil || err.Error() != c.err {
				t.Errorf("found %v, expected %s", err, c.err)
			}
		case err != nil:
			t.Error(err)
		case got.Limits != c.want.Limits || got.InsecureNoAuth != c.want.InsecureNoAuth || got.NoReflection != c.want.NoReflection ||
			got.DrainDelay != c.want.DrainDelay || got.DrainTime != c.want.DrainTime:
			t.Errorf("found %+v, expected %+v", got, c.want)
		}
	}
}
