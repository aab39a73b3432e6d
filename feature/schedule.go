package feature

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// Schedule is when a view is materialized by itself, and how its runs are treated.
type Schedule struct {
	// Cron is as written; see Next. Empty: at no time of its own.
	Cron string
	// AfterInputs: a run is queued when something that the view reads is published.
	AfterInputs bool
	// Priority and Attempts are as written, 0 for none; see RunPriority and RunAttempts.
	Priority, Attempts int
}

const (
	defaultPriority = 2
	defaultAttempts = 8
)

// RunPriority is 1 for views whose runs begin first, to 4.
func (v *View) RunPriority() int {
	if v.Schedule == nil || v.Schedule.Priority == 0 {
		return defaultPriority
	}
	return v.Schedule.Priority
}

// RunAttempts is how often a run of the view is tried when a server or a database is away, before it fails.
func (v *View) RunAttempts() int {
	if v.Schedule == nil || v.Schedule.Attempts == 0 {
		return defaultAttempts
	}
	return v.Schedule.Attempts
}

// text is the schedule in one line, for differences.
func (s *Schedule) text() string {
	if s == nil {
		return ""
	}
	var parts []string
	if s.Cron != "" {
		parts = append(parts, "cron "+s.Cron)
	}
	if s.AfterInputs {
		parts = append(parts, "after inputs")
	}
	if s.Priority != 0 {
		parts = append(parts, fmt.Sprintf("priority %d", s.Priority))
	}
	if s.Attempts != 0 {
		parts = append(parts, fmt.Sprintf("%d attempts", s.Attempts))
	}
	return strings.Join(parts, ", ")
}

// Next is the first minute after t at which the schedule ticks. ok is false when it never does.
func (s *Schedule) Next(t Time) (next Time, ok bool) {
	if s == nil || s.Cron == "" {
		return 0, false
	}
	c, err := parseCron(s.Cron)
	if err != nil {
		return 0, false
	}
	return c.next(t)
}

func (v *validation) schedule(w *View) {
	s := w.Schedule
	if s == nil {
		return
	}
	if w.OnDemand != nil {
		v.add("schedule", "found a schedule for a view of on-demand features, expected none: it has no runs")
		return
	}
	if s.Cron != "" {
		c, err := parseCron(s.Cron)
		if err == nil {
			if _, ok := c.next(0); !ok {
				err = fmt.Errorf("found %q, which no day ever is, expected a schedule with a next time", s.Cron)
			}
		}
		if err != nil {
			v.add("schedule.cron", "%v", err)
		}
	}
	if s.Priority < 0 || s.Priority > 4 {
		v.add("schedule.priority", "found %d, expected 1, for those that begin first, to 4", s.Priority)
	}
	if s.Attempts < 0 || s.Attempts > 100 {
		v.add("schedule.attempts", "found %d, expected 1 to 100", s.Attempts)
	}
}

// cron is the minutes at which something is to happen, in UTC: bit n of a field is set when n is one of its numbers.
type cron struct {
	minute, hour, day, month, weekday uint64
	// anyDay and anyWeekday are those that are written as *. A day has to be both, or one of the two when neither is any.
	anyDay, anyWeekday bool
}

type cronField struct {
	name        string
	least, most int
	// names are other ways to write the numbers from least on.
	names []string
}

var cronFields = [5]cronField{
	{"minute", 0, 59, nil},
	{"hour", 0, 23, nil},
	{"day of the month", 1, 31, nil},
	{"month", 1, 12, []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
	// 7 is Sunday too.
	{"day of the week", 0, 7, []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
}

var cronWords = map[string]string{
	"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@weekly": "0 0 * * 0", "@monthly": "0 0 1 * *",
}

func parseCron(s string) (c cron, err error) {
	text := s
	if strings.HasPrefix(s, "@") {
		var ok bool
		if text, ok = cronWords[s]; !ok {
			return c, fmt.Errorf("found %.40q, expected @hourly, @daily, @weekly, @monthly or five fields, such as \"0 * * * *\" for each full hour", s)
		}
	}
	fields := strings.Fields(text)
	if len(fields) != len(cronFields) {
		return c, fmt.Errorf("found %d fields in %.60q, expected five: minute, hour, day of the month, month, day of the week; \"0 * * * *\" is "+
			"each full hour", len(fields), s)
	}
	for i, to := range []*uint64{&c.minute, &c.hour, &c.day, &c.month, &c.weekday} {
		if *to, err = cronFields[i].parse(fields[i]); err != nil {
			return c, err
		}
	}
	c.anyDay, c.anyWeekday = strings.HasPrefix(fields[2], "*"), strings.HasPrefix(fields[4], "*")
	c.weekday |= c.weekday >> 7 & 1
	return c, nil
}

// parse reads a list of `*`, numbers and ranges, each with a step or without.
func (f *cronField) parse(s string) (set uint64, err error) {
	for part := range strings.SplitSeq(s, ",") {
		span, stepText, stepped := strings.Cut(part, "/")
		step := 1
		if stepped {
			if step, err = strconv.Atoi(stepText); err != nil || step < 1 || step > f.most {
				return 0, f.refuse(part, fmt.Sprintf("a step from 1 to %d after /", f.most))
			}
		}
		from, to := f.least, f.most
		if f.names != nil && f.least == 0 {
			to = len(f.names) - 1
		}
		if span != "*" {
			first, last, ranged := strings.Cut(span, "-")
			var ok bool
			if from, ok = f.number(first); !ok {
				return 0, f.refuse(part, f.expected())
			}
			switch {
			case ranged:
				if to, ok = f.number(last); !ok {
					return 0, f.refuse(part, f.expected())
				}
			case !stepped:
				to = from
			}
			if from > to {
				return 0, f.refuse(part, "a range that begins before it ends")
			}
		}
		for n := from; n <= to; n += step {
			set |= 1 << n
		}
	}
	return set, nil
}

func (f *cronField) number(s string) (int, bool) {
	for i, name := range f.names {
		if strings.EqualFold(s, name) {
			return f.least + i, true
		}
	}
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= f.least && n <= f.most && s[0] != '+' && s[0] != '-'
}

func (f *cronField) expected() string {
	text := fmt.Sprintf("*, a number from %d to %d, a range such as %[1]d-%d, a step such as */2, or a list of these", f.least, f.most, f.least+2)
	if f.names != nil {
		text += "; " + f.names[0] + " to " + f.names[len(f.names)-1] + " are numbers too"
	}
	return text
}

func (f *cronField) refuse(found, expected string) error {
	return fmt.Errorf("%s: found %.40q, expected %s", f.name, found, expected)
}

// next is the first full minute after t that c names. Of days that are never there is none.
func (c *cron) next(t Time) (Time, bool) {
	at := t.Calendar().UTC().Truncate(time.Minute).Add(time.Minute)
	// A 29th of February is at most eight years away.
	for end := at.AddDate(9, 0, 0); at.Before(end); {
		y, m, d := at.Date()
		switch {
		case c.month>>int(m)&1 == 0:
			at = time.Date(y, m+1, 1, 0, 0, 0, 0, time.UTC)
		case !c.onDay(at):
			at = time.Date(y, m, d+1, 0, 0, 0, 0, time.UTC)
		case c.hour>>at.Hour()&1 == 0:
			at = at.Truncate(time.Hour).Add(time.Hour)
		default:
			rest := c.minute >> at.Minute() << at.Minute()
			if rest == 0 {
				at = at.Truncate(time.Hour).Add(time.Hour)
				continue
			}
			return TimeOf(at.Add(time.Duration(bits.TrailingZeros64(rest)-at.Minute()) * time.Minute)), true
		}
	}
	return 0, false
}

func (c *cron) onDay(at time.Time) bool {
	day, weekday := c.day>>at.Day()&1 != 0, c.weekday>>int(at.Weekday())&1 != 0
	if c.anyDay || c.anyWeekday {
		return day && weekday
	}
	return day || weekday
}
