package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

func newMatrix(a *app) *cobra.Command {
	var actions []string
	request := &headwaterv1.GetAccessMatrixRequest{}
	cmd := &cobra.Command{
		Use: "matrix", Short: "Say what each role may do to each resource, and by what rules", Args: takesNone,
		Long: `Says for each role by itself, and for each resource and action, what would be decided, the rule that decides, and the policies that hide rows or mask
values. What no rule gives is left out: it is denied. It is decided by what decides on calls, for somebody who has the role, nothing else, and says no
purpose. No data is touched. It takes administer on system:*.`,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			for _, action := range actions {
				n := headwaterv1.Action(headwaterv1.Action_value["ACTION_"+strings.ToUpper(action)])
				if n == 0 {
					return usagef("found --action %q, expected one of %s", action, strings.Join(actionNames(), ", "))
				}
				request.Actions = append(request.Actions, n)
			}
			r, err := c.Access.GetAccessMatrix(cmd.Context(), request)
			if err != nil {
				return err
			}
			t := table{header: []string{"ROLE", "RESOURCE", "ACTION", "DECISION", "HIDDEN BY", "REASON"}}
			for _, cell := range r.GetCells() {
				t.add(cell.GetRole(), cell.GetResource(), enumName(cell.GetAction(), "ACTION_"), enumName(cell.GetDecision(), "DECISION_"),
					strings.Join(cell.GetPolicies(), ", "), cell.GetReason())
			}
			return a.print(r, t)
		}),
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&request.Roles, "role", nil, "a role; again for more (default: all)")
	flags.StringArrayVar(&request.Resources, "resource", nil, "KIND:PATTERN such as view:delay_*; again for more (default: all definitions, and the kinds as wholes)")
	flags.StringArrayVar(&actions, "action", nil, "an action such as read_online; again for more (default: all)")
	return cmd
}
