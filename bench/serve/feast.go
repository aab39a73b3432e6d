package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"

	"github.com/redis/go-redis/v9"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/online"
)

// Feast's layout, as its documentation has it: one Redis hash per entity, whose key is the serialized entity key with the
// project's name behind it; a field per feature, called by the Murmur3 hash of VIEW:FEATURE in four bytes, that holds a Value
// message; and per view a field `_ts:VIEW` that holds a Timestamp message. The contract's Value stands for Feast's, which has the
// same kinds; a timestamp is an integer in both.

const feastProject = "bench"

// feastKey is the key of an entity: the name of its join key, then its value, each with its type, the value with its length.
func feastKey(dst []byte, key string) []byte {
	const typeString = 2
	dst = binary.LittleEndian.AppendUint32(dst, typeString)
	dst = append(dst, entityName...)
	dst = binary.LittleEndian.AppendUint32(dst, typeString)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(key)))
	dst = append(dst, key...)
	return append(dst, feastProject...)
}

// feastFields are the fields of all features, and behind them of the views' times.
func feastFields() (fields []any) {
	for c := range columns() {
		hash := murmur3(views[c/len(kinds)] + ":" + featureName(c))
		fields = append(fields, string(binary.LittleEndian.AppendUint32(nil, hash)))
	}
	for _, view := range views {
		fields = append(fields, "_ts:"+view)
	}
	return fields
}

// murmur3 is MurmurHash3_x86_32 with seed 0.
func murmur3(s string) uint32 {
	const c1, c2 = 0xcc9e2d51, 0x1b873593
	var h uint32
	scramble := func(k uint32) uint32 { return bits.RotateLeft32(k*c1, 15) * c2 }
	data := []byte(s)
	for ; len(data) >= 4; data = data[4:] {
		h = bits.RotateLeft32(h^scramble(binary.LittleEndian.Uint32(data)), 13)*5 + 0xe6546b64
	}
	var tail uint32
	for i, c := range data {
		tail |= uint32(c) << (8 * i)
	}
	h ^= scramble(tail)
	h ^= uint32(len(s))
	h = (h ^ h>>16) * 0x85ebca6b
	h = (h ^ h>>13) * 0xc2b2ae35
	return h ^ h>>16
}

// feastValue is what a field holds of a value.
func feastValue(v feature.Value) *headwaterv1.Value {
	out := &headwaterv1.Value{}
	switch v.Type() {
	case feature.TypeInt64:
		out.Kind = &headwaterv1.Value_Int64Value{Int64Value: v.Int64()}
	case feature.TypeTimestamp:
		out.Kind = &headwaterv1.Value_Int64Value{Int64Value: int64(v.Timestamp())}
	case feature.TypeString:
		out.Kind = &headwaterv1.Value_StringValue{StringValue: v.Str()}
	case feature.TypeBool:
		out.Kind = &headwaterv1.Value_BoolValue{BoolValue: v.Bool()}
	case feature.TypeFloat64:
		out.Kind = &headwaterv1.Value_Float64Value{Float64Value: v.Float64()}
	}
	return out
}

// fillFeast puts entities into a Redis in Feast's layout.
func fillFeast(ctx context.Context, client redis.UniversalClient, entities int) error {
	const pipeline = 256
	fields := feastFields()
	at, err := proto.Marshal(timestamppb.New(dayOne))
	if err != nil {
		return err
	}
	for first := 0; first < entities; first += pipeline {
		p := client.Pipeline()
		for entity := first; entity < min(first+pipeline, entities); entity++ {
			pairs := make([]any, 0, 2*len(fields))
			for c := range columns() {
				value, err := proto.Marshal(feastValue(valueOf(entity, c)))
				if err != nil {
					return err
				}
				pairs = append(pairs, fields[c], value)
			}
			for _, field := range fields[columns():] {
				pairs = append(pairs, field, at)
			}
			p.HSet(ctx, string(feastKey(nil, string(appendEntityKey(nil, entity)))), pairs...)
		}
		if _, err := p.Exec(ctx); err != nil {
			return err
		}
	}
	return nil
}

// feast answers the contract's reads from that layout: one pipeline per request, as the product does it, an answer by columns,
// and the messages of values decoded by the standard library for protobuf.
type feast struct {
	headwaterv1.UnimplementedOnlineServiceServer
	redis  redis.UniversalClient
	fields []any
}

func newFeast(ctx context.Context, url string) (*feast, error) {
	client, err := online.Open(ctx, url, online.Options{})
	return &feast{redis: client, fields: feastFields()}, err
}

func (f *feast) register(s *grpc.Server) { headwaterv1.RegisterOnlineServiceServer(s, f) }

// GetFeatures reads one pipeline.
func (f *feast) GetFeatures(ctx context.Context, req *headwaterv1.GetFeaturesRequest) (*headwaterv1.GetFeaturesResponse, error) {
	keys := req.GetKeys()[entityName].GetStrings()
	pipe := f.redis.Pipeline()
	commands := make([]*redis.SliceCmd, len(keys))
	var key []byte
	for i, k := range keys {
		key = feastKey(key[:0], k)
		commands[i] = redis.NewSliceCmd(ctx, slices.Concat([]any{"hmget", string(key)}, f.fields)...)
		if err := pipe.Process(ctx, commands[i]); err != nil {
			return nil, err
		}
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, err
	}
	answer := &headwaterv1.GetFeaturesResponse{Service: req.GetService(), ServiceVersion: 1, ServedAt: timestamppb.Now()}
	for c := range columns() {
		answer.Features = append(answer.Features, newVector(c, len(keys)))
	}
	var buf []byte
	for i, command := range commands {
		row := command.Val()
		if len(row) != len(f.fields) {
			return nil, fmt.Errorf("found %d fields of %q, expected %d", len(row), keys[i], len(f.fields))
		}
		for c, field := range row[:columns()] {
			text, ok := field.(string)
			if !ok {
				return nil, fmt.Errorf("found no %s of %q", columnName(c), keys[i])
			}
			var value headwaterv1.Value
			buf = append(buf[:0], text...)
			if err := proto.Unmarshal(buf, &value); err != nil {
				return nil, err
			}
			setVector(answer.Features[c].Values, i, &value)
		}
		for v, field := range row[columns():] {
			text, ok := field.(string)
			if !ok {
				return nil, fmt.Errorf("found no time of %s of %q", views[v], keys[i])
			}
			var at timestamppb.Timestamp
			buf = append(buf[:0], text...)
			if err := proto.Unmarshal(buf, &at); err != nil {
				return nil, err
			}
		}
	}
	return answer, nil
}

func newVector(c, n int) *headwaterv1.FeatureVector {
	values := &headwaterv1.ValueVector{Status: make([]headwaterv1.ValueStatus, n)}
	switch kinds[c%len(kinds)] {
	case feature.TypeInt64:
		values.Type, values.Int64S = headwaterv1.ValueType_VALUE_TYPE_INT64, make([]int64, n)
	case feature.TypeString:
		values.Type, values.Strings = headwaterv1.ValueType_VALUE_TYPE_STRING, make([]string, n)
	case feature.TypeBool:
		values.Type, values.Bools = headwaterv1.ValueType_VALUE_TYPE_BOOL, make([]bool, n)
	case feature.TypeTimestamp:
		values.Type, values.Timestamps = headwaterv1.ValueType_VALUE_TYPE_TIMESTAMP, make([]int64, n)
	default:
		values.Type, values.Float64S = headwaterv1.ValueType_VALUE_TYPE_FLOAT64, make([]float64, n)
	}
	view := views[c/len(kinds)]
	return &headwaterv1.FeatureVector{
		Name: view + "__" + featureName(c), Values: values, View: view, ViewVersion: 1, Feature: featureName(c),
	}
}

func setVector(out *headwaterv1.ValueVector, i int, v *headwaterv1.Value) {
	out.Status[i] = headwaterv1.ValueStatus_VALUE_STATUS_PRESENT
	switch k := v.GetKind().(type) {
	case *headwaterv1.Value_Int64Value:
		if out.Timestamps != nil {
			out.Timestamps[i] = k.Int64Value
		} else {
			out.Int64S[i] = k.Int64Value
		}
	case *headwaterv1.Value_StringValue:
		out.Strings[i] = k.StringValue
	case *headwaterv1.Value_BoolValue:
		out.Bools[i] = k.BoolValue
	case *headwaterv1.Value_Float64Value:
		out.Float64S[i] = k.Float64Value
	default:
		out.Status[i] = headwaterv1.ValueStatus_VALUE_STATUS_NULL
	}
}
