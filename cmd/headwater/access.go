package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

func newToken(a *app) *cobra.Command {
	var principal string
	var roles []string
	var ttl time.Duration
	create := &cobra.Command{
		Use: "create --principal P --role R…", Short: "Make a token; standard output gets its secret, this once", Args: takesNone,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			if err := require(cmd, "principal", "role"); err != nil {
				return err
			}
			request := &headwaterv1.CreateTokenRequest{Principal: principal, Roles: roles}
			if cmd.Flags().Changed("ttl") {
				if ttl <= 0 {
					return usagef("found --ttl %s, expected more than nothing, such as 720h", ttl)
				}
				request.Ttl = durationpb.New(ttl)
			}
			r, err := c.Access.CreateToken(cmd.Context(), request)
			if err != nil {
				return err
			}
			if a.output == "json" {
				return a.printJSON(r)
			}
			expires := "never expires"
			if at := r.GetToken().GetExpiresAt(); at != nil {
				expires = "expires " + moment(at)
			}
			a.notef("token %s for %s with role %s, %s; the secret is not shown again", r.GetToken().GetId(), principal,
				strings.Join(roles, ", "), expires)
			_, err = a.out.Write([]byte(r.Secret + "\n"))
			return err
		}),
	}
	flags := create.Flags()
	flags.StringVar(&principal, "principal", "", "who calls with it")
	flags.StringArrayVar(&roles, "role", nil, "a role it has; again for more")
	flags.DurationVar(&ttl, "ttl", 0, "how long it is good for, such as 720h (default: for ever)")

	list := &cobra.Command{
		Use: "list", Short: "List tokens, without their secrets", Args: takesNone,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			r, err := c.Access.ListTokens(cmd.Context(), &headwaterv1.ListTokensRequest{})
			if err != nil {
				return err
			}
			return a.print(r, tokenTable(r.Tokens...))
		}),
	}
	revoke := &cobra.Command{
		Use: "revoke ID", Short: "End a token", Args: takes(1, 1, "ID"),
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, args []string) error {
			r, err := c.Access.RevokeToken(cmd.Context(), &headwaterv1.RevokeTokenRequest{Id: args[0]})
			if err != nil {
				return err
			}
			return a.print(r, tokenTable(r.GetToken()))
		}),
	}
	return group("token", "Tokens: who may call", create, list, revoke)
}

func tokenTable(tokens ...*headwaterv1.Token) table {
	t := table{header: []string{"ID", "PRINCIPAL", "ROLES", "CREATED AT", "CREATED BY", "EXPIRES AT", "REVOKED AT"}}
	for _, k := range tokens {
		t.add(k.GetId(), k.GetPrincipal(), strings.Join(k.GetRoles(), ", "), moment(k.GetCreatedAt()), k.GetCreatedBy(),
			moment(k.GetExpiresAt()), moment(k.GetRevokedAt()))
	}
	return t
}

func newAudit(a *app) *cobra.Command {
	var principal, resource, since string
	var limit int32
	list := &cobra.Command{
		Use: "list", Short: "List decisions, newest last", Args: takesNone,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			request := &headwaterv1.ListAuditRecordsRequest{Principal: principal, Resource: resource, PageSize: limit}
			var err error
			if request.Since, err = parseTime("since", since); err != nil {
				return err
			}
			r, err := c.Access.ListAuditRecords(cmd.Context(), request)
			if err != nil {
				return err
			}
			t := table{header: []string{"TIME", "PRINCIPAL", "ACTION", "RESOURCE", "DECISION", "METHOD", "PURPOSE", "CALLS", "READ", "REASON"}}
			for _, e := range r.Records {
				t.add(instant(e.Time), e.Principal, enumName(e.Action, "ACTION_"), e.Resource, enumName(e.Decision, "DECISION_"),
					e.Method[strings.LastIndexByte(e.Method, '/')+1:], e.Purpose, number(e.Calls), e.ReadId, e.Reason)
			}
			return a.print(r, t)
		}),
	}
	flags := list.Flags()
	flags.StringVar(&principal, "principal", "", "decisions about this principal only")
	flags.StringVar(&resource, "resource", "", "decisions about this resource only, KIND:NAME")
	flags.StringVar(&since, "since", "", "decisions from this time on, such as 2001-01-31T10:00:00Z")
	flags.Int32Var(&limit, "limit", 100, "how many, the newest, at most 10000")
	return group("audit", "The record of who did what, and who was refused", list)
}
