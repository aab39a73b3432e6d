package offline

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/headwaterhq/headwater/feature"
)

// Postgres sends an array as its number of dimensions, whether it has NULLs, and its elements' type; for each dimension
// its length and lower bound; then each element with its length before it. An empty array has no dimensions.

// elementOIDs are the types of elements by the numbers that Postgres has for them.
var elementOIDs = map[feature.Type]uint32{
	feature.TypeBool: 16, feature.TypeBytes: 17, feature.TypeInt64: 20, feature.TypeString: 25, feature.TypeFloat64: 701,
	feature.TypeTimestamp: 1184, feature.TypeDecimal: 1700,
}

const float4OID = 700

// array writes a list or a vector as an array of one dimension that counts from 1.
func (e *copyEncoder) array(v feature.Value) {
	begin := len(e.buf)
	e.buf = append(e.buf, 0, 0, 0, 0)
	n, elem := v.Len(), uint32(float4OID)
	if v.Type().IsList() {
		elem = elementOIDs[v.Type().Elem().Kind()]
	}
	dimensions := uint32(1)
	if n == 0 {
		dimensions = 0
	}
	e.buf = binary.BigEndian.AppendUint32(e.buf, dimensions)
	e.buf = append(e.buf, 0, 0, 0, 0)
	e.buf = binary.BigEndian.AppendUint32(e.buf, elem)
	if n > 0 {
		e.buf = binary.BigEndian.AppendUint32(e.buf, uint32(n))
		e.buf = binary.BigEndian.AppendUint32(e.buf, 1)
	}
	if v.Type().IsList() {
		for _, element := range v.Elements() {
			e.value(element)
		}
	} else {
		packed := v.Packed()
		for at := 0; at < len(packed); at += 4 {
			e.buf = append(e.buf, 0, 0, 0, 4)
			e.buf = append(e.buf, packed[at:at+4]...)
		}
	}
	binary.BigEndian.PutUint32(e.buf[begin:], uint32(len(e.buf)-begin-4))
}

// decodeArray reads a binary array as a list or a vector of type t. One that does not fit is a badValue.
func decodeArray(t feature.Type, b []byte) (feature.Value, error) {
	elements, err := arrayElements(t, b)
	if err != nil {
		return feature.Value{}, err
	}
	if t.Kind() == feature.TypeVector {
		return decodeVector(t, elements)
	}
	values := make([]feature.Value, len(elements))
	for i, e := range elements {
		if values[i], err = decodeValue(t.Elem(), e); err != nil {
			return feature.Value{}, inElement(i, err)
		}
	}
	return feature.List(t, values)
}

func decodeVector(t feature.Type, elements [][]byte) (feature.Value, error) {
	floats := make([]float32, len(elements))
	for i, e := range elements {
		if len(e) != 4 {
			return feature.Value{}, errBinary(t, e)
		}
		floats[i] = math.Float32frombits(binary.BigEndian.Uint32(e))
	}
	v, err := feature.Vector(t, floats)
	if err != nil {
		return v, badValue(err.Error())
	}
	return v, nil
}

// arrayElements cuts a binary array into its elements.
func arrayElements(t feature.Type, b []byte) ([][]byte, error) {
	if len(b) < 12 {
		return nil, errBinary(t, b)
	}
	dimensions := binary.BigEndian.Uint32(b)
	if dimensions == 0 {
		return nil, nil
	}
	if dimensions > 1 {
		return nil, badValue(fmt.Sprintf("found an array of %d dimensions, expected one", dimensions))
	}
	if len(b) < 20 {
		return nil, errBinary(t, b)
	}
	count, rest := int(binary.BigEndian.Uint32(b[12:])), b[20:]
	if count > len(rest)/4 {
		return nil, errBinary(t, b)
	}
	elements := make([][]byte, count)
	for i := range elements {
		if len(rest) < 4 {
			return nil, errBinary(t, b)
		}
		n := int(int32(binary.BigEndian.Uint32(rest)))
		if rest = rest[4:]; n < 0 {
			return nil, badValue(fmt.Sprintf("found NULL as element %d of an array, expected none: lists and vectors hold no NULL; "+
				"leave it out with array_remove(…, NULL)", i+1))
		}
		if n > len(rest) {
			return nil, errBinary(t, b)
		}
		elements[i], rest = rest[:n:n], rest[n:]
	}
	return elements, nil
}
