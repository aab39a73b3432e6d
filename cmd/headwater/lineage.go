package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

func newLineage(a *app) *cobra.Command {
	var up, down bool
	var depth int32
	show := &cobra.Command{
		Use: "show NODE", Short: "Show what a node comes from (--up, the default) or what it reaches (--down)", Args: takes(1, 1, "NODE"),
		Long: `Shows what a node comes from, towards the sources (--up, the default), or what it reaches, towards services and datasets
(--down). A NODE is one of

  source:NAME                 load:ID
  view:NAME[@VERSION]         feature:VIEW[@VERSION].NAME
  run:VIEW@VERSION/SEQ        service:NAME[@VERSION]
  dataset:ID, dataset:NAME@VERSION`,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, args []string) error {
			if up && down {
				return usagef("found --up and --down, expected one of them")
			}
			if depth < 0 {
				return usagef("found --depth %d, expected 0 (all) or more", depth)
			}
			direction := headwaterv1.LineageDirection_LINEAGE_DIRECTION_UP
			if down {
				direction = headwaterv1.LineageDirection_LINEAGE_DIRECTION_DOWN
			}
			graph, err := c.Lineage.GetLineage(cmd.Context(), &headwaterv1.GetLineageRequest{Node: args[0], Direction: direction, Depth: depth})
			if err != nil {
				return err
			}
			if a.output == "table" {
				_, err := fmt.Fprint(a.out, newTree(graph, down))
				return err
			}
			t := table{header: []string{"FROM", "TO", "KIND"}}
			for _, e := range graph.Edges {
				t.add(e.From, e.To, enumName(e.Kind, "LINEAGE_EDGE_KIND_"))
			}
			return a.print(graph, t)
		}),
	}
	flags := show.Flags()
	flags.BoolVar(&up, "up", false, "towards the sources")
	flags.BoolVar(&down, "down", false, "towards services and datasets")
	flags.Int32Var(&depth, "depth", 0, "how many edges to follow (default: all)")
	return group("lineage", "Where things come from, and what they reach", show)
}

// tree draws a graph from its root on. A node that several paths lead to is drawn whole once, and named where it comes
// again.
type tree struct {
	titles   map[string]string
	children map[string][]child
	drawn    map[string]bool
	out      strings.Builder
}

type child struct{ node, relation string }

// relations say what the child is to its parent, up and down.
var relations = map[headwaterv1.LineageEdgeKind][2]string{
	headwaterv1.LineageEdgeKind_LINEAGE_EDGE_KIND_DEFINITION: {"from", "used by"},
	headwaterv1.LineageEdgeKind_LINEAGE_EDGE_KIND_READ:       {"read", "read by"},
	headwaterv1.LineageEdgeKind_LINEAGE_EDGE_KIND_WROTE:      {"written by", "wrote"},
	headwaterv1.LineageEdgeKind_LINEAGE_EDGE_KIND_REPLACED:   {"replaced", "replaced by"},
}

func newTree(graph *headwaterv1.GetLineageResponse, down bool) string {
	t := &tree{titles: map[string]string{}, children: map[string][]child{}, drawn: map[string]bool{}}
	for _, n := range graph.Nodes {
		t.titles[n.Id] = n.Title
	}
	for _, e := range graph.Edges {
		parent, node, relation := e.To, e.From, relations[e.Kind][0]
		if down {
			parent, node, relation = e.From, e.To, relations[e.Kind][1]
		}
		if c := (child{node, relation}); !slices.Contains(t.children[parent], c) {
			t.children[parent] = append(t.children[parent], c)
		}
	}
	t.draw(graph.Root, "", "", "")
	return t.out.String()
}

// draw draws a node on a line that begins with lead, and its children on lines that begin with indent.
func (t *tree) draw(node, relation, lead, indent string) {
	t.out.WriteString(lead)
	if relation != "" {
		t.out.WriteString(relation + " ")
	}
	t.out.WriteString(node)
	again := t.drawn[node]
	if title := t.titles[node]; title != "" && !again {
		t.out.WriteString("  " + oneLine(title))
	}
	if again && len(t.children[node]) > 0 {
		t.out.WriteString("  (above)")
	}
	t.out.WriteByte('\n')
	if again {
		return
	}
	t.drawn[node] = true
	for i, c := range t.children[node] {
		branch, next := "├─ ", "│  "
		if i == len(t.children[node])-1 {
			branch, next = "└─ ", "   "
		}
		t.draw(c.node, c.relation, indent+branch, indent+next)
	}
}
