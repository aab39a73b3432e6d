package openlineage

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
)

const (
	// MaxEvent is how many bytes an event of others may have.
	MaxEvent = 1 << 20
	// maxDepth is how deep one may be, maxTables how many inputs and outputs it may have, maxColumns how many dependencies of columns, and
	// maxName how many bytes a name.
	maxDepth   = 64
	maxTables  = 500
	maxColumns = 10_000
	maxName    = 1000
)

// Told is what an event of others says, as far as it is kept.
type Told struct {
	Time time.Time
	// Type is RunEvent's eventType, or empty.
	Type  string
	RunID string
	// Job is zero in a DatasetEvent.
	Job             Name
	Inputs, Outputs []ToldTable
}

// ToldTable is a table or a file that an event tells of.
type ToldTable struct {
	Name
	// Aliases are other names of it.
	Aliases []Name
	// Columns are what its columns are made of.
	Columns []ToldColumn
}

// ToldColumn is one dependency of a column; of all columns of the table where Column is empty.
type ToldColumn struct {
	Column     string
	From       Name
	FromColumn string
	// Kind is in what way.
	Kind feature.InputKind
}

// told is an event of others: what of it is looked at.
type told struct {
	EventTime string `json:"eventTime"`
	EventType string `json:"eventType"`
	Producer  string `json:"producer"`
	SchemaURL string `json:"schemaURL"`
	Run       *struct {
		RunID string `json:"runId"`
	} `json:"run"`
	Job     *toldName     `json:"job"`
	Dataset *toldDataset  `json:"dataset"`
	Inputs  []toldDataset `json:"inputs"`
	Outputs []toldDataset `json:"outputs"`
}

type toldName struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

type toldDataset struct {
	toldName
	Facets struct {
		Symlinks struct {
			Identifiers []toldName `json:"identifiers"`
		} `json:"symlinks"`
		ColumnLineage struct {
			Fields map[string]struct {
				InputFields []toldField `json:"inputFields"`
			} `json:"fields"`
			Dataset []toldField `json:"dataset"`
		} `json:"columnLineage"`
	} `json:"facets"`
}

type toldField struct {
	toldName
	Field           string `json:"field"`
	Transformations []struct {
		Type    string `json:"type"`
		Subtype string `json:"subtype"`
	} `json:"transformations"`
}

// kinds are in what ways a column depends on the field: what is not said to be indirect is a value.
func (f *toldField) kinds() []feature.InputKind {
	var kinds []feature.InputKind
	for _, t := range f.Transformations {
		kind := feature.InputValue
		if strings.EqualFold(t.Type, "INDIRECT") {
			switch strings.ToUpper(t.Subtype) {
			case "JOIN":
				kind = feature.InputJoin
			case "GROUP_BY", "WINDOW":
				kind = feature.InputGroup
			case "SORT":
				kind = feature.InputOrder
			case "CONDITIONAL":
				// As a condition of a CASE is of ours: it decides on the value, and not on rows.
			default:
				kind = feature.InputFilter
			}
		}
		if !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	if kinds == nil {
		kinds = []feature.InputKind{feature.InputValue}
	}
	return kinds
}

var toldTypes = map[string]bool{"START": true, "RUNNING": true, "COMPLETE": true, "ABORT": true, "FAIL": true, "OTHER": true, "": true}

// ReadTold reads an event of others. What is wrong is an INVALID_ARGUMENT fault that says where.
func ReadTold(event []byte) (*Told, error) {
	if len(event) > MaxEvent {
		return nil, wrong("the event", "found %d bytes, expected at most %d", len(event), MaxEvent)
	}
	if err := checkDepth(event); err != nil {
		return nil, err
	}
	var e told
	if err := json.Unmarshal(event, &e); err != nil {
		var typed *json.UnmarshalTypeError
		if errors.As(err, &typed) {
			return nil, wrong(typed.Field, "found a %s, expected %s", typed.Value, jsonKind(typed.Type.Kind().String()))
		}
		return nil, wrong("the event", "found what is no JSON: %v", err)
	}
	t := &Told{Type: e.EventType}
	var err error
	if t.Time, err = time.Parse(time.RFC3339Nano, e.EventTime); err != nil || t.Time.Year() < 1 || t.Time.Year() > 9999 {
		return nil, wrong("eventTime", "found %q, expected a time as RFC 3339 writes it, such as 2026-01-31T10:05:00Z", cut(e.EventTime))
	}
	for field, text := range map[string]string{"producer": e.Producer, "schemaURL": e.SchemaURL} {
		if u, err := url.Parse(text); err != nil || u.Scheme == "" {
			return nil, wrong(field, "found %q, expected a URI", cut(text))
		}
	}
	if !toldTypes[e.EventType] {
		return nil, wrong("eventType", "found %q, expected START, RUNNING, COMPLETE, ABORT, FAIL or OTHER", cut(e.EventType))
	}
	switch {
	case e.Job == nil && e.Run == nil && e.Dataset != nil:
		table, err := readTable("dataset", e.Dataset)
		if err != nil {
			return nil, err
		}
		t.Inputs = []ToldTable{table}
		return t, nil
	case e.Job == nil:
		return nil, wrong("job", "found none, expected a job in a RunEvent and a JobEvent, or a dataset, in a DatasetEvent")
	}
	if e.Run != nil {
		if _, err := uuid.Parse(e.Run.RunID); err != nil {
			return nil, wrong("run.runId", "found %q, expected a UUID", cut(e.Run.RunID))
		}
		t.RunID = e.Run.RunID
	}
	if t.Job, err = readName("job", *e.Job); err != nil {
		return nil, err
	}
	if n := len(e.Inputs) + len(e.Outputs); n > maxTables {
		return nil, wrong("inputs and outputs", "found %d, expected at most %d", n, maxTables)
	}
	columns := 0
	for _, side := range []struct {
		field string
		from  []toldDataset
		to    *[]ToldTable
	}{{"inputs", e.Inputs, &t.Inputs}, {"outputs", e.Outputs, &t.Outputs}} {
		for i := range side.from {
			table, err := readTable(side.field, &side.from[i])
			if err != nil {
				return nil, err
			}
			if columns += len(table.Columns); columns > maxColumns {
				return nil, wrong(side.field+".facets.columnLineage", "found more than %d dependencies of columns, expected at most as many", maxColumns)
			}
			*side.to = append(*side.to, table)
		}
	}
	return t, nil
}

// wrong is the one message about an event that cannot be taken.
func wrong(field, format string, args ...any) error {
	return fault.New(fault.InvalidArgument, "OpenLineage event: "+field+": "+format, args...)
}

func jsonKind(kind string) string {
	switch kind {
	case "struct", "map":
		return "an object"
	case "slice":
		return "a list"
	}
	return "a " + kind
}

// cut is a text of others for a message.
func cut(text string) string {
	const most = 80
	if len(text) > most {
		text = text[:most] + "…"
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

// checkDepth refuses what is nested deeper than any event is, before anything is made of it.
func checkDepth(event []byte) error {
	d := json.NewDecoder(bytes.NewReader(event))
	depth := 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return wrong("the event", "found what is no JSON: %v", err)
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			if depth++; depth > maxDepth {
				return wrong("the event", "found more than %d levels, expected at most as many", maxDepth)
			}
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
	}
}

func readTable(field string, d *toldDataset) (t ToldTable, err error) {
	if t.Name, err = readName(field, d.toldName); err != nil {
		return t, err
	}
	if n := len(d.Facets.Symlinks.Identifiers); n > maxTables {
		return t, wrong(field+".facets.symlinks", "found %d identifiers, expected at most %d", n, maxTables)
	}
	for _, other := range d.Facets.Symlinks.Identifiers {
		alias, err := readName(field+".facets.symlinks.identifiers", other)
		if err != nil {
			return t, err
		}
		t.Aliases = append(t.Aliases, alias)
	}
	lineage := field + ".facets.columnLineage"
	add := func(column string, in *toldField) error {
		from, err := readName(lineage, in.toldName)
		if err != nil {
			return err
		}
		if err := checkName(lineage, in.Field); err != nil {
			return err
		}
		for _, kind := range in.kinds() {
			t.Columns = append(t.Columns, ToldColumn{column, from, in.Field, kind})
		}
		return nil
	}
	for column, of := range d.Facets.ColumnLineage.Fields {
		if err := checkName(lineage, column); err != nil {
			return t, err
		}
		for i := range of.InputFields {
			if err := add(column, &of.InputFields[i]); err != nil {
				return t, err
			}
		}
	}
	for i := range d.Facets.ColumnLineage.Dataset {
		if err := add("", &d.Facets.ColumnLineage.Dataset[i]); err != nil {
			return t, err
		}
	}
	return t, nil
}

func readName(field string, n toldName) (Name, error) {
	if err := checkName(field+".namespace", n.Namespace); err != nil {
		return Name{}, err
	}
	return Name(n), checkName(field+".name", n.Name)
}

func checkName(field, name string) error {
	switch {
	case name == "":
		return wrong(field, "found nothing, expected a name")
	case len(name) > maxName:
		return wrong(field, "found a name of %d bytes, expected at most %d", len(name), maxName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return wrong(field, "found %q, expected a name of characters that can be printed", cut(name))
	}
	return nil
}

// Relation is what a source calls a table or file of that name, or empty where none can be it.
func (n Names) Relation(name Name) string {
	if name.Namespace == "file" || strings.HasPrefix(name.Namespace, "file://") {
		return "file:" + name.Name
	}
	for database, at := range n.Sources {
		if table, ok := at.has(name); ok && at != n.Postgres {
			return database + ":" + table
		}
	}
	table, _ := n.Postgres.has(name)
	return table
}

// has is the `SCHEMA.TABLE` that a name is in the database.
func (d Database) has(name Name) (string, bool) {
	if !strings.EqualFold(name.Namespace, d.Namespace) {
		return "", false
	}
	if table, ok := strings.CutPrefix(name.Name, d.Name+"."); ok {
		return table, true
	}
	return "", false
}

// LandingRelation is the table that rows of a landing source are in, as Relation has it.
func LandingRelation(source string) string { return "headwater_landing." + source }

// Alone is the table that an event is about which tells of no job.
func (t *Told) Alone() []ToldTable {
	if t.Job == (Name{}) {
		return t.Inputs
	}
	return nil
}
