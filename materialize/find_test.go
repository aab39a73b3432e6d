package materialize

import (
	"math"
	"testing"

	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// Numbers that no table can hold are of runs that there are not.
func TestFindOfNumbersBeyondAllBounds(t *testing.T) {
	pool := testenv.Postgres(t)
	for ref, want := range map[string]fault.Reason{
		"9223372036854775807":                   fault.NotFound,
		"9223372036854775808":                   fault.InvalidArgument,
		"delays@2147483647/1":                   fault.NotFound,
		"delays@2147483648/1":                   fault.InvalidArgument,
		"delays@1/9223372036854775807":          fault.NotFound,
		"delays@1/9223372036854775808":          fault.InvalidArgument,
		"delays@99999999999999999999/999999999": fault.InvalidArgument,
	} {
		if _, err := Find(t.Context(), pool, ref); fault.ReasonOf(err) != want {
			t.Errorf("run %s: found %v, expected %s", ref, err, want)
		}
	}
	for _, before := range []int64{math.MinInt64, -1, math.MaxInt32 + 1, math.MaxInt64} {
		if _, err := List(t.Context(), pool, nil, before, 1); err != nil {
			t.Errorf("runs before %d: %v", before, err)
		}
	}
}
