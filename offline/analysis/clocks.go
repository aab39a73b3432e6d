package analysis

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// checkClocks holds the outermost query's available_at and event_time to what they mean.
func (a *analyser) checkClocks(r *relation) {
	targets := targetsOf(a.tree)
	for i, t := range targets {
		switch t.text("resname") {
		case "available_at":
			a.checkAvailable(t, i, r)
		case "event_time":
			if i < len(r.columns) && r.columns[i].scope != nil {
				a.checkEventTime(t, r.columns[i].scope, r.columns[i].expr, 0)
			}
		}
	}
}

func (a *analyser) checkAvailable(t *Node, i int, r *relation) {
	c := r.columns[i]
	missing := set{}.add(r.missing)
	if c.all || !r.atoms {
		missing = set{}
	}
	for _, other := range r.columns {
		for n := range lacking(other.needs, c.covers) {
			switch n[0] {
			case 'w':
				missing["the rows that a window function looks at"] = true
			case 's', 'g':
				missing["the rows that a subquery looks at"] = true
			}
		}
	}
	if len(missing) == 0 && (c.all || !r.atoms) {
		return
	}
	var names []string
	for m := range missing {
		names = append(names, m)
	}
	slices.Sort(names)
	if len(names) == 0 {
		names = []string{"a row it is made of"}
	}
	a.refuse(Refusal{Rule: RuleAvailable, Found: "an available_at that may be before that of " + strings.Join(names, " and of "),
		Expected: "one that is before that of no row that counts", Remedy: "write " + a.availableRemedy(names)}, t.place(), "available_at")
}

// availableRemedy is how to write available_at for the outermost query.
func (a *analyser) availableRemedy(missing []string) string {
	s := a.top
	var parts []string
	for _, i := range s.leaves {
		leaf := s.relations[i-1]
		if !leaf.atoms {
			continue
		}
		part := "available_at"
		if len(s.leaves) > 1 {
			part = leaf.name + ".available_at"
		}
		if s.grouped() {
			part = "max(" + part + ")"
		}
		parts = append(parts, part)
	}
	if slices.ContainsFunc(missing, func(m string) bool { return strings.HasSuffix(m, "a window function looks at") }) {
		return "max(available_at) OVER the same window, without its ORDER BY where it looks ahead"
	}
	if slices.ContainsFunc(missing, func(m string) bool { return strings.HasSuffix(m, "a subquery looks at") }) {
		parts = append(parts, "(SELECT max(available_at) FROM … of the same rows)")
		return "greatest(" + strings.Join(parts, ", ") + "), or let the subquery read only rows with available_at <= that of the row around it"
	}
	if slices.ContainsFunc(missing, func(m string) bool { return strings.HasPrefix(m, "the rows that take the place") }) {
		return "PARTITION BY or DISTINCT ON all columns that the rows are grouped, joined or filtered by afterwards, or pick what was known first: " +
			"ORDER BY available_at; of rows that correct each other, let the source's unique_key pick"
	}
	if slices.ContainsFunc(missing, func(m string) bool { return strings.HasPrefix(m, "the rows that keep others out") }) {
		return "it as it is, and let only rows with available_at <= that of the row that they keep out do so"
	}
	if slices.Contains(missing, "the rows that OFFSET leaves out") {
		return "it without OFFSET: number the rows by row_number(), with max(available_at) OVER the same window, and keep those that are meant"
	}
	switch len(parts) {
	case 0:
		return "in each part an available_at that is not before that of its own rows"
	case 1:
		if !s.grouped() {
			return parts[0] + " as it is, or what is later"
		}
		return parts[0] + " AS available_at"
	}
	return "greatest(" + strings.Join(parts, ", ") + ") AS available_at"
}

// maxResolved is how many names deep an event time is followed.
const maxResolved = 64

// checkEventTime refuses event times that are before what they must not be before. One that cannot be seen through passes:
// what may not be read early is held back by available_at.
func (a *analyser) checkEventTime(t *Node, s *scope, n *Node, depth int) {
	n = bare(n)
	if n == nil || depth > maxResolved || depth == 0 && exprType(n) == dateType {
		// That a date is no timestamp is told elsewhere.
		return
	}
	refuse := func(found, expected, remedy string) {
		a.refuse(Refusal{Rule: RuleEventTime, Found: found, Expected: expected, Remedy: remedy}, t.place(), "event_time")
	}
	args := n.nodes("args")
	if of, unit, ok := s.truncated(n); ok {
		_ = of
		refuse("an event_time at the start of a group of "+unit.String(), "its end: what is in the group is known by then only",
			"add the group's length: "+a.textAt(n)+" + interval '"+unit.String()+"'")
		return
	}
	switch n.Tag {
	case "VAR":
		at, _, _, expr := s.resolve(n)
		if expr != nil {
			a.checkEventTime(t, at, expr, depth+1)
		} else if c := s.columnOf(n); c != nil && c.scope != nil {
			a.checkEventTime(t, c.scope, c.expr, depth+1)
		}
	case "FUNCEXPR":
		// AT TIME ZONE keeps the instant.
		if s.a.catalog.functionName(n.oid("funcid")) == "timezone" && len(args) == 2 {
			a.checkEventTime(t, s, args[1], depth+1)
		}
	case "AGGREF":
		if a.catalog.functionName(n.oid("aggfnoid")) == "min" {
			refuse("an event_time that is the earliest of a group", "one that is not before any row of it", "write max(event_time), or the end of the group")
		}
	case "MINMAX", "MINMAXEXPR":
		if n.number("op") != 0 {
			refuse("an event_time that is the least of several", "one that is before none of them", "write greatest in place of least")
		}
	case "OPEXPR":
		a.checkShifted(t, s, n, depth, refuse)
	}
}

// checkShifted judges an event time that is another plus or minus an interval.
func (a *analyser) checkShifted(t *Node, s *scope, n *Node, depth int, refuse func(found, expected, remedy string)) {
	args := n.nodes("args")
	name := a.catalog.operatorName(n.oid("opno"))
	if len(args) != 2 || name != "+" && name != "-" {
		return
	}
	at, by := args[0], args[1]
	if exprType(bare(at)) == 1186 {
		at, by = by, at
	}
	added, ok := s.interval(by)
	if !ok {
		return
	}
	if name == "-" {
		added = span{-added.months, -added.days, -added.rest}
	}
	where, begin := s.follow(at)
	_, unit, group := where.truncated(begin)
	switch {
	case !group && (added.months < 0 || added.days < 0 || added.rest < 0):
		refuse("an event_time before that of its row", "one that is not", "leave the subtraction out; what is read before it is for lookback")
	case group && !unit.within(added):
		refuse("an event_time "+added.String()+" after the start of a group of "+unit.String(), "the group's end",
			"write + interval '"+unit.String()+"'")
	case group:
		a.checkGrain(unit, refuse)
	default:
		a.checkEventTime(t, s, at, depth+1)
	}
}

// follow looks through names, and AT TIME ZONE, to what they stand for.
func (s *scope) follow(n *Node) (*scope, *Node) {
	for range maxResolved {
		n = bare(n)
		if n == nil {
			return s, nil
		}
		switch n.Tag {
		case "VAR":
			at, _, _, expr := s.resolve(n)
			c := s.columnOf(n)
			switch {
			case expr != nil:
				s, n = at, expr
			case c != nil && c.scope != nil && c.expr != nil:
				s, n = c.scope, c.expr
			default:
				return s, n
			}
		case "FUNCEXPR":
			if args := n.nodes("args"); s.a.catalog.functionName(n.oid("funcid")) == "timezone" && len(args) == 2 {
				n = args[1]
				continue
			}
			return s, n
		default:
			return s, n
		}
	}
	return s, n
}

// checkGrain compares the length of the groups with the declared grain: a run reads from its start, less the look-back, to
// its end, and owns what ends a grain after that.
func (a *analyser) checkGrain(unit span, refuse func(found, expected, remedy string)) {
	length, ok := unit.length()
	if !ok {
		return
	}
	switch {
	case a.Grain == 0 && a.Lookback < length:
		refuse("groups of "+unit.String()+" in a view without a grain", "the grain of its groups", "declare grain: "+durationWord(length))
	case a.Grain > length:
		refuse("groups of "+unit.String()+" in a view with a grain of "+durationWord(a.Grain), "the grain of its groups",
			"declare grain: "+durationWord(length))
	case a.Grain+a.Lookback < length:
		refuse("groups of "+unit.String()+" in a view with a grain of "+durationWord(a.Grain), "the grain of its groups, or a look-back that reaches "+
			"their start", "declare grain: "+durationWord(length)+", or lookback: "+durationWord(length-a.Grain))
	}
}

// durationWord is a duration as definitions write it.
func durationWord(d time.Duration) string {
	switch {
	case d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return d.String()
}

// String is the span as Postgres reads it.
func (x span) String() string {
	var parts []string
	add := func(n int, word string) {
		if n == 0 {
			return
		}
		if n != 1 {
			word += "s"
		}
		parts = append(parts, fmt.Sprintf("%d %s", n, word))
	}
	add(x.months, "month")
	add(x.days, "day")
	if x.rest%time.Second == 0 {
		add(int(x.rest/time.Hour), "hour")
		add(int(x.rest%time.Hour/time.Minute), "minute")
		add(int(x.rest%time.Minute/time.Second), "second")
	} else {
		add(int(x.rest/time.Microsecond), "microsecond")
	}
	if len(parts) == 0 {
		return "0 seconds"
	}
	return strings.Join(parts, " ")
}

// textAt is the call at a node's place as written, up to its closing parenthesis; its name alone when that cannot be seen.
func (a *analyser) textAt(n *Node) string {
	tokens := a.statement.Query.Tokens()
	i := a.tokenAt(n.location())
	if n.location() < 0 || i < 0 || i+1 >= len(tokens) || tokens[i+1].Text != "(" {
		return "it"
	}
	depth := 0
	for j := i + 1; j < len(tokens); j++ {
		switch tokens[j].Text {
		case "(":
			depth++
		case ")":
			if depth--; depth == 0 {
				return a.statement.Query.Text(tokens[i].Offset, tokens[j].Offset+1)
			}
		}
	}
	return "it"
}
