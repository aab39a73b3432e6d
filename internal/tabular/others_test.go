package tabular

import (
	"fmt"
	"testing"

	"github.com/headwaterhq/headwater/feature"
)

// Columns that are not asked for are told, and left out where that is wanted, whatever they hold.
func TestOtherColumnsAreLeftOut(t *testing.T) {
	columns := []feature.Column{{Name: "origin", Type: feature.TypeString}, {Name: "delay", Type: feature.TypeInt64}}
	for name, content := range map[string]string{
		"f.csv": "gate,delay,origin,tail\n7,1,ORD,x\n,2,JFK,\n",
		"f.ndjson": `{"gate": [1, {"a": null}], "delay": 1, "origin": "ORD"}` + "\n" +
			`{"origin": "JFK", "tail": {"n": 1e999}, "delay": 2, "gate": "7"}` + "\n",
	} {
		f, err := Open(write(t, name, content), nil, FormatUnknown)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		others, err := f.Others(columns)
		if err != nil || fmt.Sprint(others) != "[gate tail]" {
			t.Errorf("%s: found the other columns %v, %v", name, others, err)
		}
		f.LeaveOut = true
		r, err := f.Read(columns)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		rows, err := rowsOf(r)
		expectRows(t, rows, err, "ORD 1", "JFK 2")
	}
	// What is asked for is missing all the same.
	f, err := Open(write(t, "f.ndjson", `{"gate": 1, "origin": "ORD"}`), nil, FormatUnknown)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.LeaveOut = true
	r, err := f.Read(columns)
	if err == nil {
		_, err = rowsOf(r)
	}
	if want := f.Path + ": found no column delay, expected it; the file has origin"; err == nil || err.Error() != want {
		t.Errorf("found %v, expected %s", err, want)
	}
}
