package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

func newAccess(a *app) *cobra.Command {
	return group("access", "What certificates are good for, roles that are taken for a time, the keys of masks, and why something is allowed or denied", newBind(a), newUnbind(a), newBindings(a), newElevate(a), newElevations(a),
		newRotateKey(a), newListKeys(a), newExplain(a), newMatrix(a))
}

func newBind(a *app) *cobra.Command {
	var certificate string
	var roles, attributes []string
	cmd := &cobra.Command{
		Use: "bind --certificate NAME --role R…", Short: "Say what whoever calls with a certificate may do, in place of what it might", Args: takesNone,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			if err := require(cmd, "certificate", "role"); err != nil {
				return err
			}
			given, err := parseAttributes(attributes)
			if err != nil {
				return err
			}
			r, err := c.Access.BindCertificate(cmd.Context(), &headwaterv1.BindCertificateRequest{Certificate: certificate, Roles: roles, Attributes: given})
			if err != nil {
				return err
			}
			return a.print(r, bindingTable(r.GetBinding()))
		}),
	}
	cmd.Flags().StringVar(&certificate, "certificate", "", "the name in it: spiffe://DOMAIN/PATH, or dns:HOST")
	cmd.Flags().StringArrayVar(&roles, "role", nil, "a role it has; again for more")
	cmd.Flags().StringArrayVar(&attributes, "attribute", nil, "what is known of the principal besides, NAME=VALUE such as region=UK; again for more")
	return cmd
}

func newUnbind(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "unbind NAME", Short: "End what a certificate is good for", Args: takes(1, 1, "NAME"),
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, args []string) error {
			r, err := c.Access.UnbindCertificate(cmd.Context(), &headwaterv1.UnbindCertificateRequest{Certificate: args[0]})
			if err != nil {
				return err
			}
			return a.print(r, bindingTable(r.GetBinding()))
		}),
	}
}

func newBindings(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "bindings", Short: "List what certificates are bound to", Args: takesNone,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			r, err := c.Access.ListBindings(cmd.Context(), &headwaterv1.ListBindingsRequest{})
			if err != nil {
				return err
			}
			return a.print(r, bindingTable(r.Bindings...))
		}),
	}
}

func bindingTable(bindings ...*headwaterv1.Binding) table {
	t := table{header: []string{"CERTIFICATE", "ROLES", "ATTRIBUTES", "CREATED AT", "CREATED BY"}}
	for _, b := range bindings {
		t.add(b.GetCertificate(), strings.Join(b.GetRoles(), ", "), attributesText(b.GetAttributes()), moment(b.GetCreatedAt()), b.GetCreatedBy())
	}
	return t
}

func newElevate(a *app) *cobra.Command {
	var role, reason, principal string
	var length time.Duration
	var end bool
	cmd := &cobra.Command{
		Use: "elevate --role R --for D --reason R | --end", Short: "Take a role for a time, with a reason, where a role of yours says that you may: break glass", Args: takesNone,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			if end {
				r, err := c.Access.EndElevation(cmd.Context(), &headwaterv1.EndElevationRequest{Principal: principal})
				if err != nil {
					return err
				}
				return a.print(r, elevationTable(r.Elevations...))
			}
			if principal != "" {
				return usagef("found --principal without --end: a role is taken by whoever calls")
			}
			if err := require(cmd, "role", "for", "reason"); err != nil {
				return err
			}
			r, err := c.Access.Elevate(cmd.Context(), &headwaterv1.ElevateRequest{Role: role, Duration: durationpb.New(length), Reason: reason})
			if err != nil {
				return err
			}
			return a.print(r, elevationTable(r.GetElevation()))
		}),
	}
	cmd.Flags().StringVar(&role, "role", "", "the role")
	cmd.Flags().DurationVar(&length, "for", 0, "how long, such as 1h; at most as the role that allows it says")
	cmd.Flags().StringVar(&reason, "reason", "", "why; kept for good, and with everything that is done meanwhile")
	cmd.Flags().BoolVar(&end, "end", false, "end what was taken")
	cmd.Flags().StringVar(&principal, "principal", "", "with --end: of whom (default: of whoever calls)")
	return cmd
}

func newElevations(a *app) *cobra.Command {
	var limit int32
	cmd := &cobra.Command{
		Use: "elevations", Short: "List who has taken which roles for a time, newest last", Args: takesNone,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			r, err := c.Access.ListElevations(cmd.Context(), &headwaterv1.ListElevationsRequest{PageSize: limit})
			if err != nil {
				return err
			}
			return a.print(r, elevationTable(r.Elevations...))
		}),
	}
	cmd.Flags().Int32Var(&limit, "limit", 100, "how many, the newest, at most 10000")
	return cmd
}

func elevationTable(elevations ...*headwaterv1.Elevation) table {
	t := table{header: []string{"PRINCIPAL", "ROLE", "FROM", "UNTIL", "ENDED AT", "ENDED BY", "REASON"}}
	for _, e := range elevations {
		t.add(e.GetPrincipal(), e.GetRole(), moment(e.GetFrom()), moment(e.GetUntil()), moment(e.GetEndedAt()), e.GetEndedBy(), e.GetReason())
	}
	return t
}
