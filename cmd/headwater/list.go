package main

import (
	"strings"
	"time"

	"buf.build/go/protoyaml"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/client"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

type protoMessage = proto.Message

const kindList = "entities, sources, views, services, roles, policies, consumers"

var kinds = map[string]headwaterv1.DefinitionKind{
	"entity": headwaterv1.DefinitionKind_DEFINITION_KIND_ENTITY, "entities": headwaterv1.DefinitionKind_DEFINITION_KIND_ENTITY,
	"source": headwaterv1.DefinitionKind_DEFINITION_KIND_SOURCE, "sources": headwaterv1.DefinitionKind_DEFINITION_KIND_SOURCE,
	"view": headwaterv1.DefinitionKind_DEFINITION_KIND_VIEW, "views": headwaterv1.DefinitionKind_DEFINITION_KIND_VIEW,
	"feature_views": headwaterv1.DefinitionKind_DEFINITION_KIND_VIEW,
	"service":       headwaterv1.DefinitionKind_DEFINITION_KIND_SERVICE, "services": headwaterv1.DefinitionKind_DEFINITION_KIND_SERVICE,
	"feature_services": headwaterv1.DefinitionKind_DEFINITION_KIND_SERVICE,
	"policy":           headwaterv1.DefinitionKind_DEFINITION_KIND_POLICY, "policies": headwaterv1.DefinitionKind_DEFINITION_KIND_POLICY,
	"consumer": headwaterv1.DefinitionKind_DEFINITION_KIND_CONSUMER, "consumers": headwaterv1.DefinitionKind_DEFINITION_KIND_CONSUMER,
	"role": headwaterv1.DefinitionKind_DEFINITION_KIND_ROLE, "roles": headwaterv1.DefinitionKind_DEFINITION_KIND_ROLE,
}

func parseKind(s string) (headwaterv1.DefinitionKind, error) {
	if k, ok := kinds[s]; ok {
		return k, nil
	}
	return 0, usagef("found kind %q, expected one of %s", s, kindList)
}

func kindName(k headwaterv1.DefinitionKind) string { return enumName(k, "DEFINITION_KIND_") }

func newList(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "list KIND", Short: "List definitions: " + kindList, Args: takes(1, 1, "KIND"),
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, args []string) error {
			kind, err := parseKind(args[0])
			if err != nil {
				return err
			}
			list, err := c.Registry.ListDefinitions(cmd.Context(), &headwaterv1.ListDefinitionsRequest{Kind: kind})
			if err != nil {
				return err
			}
			t := table{header: []string{"NAME", "VERSION#", "FINGERPRINT", "OWNER", "APPLIED AT", "APPLIED BY", "ORIGIN", "STATE", "DESCRIPTION"}}
			for _, d := range list.Definitions {
				t.add(d.Name, number(d.Version), short(d.Fingerprint), d.Owner, moment(d.AppliedAt), d.AppliedBy, shortOrigin(d.Origin),
					definitionState(d), d.Description)
			}
			return a.print(list, t)
		}),
	}
}

func newDescribe(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "describe KIND NAME[@VERSION]", Short: "Show one definition, what it reads and what reads it", Args: takes(2, 2, "KIND NAME[@VERSION]"),
		RunE: a.document(func(cmd *cobra.Command, c *client.Client, args []string) error {
			kind, err := parseKind(args[0])
			if err != nil {
				return err
			}
			d, err := c.Registry.GetDefinition(cmd.Context(), &headwaterv1.GetDefinitionRequest{Kind: kind, Name: args[1]})
			if err != nil {
				return err
			}
			s := d.GetSummary()
			facts := section{}
			facts.add("name", s.GetName())
			facts.add("kind", kindName(s.GetKind()))
			facts.add("version", number(s.GetVersion()))
			facts.add("fingerprint", s.GetFingerprint())
			applied := moment(s.GetAppliedAt()) + " by " + s.GetAppliedBy()
			if s.GetOrigin() != "" {
				applied += " from " + s.GetOrigin()
			}
			facts.add("applied", applied)
			if state := definitionState(s); state != "" {
				facts.add("state", state)
			}
			facts.add("reads", none(strings.Join(d.Inputs, ", ")))
			facts.add("read by", none(strings.Join(d.Dependents, ", ")))
			if v := d.ViewState; v != nil {
				facts.add("published", viewState(v))
				facts.add("online", viewOnline(v, d.GetDefinition().GetFeatureViews()))
			}
			if next := nextTick(d, time.Now()); next != "" && !s.GetRetired() && !s.GetRemoved() {
				facts.add("next run", next)
			}
			for _, f := range d.Followed {
				facts.add("follows "+f.View, f.View+"@"+number(f.Version))
				for _, why := range f.PassedOver {
					facts.add("not yet", why)
				}
			}
			if st := d.SourceState; st != nil {
				sourceFacts(&facts, st, d.GetDefinition().GetSources())
			}
			if err := a.printDocument(d, facts, columnInputs(d.ColumnInputs), columnTags(d.ColumnTags)); err != nil || a.output != "table" {
				return err
			}
			text, err := protoyaml.MarshalOptions{Indent: 2, UseProtoNames: true}.Marshal(d.Definition)
			if err != nil {
				return err
			}
			_, err = a.out.Write(append([]byte{'\n'}, text...))
			return err
		}),
	}
}

// nextTick is when the schedule of a view's newest version queues a run, empty for none.
func nextTick(d *headwaterv1.GetDefinitionResponse, now time.Time) string {
	views := d.GetDefinition().GetFeatureViews()
	if len(views) != 1 || views[0].GetSchedule() == nil {
		return ""
	}
	s := views[0].GetSchedule()
	var when []string
	if next, ok := (&feature.Schedule{Cron: s.GetCron()}).Next(feature.TimeOf(now)); ok {
		when = append(when, instant(timestamppb.New(next.Calendar()))+", by "+s.GetCron())
	}
	if s.GetAfterInputs() {
		when = append(when, "when what it reads has something new")
	}
	return strings.Join(when, "; ")
}

// sourceFacts adds where a source's rows are, what tells them apart, and how new they are.
func sourceFacts(facts *section, st *headwaterv1.SourceState, sources []*headwaterv1.Source) {
	facts.add("origin", st.Origin)
	expected := ""
	if len(sources) == 1 {
		s := sources[0]
		if o := s.GetPostgres(); o.GetChangeColumn() != "" {
			again := ""
			switch {
			case o.Reread != nil:
				again = ", " + duration(o.Reread.AsDuration()) + " of it read again"
			case o.RereadRows > 0:
				again = ", the last " + number(o.RereadRows) + " of it read again"
			}
			facts.add("changes", "followed by "+o.ChangeColumn+again)
		}
		if s.GetPostgres().GetSnapshot() {
			facts.add("snapshot", "runs keep the rows that they read")
		}
		facts.add("unique key", none(strings.Join(s.UniqueKey, ", ")))
		if len(s.UniqueKey) > 0 {
			facts.add("duplicates", "exact: "+first(s.GetDuplicates().GetExact(), "drop")+", conflicting: "+
				first(s.GetDuplicates().GetConflicting(), "fail"))
		}
		if s.Freshness != nil {
			expected = ", expected at most " + duration(s.Freshness.AsDuration())
		}
	}
	age := "no rows"
	switch {
	case st.Problem != "":
		age = "unknown: " + st.Problem
	case st.NewestHidden:
		age = "for who may read the source offline"
	case st.NewestRow != nil:
		age = instant(st.NewestRow) + ", " + duration(st.Age.AsDuration().Round(time.Second)) + " old"
	}
	if st.Late {
		age = "LATE: " + age
	}
	facts.add("newest row", age+expected)
}

// definitionState says that a definition is retired or deprecated.
func definitionState(s *headwaterv1.DefinitionSummary) string {
	var parts []string
	if s.GetRetired() {
		parts = append(parts, "retired: it serves what uses it, and nothing new may use it")
	}
	if s.GetRemoved() {
		parts = append(parts, "removed")
	}
	if d := s.GetDeprecated(); d != nil {
		text := "deprecated from " + d.GetDate() + " on"
		if d.GetReplacement() != "" {
			text += ", in favour of " + d.GetReplacement()
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "; ")
}

// shortOrigin is an origin with its commits cut to what tells them apart by eye.
func shortOrigin(origin string) string {
	words := strings.Fields(origin)
	for i, w := range words {
		if commit, ok := strings.CutPrefix(w, "git:"); ok {
			tail := ""
			if strings.HasSuffix(commit, ",") {
				commit, tail = strings.TrimSuffix(commit, ","), ","
			}
			words[i] = "git:" + short(commit) + tail
		}
	}
	return strings.Join(words, " ")
}

// columnInputs is what each output column of a view is made of: a row for each way in which it depends on something.
func columnInputs(inputs []*headwaterv1.ColumnInput) section {
	s := section{title: "columns", table: table{header: []string{"COLUMN", "DEPENDS BY", "ON"}}}
	type key struct {
		column string
		kind   headwaterv1.ColumnInputKind
	}
	rows := map[key]int{}
	for _, in := range inputs {
		k := key{in.Column, in.Kind}
		on := in.Input + "#" + in.InputColumn
		if at, ok := rows[k]; ok {
			s.rows[at][2] += ", " + on
			continue
		}
		rows[k] = len(s.rows)
		s.add(in.Column, enumName(in.Kind, "COLUMN_INPUT_KIND_"), on)
	}
	return s
}

// columnTags are the tags of columns with where they are written.
func columnTags(tags []*headwaterv1.ColumnTag) section {
	s := section{title: "tags", table: table{header: []string{"COLUMN", "TAG", "WRITTEN AT"}}}
	for _, t := range tags {
		s.add(t.Column, t.Tag, first(strings.Join(t.From, ", "), "for who may list it"))
	}
	return s
}

func viewState(v *headwaterv1.ViewState) string {
	if v.LastSeq == 0 {
		return "nothing yet"
	}
	gaps := ""
	if v.CoveredIntervals > 1 {
		gaps = " with " + counted(int64(v.CoveredIntervals-1), "gap")
	}
	return "run " + number(v.LastSeq) + " at position " + number(v.LastPosition) + ", " + moment(v.LastPublishedAt) +
		", covers " + span(v.CoveredFrom, v.CoveredTo) + gaps + ", " + counted(v.LiveRows, "live row")
}

// viewOnline is how new what is online of a view is, and how new it is to be.
func viewOnline(v *headwaterv1.ViewState, views []*headwaterv1.FeatureView) string {
	text := "nothing yet"
	if v.OnlineSeq > 0 {
		text = "run " + number(v.OnlineSeq) + ", published " + moment(v.OnlinePublishedAt)
		switch {
		case v.NewestHidden:
			text += ", newest event time for who may read the view"
		case v.NewestOnline != nil:
			text += ", newest event time " + instant(v.NewestOnline) + ", " + duration(v.NewestOnlineAge.AsDuration().Round(time.Second)) + " old"
		}
	}
	if len(views) == 1 && views[0].GetFreshness() != nil {
		f := views[0].GetFreshness()
		text += ", expected at most " + duration(f.MaxAge.AsDuration())
		if f.Policy == feature.FreshnessFails {
			text += ", or reads fail"
		}
	}
	if v.Late {
		text = "LATE: " + text
	}
	return text
}

func none(s string) string { return first(s, "-") }
