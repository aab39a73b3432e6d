package dataset

import (
	"testing"

	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// A version that no table can hold is one that there is not.
func TestFindOfVersionsBeyondAllBounds(t *testing.T) {
	pool := testenv.Postgres(t)
	for _, ref := range []string{"delays@2147483647", "delays@2147483648", "delays@-2147483649", "delays@99999999999999999999"} {
		_, err := Find(t.Context(), pool, ref)
		want := `there is no dataset "` + ref + "\"; `headwater dataset list` shows those there are, by id and by NAME@VERSION"
		if fault.ReasonOf(err) != fault.NotFound || err.Error() != want {
			t.Errorf("found %v, expected %s", err, want)
		}
	}
}
