package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

func newTrace(a *app) *cobra.Command {
	var service, entity, at, purpose, out string
	var inputs, features []string
	var row, rows int32
	cmd := &cobra.Command{
		Use: "trace READ_ID | trace --service S --entity k=v --at T", Short: "Say where each value of a prediction came from, down to the rows behind it",
		Args: takes(0, 1, "READ_ID"),
		Long: `Says what is behind a logged read: of each feature the value that was served, whether offline says the same now, and the run that wrote
it; of each run its definition, its files and the rows of the entity in them, and its checks. What you may not see is left out,
and said to be.

A read that nobody logged is computed: --service, --entity and --at say which, and the page says that it was not logged.
With READ_ID, --entity says which of several entities is meant, and gives a key that is kept as a hash.

The result is text, or with -o json, md or html a document; html is one file without scripts. Ends with 5 when a value is
not what offline says.`,
		Annotations: map[string]string{moreForms: "md,html"},
		RunE: a.document(func(cmd *cobra.Command, c *client.Client, args []string) error {
			req := &headwaterv1.TraceReadRequest{Service: service, Features: features, SourceRows: rows, Purpose: purpose}
			if row < 1 {
				return usagef("found --row %d, expected 1 or more", row)
			}
			if rows < 1 || rows > 1000 {
				return usagef("found --rows %d, expected 1 to 1000", rows)
			}
			req.Row = row - 1
			var err error
			if len(args) == 1 {
				for _, name := range []string{"service", "at", "input"} {
					if cmd.Flags().Changed(name) {
						return usagef("found READ_ID and --%s, expected one of them: what was logged says it", name)
					}
				}
				req.ReadId = args[0]
			} else if err = require(cmd, "service", "entity", "at"); err != nil {
				return err
			}
			if req.At, err = parseTime("at", at); err != nil {
				return err
			}
			if entity != "" {
				if req.Entity, err = tracedEntity(cmd.Context(), c, req, entity); err != nil {
					return err
				}
			}
			if len(inputs) > 0 {
				given, err := inputColumns(cmd.Context(), c, &headwaterv1.GetFeaturesRequest{Service: service}, inputs, 1)
				if err != nil {
					return err
				}
				req.Inputs = singleValues(given)
			}
			r, err := c.Lineage.TraceRead(cmd.Context(), req)
			if err != nil {
				return err
			}
			if err := a.writePage(r, newTracePage(r), out); err != nil {
				return err
			}
			for _, f := range r.GetFeatures() {
				if f.GetVerdict() == "mismatch" {
					return outcome(exitNotHeld)
				}
			}
			return nil
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&service, "service", "", "the service that was read, NAME or NAME@VERSION, of a read that was not logged")
	flags.StringVar(&entity, "entity", "", `its join keys, k=v[,k2=v2] (a comma in a value is written \,)`)
	flags.StringVar(&at, "at", "", "when it was read, such as 2001-01-31T10:00:00Z, of a read that was not logged")
	flags.StringArrayVar(&inputs, "input", nil, "inputs of on-demand features, k=v[,k2=v2], of a read that was not logged")
	flags.Int32Var(&row, "row", 1, "which entity of a logged read of several, from 1")
	flags.StringSliceVar(&features, "feature", nil, "trace these features only, as the answer names them; again for more, or with commas")
	flags.Int32Var(&rows, "rows", 20, "how many rows of the entity to show of each file, table or view, at most 1000")
	flags.StringVar(&purpose, "purpose", "", "what you read it for")
	flags.StringVar(&out, "out", "", "write the result to this file")
	return cmd
}

// tracedEntity is the entity, its keys of the types that the service takes.
func tracedEntity(ctx context.Context, c *client.Client, req *headwaterv1.TraceReadRequest, entity string) (map[string]*headwaterv1.Value, error) {
	ref := req.GetService()
	if req.GetReadId() != "" {
		shown, err := c.Reads.GetRead(ctx, &headwaterv1.GetReadRequest{ReadId: req.GetReadId()})
		if err != nil {
			return nil, err
		}
		ref = shown.GetRead().GetService() + "@" + number(shown.GetRead().GetServiceVersion())
	}
	columns, err := keyColumns(ctx, c, &headwaterv1.GetFeaturesRequest{Service: ref}, []string{entity})
	return singleValues(columns), err
}

// singleValues are columns of one value each.
func singleValues(columns map[string]*headwaterv1.KeyColumn) map[string]*headwaterv1.Value {
	values := map[string]*headwaterv1.Value{}
	for name, c := range columns {
		switch {
		case len(c.GetValues()) > 0:
			values[name] = c.GetValues()[0]
		case len(c.GetStrings()) > 0:
			values[name] = &headwaterv1.Value{Kind: &headwaterv1.Value_StringValue{StringValue: c.GetStrings()[0]}}
		case len(c.GetInt64S()) > 0:
			values[name] = &headwaterv1.Value{Kind: &headwaterv1.Value_Int64Value{Int64Value: c.GetInt64S()[0]}}
		}
	}
	return values
}

// written is a page in the forms that it is shown in.
type written interface {
	text(w io.Writer) error
	markdown(w io.Writer)
	html(w io.Writer) error
}

// writePage writes a response in the form that was asked for, to a file where one is named: whole, or not at all.
func (a *app) writePage(m proto.Message, page written, file string) error {
	var b bytes.Buffer
	to := *a
	to.out = &b
	var err error
	switch a.output {
	case "json":
		err = to.printJSON(m)
	case "md":
		page.markdown(&b)
	case "html":
		err = page.html(&b)
	default:
		err = page.text(&b)
	}
	if err != nil {
		return err
	}
	if file == "" {
		_, err := a.out.Write(b.Bytes())
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-*")
	if err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	defer os.Remove(temporary.Name())
	_, err = temporary.Write(b.Bytes())
	if err == nil {
		err = temporary.Close()
	}
	if err == nil {
		err = os.Rename(temporary.Name(), file)
	}
	if err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	a.notef("wrote %s", strings.TrimSpace(file))
	return nil
}
