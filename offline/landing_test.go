package offline

import (
	"testing"

	"github.com/headwaterhq/headwater/feature"
)

// Stored digests depend on this encoding.
func TestRowsDigestGolden(t *testing.T) {
	src := &feature.SourceVersion{Source: feature.Source{Name: "s", EventTime: "at", Columns: []feature.Column{
		{Name: "at", Type: feature.TypeTimestamp}, {Name: "who", Type: feature.TypeString}, {Name: "amount", Type: feature.DecimalType(12, 2)},
	}}}
	amount, err := feature.ParseDecimal(feature.DecimalType(12, 2), "1.50")
	if err != nil {
		t.Fatal(err)
	}
	d := newRowsDigest(src)
	d.add([]feature.Value{feature.Timestamp(1), feature.String("ada"), amount})
	d.add([]feature.Value{feature.Timestamp(2), feature.Null(), feature.Null()})
	const want = "4da9baa6b7bfa07d38040b5b9fceaaa028a4bff23bc688d725ca1c9526765e2f"
	if found := d.sum().String(); found != want {
		t.Errorf("found %s, expected %s", found, want)
	}
	// The order of columns and columns without a value say nothing; the order of rows does.
	grown := &feature.SourceVersion{Source: feature.Source{Name: "s", EventTime: "at", Columns: []feature.Column{
		src.Columns[2], {Name: "more", Type: feature.TypeBool}, src.Columns[1], src.Columns[0],
	}}}
	g := newRowsDigest(grown)
	g.add([]feature.Value{amount, feature.Null(), feature.String("ada"), feature.Timestamp(1)})
	g.add([]feature.Value{feature.Null(), feature.Null(), feature.Null(), feature.Timestamp(2)})
	if g.sum() != d.sum() {
		t.Error("found another digest of the same rows in other columns")
	}
	r := newRowsDigest(src)
	r.add([]feature.Value{feature.Timestamp(2), feature.Null(), feature.Null()})
	r.add([]feature.Value{feature.Timestamp(1), feature.String("ada"), amount})
	if r.sum() == d.sum() {
		t.Error("found one digest of rows in two orders")
	}
}
