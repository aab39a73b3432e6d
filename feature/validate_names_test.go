package feature

import (
	"fmt"
	"strings"
	"testing"
)

// Names that Postgres has taken would only be found out when a table is made.
func TestNamesThatPostgresHasTaken(t *testing.T) {
	for column := range strings.SplitSeq("tableoid xmin cmin xmax cmax ctid", " ") {
		d := flights()
		d.Sources[0].Columns[0].Name = column
		d.Views[0].Features[0].Name = column
		found := 0
		for _, p := range d.Validate(nil) {
			if strings.Contains(p.Message, "called "+column+", which is a column that Postgres adds to every table") {
				found++
			}
		}
		if found != 2 {
			t.Errorf("column %s: found %d problems, expected one of the source and one of the view", column, found)
		}
	}
	d := flights()
	d.Sources[0].Name = "pg_class"
	var found bool
	for _, p := range d.Validate(nil) {
		found = found || strings.Contains(p.Message, "found a source called pg_class, expected no name that begins with pg_")
	}
	if !found {
		t.Error("a source may be called pg_class")
	}
}

func TestColumnsFitARow(t *testing.T) {
	d := flights()
	for i := range 512 {
		d.Views[0].Attributes = append(d.Views[0].Attributes, Column{Name: fmt.Sprintf("a%d", i), Type: TypeInt64})
	}
	var found bool
	for _, p := range d.Validate(nil) {
		found = found || strings.Contains(p.Message, "features and attributes together, expected at most 512")
	}
	if !found {
		t.Error("a view may have more columns than a row holds")
	}
}
