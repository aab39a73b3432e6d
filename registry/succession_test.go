package registry

import (
	"strings"
	"testing"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// Rows are kept as they were loaded: by another event time all of them would be read as being nowhere, without a word.
func TestASourceCannotBecomeAnother(t *testing.T) {
	r := open(t, testenv.Postgres(t), Config{})
	apply(t, r, flights())
	d := flights()
	s := &d.Sources[0]
	s.Columns = append(s.Columns, feature.Column{Name: "later", Type: feature.TypeTimestamp})
	apply(t, r, d)
	s.EventTime = "later"
	for name, call := range map[string]func() error{
		"plan": func() error { _, _, err := r.Plan(t.Context(), Request{Files: files(d)}); return err },
		"apply": func() error {
			_, _, err := r.Apply(t.Context(), ApplyRequest{Request: Request{Files: files(d)}})
			return err
		},
	} {
		f := faultOf(t, call(), fault.InvalidDefinition)
		if v := f.Violations[0]; v.Field != "sources[0].event_time" || !strings.Contains(v.Description, "to later, by which rows that are kept were not loaded") {
			t.Errorf("%s: found %+v", name, v)
		}
	}
	if got := r.Catalog().Sources()[0].Version; got != 2 {
		t.Errorf("found version %d of the source, expected 2", got)
	}
}
