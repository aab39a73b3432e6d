package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

func newModel(a *app) *cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: "List the newest version of each model", Args: takesNone,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			r, err := c.Lineage.ListModels(cmd.Context(), &headwaterv1.ListModelsRequest{})
			if err != nil {
				return err
			}
			return a.print(r, modelTable(r.GetModels()))
		}),
	}
	show := &cobra.Command{
		Use: "show NAME", Short: "Show all versions of a model, newest first", Args: takes(1, 1, "NAME"),
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, args []string) error {
			r, err := c.Lineage.GetModel(cmd.Context(), &headwaterv1.GetModelRequest{Model: args[0]})
			if err != nil {
				return err
			}
			return a.print(r, modelTable(r.GetVersions()))
		}),
	}
	return group("model", "Say which dataset a model was trained on and which service it reads", newModelRegister(a), list, show)
}

func newModelRegister(a *app) *cobra.Command {
	req := &headwaterv1.RegisterModelRequest{}
	cmd := &cobra.Command{
		Use: "register NAME --service S", Short: "Say which dataset a model was trained on and which service it reads",
		Args: takes(1, 1, "NAME --service S"),
		Long: `Says which dataset a model was trained on and which service it reads, so that lineage leads from sources to it. The same again is the
same version; anything else is the next. The service is kept at the version that it has now, unless one is named.`,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, args []string) error {
			if err := require(cmd, "service"); err != nil {
				return err
			}
			req.Name, req.Dataset = args[0], datasetID(req.Dataset)
			r, err := c.Lineage.RegisterModel(cmd.Context(), req)
			if err != nil {
				return err
			}
			if !r.GetRegistered() {
				a.notef("version %d of model %s says the same already", r.GetModel().GetVersion(), r.GetModel().GetName())
			}
			return a.print(r, modelTable([]*headwaterv1.Model{r.GetModel()}))
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&req.Dataset, "dataset", "", "what it was trained on, an id or NAME@VERSION (default: not known to Headwater)")
	flags.StringVar(&req.Service, "service", "", "what it reads, NAME or NAME@VERSION")
	flags.StringVar(&req.RunUri, "run-uri", "", "where its training run is kept")
	flags.StringVar(&req.Owner, "owner", "", "whose it is")
	flags.StringVar(&req.Description, "description", "", "what it is for")
	return cmd
}

func modelTable(models []*headwaterv1.Model) table {
	t := table{header: []string{"MODEL", "SERVICE", "DATASET", "OWNER", "RUN URI", "REGISTERED AT", "BY"}}
	for _, m := range models {
		t.add(fmt.Sprintf("%s@%d", m.GetName(), m.GetVersion()), m.GetService(), m.GetDataset(), m.GetOwner(), m.GetRunUri(),
			instant(m.GetRegisteredAt()), m.GetRegisteredBy())
	}
	return t
}
