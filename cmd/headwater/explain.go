package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

func newExplain(a *app) *cobra.Command {
	var action string
	var attributes []string
	request := &headwaterv1.ExplainAccessRequest{}
	cmd := &cobra.Command{
		Use: "explain --action A --resource R", Short: "Say what would be decided on a principal, an action and a resource, and by what rules", Args: takesNone,
		Long: `Says whether a principal may do something to a resource, and by what rule; of a reading also what policies require, which rows they show, in words and
in SQL, and what they mask. No data is touched. Whoever calls may ask about itself; of others, and with --role or --attribute, it
takes administer on system:*.`,
		RunE: a.document(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			if err := require(cmd, "action", "resource"); err != nil {
				return err
			}
			request.Action = headwaterv1.Action(headwaterv1.Action_value["ACTION_"+strings.ToUpper(action)])
			if request.Action == 0 {
				return usagef("found --action %q, expected one of %s", action, strings.Join(actionNames(), ", "))
			}
			var err error
			if request.Attributes, err = parseAttributes(attributes); err != nil {
				return err
			}
			r, err := c.Access.ExplainAccess(cmd.Context(), request)
			if err != nil {
				return err
			}
			return a.printDocument(r, explanationSections(request, r)...)
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&request.Principal, "principal", "", "whom it is about (default: whoever calls)")
	flags.StringVar(&action, "action", "", "what it would do, such as read_online")
	flags.StringVar(&request.Resource, "resource", "", "to what, KIND:NAME such as service:delay_model_v1")
	flags.StringArrayVar(&request.Roles, "role", nil, "ask with this role, and no others than are given, in place of those that it has; again for more")
	flags.StringArrayVar(&attributes, "attribute", nil, "the same of what is known of it besides, NAME=VALUE such as region=UK; again for more")
	flags.StringVar(&request.Purpose, "purpose", "", "the purpose that it would say")
	flags.StringVar(&request.Use, "use", "", "what the values would be used for: serving, training or export (default: training for read_offline, else serving)")
	return cmd
}

// actionNames are the actions as grants have them.
func actionNames() []string {
	var names []string
	for n := int32(1); headwaterv1.Action_name[n] != ""; n++ {
		names = append(names, enumName(headwaterv1.Action(n), "ACTION_"))
	}
	slices.Sort(names)
	return names
}

func explanationSections(q *headwaterv1.ExplainAccessRequest, r *headwaterv1.ExplainAccessResponse) []section {
	facts := section{}
	fact := func(name, value string) {
		if value != "" {
			facts.add(name, value)
		}
	}
	fact("principal", r.GetPrincipal()+", as known by "+r.GetKnownBy())
	fact("roles", strings.Join(r.GetRoles(), ", "))
	fact("attributes", attributesText(r.GetAttributes()))
	fact("asked", enumName(q.GetAction(), "ACTION_")+" on "+q.GetResource())
	fact("decision", enumName(r.GetDecision(), "DECISION_"))
	fact("reason", r.GetReason())
	fact("missing", r.GetMissing())
	fact("definition", first(r.GetDefinition(), "none that you may know of; grants alone were asked"))
	fact("owner", r.GetOwner())
	if r.GetServesAsGrant() {
		fact("serves as grant", "yes: who may read the service may read its views through it")
	}
	fact("policies", strings.Join(r.GetPolicies(), ", "))

	views := section{title: "views that it reads", table: table{header: []string{"VIEW", "DECISION", "REASON", "OWNER"}}}
	for _, v := range r.GetViews() {
		views.add(v.GetView(), enumName(v.GetDecision(), "DECISION_"), v.GetReason(), v.GetOwner())
	}
	requirements := section{title: "requirements", table: table{header: []string{"POLICY", "ABOUT", "REQUIRES", "MET", "WHY NOT"}}}
	for _, q := range r.GetRequirements() {
		met := "no"
		if q.GetMet() {
			met = "yes"
		}
		requirements.add(q.GetPolicy(), q.GetAbout(), q.GetRequires(), met, q.GetRefusal())
	}
	filters := section{title: "rows that are shown", table: table{header: []string{"POLICY", "VIEW", "WHERE", "SQL", "PARAMETERS"}}}
	for _, f := range r.GetFilters() {
		words := f.GetWords()
		if f.GetHidesNothing() {
			words = "all of them"
		}
		filters.add(f.GetPolicy(), f.GetAbout(), words, f.GetSql(), strings.Join(f.GetParameters(), ", "))
	}
	masks := section{title: "masks", table: table{header: []string{"POLICY", "FEATURE", "DOES", "NOT FOR"}}}
	for _, m := range r.GetMasks() {
		masks.add(m.GetPolicy(), m.GetAbout(), m.GetDoes(), strings.Join(m.GetUnmasked(), ", "))
	}
	return []section{facts, views, requirements, filters, masks}
}
