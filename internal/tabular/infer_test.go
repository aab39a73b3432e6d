package tabular

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
)

func infer(t *testing.T, path string, typed ...feature.Column) (string, error) {
	t.Helper()
	f, err := Open(path, nil, FormatUnknown)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	columns, err := f.Columns(typed)
	var names []string
	for _, c := range columns {
		names = append(names, c.Name+":"+c.Type.String())
	}
	return strings.Join(names, " "), err
}

func TestInferCSV(t *testing.T) {
	for name, c := range map[string]struct {
		cells []string
		want  string
	}{
		"integers":              {[]string{"1", "", "-20"}, "int64"},
		"mixed numbers":         {[]string{"1", "2.5", "1e3", "NaN"}, "float64"},
		"bools":                 {[]string{"true", "False"}, "bool"},
		"times":                 {[]string{"2001-01-01", "2001-01-01T10:00:00Z"}, "timestamp"},
		"leading zeros":         {[]string{"1", "007"}, "string"},
		"too large":             {[]string{"1", "123456789012345678901"}, "string"},
		"inexact among floats":  {[]string{"9007199254740993", "0.5"}, "string"},
		"large integers":        {[]string{"9007199254740993", "5"}, "int64"},
		"bool and number":       {[]string{"true", "1"}, "string"},
		"time and text":         {[]string{"2001-01-01", "soon"}, "string"},
		"nothing":               {[]string{"", ""}, "string"},
		"empty before the rest": {[]string{"", "", "3"}, "int64"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := infer(t, write(t, "f.csv", "k,c\n0,"+strings.Join(c.cells, "\n0,")+"\n"), feature.Column{Name: "k", Type: feature.TypeString})
			if err != nil || got != "k:string c:"+c.want {
				t.Errorf("found %s and %v, expected %s", got, err, c.want)
			}
		})
	}
}

func TestInferNDJSON(t *testing.T) {
	got, err := infer(t, write(t, "f.ndjson", `{"origin":"ORD","timestamp":"2001-01-01","n":1}
{"late":null,"n":2.5,"origin":"LAX","s":"12"}
{"late":true}`), feature.Column{Name: "timestamp", Type: feature.TypeTimestamp})
	if want := "origin:string timestamp:timestamp n:float64 late:bool s:string"; err != nil || got != want {
		t.Errorf("found %s and %v, expected %s", got, err, want)
	}
	path := write(t, "f.ndjson", "{\"n\":1}\n{\"n\":\"2\"}")
	_, err = infer(t, path)
	expectFault(t, err, fault.InvalidRows, path+":2: column n: found text, expected a number as in line 1")
	path = write(t, "f.ndjson", `{"n":123456789012345678901}`)
	_, err = infer(t, path)
	expectFault(t, err, fault.InvalidRows, path+": column n: found numbers that neither int64 nor float64 holds, expected smaller ones; write them as text")
}

func TestInferNamesWhatIsMissing(t *testing.T) {
	path := write(t, "spine.csv", "airport,timestamp\nORD,2001-01-01\n")
	_, err := infer(t, path, feature.Column{Name: "origin", Type: feature.TypeString})
	expectFault(t, err, fault.InvalidRows, path+": found no column origin, expected it; the file has airport, timestamp")
}

func TestStandardInput(t *testing.T) {
	content := "origin\nORD\n"
	f, err := Open("-", strings.NewReader(content), FormatUnknown)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Name != "-" || f.Format != FormatCSV || f.Size != int64(len(content)) || f.SHA256 != sha256.Sum256([]byte(content)) {
		t.Errorf("found %s %s %d %s", f.Name, f.Format, f.Size, f.SHA256)
	}
	r, err := f.Read([]feature.Column{{Name: "origin", Type: feature.TypeString}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := rowsOf(r)
	expectRows(t, got, err, "ORD")

	_, err = Open("-", bytes.NewReader(nil), FormatCSV)
	expectFault(t, err, fault.InvalidRows, "standard input: found an empty file, expected rows; check what was to write it")
	for format, content := range map[Format][]byte{FormatNDJSON: []byte(" {}"), FormatParquet: wide(t).parquet(t), FormatArrow: wide(t).arrow(t, FormatArrow)} {
		f, err := Open("-", bytes.NewReader(content), FormatUnknown)
		if err != nil || f.Format != format {
			t.Errorf("found %v, expected %s", err, format)
		}
	}
}

func TestFileThatChangesWhileItIsRead(t *testing.T) {
	path := write(t, "f.csv", "origin\nORD\n")
	f, err := Open(path, nil, FormatUnknown)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := f.Read([]feature.Column{{Name: "origin", Type: feature.TypeString}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("origin\nORD\nLAX\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = rowsOf(r)
	expectFault(t, err, fault.InvalidRows, path+": found that the file changed while it was read, expected it to stay; try again when nothing writes to it")
}

func TestParseTimestamp(t *testing.T) {
	for text, want := range map[string]string{
		"2001-01-31":                     "2001-01-31T00:00:00Z",
		"2001-01-31 10:05":               "2001-01-31T10:05:00Z",
		"2001-01-31T10:05:07.25":         "2001-01-31T10:05:07.25Z",
		"2001-01-31 10:05:07.123456000Z": "2001-01-31T10:05:07.123456Z",
		"2001-01-31T00:30:00+01:00":      "2001-01-30T23:30:00Z",
		"2001-01-31T00:30-0930":          "2001-01-31T10:00:00Z",
		"2001-01-31 10:05:00+00":         "2001-01-31T10:05:00Z",
		"2000-02-29":                     "2000-02-29T00:00:00Z",
		"1969-12-31 23:59:59.999999":     "1969-12-31T23:59:59.999999Z",
	} {
		got, err := ParseTimestamp(text)
		if err != nil || got.String() != want {
			t.Errorf("%s: found %s and %v, expected %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "2001", "2001-1-1", "2001-13-01", "2001-02-30", "2001-01-01 24:00", "2001-01-01T10", "2001-01-01 10:60",
		"2001-01-01 10:00:60", "2001-01-01 10:00:00.", "2001-01-01 10:00 ", " 2001-01-01", "2001-01-01 10:00+24:00", "2001-01-01Z", "0000-01-01", "now",
		"2001-01-01 10:00 AM", "２001-01-01"} {
		if _, err := ParseTimestamp(text); err == nil || err.Error() != fmt.Sprintf("found %q, expected %s", text, timestampForms) {
			t.Errorf("%q: found %v, expected a refusal", text, err)
		}
	}
}
