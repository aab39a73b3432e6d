package main

import (
	"encoding/binary"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// The echo has its answer as a message, and makes bytes of it each time, as fast as can be done of a message: without reflection,
// by code written for it. A server that has values, and not bytes, can hardly do with less.

// appendAnswer appends a response without provenance.
func appendAnswer(dst []byte, a *headwaterv1.GetFeaturesResponse) []byte {
	dst = appendText(dst, 1, a.GetReadId())
	dst = appendText(dst, 2, a.GetService())
	dst = appendNumber(dst, 3, uint64(a.GetServiceVersion()))
	for _, f := range a.GetFeatures() {
		values := sizeOfVector(f.GetValues())
		size := sizeOfText(f.GetName()) + 1 + protowire.SizeBytes(values) + sizeOfText(f.GetView()) + sizeOfNumber(uint64(f.GetViewVersion())) +
			sizeOfText(f.GetFeature())
		dst = appendLength(dst, 4, size)
		dst = appendText(dst, 1, f.GetName())
		dst = appendLength(dst, 2, values)
		dst = appendVector(dst, f.GetValues())
		dst = appendText(dst, 3, f.GetView())
		dst = appendNumber(dst, 4, uint64(f.GetViewVersion()))
		dst = appendText(dst, 5, f.GetFeature())
	}
	if at := a.GetServedAt(); at != nil {
		dst = appendLength(dst, 6, sizeOfNumber(uint64(at.GetSeconds()))+sizeOfNumber(uint64(at.GetNanos())))
		dst = appendNumber(dst, 1, uint64(at.GetSeconds()))
		dst = appendNumber(dst, 2, uint64(at.GetNanos()))
	}
	return appendNumber(dst, 7, uint64(a.GetPosition()))
}

// sizeOfVector is the length of what appendVector appends.
func sizeOfVector(v *headwaterv1.ValueVector) int {
	size := sizeOfNumber(uint64(v.GetType())) + sizeOfList(len(v.GetStatus())) + sizeOfList(len(v.GetBools())) +
		sizeOfList(8*len(v.GetFloat64S())) + sizeOfList(8*len(v.GetTimestamps())) + sizeOfList(sizeOfIntegers(v.GetInt64S())) +
		sizeOfText(v.GetTypeName()) + sizeOfNumber(uint64(v.GetStatusOfAll()))
	for _, text := range v.GetStrings() {
		size += 1 + protowire.SizeBytes(len(text))
	}
	return size
}

func appendVector(dst []byte, v *headwaterv1.ValueVector) []byte {
	dst = appendNumber(dst, 1, uint64(v.GetType()))
	if n := len(v.GetStatus()); n > 0 {
		dst = appendLength(dst, 2, n)
		for _, status := range v.GetStatus() {
			dst = append(dst, byte(status))
		}
	}
	if n := len(v.GetBools()); n > 0 {
		dst = appendLength(dst, 3, n)
		for _, b := range v.GetBools() {
			dst = append(dst, byte(protowire.EncodeBool(b)))
		}
	}
	if numbers := v.GetInt64S(); len(numbers) > 0 {
		dst = appendLength(dst, 4, sizeOfIntegers(numbers))
		for _, n := range numbers {
			dst = protowire.AppendVarint(dst, uint64(n))
		}
	}
	if n := len(v.GetFloat64S()); n > 0 {
		dst = appendLength(dst, 5, 8*n)
		end := len(dst)
		dst = slices.Grow(dst, 8*n)[:end+8*n]
		for i, f := range v.GetFloat64S() {
			binary.LittleEndian.PutUint64(dst[end+8*i:], math.Float64bits(f))
		}
	}
	for _, text := range v.GetStrings() {
		dst = protowire.AppendTag(dst, 6, protowire.BytesType)
		dst = protowire.AppendString(dst, text)
	}
	if n := len(v.GetTimestamps()); n > 0 {
		dst = appendLength(dst, 7, 8*n)
		for _, t := range v.GetTimestamps() {
			dst = protowire.AppendFixed64(dst, uint64(t))
		}
	}
	dst = appendText(dst, 12, v.GetTypeName())
	return appendNumber(dst, 13, uint64(v.GetStatusOfAll()))
}

// All fields here have numbers below 16, and so tags of one byte.

func appendLength(dst []byte, field protowire.Number, length int) []byte {
	return protowire.AppendVarint(protowire.AppendTag(dst, field, protowire.BytesType), uint64(length))
}

func appendText(dst []byte, field protowire.Number, text string) []byte {
	if text == "" {
		return dst
	}
	return append(appendLength(dst, field, len(text)), text...)
}

func appendNumber(dst []byte, field protowire.Number, n uint64) []byte {
	if n == 0 {
		return dst
	}
	return protowire.AppendVarint(protowire.AppendTag(dst, field, protowire.VarintType), n)
}

func sizeOfText(text string) int { return sizeOfList(len(text)) }

// sizeOfList is that of a packed list whose values take so many bytes.
func sizeOfList(bytes int) int {
	if bytes == 0 {
		return 0
	}
	return 1 + protowire.SizeBytes(bytes)
}

func sizeOfNumber(n uint64) int {
	if n == 0 {
		return 0
	}
	return 1 + protowire.SizeVarint(n)
}

func sizeOfIntegers(numbers []int64) (size int) {
	for _, n := range numbers {
		size += protowire.SizeVarint(uint64(n))
	}
	return size
}
