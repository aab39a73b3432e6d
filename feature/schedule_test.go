package feature

import (
	"strings"
	"testing"
	"time"
)

func at(t *testing.T, s string) Time {
	t.Helper()
	parsed, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return TimeOf(parsed)
}

func TestASchedulesNextTick(t *testing.T) {
	for _, c := range []struct{ cron, after, next string }{
		{"0 * * * *", "2024-05-01T10:00:00Z", "2024-05-01T11:00:00Z"},
		{"0 * * * *", "2024-05-01T09:59:59Z", "2024-05-01T10:00:00Z"},
		{"@daily", "2024-12-31T23:59:59Z", "2025-01-01T00:00:00Z"},
		{"*/20 9-17 * * mon-fri", "2024-05-03T17:40:00Z", "2024-05-06T09:00:00Z"},
		{"5,35 */6 * * *", "2024-05-01T06:05:00Z", "2024-05-01T06:35:00Z"},
		{"10/15 3 * * *", "2024-05-01T03:10:30Z", "2024-05-01T03:25:00Z"},
		{"0 0 29 2 *", "2097-01-01T00:00:00Z", "2104-02-29T00:00:00Z"},
		{"0 0 31 * *", "2024-03-31T00:00:00Z", "2024-05-31T00:00:00Z"},
		// Both days are named: either does.
		{"0 0 13 * 5", "2024-09-06T00:00:00Z", "2024-09-13T00:00:00Z"},
		{"0 0 13 * 5", "2024-09-07T00:00:00Z", "2024-09-13T00:00:00Z"},
		{"0 0 13 * 5", "2024-09-13T00:00:00Z", "2024-09-20T00:00:00Z"},
		{"0 0 * * 7", "2024-05-01T00:00:00Z", "2024-05-05T00:00:00Z"},
		{"0 0 * Feb sun", "2024-05-01T00:00:00Z", "2025-02-02T00:00:00Z"},
	} {
		next, ok := (&Schedule{Cron: c.cron}).Next(at(t, c.after))
		if !ok || next != at(t, c.next) {
			t.Errorf("%s after %s: found %s, %t, expected %s", c.cron, c.after, next, ok, c.next)
		}
	}
	for _, s := range []*Schedule{nil, {}, {Cron: "0 0 30 2 *"}} {
		if next, ok := s.Next(0); ok {
			t.Errorf("%+v: found a next tick %s, expected none", s, next)
		}
	}
}

// The next tick is the first minute that a plain reading of the fields names.
func TestASchedulesTicksAreThoseOfEachMinute(t *testing.T) {
	from := at(t, "2024-02-26T00:00:00Z").Calendar()
	for _, text := range []string{"*/7 */5 * * *", "3-50/11 1,2,22 28-31 * *", "0 12 1 3 1", "59 23 * * 1-5"} {
		c, err := parseCron(text)
		if err != nil {
			t.Fatal(err)
		}
		last := TimeOf(from)
		for m := from.Add(time.Minute); m.Before(from.AddDate(0, 0, 9)); m = m.Add(time.Minute) {
			ticks := c.minute>>m.Minute()&1 == 1 && c.hour>>m.Hour()&1 == 1 && c.month>>int(m.Month())&1 == 1 && c.onDay(m)
			if !ticks {
				continue
			}
			if next, ok := c.next(last); !ok || next != TimeOf(m) {
				t.Fatalf("%s after %s: found %s, expected %s", text, last, next, m)
			}
			last = TimeOf(m)
		}
	}
}

func TestASchedulesMistakes(t *testing.T) {
	for cron, expected := range map[string]string{
		"@yearly":     `found "@yearly", expected @hourly, @daily, @weekly, @monthly or five fields`,
		"0 * * *":     `found 4 fields in "0 * * *", expected five: minute, hour, day of the month, month, day of the week`,
		"60 * * * *":  `minute: found "60", expected *, a number from 0 to 59`,
		"* * 0 * *":   `day of the month: found "0", expected *, a number from 1 to 31`,
		"* * * foo *": `month: found "foo", expected *, a number from 1 to 12`,
		"* 9-5 * * *": `hour: found "9-5", expected a range that begins before it ends`,
		"*/0 * * * *": `minute: found "*/0", expected a step from 1 to 59 after /`,
		"-1 * * * *":  `minute: found "-1", expected`,
		", * * * *":   `minute: found "", expected`,
		"0 0 30 2 *":  `which no day ever is`,
	} {
		v := &validation{}
		v.schedule(&View{Schedule: &Schedule{Cron: cron}})
		if len(v.problems) != 1 || !strings.Contains(v.problems[0].Message, expected) {
			t.Errorf("%s: found %v, expected %q", cron, v.problems, expected)
		}
	}
}
