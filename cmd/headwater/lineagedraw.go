package main

import (
	"fmt"
	"slices"
	"strings"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// A lineage graph as text for programs that lay graphs out: Graphviz's DOT, and Mermaid. Columns stand together in a box of their source
// or view version; several edges between two nodes are one line that says all their kinds.

// drawing is a graph as both show it.
type drawing struct {
	// boxes are in the order in which their first node comes. The nodes that are no columns are in one without a name.
	boxes []*box
	lines []line
}

type box struct {
	name  string
	nodes []shape
}

// shape is a node with its place among all, and what is written on it.
type shape struct {
	place int
	id    string
	label []string
}

type line struct {
	from, to int
	fromID   string
	toID     string
	label    string
}

func newDrawing(graph *headwaterv1.GetLineageResponse) *drawing {
	d := &drawing{}
	boxes := map[string]*box{}
	in := func(name string) *box {
		if boxes[name] == nil {
			boxes[name] = &box{name: name}
			d.boxes = append(d.boxes, boxes[name])
		}
		return boxes[name]
	}
	places := map[string]int{}
	for i, n := range graph.Nodes {
		places[n.Id] = i
		table, column, isColumn := strings.Cut(n.Id, "#")
		if !isColumn {
			label := []string{n.Id}
			if n.Title != "" {
				label = append(label, oneLine(n.Title))
			}
			b := in("")
			b.nodes = append(b.nodes, shape{i, n.Id, label})
			continue
		}
		b := in(table)
		b.nodes = append(b.nodes, shape{i, n.Id, []string{column}})
	}
	for _, e := range graph.Edges {
		kind := enumName(e.Kind, "LINEAGE_EDGE_KIND_")
		if n := len(d.lines); n > 0 && d.lines[n-1].fromID == e.From && d.lines[n-1].toID == e.To {
			d.lines[n-1].label += ", " + kind
			continue
		}
		d.lines = append(d.lines, line{places[e.From], places[e.To], e.From, e.To, kind})
	}
	return d
}

// dotText is a text as DOT writes it. In a label a backslash begins an escape.
func dotText(lines ...string) string {
	quoted := make([]string, len(lines))
	for i, l := range lines {
		quoted[i] = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(l)
	}
	return `"` + strings.Join(quoted, `\n`) + `"`
}

func drawDOT(graph *headwaterv1.GetLineageResponse) string {
	var b strings.Builder
	b.WriteString("digraph lineage {\n  rankdir=LR;\n  node [shape=box];\n")
	d := newDrawing(graph)
	for i, x := range d.boxes {
		indent := "  "
		if x.name != "" {
			fmt.Fprintf(&b, "  subgraph cluster_%d {\n    label=%s;\n", i, dotText(x.name))
			indent = "    "
		}
		for _, n := range x.nodes {
			root := ""
			if n.id == graph.Root {
				root = ", penwidth=2"
			}
			fmt.Fprintf(&b, "%s%s [label=%s%s];\n", indent, dotText(n.id), dotText(n.label...), root)
		}
		if x.name != "" {
			b.WriteString("  }\n")
		}
	}
	for _, l := range d.lines {
		fmt.Fprintf(&b, "  %s -> %s [label=%s];\n", dotText(l.fromID), dotText(l.toID), dotText(l.label))
	}
	b.WriteString("}\n")
	return b.String()
}

// mermaidText is a text as Mermaid writes it, in quotes, with what means something to it or to HTML as entities.
func mermaidText(lines ...string) string {
	quoted := make([]string, len(lines))
	for i, l := range lines {
		quoted[i] = strings.NewReplacer("#", "#35;", `"`, "#quot;", "<", "#lt;", ">", "#gt;", "&", "#amp;", "`", "#96;", "\\", "#92;", "\n", " ").Replace(l)
	}
	return `"` + strings.Join(quoted, "<br/>") + `"`
}

func drawMermaid(graph *headwaterv1.GetLineageResponse) string {
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	d := newDrawing(graph)
	for i, x := range d.boxes {
		indent := "  "
		if x.name != "" {
			fmt.Fprintf(&b, "  subgraph t%d[%s]\n", i, mermaidText(x.name))
			indent = "    "
		}
		for _, n := range x.nodes {
			fmt.Fprintf(&b, "%sn%d[%s]\n", indent, n.place, mermaidText(n.label...))
		}
		if x.name != "" {
			b.WriteString("  end\n")
		}
	}
	for _, l := range d.lines {
		fmt.Fprintf(&b, "  n%d -->|%s| n%d\n", l.from, mermaidText(l.label), l.to)
	}
	if i := slices.IndexFunc(graph.Nodes, func(n *headwaterv1.LineageNode) bool { return n.Id == graph.Root }); i >= 0 {
		fmt.Fprintf(&b, "  style n%d stroke-width:3px\n", i)
	}
	return b.String()
}
