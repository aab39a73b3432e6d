package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/feature"
)

// table is rows under a header. Columns whose header ends in '#' hold numbers and are aligned right; the sign is not shown.
type table struct {
	header []string
	rows   [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// section is one part of a document: a title, then rows.
type section struct {
	title string
	table
}

// print writes a response: as JSON, or as a table.
func (a *app) print(m proto.Message, t table) error {
	switch a.output {
	case "json":
		return a.printJSON(m)
	case "csv":
		w := csv.NewWriter(a.out)
		header := make([]string, len(t.header))
		for i, h := range t.header {
			header[i] = strings.ReplaceAll(strings.ToLower(strings.TrimSuffix(h, "#")), " ", "_")
		}
		if err := w.Write(header); err != nil {
			return err
		}
		return w.WriteAll(t.rows)
	}
	return t.write(a.out, "")
}

// printDocument writes a response that is more than one table, for a command that is a document.
func (a *app) printDocument(m proto.Message, sections ...section) error {
	if a.output == "json" {
		return a.printJSON(m)
	}
	return writeSections(a.out, sections)
}

func writeSections(w io.Writer, sections []section) error {
	for i, s := range sections {
		if len(s.rows) == 0 {
			continue
		}
		indent := ""
		if s.title != "" {
			if i > 0 {
				fmt.Fprintln(w)
			}
			fmt.Fprintln(w, s.title)
			indent = "  "
		}
		if err := s.write(w, indent); err != nil {
			return err
		}
	}
	return nil
}

// printJSON writes protobuf's JSON form, in field names of the protos. protojson varies its white space on purpose, so
// it is laid out again.
func (a *app) printJSON(m proto.Message) error {
	compact, err := protojson.MarshalOptions{UseProtoNames: true, EmitDefaultValues: true}.Marshal(m)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, compact, "", "  "); err != nil {
		return err
	}
	b.WriteByte('\n')
	_, err = a.out.Write(b.Bytes())
	return err
}

func (t *table) write(out io.Writer, indent string) error {
	var laid bytes.Buffer
	w := tabwriter.NewWriter(&laid, 0, 0, 2, ' ', 0)
	widths := make([]int, len(t.header))
	for i, h := range t.header {
		widths[i] = utf8.RuneCountInString(strings.TrimSuffix(h, "#"))
	}
	for _, row := range t.rows {
		for i, cell := range row {
			if i < len(widths) {
				widths[i] = max(widths[i], utf8.RuneCountInString(cell))
			}
		}
	}
	line := func(cells []string) {
		shown := make([]string, len(cells))
		for i, cell := range cells {
			shown[i] = oneLine(cell)
			if i < len(t.header) && strings.HasSuffix(t.header[i], "#") {
				shown[i] = fmt.Sprintf("%*s", widths[i], shown[i])
			}
		}
		fmt.Fprintln(w, indent+strings.Join(shown, "\t"))
	}
	if len(t.header) > 0 {
		names := make([]string, len(t.header))
		for i, h := range t.header {
			names[i] = strings.TrimSuffix(h, "#")
			if names[i] != h {
				names[i] = fmt.Sprintf("%*s", widths[i], names[i])
			}
		}
		fmt.Fprintln(w, indent+strings.Join(names, "\t"))
	}
	for _, row := range t.rows {
		line(row)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	// Rows keep their empty last cells until here: a row of fewer cells would end the alignment of those above it.
	for text := range strings.Lines(laid.String()) {
		if _, err := fmt.Fprintln(out, strings.TrimRight(text, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// oneLine keeps a cell from breaking the table, and what others wrote from commanding the terminal.
func oneLine(s string) string { return printable(strings.TrimSpace(s)) }

// printable is oneLine with the white space around it.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n':
			return ' '
		case r == '\r':
			return -1
		case unicode.IsControl(r):
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// notef tells standard error something that is not the result.
func (a *app) notef(format string, args ...any) { fmt.Fprintf(a.err, format+"\n", args...) }

func number[T ~int32 | ~int64 | ~int](n T) string { return strconv.FormatInt(int64(n), 10) }

// instant is a time for people, "" for none.
func instant(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return feature.TimeOf(t.AsTime()).String()
}

// moment is instant to the second, for tables.
func moment(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return t.AsTime().Format(time.RFC3339)
}

// span is a half-open interval of time.
func span(from, to *timestamppb.Timestamp) string {
	if from == nil && to == nil {
		return ""
	}
	return "[" + instant(from) + ", " + instant(to) + ")"
}

// short is enough of a digest to tell it from others by eye.
func short(hex string) string { return hex[:min(len(hex), 12)] }

// enumName is the last part of an enum value's name, in lower case: RUN_STATE_PUBLISHED with the prefix RUN_STATE_ is
// `published`. The zero value is "".
func enumName(e interface {
	String() string
	Number() protoreflect.EnumNumber
}, prefix string) string {
	if e.Number() == 0 {
		return ""
	}
	return strings.ToLower(strings.TrimPrefix(e.String(), prefix))
}

// duration is d rounded to what a reader can take in.
func duration(d time.Duration) string {
	switch {
	case d >= time.Minute:
		return feature.DurationText(d.Round(time.Second))
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	}
	return d.String()
}
