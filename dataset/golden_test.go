package dataset

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"testing"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/tabular"
)

// Manifests keep both digests for ever. Where one of these changes, so must the name that stands for it: the domain
// `headwater.table.v1`, or ArrowWriter.
func TestGolden(t *testing.T) {
	columns := []feature.Column{
		{Name: "b", Type: feature.TypeBool}, {Name: "i", Type: feature.TypeInt64}, {Name: "f", Type: feature.TypeFloat64},
		{Name: "s", Type: feature.TypeString}, {Name: "t", Type: feature.TypeTimestamp},
	}
	rows := [][]feature.Value{
		{feature.Bool(true), feature.Int64(-1), feature.Float64(1.5), feature.String("Zürich"), feature.Timestamp(978_307_200_000_001)},
		make([]feature.Value, 5),
		{feature.Bool(false), feature.Int64(0), feature.Float64(math.Inf(-1)), feature.String(""), feature.Timestamp(-1)},
	}
	content := newContentHash(columns)
	var b bytes.Buffer
	w := tabular.NewStreamWriter(&b, columns, false)
	for _, row := range rows {
		content.add(row)
		if err := w.Append(row); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b.Bytes())
	for what, c := range map[string][2]string{
		"content digest":      {content.digest().String(), "c53cd5a9a55ba8e242219e4160a69fd443a78b0827286f6a024eb3d2d152d198"},
		"digest of no table":  {newContentHash(nil).digest().String(), "fa04f6ab11b31bca50647d42fc7c07e1007dfbd0d72b9ad9c34c6335d3bc468b"},
		"writer":              {ArrowWriter, "arrow-go 18.8.0, IPC stream, batches of 8192 rows or 8388608 bytes"},
		"bytes of the writer": {hex.EncodeToString(sum[:]), "9859e46c34669a48b66e91f77bfa3a66d32aa2ea9e97a5514e9830b9ecbff021"},
	} {
		if c[0] != c[1] {
			t.Errorf("%s: found %s, expected %s", what, c[0], c[1])
		}
	}
}
