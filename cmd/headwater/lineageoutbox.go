package main

import (
	"github.com/spf13/cobra"

	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// outboxPage is how many subjects are asked for at once.
const outboxPage = 1000

func newLineageOutbox(a *app) *cobra.Command {
	var limit int32
	cmd := &cobra.Command{
		Use: "outbox", Short: "Show which events wait to be sent, and why they were not taken", Args: takes(0, 0, ""),
		Long: `Shows what waits to be told to others, in OpenLineage's events and by webhooks: by run, dataset, definition or node, the oldest first, with how often it was
tried, when it is tried again, and what its receiver said. An event that its receiver refuses is parked, and not tried again before ` + "`headwater lineage outbox resend`" + `. Where
OpenLineage's events go, and how many wait in all, is said on standard error.`,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			if limit < 0 {
				return usagef("found --limit %d, expected 0 (all) or more", limit)
			}
			req := &headwaterv1.GetOutboxRequest{}
			var all *headwaterv1.GetOutboxResponse
			for left := limit; ; {
				if req.PageSize = outboxPage; limit > 0 {
					req.PageSize = min(outboxPage, left)
				}
				page, err := c.Lineage.GetOutbox(cmd.Context(), req)
				if err != nil {
					return err
				}
				if all == nil {
					all = page
				} else {
					all.Subjects, all.NextPageToken = append(all.Subjects, page.Subjects...), page.NextPageToken
				}
				left -= req.PageSize
				if req.PageToken = page.NextPageToken; req.PageToken == "" || limit > 0 && left <= 0 {
					break
				}
			}
			a.noteOutbox(all)
			if all.NextPageToken != "" {
				a.notef("there are newer ones: --limit 0 shows all")
			}
			t := table{header: []string{"SUBJECT", "TOPIC", "WAITING#", "PARKED#", "SINCE", "ATTEMPTS#", "NEXT TRY", "RECEIVER", "ERROR"}}
			for _, s := range all.Subjects {
				t.add(s.Subject, s.Topic, number(s.Waiting), number(s.Parked), moment(s.Oldest), number(s.Attempts), moment(s.NextTry), s.Receiver, s.Error)
			}
			return a.print(all, t)
		}),
	}
	cmd.Flags().Int32Var(&limit, "limit", 100, "how many runs, datasets and definitions, the oldest; 0: all")
	cmd.AddCommand(newOutboxResend(a))
	return cmd
}

func newOutboxResend(a *app) *cobra.Command {
	req := &headwaterv1.ResendOutboxRequest{}
	cmd := &cobra.Command{
		Use: "resend [SUBJECT…]", Short: "Have what was parked be tried again", Args: cobra.ArbitraryArgs,
		Long: `Has events that were parked be tried again at once, in their order: about SUBJECTs, as the outbox shows them, or about all.`,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, args []string) error {
			req.Subjects = args
			r, err := c.Lineage.ResendOutbox(cmd.Context(), req)
			if err != nil {
				return err
			}
			t := table{header: []string{"RESENT#"}}
			t.add(number(r.GetResent()))
			return a.print(r, t)
		}),
	}
	cmd.Flags().StringVar(&req.Receiver, "receiver", "", "openlineage or webhook:NAME: those for this one alone")
	return cmd
}

// noteOutbox says what all of it comes to.
func (a *app) noteOutbox(r *headwaterv1.GetOutboxResponse) {
	since := ""
	if r.Oldest != nil {
		since = ", the oldest since " + moment(r.Oldest)
	}
	if r.Receiver == "" {
		a.notef("nobody is told: the server has no HEADWATER_OPENLINEAGE_URL and no HEADWATER_OPENLINEAGE_FILE; waiting: %d%s; they are deleted when they are as old as "+
			"events are kept", r.Waiting, since)
		return
	}
	a.notef("events go to %s; waiting: %d%s; of them tried and not taken: %d; parked, which it refused: %d", r.Receiver, r.Waiting, since, r.Tried, r.Parked)
}
