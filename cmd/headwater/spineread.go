package main

import (
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// spineFlags say where the server reads a spine itself.
type spineFlags struct {
	sql, sqlFile, events, from, to string
	sources, columns               []string
}

func (s *spineFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&s.sql, "spine-sql", "", "instead of a file: a SELECT over --spine-source that the server runs")
	flags.StringVar(&s.sqlFile, "spine-sql-file", "", "the same from a file; - is standard input")
	flags.StringSliceVar(&s.sources, "spine-source", nil, "a source that --spine-sql reads, NAME or NAME@VERSION; several by commas, or again")
	flags.StringVar(&s.events, "spine-events", "", "instead of a file: all events of this source, NAME or NAME@VERSION")
	flags.StringVar(&s.from, "from", "", "the first event time of --spine-events, such as 2001-01-31 or 2001-01-31T10:00:00Z (default: as far back as there are rows)")
	flags.StringVar(&s.to, "to", "", "the end of their event times, not in it (default: as far as there are rows)")
	flags.StringSliceVar(&s.columns, "spine-columns", nil, "columns of --spine-events to keep, beside the event time (default: all)")
}

// fill writes into the header where the spine is read from, unless a file is sent.
func (s *spineFlags) fill(cmd *cobra.Command, header *headwaterv1.BuildDatasetHeader) error {
	var found []string
	for _, name := range []string{"spine", "spine-sql", "spine-sql-file", "spine-events"} {
		if cmd.Flags().Changed(name) {
			found = append(found, "--"+name)
		}
	}
	switch {
	case len(found) == 0:
		return usagef("`%s` needs --spine, --spine-sql, --spine-sql-file or --spine-events; see `%[1]s --help`", cmd.CommandPath())
	case len(found) > 1:
		return usagef("found %s, expected one of them: a spine comes from one place", strings.Join(found, " and "))
	}
	for _, f := range []struct {
		name string
		with []string
	}{
		{"format", []string{"--spine"}}, {"spine-source", []string{"--spine-sql", "--spine-sql-file"}},
		{"from", []string{"--spine-events"}}, {"to", []string{"--spine-events"}}, {"spine-columns", []string{"--spine-events"}},
	} {
		if cmd.Flags().Changed(f.name) && !slices.Contains(f.with, found[0]) {
			return usagef("found --%s beside %s, expected it with %s only", f.name, found[0], strings.Join(f.with, " or "))
		}
	}
	switch found[0] {
	case "--spine":
		return nil
	case "--spine-events":
		return s.fillEvents(cmd, header)
	case "--spine-sql-file":
		var err error
		if s.sql, err = readSQL(s.sqlFile); err != nil {
			return err
		}
	}
	if len(s.sources) == 0 {
		return usagef("found %s without --spine-source, expected the sources that it reads", found[0])
	}
	if strings.TrimSpace(s.sql) == "" {
		return usagef("%s: found no SQL, expected a SELECT", found[0])
	}
	header.Spine = &headwaterv1.BuildDatasetHeader_Query{Query: &headwaterv1.SpineQuery{Sql: s.sql, Sources: s.sources}}
	return nil
}

func (s *spineFlags) fillEvents(cmd *cobra.Command, header *headwaterv1.BuildDatasetHeader) error {
	events := &headwaterv1.SpineEvents{Source: s.events, Columns: s.columns}
	var err error
	if events.From, err = parseTime("from", s.from); err != nil {
		return err
	}
	if events.To, err = parseTime("to", s.to); err != nil {
		return err
	}
	header.Spine = &headwaterv1.BuildDatasetHeader_Events{Events: events}
	// The server knows the source's event time.
	if !cmd.Flags().Changed("timestamp") {
		header.TimestampColumn = ""
	}
	return nil
}

func readSQL(path string) (string, error) {
	read := func() ([]byte, error) { return os.ReadFile(path) }
	if path == "-" {
		read = func() ([]byte, error) { return io.ReadAll(os.Stdin) }
	}
	content, err := read()
	if err != nil {
		return "", fault.New(fault.NotFound, "%s: the spine's SQL cannot be read; check the path", path).Because(err)
	}
	return string(content), nil
}

// originText is where the server read a spine, for a manifest: its SQL, or which events.
func originText(o *headwaterv1.SpineOrigin) string {
	var sources []string
	for _, src := range o.GetSources() {
		name := src.GetSource() + "@" + number(src.GetVersion())
		if src.GetLoadNumber() > 0 {
			name += " up to load number " + number(src.GetLoadNumber())
		}
		sources = append(sources, name)
	}
	what := "query of "
	if e := o.GetEvents(); e != nil {
		what = "events of "
		sources[0] += " " + span(e.GetFrom(), e.GetTo())
	}
	return strings.TrimSpace(what + strings.Join(sources, ", "))
}

// spineLeftOut is the rows of sources that the server left out of a spine, by why.
func spineLeftOut(m *headwaterv1.Manifest) section {
	s := section{title: "rows of sources that are not in the spine", table: table{header: []string{"SOURCE", "ROWS#", "OF#", "WHY"}}}
	for _, src := range m.GetSpineOrigin().GetSources() {
		for _, r := range src.GetLeftOut() {
			s.add(src.GetSource()+"@"+number(src.GetVersion()), number(r.GetRows()), number(src.GetRowsRead()), strings.ReplaceAll(r.GetBucket(), "_", " ")+": "+r.GetReason())
		}
	}
	return s
}
