package main

import (
	_ "embed"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// biasPage is a report for people, the same whatever form it takes.
type biasPage struct {
	Title   string
	Summary []string
	Facts   []fact
	// Parts are by what groups are made by, then by what may stand for an attribute.
	Parts []biasPart
	// Words say what names mean.
	Words []string
}

type biasPart struct {
	Title  string
	Notes  []string
	Tables []biasTable
}

type biasTable struct {
	Title string
	grid
}

// biasWords are those of each report.
var biasWords = []string{
	"Rate: the share of known outcomes that are favourable. Outcomes that are missing are counted, and in no rate.",
	"Impact ratio: the rate divided by that of the reference, which is marked with an asterisk: the group that was asked for, else the one with the greatest rate of those that are judged. A rate below four fifths of another is " +
		"taken to be evidence of adverse impact (29 CFR 1607.4 D).",
	"Parity difference: the rate less that of the reference.",
	"Chance: that of a difference as great where there is none, corrected by Holm's method for how many groups are held to the reference that was asked for, else for all pairs of groups; by Fisher's exact test where fewer than 5 rows are to be expected somewhere, else by the " +
		"two-proportion z test. Within strata it is that of the Cochran-Mantel-Haenszel test, and the odds ratio is the common one.",
	"A group is set apart, and judged by nothing, where it has less than 2 % of the rows or an attribute is NULL; one of which fewer than 30 outcomes are known is judged by nothing either.",
}

var verdictSigns = map[headwaterv1.BiasVerdict]string{
	headwaterv1.BiasVerdict_BIAS_VERDICT_BELOW_FOUR_FIFTHS:    "below four fifths",
	headwaterv1.BiasVerdict_BIAS_VERDICT_AT_LEAST_FOUR_FIFTHS: "at least four fifths",
	headwaterv1.BiasVerdict_BIAS_VERDICT_NOT_ENOUGH_DATA:      "not enough data",
}

var apartWords = map[headwaterv1.BiasApart]string{
	headwaterv1.BiasApart_BIAS_APART_SMALL: "under 2 %", headwaterv1.BiasApart_BIAS_APART_UNKNOWN: "not known",
}

func newBiasPage(r *headwaterv1.BiasReport) *biasPage {
	q, f := r.GetQuestion(), r.GetFindings()
	p := &biasPage{Title: "Outcomes by group in dataset " + r.GetDatasetRef(), Words: biasWords}
	add := func(name, value string) {
		if value != "" {
			p.Facts = append(p.Facts, fact{name, value})
		}
	}
	add("report", r.GetId())
	add("dataset", r.GetDataset())
	add("content digest", r.GetContentDigest())
	add("made by", r.GetPrincipal())
	add("made at", instant(r.GetCreatedAt()))
	add("favourable", fmt.Sprintf("%s = %s", q.GetLabel(), q.GetFavourable()))
	if q.GetPrediction() != "" {
		predicted := q.GetPrediction()
		if q.Threshold != nil {
			predicted += ", favourable from " + shortNumber(q.GetThreshold()) + " on"
		}
		add("prediction", predicted)
	}
	add("within", q.GetStratify())
	for _, name := range slices.Sorted(maps.Keys(q.GetReferences())) {
		add("reference", name+" = "+q.GetReferences()[name])
	}
	if f == nil {
		add("erased at", instant(r.GetErasedAt()))
		if r.GetErasedAt() != nil {
			p.Summary = []string{"An erasure took away what was found: rows of it were the entity's. Make another report, of what is left."}
		}
		return p
	}
	add("rows", number(f.GetRows()))
	if f.GetLeftOut() > 0 {
		add("left out", counted(f.GetLeftOut(), "row")+" of the spine, by rules of the build")
	}
	switch {
	case f.GetSetAsideWithheld():
		add("set aside", "not shown: that is for who may read the rows of what they were set aside of")
	case f.GetSetAside() > 0:
		add("set aside", counted(f.GetSetAside(), "row")+" that views quarantined")
	}
	if f.GetSpineSetAside() > 0 {
		add("set aside of the spine", counted(f.GetSpineSetAside(), "row")+" of sources, of groups that nobody knows")
	}
	for _, g := range f.GetGroupings() {
		by := strings.Join(g.GetBy(), " and ")
		for _, s := range []struct {
			what string
			*headwaterv1.BiasSummary
		}{{q.GetLabel(), g.GetLabel()}, {q.GetPrediction(), g.GetPrediction()}} {
			if s.BiasSummary != nil {
				p.Summary = append(p.Summary, fmt.Sprintf("%s by %s: %s", s.what, by, summaryText(s.BiasSummary)))
			}
		}
		p.Parts = append(p.Parts, biasPartOf(q, f.GetRows(), g, by))
	}
	p.Parts = append(p.Parts, proxyParts(f.GetProxies())...)
	return p
}

func summaryText(s *headwaterv1.BiasSummary) string {
	text := verdictSigns[s.GetVerdict()] + ": " + s.GetReason()
	if s.LeastRatio != nil {
		if s.GetSignificant() {
			text += "; the difference is more than chance"
		} else {
			text += "; the difference may be chance"
		}
	}
	return text + "."
}

func biasPartOf(q *headwaterv1.BiasQuestion, rows int64, g *headwaterv1.BiasGrouping, by string) biasPart {
	part := biasPart{Title: "By " + by}
	// Those that are set apart stand last.
	groups := slices.Clone(g.GetGroups())
	slices.SortStableFunc(groups, func(a, b *headwaterv1.BiasGroup) int { return min(int(a.GetApart()), 1) - min(int(b.GetApart()), 1) })
	part.Tables = append(part.Tables, rateTable(q, rows, groups, q.GetLabel(), (*headwaterv1.BiasGroup).GetLabel))
	if g.GetPrediction() != nil {
		part.Tables = append(part.Tables, rateTable(q, rows, groups, q.GetPrediction(), (*headwaterv1.BiasGroup).GetPrediction), errorTable(groups))
		if s := g.GetPrediction(); s.EqualOpportunityDifference != nil {
			note := fmt.Sprintf("Of predictions, the equal opportunity difference is %.4f", s.GetEqualOpportunityDifference())
			if s.EqualizedOddsDifference != nil {
				note += fmt.Sprintf(", the equalized odds difference %.4f", s.GetEqualizedOddsDifference())
			}
			part.Notes = append(part.Notes, note+": from the least to the greatest of the groups that are judged.")
		}
	}
	lost := biasTable{Title: "Rows that are not there", grid: grid{Header: []string{"GROUP", "LEFT OUT#", "SET ASIDE#"}}}
	some := false
	for _, of := range groups {
		some = some || of.GetLeftOut()+of.GetSetAside() > 0
		lost.add(groupName(of), shareOf(of.GetLeftOut(), of.GetLeftOut()+of.GetRows()), shareOf(of.GetSetAside(), of.GetSetAside()+of.GetRows()))
	}
	if some {
		part.Notes = append(part.Notes, "Shares of rows that are not there are of them and the group's rows together.")
		part.Tables = append(part.Tables, lost)
	}
	missing := biasTable{Title: "Values that are missing", grid: grid{Header: []string{"COLUMN"}}}
	for _, of := range g.GetGroups() {
		missing.Header = append(missing.Header, groupName(of)+"#")
	}
	for _, m := range g.GetMissing() {
		cells := []string{m.GetColumn()}
		for i, of := range g.GetGroups() {
			cells = append(cells, shareOf(m.GetRows()[i], of.GetRows()))
		}
		missing.add(cells...)
	}
	part.Tables = append(part.Tables, missing)
	return part
}

func groupName(g *headwaterv1.BiasGroup) string {
	var list []string
	for _, v := range g.GetValues() {
		list = append(list, biasText(v))
	}
	return strings.Join(list, ", ")
}

func biasText(v *headwaterv1.BiasValue) string {
	switch {
	case v.GetOther():
		return "any other"
	case v.Text == nil:
		return "NULL"
	case v.GetText() == "", v.GetText() == "NULL", v.GetText() == "any other":
		return fmt.Sprintf("%q", v.GetText())
	}
	return v.GetText()
}

func shareOf(n, of int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%s (%s)", number(n), percentOf(n, of))
}

func fourDigits(f *float64) string {
	if f == nil {
		return ""
	}
	return fmt.Sprintf("%.4f", *f)
}

// chanceText is a chance that does not look like none.
func chanceText(p float64) string {
	if p < 0.0001 {
		return "<0.0001"
	}
	return fmt.Sprintf("%.4f", p)
}

func rateTable(q *headwaterv1.BiasQuestion, rows int64, groups []*headwaterv1.BiasGroup, what string, of func(*headwaterv1.BiasGroup) *headwaterv1.BiasRate) biasTable {
	t := biasTable{Title: what, grid: grid{Header: []string{"GROUP", "ROWS#", "SHARE#", "MISSING#", "FAVOURABLE#", "RATE#", "IMPACT RATIO#", "PARITY DIFFERENCE#", "CHANCE#"}}}
	if q.GetStratify() != "" {
		t.Header = append(t.Header, "CHANCE WITHIN "+strings.ToUpper(q.GetStratify())+"#", "ODDS RATIO")
	}
	t.Header = append(t.Header, "APART")
	for _, group := range groups {
		r := of(group)
		name := groupName(group)
		if r.GetReference() {
			name += " *"
		}
		chance := ""
		if r.PAdjusted != nil {
			chance = chanceText(r.GetPAdjusted())
		}
		cells := []string{
			name, number(group.GetRows()), orZero(percentOf(group.GetRows(), rows)), number(r.GetMissing()), number(r.GetFavourable()),
			fourDigits(r.Rate), fourDigits(r.ImpactRatio), fourDigits(r.ParityDifference), chance,
		}
		if q.GetStratify() != "" {
			within, odds := "", ""
			if s := r.GetStratified(); s != nil {
				if within = chanceText(s.GetPAdjusted()); s.OddsRatio != nil {
					odds = fmt.Sprintf("%.3f (%.3f to %.3f)", s.GetOddsRatio(), s.GetOddsRatioLow(), s.GetOddsRatioHigh())
				}
			}
			cells = append(cells, within, odds)
		}
		t.add(append(cells, apartWords[group.GetApart()])...)
	}
	return t
}

func errorTable(groups []*headwaterv1.BiasGroup) biasTable {
	t := biasTable{Title: "Predictions against outcomes", grid: grid{Header: []string{
		"GROUP", "TRUE POSITIVE RATE#", "FALSE POSITIVE RATE#", "EQUAL OPPORTUNITY#", "EQUALIZED ODDS#", "AUC#",
	}}}
	for _, g := range groups {
		e := g.GetErrors()
		t.add(groupName(g), fourDigits(e.TruePositiveRate), fourDigits(e.FalsePositiveRate), fourDigits(e.EqualOpportunityDifference), fourDigits(e.EqualizedOddsDifference), aucText(e.Auc, e.GetAucOff()))
	}
	return t
}

// aucText is an AUC and by how much it may be off.
func aucText(auc *float64, off float64) string {
	text := fourDigits(auc)
	if off > 0 {
		text += fmt.Sprintf(" ± %.4f", off)
	}
	return text
}

// proxyParts are a part for each attribute.
func proxyParts(proxies []*headwaterv1.BiasProxy) (parts []biasPart) {
	of := ""
	for _, p := range proxies {
		if p.GetAttribute() != of || len(parts) == 0 {
			of = p.GetAttribute()
			parts = append(parts, biasPart{
				Title: "What goes together with " + of,
				Notes: []string{"Cramér's V is 1 where a column tells the group, and 0 where it tells nothing; corrected, it is without what chance adds. AUC tells the group that is named from all others."},
				Tables: []biasTable{{Title: "features", grid: grid{Header: []string{
					"COLUMN", "CRAMÉR'S V#", "CORRECTED#", "MUTUAL INFORMATION (NATS)#", "OF THE ENTROPY#", "AUC#", "OF", "VALUES",
				}}}},
			})
		}
		t := &parts[len(parts)-1].Tables[0]
		group, values := "", "coarser"
		if p.GetGroup() != nil {
			group = biasText(p.GetGroup())
		}
		if p.GetExact() {
			values = ""
		}
		t.add(p.GetColumn(), fmt.Sprintf("%.4f", p.GetCramersV()), fmt.Sprintf("%.4f", p.GetCramersVCorrected()), fmt.Sprintf("%.4f", p.GetMutualInformationNats()),
			fmt.Sprintf("%.1f %%", 100*p.GetMutualInformationShare()), aucText(p.Auc, p.GetAucOff()), group, values)
	}
	return parts
}

// plain are the tables as pages have them, where columns of numbers are not marked.
func (p *biasPage) plain() *biasPage {
	out := *p
	out.Parts = nil
	for _, part := range p.Parts {
		var tables []biasTable
		for _, t := range part.Tables {
			if len(t.Rows) == 0 {
				continue
			}
			t.Header = slices.Clone(t.Header)
			for i, h := range t.Header {
				t.Header[i] = strings.TrimSuffix(h, "#")
			}
			tables = append(tables, t)
		}
		part.Tables = tables
		out.Parts = append(out.Parts, part)
	}
	return &out
}

func (p *biasPage) text(w io.Writer) error {
	sections := []section{lineSection("", append([]string{p.Title}, p.Summary...)), factSection("report", p.Facts)}
	for _, part := range p.Parts {
		sections = append(sections, lineSection(part.Title, part.Notes))
		for _, t := range part.Tables {
			sections = append(sections, t.section(part.Title+": "+t.Title))
		}
	}
	sections = append(sections, lineSection("what is what", p.Words))
	for i := range sections {
		sections[i].title = printable(sections[i].title)
		for k, name := range sections[i].header {
			sections[i].header[k] = printable(name)
		}
	}
	return writeSections(w, sections)
}

func (p *biasPage) markdown(w io.Writer) {
	p = p.plain()
	fmt.Fprintf(w, "# %s\n\n", markdownText(p.Title))
	for _, line := range p.Summary {
		fmt.Fprintf(w, "%s\n\n", markdownText(line))
	}
	fmt.Fprint(w, "## The report\n\n")
	for _, f := range p.Facts {
		fmt.Fprintf(w, "- %s: %s\n", markdownText(f.Name), markdownText(f.Value))
	}
	fmt.Fprintln(w)
	for _, part := range p.Parts {
		fmt.Fprintf(w, "## %s\n\n", markdownText(part.Title))
		for _, note := range part.Notes {
			fmt.Fprintf(w, "%s\n\n", markdownText(note))
		}
		for i := range part.Tables {
			markdownGrid(w, "### "+markdownText(part.Tables[i].Title), &part.Tables[i].grid)
		}
	}
	fmt.Fprint(w, "## What is what\n\n")
	for _, line := range p.Words {
		fmt.Fprintf(w, "- %s\n", markdownText(line))
	}
}

//go:embed biaspage.html
var biasHTML string

var biasTemplate = pageTemplate(biasHTML)

func (p *biasPage) html(w io.Writer) error { return writeHTML(w, biasTemplate, p.plain()) }
