package offline

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
)

// SeqLive is the seq_to of a row that no run has corrected or withdrawn.
const SeqLive = math.MaxInt64

// Schemas of the tables that are made as definitions need them.
const (
	landingSchema = "headwater_landing"
	historySchema = "headwater_history"
	stagingSchema = "headwater_staging"
)

func quote(parts ...string) string { return pgx.Identifier(parts).Sanitize() }

// columnType is the Postgres type that holds a feature type, in tables of ours. Text sorts by its bytes, so that no
// result depends on a locale.
func columnType(t feature.Type) string {
	switch t {
	case feature.TypeBool:
		return "boolean"
	case feature.TypeInt64:
		return "bigint"
	case feature.TypeFloat64:
		return "double precision"
	case feature.TypeString:
		return `text COLLATE "C"`
	case feature.TypeTimestamp:
		return "timestamptz"
	}
	panic("offline: no column type for " + t.String())
}

// Microseconds from 1970-01-01 to 2000-01-01, where Postgres counts from.
const postgresEpoch = 946_684_800_000_000

// decodeValue reads one non-NULL field of the binary format. The field's type is columnType(t).
func decodeValue(t feature.Type, b []byte) (feature.Value, error) {
	switch t {
	case feature.TypeBool:
		if len(b) == 1 {
			return feature.Bool(b[0] != 0), nil
		}
	case feature.TypeInt64:
		if len(b) == 8 {
			return feature.Int64(int64(binary.BigEndian.Uint64(b))), nil
		}
	case feature.TypeFloat64:
		if len(b) == 8 {
			return feature.Float64(math.Float64frombits(binary.BigEndian.Uint64(b))), nil
		}
	case feature.TypeString:
		return feature.String(string(b)), nil
	case feature.TypeTimestamp:
		t, err := decodeTime(b)
		return feature.Timestamp(t), err
	}
	return feature.Value{}, fmt.Errorf("field of %d bytes is no binary %s", len(b), t)
}

func decodeTime(b []byte) (feature.Time, error) {
	if len(b) != 8 {
		return 0, fmt.Errorf("field of %d bytes is no binary timestamp", len(b))
	}
	n := int64(binary.BigEndian.Uint64(b))
	if n < int64(firstTime-postgresEpoch) || n >= int64(endTime-postgresEpoch) {
		return 0, errNoInstant
	}
	return feature.Time(n + postgresEpoch), nil
}

// Instants that tables may hold. Both feature.Time and Postgres reach a little further, so that no duration added to or
// taken from one leaves either.
const (
	firstTime feature.Time = -188_395_027_200_000_000  // 4001-01-01 BC
	endTime   feature.Time = 9_215_576_668_800_000_000 // 294000-01-01
)

// errNoInstant is of Postgres's 'infinity' too.
var errNoInstant = errors.New("found an infinite timestamp, or one that is not within the years 4001 BC to 293999, expected an instant")

func checkTime(t feature.Time) error {
	if t < firstTime || t >= endTime {
		return errNoInstant
	}
	return nil
}

func decodeInt64(b []byte) (int64, error) {
	if len(b) != 8 {
		return 0, fmt.Errorf("field of %d bytes is no binary bigint", len(b))
	}
	return int64(binary.BigEndian.Uint64(b)), nil
}

// timeLiteral is an instant as SQL that reads the same under any session setting.
func timeLiteral(t feature.Time) string {
	return "TIMESTAMPTZ '" + feature.SQLTime(t) + "'"
}
