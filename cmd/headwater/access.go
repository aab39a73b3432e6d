package main

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

func newToken(a *app) *cobra.Command {
	var principal string
	var roles, attributes, scopes []string
	var ttl time.Duration
	create := &cobra.Command{
		Use: "create --principal P --role R…", Short: "Make a token; standard output gets its secret, this once", Args: takesNone,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			if err := require(cmd, "principal", "role"); err != nil {
				return err
			}
			given, err := parseAttributes(attributes)
			if err != nil {
				return err
			}
			request := &headwaterv1.CreateTokenRequest{Principal: principal, Roles: roles, Attributes: given, Scopes: scopes}
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
	flags.StringArrayVar(&attributes, "attribute", nil, "what is known of the principal besides, NAME=VALUE such as region=UK; again for more")
	flags.StringArrayVar(&scopes, "scope", nil, "what it may be used for at most, ACTION:KIND:PATTERN such as read_online:service:delay_*; again for more "+
		"(default: whatever its roles allow)")
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
	t := table{header: []string{"ID", "PRINCIPAL", "ROLES", "ATTRIBUTES", "SCOPES", "CREATED AT", "CREATED BY", "EXPIRES AT", "REVOKED AT"}}
	for _, k := range tokens {
		t.add(k.GetId(), k.GetPrincipal(), strings.Join(k.GetRoles(), ", "), attributesText(k.GetAttributes()), strings.Join(k.GetScopes(), ", "), moment(k.GetCreatedAt()), k.GetCreatedBy(),
			moment(k.GetExpiresAt()), moment(k.GetRevokedAt()))
	}
	return t
}

// parseAttributes reads NAME=VALUE, where a name may come again.
func parseAttributes(texts []string) (map[string]*headwaterv1.AttributeValues, error) {
	attributes := map[string]*headwaterv1.AttributeValues{}
	for _, text := range texts {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" || value == "" {
			return nil, usagef("found --attribute %q, expected NAME=VALUE, such as region=UK", text)
		}
		if attributes[name] == nil {
			attributes[name] = &headwaterv1.AttributeValues{}
		}
		attributes[name].Values = append(attributes[name].Values, value)
	}
	return attributes, nil
}

// attributesText is NAME=VALUE,VALUE for each, by name.
func attributesText(attributes map[string]*headwaterv1.AttributeValues) string {
	var texts []string
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		texts = append(texts, name+"="+strings.Join(attributes[name].GetValues(), ","))
	}
	return strings.Join(texts, " ")
}

func newRotateKey(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "rotate-key NAME", Short: "Have masks hash by a new secret from now on", Args: takes(1, 1, "NAME"),
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, args []string) error {
			r, err := c.Access.RotateMaskKey(cmd.Context(), &headwaterv1.RotateMaskKeyRequest{Name: args[0]})
			if err != nil {
				return err
			}
			return a.print(r, keyTable(r.GetKey()))
		}),
	}
}

func newListKeys(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "list-keys", Short: "List the keys by which masks hash, without their secrets", Args: takesNone,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			r, err := c.Access.ListMaskKeys(cmd.Context(), &headwaterv1.ListMaskKeysRequest{})
			if err != nil {
				return err
			}
			return a.print(r, keyTable(r.GetKeys()...))
		}),
	}
}

func keyTable(keys ...*headwaterv1.MaskKey) table {
	t := table{header: []string{"NAME", "VERSION", "CREATED AT", "CREATED BY"}}
	for _, k := range keys {
		t.add(k.GetName(), number(k.GetVersion()), moment(k.GetCreatedAt()), k.GetCreatedBy())
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
			t := table{header: []string{"TIME", "PRINCIPAL", "ACTION", "RESOURCE", "DECISION", "METHOD", "PURPOSE", "CALLS", "ROWS", "HIDDEN", "READ", "REASON"}}
			for _, e := range r.Records {
				t.add(instant(e.Time), e.Principal, enumName(e.Action, "ACTION_"), e.Resource, enumName(e.Decision, "DECISION_"),
					e.Method[strings.LastIndexByte(e.Method, '/')+1:], e.Purpose, number(e.Calls), number(e.RowsReturned), number(e.RowsHidden), e.ReadId, e.Reason)
			}
			return a.print(r, t)
		}),
	}
	flags := list.Flags()
	flags.StringVar(&principal, "principal", "", "decisions about this principal only")
	flags.StringVar(&resource, "resource", "", "decisions about this resource only, KIND:NAME")
	flags.StringVar(&since, "since", "", "decisions from this time on, such as 2001-01-31T10:00:00Z")
	flags.Int32Var(&limit, "limit", 100, "how many, the newest, at most 10000")
	return group("audit", "The record of who did what, and who was refused", list, newAuditVerify(a), newAuditKey(a))
}
