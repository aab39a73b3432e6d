package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/wire"
)

func newReads(a *app) *cobra.Command {
	return group("reads", "The log of online reads, of services that keep one", newReadsList(a), newReadsShow(a), newReadsVerify(a))
}

func newReadsList(a *app) *cobra.Command {
	var service, entity, name, prediction, since, until string
	var limit int32
	cmd := &cobra.Command{
		Use: "list", Short: "List logged reads, newest first", Args: takesNone,
		Long: `Lists the reads that services with a log have answered: of one service or all, of one entity, or of a prediction.
A read of a service without a log, or one that was not in its sample, is not there.`,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			req := &headwaterv1.ListReadsRequest{Service: strings.TrimPrefix(service, "service:"), PredictionId: prediction, Limit: min(limit, maxReadsPage)}
			var err error
			if req.Since, err = parseTime("since", since); err != nil {
				return err
			}
			if req.Until, err = parseTime("until", until); err != nil {
				return err
			}
			if entity != "" {
				pairs, err := parseEntity(entity)
				if err != nil {
					return err
				}
				e, err := entityWithKeys(cmd.Context(), c, name, pairs)
				if err != nil {
					return err
				}
				req.Entity, req.Keys = e.Name, map[string]*headwaterv1.Value{}
				for _, kv := range pairs {
					t, _ := keyType(e.JoinKeys, kv.key)
					if req.Keys[kv.key], err = keyOf(kv, t); err != nil {
						return err
					}
				}
			}
			r, err := c.Reads.ListReads(cmd.Context(), req)
			if err != nil {
				return err
			}
			t := table{header: []string{"READ", "SERVICE", "SERVED AT", "ENTITIES#", "PREDICTION", "BY", "PURPOSE", "POSITION#", "LOG"}}
			for _, read := range r.GetReads() {
				t.add(read.ReadId, read.Service+"@"+number(read.ServiceVersion), instant(read.ServedAt), number(read.Entities), read.PredictionId, read.Principal, read.Purpose,
					number(read.Position), read.Log)
			}
			if a.output == "table" && r.GetNext() != "" {
				a.notef("there are more: ask for those --until %s", instant(r.GetReads()[len(r.GetReads())-1].GetServedAt()))
			}
			return a.print(r, t)
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&service, "service", "", "reads of this service only, NAME or NAME@VERSION")
	flags.StringVar(&entity, "entity", "", `reads of this entity only, by its join keys, all of them: k=v[,k2=v2] (a comma in a value is written \,)`)
	flags.StringVar(&name, "entity-name", "", "what it is, such as passenger; needed where several entities have these join keys")
	flags.StringVar(&prediction, "prediction-id", "", "reads with this id of the caller's only")
	flags.StringVar(&since, "since", "", "reads from this time on, such as 2001-01-31T10:00:00Z")
	flags.StringVar(&until, "until", "", "reads before this time")
	flags.Int32Var(&limit, "limit", 50, "how many, at most 1000")
	return cmd
}

// maxReadsPage is how many reads a server lists at once.
const maxReadsPage = 1000

func newReadsShow(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "show READ_ID", Short: "Show one read as it was answered: who asked, of what, and which run wrote each value", Args: takes(1, 1, "READ_ID"),
		RunE: a.document(func(cmd *cobra.Command, c *client.Client, args []string) error {
			r, err := c.Reads.GetRead(cmd.Context(), &headwaterv1.GetReadRequest{ReadId: args[0]})
			if err != nil {
				return err
			}
			sections, err := readSections(r)
			if err != nil {
				return err
			}
			return a.printDocument(r, sections...)
		}),
	}
}

func readSections(resp *headwaterv1.GetReadResponse) ([]section, error) {
	r := resp.GetRead()
	var facts section
	facts.add("read", r.GetReadId())
	facts.add("service", r.GetService()+"@"+number(r.GetServiceVersion()))
	facts.add("served at", instant(r.GetServedAt()))
	facts.add("position", number(r.GetPosition()))
	facts.add("by", r.GetPrincipal())
	facts.add("purpose", r.GetPurpose())
	facts.add("prediction", r.GetPredictionId())
	facts.add("entities", number(r.GetEntities()))
	facts.add("log", r.GetLog())
	if len(r.GetErased()) > 0 {
		facts.add("erased since", number(len(r.GetErased())))
	}
	if !resp.GetShown() {
		facts.add("values", "not shown: you may not read_offline service:"+r.GetService())
	}
	keys := section{title: "entities", table: table{header: []string{"ROW#", "ENTITY", "COLUMNS", "KEY"}}}
	for _, k := range r.GetKeys() {
		for i := range int(r.GetEntities()) {
			keys.add(number(i+1), k.GetEntity(), strings.Join(k.GetColumns(), ", "), keyOfRow(r, k, i))
		}
	}
	inputs := section{title: "inputs", table: table{header: []string{"ROW#", "INPUT", "VALUE"}}}
	for _, name := range slices.Sorted(maps.Keys(r.GetInputs())) {
		for i, text := range columnTexts(r.GetInputs()[name]) {
			inputs.add(number(i+1), name, text)
		}
	}
	values := section{title: "values", table: table{header: []string{"ROW#", "FEATURE", "VALUE", "STATUS", "RUN", "EVENT TIME"}}}
	for _, f := range r.GetFeatures() {
		for i := range int(r.GetEntities()) {
			value, status, err := valueOfRow(f, i, resp.GetShown())
			if err != nil {
				return nil, err
			}
			run, at := runOfRow(r, f, i)
			values.add(number(i+1), f.GetName(), value, status, run, at)
		}
	}
	return []section{facts, keys, inputs, values}, nil
}

func keyOfRow(r *headwaterv1.LoggedRead, k *headwaterv1.LoggedKeys, i int) string {
	switch {
	case slices.Contains(r.GetErased(), int32(i)):
		return "erased"
	case slices.Contains(k.GetWithout(), int32(i)):
		return "NULL"
	case i < len(k.GetHashes()):
		return fmt.Sprintf("hash %x", k.GetHashes()[i][:min(8, len(k.GetHashes()[i]))])
	case i < len(k.GetKeys()):
		return k.GetKeys()[i]
	}
	return ""
}

func columnTexts(c *headwaterv1.KeyColumn) (texts []string) {
	texts = append(texts, c.GetStrings()...)
	for _, n := range c.GetInt64S() {
		texts = append(texts, number(n))
	}
	for _, v := range c.GetValues() {
		texts = append(texts, inputText(v))
	}
	return texts
}

// inputText is a value whose type is not told.
func inputText(v *headwaterv1.Value) string {
	switch k := v.GetKind().(type) {
	case nil:
		return "NULL"
	case *headwaterv1.Value_StringValue:
		return k.StringValue
	case *headwaterv1.Value_Int64Value:
		return number(k.Int64Value)
	case *headwaterv1.Value_TimestampValue:
		return instant(k.TimestampValue)
	case *headwaterv1.Value_Float64Value:
		return fmt.Sprint(k.Float64Value)
	case *headwaterv1.Value_BoolValue:
		return fmt.Sprint(k.BoolValue)
	case *headwaterv1.Value_DecimalValue:
		return k.DecimalValue
	}
	return v.String()
}

func valueOfRow(f *headwaterv1.LoggedFeature, i int, shown bool) (value, status string, err error) {
	v := f.GetValues()
	if !shown {
		return "", "", nil
	}
	s := v.GetStatusOfAll()
	if i < len(v.GetStatus()) {
		s = v.GetStatus()[i]
	}
	status = enumName(s, "VALUE_STATUS_")
	switch {
	case len(f.GetDigest()) > 0:
		return fmt.Sprintf("digest %x", f.GetDigest()[:8]), status, nil
	case !wire.HasValue(s):
		return "", status, nil
	}
	of, err := wire.FromVector(v, i)
	return of.Text(), status, err
}

// runOfRow is the run that wrote the row of a feature, and its event time. An on-demand feature has none.
func runOfRow(r *headwaterv1.LoggedRead, f *headwaterv1.LoggedFeature, i int) (run, at string) {
	for _, p := range r.GetProvenance() {
		if p.GetView() == f.GetView() && p.GetViewVersion() == f.GetViewVersion() && strings.HasPrefix(f.GetName(), p.GetPrefix()) && i < len(p.GetRunSeqs()) && p.GetRunSeqs()[i] > 0 {
			return fmt.Sprintf("%s@%d/%d", p.GetView(), p.GetViewVersion(), p.GetRunSeqs()[i]), instant(timestamppb.New(time.UnixMicro(p.GetEventTimes()[i])))
		}
	}
	return "", ""
}

func newReadsVerify(a *app) *cobra.Command {
	var entities []string
	cmd := &cobra.Command{
		Use: "verify READ_ID", Short: "Compute a read again from the history, and say which values are the same", Args: takes(1, 1, "READ_ID"),
		Long: `Computes the answer of a logged read again: by the point-in-time rule, at the time and the position of the read, with the inputs
that were given. A value that is what an earlier run published was served while a later one was being loaded, and is
told as LAG. Ends with 5 when a value is another.

Where the keys of a read are kept as hashes, --entity gives them, once for each entity that was read, in their order.`,
		RunE: a.document(func(cmd *cobra.Command, c *client.Client, args []string) error {
			req := &headwaterv1.VerifyReadRequest{ReadId: args[0]}
			if len(entities) > 0 {
				shown, err := c.Reads.GetRead(cmd.Context(), &headwaterv1.GetReadRequest{ReadId: args[0]})
				if err != nil {
					return err
				}
				if len(shown.GetRead().GetKeyMapping()) > 0 || len(shown.GetRead().GetJoins()) > 0 {
					return usagef("--entity: read %s takes keys of other columns than its service has; have it verified over gRPC", args[0])
				}
				ref := shown.GetRead().GetService() + "@" + number(shown.GetRead().GetServiceVersion())
				if req.Keys, err = keyColumns(cmd.Context(), c, &headwaterv1.GetFeaturesRequest{Service: ref}, entities); err != nil {
					return err
				}
			}
			r, err := c.Reads.VerifyRead(cmd.Context(), req)
			if err != nil {
				return err
			}
			var facts section
			facts.add("read", r.GetReadId())
			facts.add("the same", number(r.GetMatching()))
			facts.add("of an earlier run", number(r.GetLagging()))
			facts.add("other", number(r.GetDifferent()))
			facts.add("not checked", number(r.GetNotChecked()))
			differences := section{title: "differences", table: table{header: []string{"ROW#", "FEATURE", "VERDICT", "SERVED", "RECOMPUTED", "WHY"}}}
			for _, d := range r.GetDifferences() {
				differences.add(number(d.GetRow()+1), d.GetFeature(), enumName(d.GetVerdict(), "READ_VERDICT_"), d.GetServed(), d.GetRecomputed(), d.GetWhy())
			}
			if err := a.printDocument(r, facts, differences); err != nil {
				return err
			}
			if r.GetDifferent() > 0 {
				return outcome(exitNotHeld)
			}
			return nil
		}),
	}
	cmd.Flags().StringArrayVar(&entities, "entity", nil, `join keys of one entity, k=v[,k2=v2]; again for more (a comma in a value is written \,)`)
	return cmd
}
