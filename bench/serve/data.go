package main

import (
	"context"
	"fmt"
	"iter"
	"math"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/headwaterhq/headwater/client"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// views are what is served, each with the features of kinds.
var views = []string{"spending", "visits", "devices", "habits"}

// kinds are the types of the features of each view. One of its floats is NULL for every twentieth entity.
var kinds = []feature.Type{
	feature.TypeFloat64, feature.TypeFloat64, feature.TypeFloat64, feature.TypeFloat64, feature.TypeFloat64, feature.TypeFloat64,
	feature.TypeInt64, feature.TypeString, feature.TypeBool, feature.TypeTimestamp,
}

const (
	withNulls   = 5
	nullEvery   = 20
	entityName  = "customer"
	serviceName = "scores"
	// loggedName is the service of the same features, of whose reads one in a hundred is kept.
	loggedName = "scores_logged"
	readerRole = "scorer"
)

func columns() int { return len(views) * len(kinds) }

// columnName is the name of column c, of all views', in the source; featureName that of the feature of its view.
func columnName(c int) string  { return views[c/len(kinds)] + "_" + featureName(c) }
func featureName(c int) string { return fmt.Sprintf("f%d", c%len(kinds)+1) }

func definitions() string {
	var b strings.Builder
	fmt.Fprintf(&b, `entities:
  - name: %s
    join_keys: [{name: %[1]s, type: string}]
sources:
  - name: customers
    columns:
      - {name: %[1]s, type: string}
      - {name: at, type: timestamp}
`, entityName)
	for c := range columns() {
		fmt.Fprintf(&b, "      - {name: %s, type: %s}\n", columnName(c), kinds[c%len(kinds)])
	}
	b.WriteString("    event_time: at\n    landing: {}\nfeature_views:\n")
	for v, view := range views {
		selected := make([]string, len(kinds))
		fmt.Fprintf(&b, "  - name: %s\n    entity: %s\n    features:\n", view, entityName)
		for i, kind := range kinds {
			c := v*len(kinds) + i
			selected[i] = columnName(c) + " AS " + featureName(c)
			fmt.Fprintf(&b, "      - {name: %s, type: %s}\n", featureName(c), kind)
		}
		fmt.Fprintf(&b, "    sql:\n      sources: [customers]\n      query: SELECT %s, event_time, available_at, %s FROM customers\n",
			entityName, strings.Join(selected, ", "))
	}
	all := "[{view: " + strings.Join(views, "}, {view: ") + "}]"
	fmt.Fprintf(&b, `feature_services:
  - {name: %s, views: %[2]s}
  - {name: %[3]s, views: %[2]s, log: sample 0.01}
roles:
  - name: %[4]s
    grants: [{actions: [read_online], resources: ["service:%[1]s", "service:%[3]s", "view:*"]}]
`, serviceName, all, loggedName, readerRole)
	return b.String()
}

// keyLength is that of every key, so that a request can be made of another by writing over its keys.
const keyLength = 9

// appendEntityKey is the join key of an entity.
func appendEntityKey(dst []byte, entity int) []byte {
	dst = append(dst, "c00000000"...)
	for i := len(dst) - 1; entity > 0; i-- {
		dst[i] = '0' + byte(entity%10)
		entity /= 10
	}
	return dst
}

// mixed is a number that looks random, the same for the same entity and column.
func mixed(entity, column int) uint64 {
	x := uint64(entity)*64 + uint64(column) + 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// dayOne is when the first entity's values were true; those of each next one a millisecond later.
var dayOne = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// valueOf is what is loaded, and so what every answer is held to.
func valueOf(entity, column int) feature.Value {
	x := mixed(entity, column)
	kind := column % len(kinds)
	if kind == withNulls && entity%nullEvery == 0 {
		return feature.Null()
	}
	switch kinds[kind] {
	case feature.TypeInt64:
		return feature.Int64(int64(x % 100_000))
	case feature.TypeString:
		return feature.String(fmt.Sprintf("segment%d", x%5000))
	case feature.TypeBool:
		return feature.Bool(x%3 == 0)
	case feature.TypeTimestamp:
		return feature.Timestamp(feature.TimeOf(dayOne.Add(-time.Duration(x%1_000_000) * time.Second)))
	default:
		return feature.Float64(float64(x>>30) / 1024)
	}
}

var microseconds = &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}

// customers are the rows of the source for entities from first up to end.
func customers(first, end int) client.Rows {
	fields := []arrow.Field{{Name: entityName, Type: arrow.BinaryTypes.String}, {Name: "at", Type: microseconds}}
	for c := range columns() {
		field := arrow.Field{Name: columnName(c), Nullable: true}
		switch kinds[c%len(kinds)] {
		case feature.TypeInt64:
			field.Type = arrow.PrimitiveTypes.Int64
		case feature.TypeString:
			field.Type = arrow.BinaryTypes.String
		case feature.TypeBool:
			field.Type = arrow.FixedWidthTypes.Boolean
		case feature.TypeTimestamp:
			field.Type = microseconds
		default:
			field.Type = arrow.PrimitiveTypes.Float64
		}
		fields = append(fields, field)
	}
	schema := arrow.NewSchema(fields, nil)
	const batchRows = 5_000
	return client.Rows{Schema: schema, Batches: iter.Seq2[arrow.RecordBatch, error](func(yield func(arrow.RecordBatch, error) bool) {
		builder := array.NewRecordBuilder(memory.DefaultAllocator, schema)
		defer builder.Release()
		for entity := first; entity < end; entity++ {
			builder.Field(0).(*array.StringBuilder).Append(string(appendEntityKey(nil, entity)))
			builder.Field(1).(*array.TimestampBuilder).Append(arrow.Timestamp(dayOne.UnixMicro() + int64(entity)*1000))
			for c := range columns() {
				appendTo(builder.Field(2+c), valueOf(entity, c))
			}
			if (entity+1-first)%batchRows != 0 && entity+1 < end {
				continue
			}
			batch := builder.NewRecordBatch()
			more := yield(batch, nil)
			batch.Release()
			if !more {
				return
			}
		}
	})}
}

func appendTo(b array.Builder, v feature.Value) {
	if v.IsNull() {
		b.AppendNull()
		return
	}
	switch b := b.(type) {
	case *array.Int64Builder:
		b.Append(v.Int64())
	case *array.StringBuilder:
		b.Append(v.Str())
	case *array.BooleanBuilder:
		b.Append(v.Bool())
	case *array.TimestampBuilder:
		b.Append(arrow.Timestamp(v.Timestamp()))
	case *array.Float64Builder:
		b.Append(v.Float64())
	}
}

// apply registers the definitions, and makes a token that may read the services and nothing else.
func (b *bench) apply(ctx context.Context) error {
	if err := b.servers.Apply(ctx, b.client, definitions()); err != nil {
		return err
	}
	reply, err := b.client.Access.CreateToken(ctx, &headwaterv1.CreateTokenRequest{Principal: "model", Roles: []string{readerRole}})
	b.token = reply.GetSecret()
	return err
}

// load brings entities from first up to end online as a user does: a load into the source, and a run of each view.
func (b *bench) load(ctx context.Context, first, end int) error {
	began := time.Now()
	reply, err := b.client.Ingest(ctx, "customers", &headwaterv1.IngestHeader{
		FileName: "customers.arrow", FileSha256: fmt.Sprintf("%064x", first),
	}, customers(first, end))
	if err != nil {
		return err
	}
	if n := reply.GetLoad().GetRows(); n != int64(end-first) {
		return fmt.Errorf("found a load of %d rows, expected %d", n, end-first)
	}
	response, err := b.client.Materialization.Materialize(ctx, &headwaterv1.MaterializeRequest{Views: views})
	if err != nil {
		return err
	}
	for _, r := range response.GetRuns() {
		r, err := b.client.WatchRun(ctx, r.GetId(), nil)
		if err != nil {
			return err
		}
		if r.GetState() != headwaterv1.RunState_RUN_STATE_PUBLISHED || r.GetLedger().GetInserted() != int64(end-first) {
			return fmt.Errorf("run %d is %s with %d rows, expected it published with %d: %s", r.GetId(), r.GetState(),
				r.GetLedger().GetInserted(), end-first, r.GetError())
		}
	}
	b.loaded = end
	fmt.Printf("entities %d to %d loaded, materialized and online after %.1f s\n", first, end-1, time.Since(began).Seconds())
	return nil
}

// checkAnswer holds an answer of the contract to what was loaded for its entities. Of columns that are masked it is held to say so.
func checkAnswer(a *headwaterv1.GetFeaturesResponse, entities []int, masked map[int]bool) error {
	if len(a.GetFeatures()) != columns() {
		return fmt.Errorf("found an answer of %d features, expected %d", len(a.GetFeatures()), columns())
	}
	for c, f := range a.GetFeatures() {
		if f.GetView() != views[c/len(kinds)] || f.GetFeature() != featureName(c) {
			return fmt.Errorf("found %s.%s as feature %d of an answer, expected %s.%s", f.GetView(), f.GetFeature(), c+1, views[c/len(kinds)], featureName(c))
		}
		v := f.GetValues()
		if n := lengthOf(v, kinds[c%len(kinds)]); n != len(entities) {
			return fmt.Errorf("found %d values of %s, expected %d", n, columnName(c), len(entities))
		}
		for i, entity := range entities {
			status := v.GetStatusOfAll()
			if len(v.GetStatus()) > 0 {
				status = v.GetStatus()[i]
			}
			want := valueOf(entity, c)
			wantStatus := headwaterv1.ValueStatus_VALUE_STATUS_PRESENT
			if want.IsNull() {
				wantStatus = headwaterv1.ValueStatus_VALUE_STATUS_NULL
			}
			if masked[c] && !want.IsNull() {
				if status != headwaterv1.ValueStatus_VALUE_STATUS_MASKED || holds(v, i, want) && want.Type() == feature.TypeString {
					return fmt.Errorf("found a value of %s for entity %d that is not masked: %s", columnName(c), entity, status)
				}
				continue
			}
			if status != wantStatus || (!want.IsNull() && !holds(v, i, want)) {
				return fmt.Errorf("found a wrong value of %s for entity %d: %s, expected %s %s", columnName(c), entity, status, wantStatus, want.Text())
			}
		}
	}
	return nil
}

func lengthOf(v *headwaterv1.ValueVector, t feature.Type) int {
	switch t {
	case feature.TypeInt64:
		return len(v.GetInt64S())
	case feature.TypeString:
		return len(v.GetStrings())
	case feature.TypeBool:
		return len(v.GetBools())
	case feature.TypeTimestamp:
		return len(v.GetTimestamps())
	default:
		return len(v.GetFloat64S())
	}
}

func holds(v *headwaterv1.ValueVector, i int, want feature.Value) bool {
	switch want.Type() {
	case feature.TypeInt64:
		return v.GetInt64S()[i] == want.Int64()
	case feature.TypeString:
		return v.GetStrings()[i] == want.Str()
	case feature.TypeBool:
		return v.GetBools()[i] == want.Bool()
	case feature.TypeTimestamp:
		return v.GetTimestamps()[i] == int64(want.Timestamp())
	default:
		return math.Float64bits(v.GetFloat64S()[i]) == math.Float64bits(want.Float64())
	}
}
