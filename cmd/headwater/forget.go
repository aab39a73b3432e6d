package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/headwaterhq/headwater/client"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

func newForget(a *app) *cobra.Command {
	var entity, name, reason string
	var dry bool
	cmd := &cobra.Command{
		Use: "forget --entity k=v --reason R", Short: "Erase an entity, for good, wherever its rows are", Args: takesNone,
		Long: `Erases the rows of an entity from landing tables, histories, quarantine, snapshots, spines of datasets and Redis, and queues runs that
compute anew what they had gone into. Runs and datasets that it touches keep their digests from before and after: verify says ERASED.
It cannot be undone; --dry-run says what would be erased. Safe to ask for again, also after a failure: it goes on where it stopped.`,
		RunE: a.document(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			for _, flag := range []string{"entity", "reason"} {
				if err := require(cmd, flag); err != nil {
					return err
				}
			}
			pairs, err := parseEntity(entity)
			if err != nil {
				return err
			}
			e, err := entityWithKeys(cmd.Context(), c, name, pairs)
			if err != nil {
				return err
			}
			req := &headwaterv1.ForgetRequest{Entity: e.Name, Keys: map[string]*headwaterv1.Value{}, Reason: reason, DryRun: dry}
			for _, kv := range pairs {
				t, _ := keyType(e.JoinKeys, kv.key)
				if req.Keys[kv.key], err = keyOf(kv, t); err != nil {
					return err
				}
			}
			r, err := c.Retention.Forget(cmd.Context(), req)
			if err != nil {
				return err
			}
			return a.printDocument(r, erasureSections(r.GetErasure())...)
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&entity, "entity", "", `the entity's join keys, all of them: k=v[,k2=v2] (a comma in a value is written \,)`)
	flags.StringVar(&name, "entity-name", "", "what it is, such as passenger; needed where several entities have these join keys")
	flags.StringVar(&reason, "reason", "", "why; kept with all that the erasure touches, so it must not say who was erased")
	flags.BoolVar(&dry, "dry-run", false, "say what would be erased, and erase nothing")
	cmd.AddCommand(newForgetList(a))
	return cmd
}

func newForgetList(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the erasures", Args: takesNone,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			r, err := c.Retention.ListErasures(cmd.Context(), &headwaterv1.ListErasuresRequest{})
			if err != nil {
				return err
			}
			t := table{header: []string{"ERASURE", "ENTITY", "STARTED AT", "DONE AT", "ROWS#", "TOUCHED#", "BY", "REASON"}}
			for _, e := range r.GetErasures() {
				t.add(e.Id, e.Entity, moment(e.StartedAt), first(moment(e.DoneAt), "not yet"), number(rowsErased(e)), number(len(e.Touched)), e.Principal, e.Reason)
			}
			return a.print(r, t)
		}),
	}
}

func rowsErased(e *headwaterv1.ErasureRecord) (rows int64) {
	for _, d := range e.GetErased() {
		rows += d.GetRows()
	}
	return rows
}

func erasureSections(e *headwaterv1.ErasureRecord) []section {
	var facts section
	facts.add("erasure", first(e.GetId(), "none: a dry run"))
	facts.add("entity", e.GetEntity())
	if e.GetId() != "" {
		facts.add("started", moment(e.GetStartedAt()))
		facts.add("done", first(moment(e.GetDoneAt()), "not yet"))
	}
	facts.add("reason", e.GetReason())
	places := section{title: "erased", table: table{header: []string{"PLACE", "NAME", "ROWS#"}}}
	notes := section{title: "to look at"}
	for _, d := range e.GetErased() {
		if d.GetRows() > 0 {
			places.add(d.GetPlace(), d.GetName(), number(d.GetRows()))
		}
		if d.GetNote() != "" {
			notes.add(d.GetPlace() + " " + d.GetName() + ": " + d.GetNote())
		}
	}
	if len(places.rows) == 0 {
		places.add("nothing", "no row has the key", "0")
	}
	touched := section{title: "touched"}
	for _, node := range e.GetTouched() {
		touched.add(node)
	}
	recomputing := section{title: "recomputing"}
	for _, node := range e.GetRecomputing() {
		recomputing.add(node)
	}
	return []section{facts, places, notes, touched, recomputing}
}

// entityWithKeys finds the entity of a name or, with none, the one that has the join keys that are given.
func entityWithKeys(ctx context.Context, c *client.Client, name string, pairs []keyValue) (*feature.Entity, error) {
	get := func(name string) (*feature.Entity, error) {
		d, err := c.Registry.GetDefinition(ctx, &headwaterv1.GetDefinitionRequest{Kind: headwaterv1.DefinitionKind_DEFINITION_KIND_ENTITY, Name: name})
		if err != nil {
			return nil, err
		}
		e := &feature.Entity{Name: strings.SplitN(name, "@", 2)[0]}
		for _, found := range d.GetDefinition().GetEntities() {
			for _, k := range found.JoinKeys {
				t, err := feature.ParseType(k.Type)
				if err != nil {
					return nil, fault.New(fault.Unimplemented, "join key %s of entity %s: %s; this client is older than the server", k.Name, found.Name, err)
				}
				e.JoinKeys = append(e.JoinKeys, feature.Column{Name: k.Name, Type: t})
			}
		}
		return e, nil
	}
	if name != "" {
		return get(name)
	}
	list, err := c.Registry.ListDefinitions(ctx, &headwaterv1.ListDefinitionsRequest{Kind: headwaterv1.DefinitionKind_DEFINITION_KIND_ENTITY})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, d := range list.GetDefinitions() {
		if !slices.Contains(names, d.Name) {
			names = append(names, d.Name)
		}
	}
	var found []*feature.Entity
	for _, name := range names {
		e, err := get(name)
		if err != nil {
			return nil, err
		}
		if len(e.JoinKeys) == len(pairs) && !slices.ContainsFunc(pairs, func(kv keyValue) bool { _, ok := keyType(e.JoinKeys, kv.key); return !ok }) {
			found = append(found, e)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, usagef("found no entity with just the join keys of --entity; `headwater list entity` shows those there are, and --entity-name names one")
	}
	var of []string
	for _, e := range found {
		of = append(of, e.Name)
	}
	return nil, usagef("%s", fmt.Sprintf("found the entities %s with the join keys of --entity, expected one; name it: --entity-name %s", strings.Join(of, " and "), of[0]))
}
