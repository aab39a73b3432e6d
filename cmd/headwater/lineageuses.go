package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// usesPage is how many readings are asked for at once.
const usesPage = 1000

func newLineageUses(a *app) *cobra.Command {
	var since string
	var limit int32
	cmd := &cobra.Command{
		Use: "uses NODE", Short: "Show who read what comes from a source or a column, or which sources a view was made of", Args: takes(1, 1, "NODE"),
		Long: `Shows who read what comes from a source or a column of one, newest first, by the audit: online, offline and by runs, with a way there.
A NODE is source:NAME or source:NAME#COLUMN; or view:NAME[@VERSION], for which sources the runs of the view read, and of the views that it reads, and who started them.`,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, args []string) error {
			if limit < 0 {
				return usagef("found --limit %d, expected 0 (all) or more", limit)
			}
			req := &headwaterv1.ListUsesRequest{Node: args[0]}
			var err error
			if req.Since, err = parseTime("since", since); err != nil {
				return err
			}
			all := &headwaterv1.ListUsesResponse{}
			for left := limit; ; {
				if req.PageSize = usesPage; limit > 0 {
					req.PageSize = min(usesPage, left)
				}
				page, err := c.Lineage.ListUses(cmd.Context(), req)
				if err != nil {
					return err
				}
				all.Uses, all.NextPageToken, all.Since = append(all.Uses, page.Uses...), page.NextPageToken, page.Since
				left -= req.PageSize
				if req.PageToken = page.NextPageToken; req.PageToken == "" || limit > 0 && left <= 0 {
					break
				}
			}
			if since == "" && all.Since != nil {
				a.notef("readings since %s; --since TIME goes back further, as far as the audit is kept", moment(all.Since))
			}
			if all.NextPageToken != "" {
				a.notef("there are older ones: --limit 0 shows all")
			}
			t := table{header: []string{"TIME", "PRINCIPAL", "ACTION", "RESOURCE", "PURPOSE", "CALLS#", "READ", "DATASET", "PATH"}}
			for _, u := range all.Uses {
				t.add(moment(u.Time), u.Principal, u.Action, u.Resource, u.Purpose, number(u.Calls), u.ReadId, u.Dataset, strings.Join(u.Path, " > "))
			}
			return a.print(all, t)
		}),
	}
	cmd.Flags().StringVar(&since, "since", "", "readings from this time on, such as 2001-01-31T10:00:00Z (default: of the last 30 days)")
	cmd.Flags().Int32Var(&limit, "limit", 100, "how many, the newest; 0: all")
	return cmd
}
