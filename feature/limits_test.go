package feature

import (
	"fmt"
	"strings"
	"testing"
)

func TestColumnsFitARow(t *testing.T) {
	d := flights()
	for i := range maxStored {
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
