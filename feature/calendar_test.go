package feature

import (
	"encoding/json"
	"math"
	"testing"

	"google.golang.org/protobuf/types/known/timestamppb"
)

func TestCalendarIsWhatEveryFormCanSay(t *testing.T) {
	for at, want := range map[Time]string{
		math.MinInt64:           "0001-01-01T00:00:00Z",
		-62_135_596_800_000_001: "0001-01-01T00:00:00Z",
		-62_135_596_800_000_000: "0001-01-01T00:00:00Z",
		0:                       "1970-01-01T00:00:00Z",
		253_402_300_799_999_999: "9999-12-31T23:59:59.999999Z",
		253_402_300_800_000_000: "9999-12-31T23:59:59.999999Z",
		math.MaxInt64:           "9999-12-31T23:59:59.999999Z",
	} {
		cut := at.Calendar()
		if found, err := json.Marshal(cut); err != nil || string(found) != `"`+want+`"` {
			t.Errorf("%d: found %s, %v, expected %s", int64(at), found, err, want)
		}
		if err := timestamppb.New(cut).CheckValid(); err != nil {
			t.Errorf("%d: %v", int64(at), err)
		}
	}
}
