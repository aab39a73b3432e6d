package main

import (
	_ "embed"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// tracePage is a trace for people, the same whatever form it takes: a summary in words, then each feature, then each run.
type tracePage struct {
	Title   string
	Summary []string
	LeftOut []string
	// Facts are names with what stands beside them.
	Facts    []fact
	Features []pageFeature
	Runs     []pageRun
}

type fact struct{ Name, Value string }

type pageFeature struct {
	Name    string
	Facts   []fact
	Columns grid
	// Arguments are what an on-demand feature is computed of.
	Arguments grid
}

type pageRun struct {
	Name       string
	Facts      []fact
	Notes      []string
	Definition string
	Inputs     []pageInput
	Checks     grid
	Aside      grid
}

type pageInput struct {
	Name, Title string
	Facts       []fact
	// Without is why rows are not shown.
	Without string
	Rows    grid
}

// grid is rows of cells under a header.
type grid struct {
	Header []string
	Rows   [][]string
}

func (g *grid) add(cells ...string) { g.Rows = append(g.Rows, cells) }

func (p *pageRun) fact(name, value string) {
	if value != "" {
		p.Facts = append(p.Facts, fact{name, value})
	}
}

// verdictWords say what became of a value when it was computed again.
var verdictWords = map[string]string{
	"match":       "offline says the same",
	"lag":         "offline says the same, of a moment before",
	"mismatch":    "OFFLINE SAYS ANOTHER VALUE",
	"not_checked": "not checked",
}

func newTracePage(r *headwaterv1.TraceReadResponse) *tracePage {
	p := &tracePage{Title: "Trace of read " + r.GetReadId(), LeftOut: r.GetLeftOut()}
	if r.GetReadId() == "" {
		p.Title = "Trace of a read of " + r.GetService() + " that was not logged"
	}
	for _, f := range r.GetFeatures() {
		p.Features = append(p.Features, featureOfPage(f, r.GetReadId() != ""))
	}
	for _, run := range r.GetRuns() {
		p.Runs = append(p.Runs, runOfPage(run))
	}
	add := func(name, value string) {
		if value != "" {
			p.Facts = append(p.Facts, fact{name, value})
		}
	}
	add("read", r.GetReadId())
	add("service", r.GetService())
	add("time", instant(r.GetServedAt()))
	add("entity", entityText(r.GetEntity()))
	if r.GetRows() > 1 {
		add("row", fmt.Sprintf("%d of %d", r.GetRow()+1, r.GetRows()))
	}
	add("by", r.GetPrincipal())
	add("purpose", r.GetPurpose())
	add("prediction", r.GetPredictionId())
	add("position", number(r.GetPosition()))
	for _, line := range r.GetPolicies() {
		add("policy", line)
	}
	p.summarize(r)
	return p
}

func entityText(entity map[string]*headwaterv1.Value) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(entity)) {
		parts = append(parts, name+"="+inputText(entity[name]))
	}
	return strings.Join(parts, ", ")
}

// summarize says in sentences what the page shows.
func (p *tracePage) summarize(r *headwaterv1.TraceReadResponse) {
	say := func(format string, args ...any) { p.Summary = append(p.Summary, fmt.Sprintf(format, args...)) }
	whom := "an entity that is not shown"
	if len(r.GetEntity()) > 0 {
		whom = entityText(r.GetEntity())
	}
	n := counted(int64(len(r.GetFeatures())), "feature")
	if r.GetReadId() == "" {
		say("This read was not logged, so nothing says what was served. Here is what service %s would have answered at %s about %s, computed now from what had been published by then, as you may read it: %s.",
			r.GetService(), instant(r.GetServedAt()), whom, n)
	} else {
		purpose := ""
		if r.GetPurpose() != "" {
			purpose = fmt.Sprintf(", for the purpose %q", r.GetPurpose())
		}
		say("At %s service %s answered %s%s about %s. %s of the answer are traced here.", instant(r.GetServedAt()), r.GetService(), r.GetPrincipal(), purpose, whom, n)
	}
	verdicts := map[string][]string{}
	for _, f := range r.GetFeatures() {
		verdicts[f.GetVerdict()] = append(verdicts[f.GetVerdict()], f.GetName())
	}
	if r.GetReadId() != "" {
		if names := verdicts["match"]; len(names) > 0 {
			say("Computed again now from the history, as of that moment, %s the same as was served.", areText(len(names)))
		}
		if names := verdicts["lag"]; len(names) > 0 {
			say("%s what was so a moment before, as a run is served once it is loaded: %s.", areText(len(names)), strings.Join(names, ", "))
		}
		if names := verdicts["mismatch"]; len(names) > 0 {
			say("ATTENTION: %s not what the history says: %s. Either the history or the online store was changed by other means.", areText(len(names)), strings.Join(names, ", "))
		}
		if names := verdicts["not_checked"]; len(names) > 0 {
			say("%s not checked, for the reason beside each: %s.", areText(len(names)), strings.Join(names, ", "))
		}
	}
	loads, rows, aside, failed := map[string]string{}, 0, 0, 0
	for _, run := range r.GetRuns() {
		aside += len(run.GetQuarantined())
		for _, c := range run.GetChecks() {
			if c.GetOutcome() == "failed" || c.GetOutcome() == "errored" || c.GetOutcome() == "warned" {
				failed++
			}
		}
		for _, in := range run.GetInputs() {
			rows += len(in.GetRows())
			if strings.HasPrefix(in.GetNode(), "load:") {
				loads[in.GetNode()] = first(in.GetProperties()["file_name"], in.GetNode())
			}
		}
	}
	if len(r.GetRuns()) == 0 {
		say("No run is behind it that you may see.")
	} else {
		say("Behind it %s.", isText(int64(len(r.GetRuns())), "run"))
	}
	if len(loads) > 0 {
		names := slices.Compact(slices.Sorted(maps.Values(loads)))
		more := ""
		if len(names) > 10 {
			more = fmt.Sprintf(" and %d more", len(names)-10)
			names = names[:10]
		}
		say("They read %s: %s%s.", counted(int64(len(loads)), "load"), strings.Join(names, ", "), more)
	}
	if rows > 0 {
		say("%s of the entity that these values can be made of %s shown.", counted(int64(rows), "row"), map[bool]string{true: "is", false: "are"}[rows == 1])
	}
	if aside > 0 {
		say("%s of the entity %s set aside, and not used.", counted(int64(aside), "row"), map[bool]string{true: "was", false: "were"}[aside == 1])
	}
	if failed > 0 {
		say("%s of these runs warned or failed.", counted(int64(failed), "check"))
	}
	if len(r.GetLeftOut()) > 0 {
		say("Some of it is left out, which is said below.")
	}
}

func areText(n int) string {
	if n == 1 {
		return "1 value is"
	}
	return fmt.Sprintf("%d values are", n)
}

func isText(n int64, what string) string {
	if n == 1 {
		return "is 1 " + what
	}
	return "are " + counted(n, what)
}

func featureOfPage(f *headwaterv1.TracedFeature, logged bool) pageFeature {
	p := pageFeature{Name: f.GetName()}
	add := func(name, value string) {
		if value != "" {
			p.Facts = append(p.Facts, fact{name, value})
		}
	}
	add("feature", f.GetFeature())
	add("description", f.GetDescription())
	add("owner", f.GetOwner())
	if logged {
		served := "not shown"
		if f.Served != nil {
			served = f.GetServed()
			if served == "" {
				served = "no value"
			}
		}
		add("served", served)
	}
	add("status", f.GetStatus())
	if f.Recomputed != nil {
		add("offline now", f.GetRecomputed())
	}
	add("verdict", verdictWords[f.GetVerdict()])
	add("why", f.GetWhy())
	add("event time", instant(f.GetEventTime()))
	add("run", f.GetRun())
	p.Arguments.Header = []string{"COMPUTED OF", "VALUE", "RUN", "EVENT TIME"}
	for _, a := range f.GetArguments() {
		value := "not shown"
		if a.Value != nil {
			value = a.GetValue()
		}
		p.Arguments.add(a.GetNode(), value, a.GetRun(), instant(a.GetEventTime()))
	}
	p.Columns.Header = []string{"COLUMN", "FROM", "AS"}
	for _, e := range f.GetColumns() {
		p.Columns.add(e.GetTo(), e.GetFrom(), enumName(e.GetKind(), "LINEAGE_EDGE_KIND_"))
	}
	return p
}

func runOfPage(r *headwaterv1.TracedRun) pageRun {
	p := pageRun{Name: r.GetRun(), Notes: r.GetNotes(), Definition: r.GetDefinition()}
	p.fact("published", instant(r.GetPublishedAt()))
	if r.GetPosition() > 0 {
		p.fact("position", number(r.GetPosition()))
	}
	p.fact("started by", r.GetStartedBy())
	p.fact("interval", span(r.GetIntervalStart(), r.GetIntervalEnd()))
	p.fact("rows of", span(r.GetRowsFrom(), r.GetRowsTo()))
	p.fact("definition", r.GetFingerprint())
	if r.GetAppliedBy() != "" {
		p.fact("applied", strings.TrimSpace(instant(r.GetAppliedAt())+" by "+r.GetAppliedBy()+" "+r.GetOrigin()))
	}
	p.fact("output digest", r.GetDigest())
	for _, in := range r.GetInputs() {
		i := pageInput{Name: in.GetNode(), Title: in.GetTitle(), Without: in.GetRowsLeftOut(), Rows: rowGrid(in.GetRows(), false)}
		for _, name := range slices.Sorted(maps.Keys(in.GetProperties())) {
			i.Facts = append(i.Facts, fact{strings.ReplaceAll(name, "_", " "), in.GetProperties()[name]})
		}
		p.Inputs = append(p.Inputs, i)
	}
	p.Checks.Header = []string{"CHECK", "OF", "OUTCOME", "EXPECTED", "FOUND"}
	for _, c := range r.GetChecks() {
		p.Checks.add(c.GetName(), c.GetSubject(), c.GetOutcome(), c.GetExpected(), c.GetFound())
	}
	p.Aside = rowGrid(r.GetQuarantined(), true)
	return p
}

// rowGrid shows rows by all the columns that any of them has.
func rowGrid(rows []*headwaterv1.TracedRow, subject bool) grid {
	names := map[string]bool{}
	placed, left := false, false
	for _, row := range rows {
		placed, left = placed || row.GetLoad() != 0, left || row.GetReason() != ""
		for name := range row.GetColumns() {
			names[name] = true
		}
	}
	var g grid
	if subject {
		g.Header = append(g.Header, "OF")
	}
	if placed {
		g.Header = append(g.Header, "LOAD", "ROW")
	}
	if left {
		g.Header = append(g.Header, "LEFT OUT")
	}
	columns := slices.Sorted(maps.Keys(names))
	g.Header = append(g.Header, columns...)
	for _, row := range rows {
		var cells []string
		if subject {
			cells = append(cells, row.GetSubject())
		}
		if placed {
			cells = append(cells, number(row.GetLoad()), number(row.GetRow()))
		}
		if left {
			cells = append(cells, row.GetReason())
		}
		for _, name := range columns {
			value, there := row.GetColumns()[name]
			if !there {
				value = "NULL"
			}
			cells = append(cells, value)
		}
		g.add(cells...)
	}
	return g
}

func (g *grid) section(title string) section {
	return section{title: title, table: table{header: g.Header, rows: g.Rows}}
}

func factSection(title string, facts []fact) section {
	s := section{title: title}
	for _, f := range facts {
		s.add(f.Name, f.Value)
	}
	return s
}

func lineSection(title string, lines []string) section {
	s := section{title: title}
	for _, line := range lines {
		s.add(line)
	}
	return s
}

// text is the page for a terminal.
func (p *tracePage) text(w io.Writer) error {
	sections := []section{lineSection("", append([]string{p.Title}, p.Summary...)), factSection("read", p.Facts), lineSection("left out", p.LeftOut)}
	for i := range p.Features {
		f := &p.Features[i]
		sections = append(sections, factSection("feature "+f.Name, f.Facts), f.Arguments.section("  computed of"), f.Columns.section("  columns"))
	}
	for i := range p.Runs {
		r := &p.Runs[i]
		sections = append(sections, factSection("run "+r.Name, r.Facts), lineSection("  notes", r.Notes), lineSection("  SQL", strings.Split(r.Definition, "\n")))
		for k := range r.Inputs {
			in := &r.Inputs[k]
			facts := in.Facts
			if in.Without != "" {
				facts = append(slices.Clone(facts), fact{"rows not shown", in.Without})
			}
			sections = append(sections, factSection("  input "+in.Name+": "+in.Title, facts), in.Rows.section("  rows of the entity in "+in.Name))
		}
		sections = append(sections, r.Checks.section("  checks"), r.Aside.section("  rows of the entity that were set aside"))
	}
	for i := range sections {
		sections[i].title = printable(sections[i].title)
		for k, name := range sections[i].header {
			sections[i].header[k] = printable(name)
		}
	}
	return writeSections(w, sections)
}

// markdown is the page for a repository or a ticket. Nothing in it that came from elsewhere is taken for Markdown or HTML.
func (p *tracePage) markdown(w io.Writer) {
	out := func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
	facts := func(facts []fact) {
		for _, f := range facts {
			out("- %s: %s", markdownText(f.Name), markdownText(f.Value))
		}
		if len(facts) > 0 {
			out("")
		}
	}
	lines := func(title string, lines []string) {
		if len(lines) == 0 {
			return
		}
		if title != "" {
			out("%s\n", title)
		}
		for _, line := range lines {
			out("- %s", markdownText(line))
		}
		out("")
	}
	rows := func(title string, g *grid) { markdownGrid(w, title, g) }
	out("# %s\n", markdownText(p.Title))
	for _, line := range p.Summary {
		out("%s\n", markdownText(line))
	}
	lines("## What is left out", p.LeftOut)
	out("## The read\n")
	facts(p.Facts)
	out("## Features\n")
	for i := range p.Features {
		f := &p.Features[i]
		out("### %s\n", markdownText(f.Name))
		facts(f.Facts)
		rows("Computed of:", &f.Arguments)
		rows("Made of the columns:", &f.Columns)
	}
	if len(p.Runs) > 0 {
		out("## Runs\n")
	}
	for i := range p.Runs {
		r := &p.Runs[i]
		out("### Run %s\n", markdownText(r.Name))
		facts(r.Facts)
		lines("Since then:", r.Notes)
		if r.Definition != "" {
			fence := "```"
			for strings.Contains(r.Definition, fence) {
				fence += "`"
			}
			out("Definition:\n\n%s\n%s\n%s\n", fence, printableLines(r.Definition), fence)
		}
		for k := range r.Inputs {
			in := &r.Inputs[k]
			out("#### Read %s\n", markdownText(in.Name+", "+in.Title))
			facts(in.Facts)
			if in.Without != "" {
				out("Rows are not all shown: %s\n", markdownText(in.Without))
			}
			rows("Rows of the entity:", &in.Rows)
		}
		rows("Checks:", &r.Checks)
		rows("Rows of the entity that were set aside:", &r.Aside)
	}
}

// markdownText is a text in which nothing is marked up, and nothing becomes a link by itself.
func markdownText(s string) string {
	var b strings.Builder
	text := []rune(oneLine(s))
	word := func(i int) bool {
		return i >= 0 && i < len(text) && (unicode.IsLetter(text[i]) || unicode.IsDigit(text[i]) || text[i] == '_')
	}
	for i, r := range text {
		switch {
		case r == '<':
			b.WriteString("&lt;")
			continue
		case r == '>':
			b.WriteString("&gt;")
			continue
		case r == '&':
			b.WriteString("&amp;")
			continue
		// Within a word an underscore is one.
		case r == '_' && !(word(i-1) && word(i+1)), strings.ContainsRune("\\`*[]()#!|~$", r):
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return strings.NewReplacer("://", ":\\//", "www.", "www\\.").Replace(b.String())
}

// printableLines is printable, but for line breaks and tabs.
func printableLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(printable(line), " ")
	}
	return strings.Join(lines, "\n")
}

//go:embed tracepage.html
var traceHTML string

var traceTemplate = pageTemplate(traceHTML)

// html is the page as one file.
func (p *tracePage) html(w io.Writer) error { return writeHTML(w, traceTemplate, p) }
