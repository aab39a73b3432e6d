package offline

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"

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
	switch t.Kind() {
	case feature.TypeString:
		return `text COLLATE "C"`
	case feature.TypeDecimal:
		return fmt.Sprintf("numeric(%d, %d)", t.Precision(), t.Scale())
	case feature.TypeList:
		elem, collation, _ := strings.Cut(columnType(t.Elem()), " COLLATE ")
		if collation != "" {
			return elem + "[] COLLATE " + collation
		}
		return elem + "[]"
	}
	return castType(t)
}

// castType is the Postgres type that an output column of a feature type is read as. It has no limits that a cast to it
// would round to: what does not fit is for decodeValue to refuse.
func castType(t feature.Type) string {
	switch t.Kind() {
	case feature.TypeBool:
		return "boolean"
	case feature.TypeInt64:
		return "bigint"
	case feature.TypeFloat64:
		return "double precision"
	case feature.TypeString:
		return "text"
	case feature.TypeTimestamp:
		return "timestamptz"
	case feature.TypeDecimal:
		return "numeric"
	case feature.TypeBytes:
		return "bytea"
	case feature.TypeList:
		return castType(t.Elem()) + "[]"
	case feature.TypeVector:
		return "real[]"
	}
	panic("offline: no column type for " + t.String())
}

// outputTypes lists the Postgres types, as pg_type names them, that an output column of a feature type may have: those
// whose every value the type holds, and numeric, of which decodeValue refuses what does not fit.
func outputTypes(t feature.Type) []string {
	switch t.Kind() {
	case feature.TypeBool:
		return []string{"bool"}
	case feature.TypeInt64:
		return []string{"int8", "int4", "int2"}
	case feature.TypeFloat64:
		return []string{"float8", "float4"}
	case feature.TypeString:
		return []string{"text", "varchar"}
	case feature.TypeTimestamp:
		return []string{"timestamptz"}
	case feature.TypeDecimal:
		return []string{"numeric", "int8", "int4", "int2"}
	case feature.TypeBytes:
		return []string{"bytea"}
	case feature.TypeVector:
		return []string{"_float4"}
	}
	var arrays []string
	for _, name := range outputTypes(t.Elem()) {
		arrays = append(arrays, "_"+name)
	}
	return arrays
}

// typeShown is the name of a Postgres type for a message: pg_type calls the arrays of int4 _int4.
func typeShown(name string) string {
	if elem, ok := strings.CutPrefix(name, "_"); ok {
		return elem + "[]"
	}
	return name
}

// badValue is a value that the type declared for it does not hold. It says what was found and what was expected.
type badValue string

func (e badValue) Error() string { return string(e) }

// errNoInstant is of Postgres's 'infinity' too.
const errNoInstant badValue = "found an infinite timestamp, or one that is not within the years 4001 BC to 293999, expected an instant"

// inElement says in which element of a list, counted from 0, a value is.
func inElement(i int, err error) error {
	var bad badValue
	if errors.As(err, &bad) {
		return badValue(fmt.Sprintf("element %d: %s", i+1, bad))
	}
	return fmt.Errorf("element %d: %w", i+1, err)
}

func errBinary(t feature.Type, b []byte) error {
	return fmt.Errorf("field of %d bytes is no binary %s", len(b), t)
}

// Microseconds from 1970-01-01 to 2000-01-01, where Postgres counts from.
const postgresEpoch = 946_684_800_000_000

// decodeValue reads one non-NULL field of the binary format. The field's type is columnType(t) or castType(t). A value that
// t does not hold is a badValue.
func decodeValue(t feature.Type, b []byte) (feature.Value, error) {
	switch t.Kind() {
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
	case feature.TypeBytes:
		return feature.Bytes(string(b)), nil
	case feature.TypeDecimal:
		return decodeNumeric(t, b)
	case feature.TypeList, feature.TypeVector:
		return decodeArray(t, b)
	}
	return feature.Value{}, errBinary(t, b)
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
