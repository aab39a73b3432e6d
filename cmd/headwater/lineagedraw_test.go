package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// drawnGraph is columns of two tables, with a file whose name means something to every format.
func drawnGraph() *headwaterv1.GetLineageResponse {
	const value, filter = headwaterv1.LineageEdgeKind_LINEAGE_EDGE_KIND_VALUE, headwaterv1.LineageEdgeKind_LINEAGE_EDGE_KIND_FILTER
	return &headwaterv1.GetLineageResponse{
		Root: "view:delays@1#delay",
		Nodes: []*headwaterv1.LineageNode{
			{Id: "load:1", Title: `C:\new "week" <1> & #2.csv`},
			{Id: "source:flights", Title: "1 row in 1 load"},
			{Id: "source:flights#date", Title: "timestamp"},
			{Id: "source:flights#delay", Title: "int64"},
			{Id: "view:delays@1#delay", Title: "int64"},
		},
		Edges: []*headwaterv1.LineageEdge{
			{From: "source:flights", To: "load:1", Kind: headwaterv1.LineageEdgeKind_LINEAGE_EDGE_KIND_DEFINITION},
			{From: "source:flights#date", To: "view:delays@1#delay", Kind: filter},
			{From: "source:flights#delay", To: "view:delays@1#delay", Kind: value},
			{From: "source:flights#delay", To: "view:delays@1#delay", Kind: filter},
		},
	}
}

func TestLineageAsDOT(t *testing.T) {
	const want = `digraph lineage {
  rankdir=LR;
  node [shape=box];
  "load:1" [label="load:1\nC:\\new \"week\" <1> & #2.csv"];
  "source:flights" [label="source:flights\n1 row in 1 load"];
  subgraph cluster_1 {
    label="source:flights";
    "source:flights#date" [label="date"];
    "source:flights#delay" [label="delay"];
  }
  subgraph cluster_2 {
    label="view:delays@1";
    "view:delays@1#delay" [label="delay", penwidth=2];
  }
  "source:flights" -> "load:1" [label="definition"];
  "source:flights#date" -> "view:delays@1#delay" [label="filter"];
  "source:flights#delay" -> "view:delays@1#delay" [label="value, filter"];
}
`
	if got := drawDOT(drawnGraph()); got != want {
		t.Errorf("found\n%s\nexpected\n%s", got, want)
	}
}

func TestLineageAsMermaid(t *testing.T) {
	const want = `flowchart LR
  n0["load:1<br/>C:#92;new #quot;week#quot; #lt;1#gt; #amp; #35;2.csv"]
  n1["source:flights<br/>1 row in 1 load"]
  subgraph t1["source:flights"]
    n2["date"]
    n3["delay"]
  end
  subgraph t2["view:delays@1"]
    n4["delay"]
  end
  n1 -->|"definition"| n0
  n2 -->|"filter"| n4
  n3 -->|"value, filter"| n4
  style n4 stroke-width:3px
`
	if got := drawMermaid(drawnGraph()); got != want {
		t.Errorf("found\n%s\nexpected\n%s", got, want)
	}
}

var (
	// A line of DOT with nodes, as its grammar has it: an id in quotes, in which a quote has a backslash before it.
	dotNode    = regexp.MustCompile(`^\s*"((?:[^"\\]|\\.)*)" \[label="((?:[^"\\]|\\.)*)"(?:, penwidth=2)?\];$`)
	mermaidOne = regexp.MustCompile(`^\s*n\d+\["([^"]*)"\]$`)
)

// Whatever a title says, what is drawn reads back as it, and nothing of it ends the text that it stands in.
func TestDrawnTextReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		title := rapid.StringOf(rapid.SampledFrom([]rune("a\"\\#<>&`;]|nlr é\n"))).Draw(t, "title")
		graph := &headwaterv1.GetLineageResponse{Root: "load:1", Nodes: []*headwaterv1.LineageNode{{Id: "load:1", Title: title}}}
		want := "load:1"
		if title != "" {
			want += "\n" + oneLine(title)
		}
		var found []string
		for _, line := range strings.Split(drawDOT(graph), "\n") {
			if m := dotNode.FindStringSubmatch(line); m != nil {
				found = append(found, strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\n`, "\n").Replace(m[2]))
			}
		}
		if !slices.Equal(found, []string{want}) {
			t.Fatalf("DOT: found %q, expected %q", found, want)
		}
		found = nil
		for _, line := range strings.Split(drawMermaid(graph), "\n") {
			if m := mermaidOne.FindStringSubmatch(line); m != nil {
				if strings.ContainsAny(strings.ReplaceAll(m[1], "<br/>", ""), "<>&`\\") {
					t.Fatalf("found %q", m[1])
				}
				found = append(found, strings.NewReplacer("<br/>", "\n", "#35;", "#", "#quot;", `"`, "#lt;", "<", "#gt;", ">", "#amp;", "&",
					"#96;", "`", "#92;", `\`).Replace(m[1]))
			}
		}
		if !slices.Equal(found, []string{want}) {
			t.Fatalf("Mermaid: found %q, expected %q", found, want)
		}
	})
}

func TestTreeSaysAllThatANodeIsToAnother(t *testing.T) {
	graph := drawnGraph()
	graph.Nodes, graph.Edges = graph.Nodes[1:], graph.Edges[1:]
	const want = `view:delays@1#delay  int64
├─ filtered by source:flights#date  timestamp
└─ made of, filtered by source:flights#delay  int64
`
	if got := newTree(graph, false); got != want {
		t.Errorf("found\n%s\nexpected\n%s", got, want)
	}
}
