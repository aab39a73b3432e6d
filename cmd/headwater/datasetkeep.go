package main

import (
	"github.com/spf13/cobra"

	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

func newDatasetDelete(a *app) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "delete ID --reason R", Short: "Delete a dataset, by its id or NAME@VERSION; only its manifest stays", Args: takes(1, 1, "ID --reason R"),
		Long: `Deletes the spine of a dataset and what a server keeps of its result, and protects no longer the history that it reads, so
that a later gc may collect it. The dataset cannot be fetched, verified or compared any more; its manifest stays, and its version
is not given again. For who built it, and for who may administer it.`,
		RunE: a.document(func(cmd *cobra.Command, c *client.Client, args []string) error {
			if err := require(cmd, "reason"); err != nil {
				return err
			}
			r, err := c.Datasets.DeleteDataset(cmd.Context(), &headwaterv1.DeleteDatasetRequest{Dataset: datasetID(args[0]), Reason: reason})
			if err != nil {
				return err
			}
			return a.printDocument(r, manifestSections(r.GetManifest())...)
		}),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, kept with the manifest")
	return cmd
}
