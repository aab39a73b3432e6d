package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

func newLineage(a *app) *cobra.Command {
	var up, down, columns bool
	var depth int32
	var asOf string
	show := &cobra.Command{
		Use: "show NODE", Short: "Show what a node comes from (--up, the default) or what it reaches (--down)", Args: takes(1, 1, "NODE"),
		Long: `Shows what a node comes from, towards the sources (--up, the default), or what it reaches, towards services, datasets,
models, predictions and consumers outside (--down). A NODE is one of

  source:NAME                 load:ID
  view:NAME[@VERSION]         feature:VIEW[@VERSION].NAME
  run:VIEW@VERSION/SEQ        service:NAME[@VERSION]
  dataset:ID, dataset:NAME@VERSION
  model:NAME[@VERSION]        consumer:NAME[@VERSION]
  prediction:READ_ID          a read that was logged
  source:NAME#COLUMN          view:NAME[@VERSION]#COLUMN

With --columns, and of a column always, it shows what each column is computed from and in what way, and not runs and loads. The columns of
a view are its join keys, event_time, available_at, features and attributes.

Of a prediction, the runs are those whose rows it was given; headwater trace READ_ID tells more of it. Down, the logged reads of a service are one
node, predictions:SERVICE@VERSION, which says how headwater reads list lists them.

The result is a tree, or with -o json, csv, dot (Graphviz) or mermaid the graph.`,
		Annotations: map[string]string{moreForms: "dot,mermaid"},
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
			graph, err := readLineage(cmd.Context(), c, &headwaterv1.GetLineageRequest{
				Node: args[0], Direction: direction, Depth: depth, Columns: columns, AsOf: asOf,
			})
			if err != nil {
				return err
			}
			switch a.output {
			case "table":
				_, err = fmt.Fprint(a.out, newTree(graph, down))
				return err
			case "dot":
				_, err = fmt.Fprint(a.out, drawDOT(graph))
				return err
			case "mermaid":
				_, err = fmt.Fprint(a.out, drawMermaid(graph))
				return err
			}
			t := table{header: []string{"FROM", "TO", "KIND", "VALID FROM", "VALID TO"}}
			for _, e := range graph.Edges {
				t.add(e.From, e.To, enumName(e.Kind, "LINEAGE_EDGE_KIND_"), positionOr(e.ValidFrom, "0"), positionOr(e.ValidTo, ""))
			}
			return a.print(graph, t)
		}),
	}
	flags := show.Flags()
	flags.BoolVar(&up, "up", false, "towards the sources")
	flags.BoolVar(&down, "down", false, "towards services, datasets, models, predictions and consumers outside")
	flags.BoolVar(&columns, "columns", false, "column by column")
	flags.Int32Var(&depth, "depth", 0, "how many edges to follow (default: all)")
	flags.StringVar(&asOf, "as-of", "", "the graph as it was: pos:N, run:VIEW@VERSION/SEQ or a time (default: now)")
	return group("lineage", "Where things come from, and what they reach", show, newLineageDiff(a), newLineageCheck(a), newLineageUses(a), newLineageOutbox(a))
}

// lineagePage is how many nodes are asked for at once.
const lineagePage = 5000

// readLineage reads a graph page by page.
func readLineage(ctx context.Context, c *client.Client, req *headwaterv1.GetLineageRequest) (*headwaterv1.GetLineageResponse, error) {
	req.PageSize = lineagePage
	var whole *headwaterv1.GetLineageResponse
	for {
		page, err := c.Lineage.GetLineage(ctx, req)
		if err != nil {
			return nil, err
		}
		if req.PageToken = page.NextPageToken; whole == nil {
			whole = page
		} else {
			whole.Nodes, whole.Edges = append(whole.Nodes, page.Nodes...), append(whole.Edges, page.Edges...)
		}
		if req.PageToken == "" {
			break
		}
	}
	whole.NextPageToken = ""
	slices.SortStableFunc(whole.Edges, func(x, y *headwaterv1.LineageEdge) int {
		if c := strings.Compare(x.From, y.From); c != 0 {
			return c
		}
		if c := strings.Compare(x.To, y.To); c != 0 {
			return c
		}
		return int(x.Kind) - int(y.Kind)
	})
	return whole, nil
}

func positionOr(position int64, none string) string {
	if position == 0 {
		return none
	}
	return fmt.Sprint(position)
}

// tree draws a graph from its root on. A node that several paths lead to is drawn whole once, and named where it comes
// again.
type tree struct {
	titles   map[string]string
	children map[string][]*child
	drawn    map[string]bool
	out      strings.Builder
}

// child is a node with what it is to its parent, which may be several things.
type child struct{ node, relation string }

// relations say what the child is to its parent, up and down.
var relations = map[headwaterv1.LineageEdgeKind][2]string{
	headwaterv1.LineageEdgeKind_LINEAGE_EDGE_KIND_DEFINITION: {"from", "used by"},
	headwaterv1.LineageEdgeKind_LINEAGE_EDGE_KIND_READ:       {"read", "read by"},
	headwaterv1.LineageEdgeKind_LINEAGE_EDGE_KIND_WROTE:      {"written by", "wrote"},
	headwaterv1.LineageEdgeKind_LINEAGE_EDGE_KIND_REPLACED:   {"replaced", "replaced by"},
	headwaterv1.LineageEdgeKind_LINEAGE_EDGE_KIND_VALUE:      {"made of", "makes"},
	headwaterv1.LineageEdgeKind_LINEAGE_EDGE_KIND_FILTER:     {"filtered by", "filters"},
	headwaterv1.LineageEdgeKind_LINEAGE_EDGE_KIND_JOIN:       {"joined by", "joins"},
	headwaterv1.LineageEdgeKind_LINEAGE_EDGE_KIND_GROUP:      {"grouped by", "groups"},
	headwaterv1.LineageEdgeKind_LINEAGE_EDGE_KIND_ORDER:      {"ordered by", "orders"},
	headwaterv1.LineageEdgeKind_LINEAGE_EDGE_KIND_CORRECTED:  {"corrected", "corrected by"},
}

func newTree(graph *headwaterv1.GetLineageResponse, down bool) string {
	t := &tree{titles: map[string]string{}, children: map[string][]*child{}, drawn: map[string]bool{}}
	for _, n := range graph.Nodes {
		t.titles[n.Id] = n.Title
	}
	for _, e := range graph.Edges {
		parent, node, relation := e.To, e.From, relations[e.Kind][0]
		if down {
			parent, node, relation = e.From, e.To, relations[e.Kind][1]
		}
		if list := t.children[parent]; len(list) > 0 && list[len(list)-1].node == node {
			list[len(list)-1].relation += ", " + relation
			continue
		}
		t.children[parent] = append(t.children[parent], &child{node, relation})
	}
	if strings.HasPrefix(graph.Root, "prediction:") {
		slices.SortStableFunc(t.children[graph.Root], func(a, b *child) int { return predictionPlace(a.node) - predictionPlace(b.node) })
	}
	t.draw(graph.Root, "", "", "")
	return t.out.String()
}

// predictionPlace has what a prediction was given stand before what it is of, and a model, behind which the whole service is once more, last.
func predictionPlace(node string) int {
	kind, _, _ := strings.Cut(node, ":")
	switch kind {
	case "run":
		return 0
	case "model":
		return 2
	}
	return 1
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
