package server

import (
	"unicode/utf8"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// The fields of GetFeaturesRequest and of what it holds.
const (
	fieldAskedService    = 1
	fieldAskedKeys       = 2
	fieldAskedPurpose    = 3
	fieldAskedMapping    = 4
	fieldAskedProvenance = 6
	fieldAskedPartial    = 9
	fieldAskedEncoding   = 10
	fieldAskedPrediction = 11

	fieldEntryKey   = 1
	fieldEntryValue = 2

	fieldKeyStrings = 2
	fieldKeyInt64s  = 3
)

// requestReader is the request that a call's bytes are read into.
type requestReader struct {
	into *headwaterv1.GetFeaturesRequest
}

// UnmarshalBuffers is of grpccodec.Unmarshaler.
func (r requestReader) UnmarshalBuffers(data mem.BufferSlice, beneath encoding.CodecV2) error {
	message := data
	if len(data) > 1 {
		message = mem.BufferSlice{mem.SliceBuffer(data.Materialize())}
	}
	if len(message) == 1 && readRequest(message[0].ReadOnlyData(), r.into) {
		return nil
	}
	r.into.Reset()
	return beneath.Unmarshal(message, r.into)
}

// readRequest is proto.Unmarshal into an empty message, of requests whose keys are lists of one type, which are those that are
// sent often. It reports false of all others, and of any that are not what they should be: those are for the generated code,
// which also says what is wrong. All texts of the request are parts of one.
func readRequest(message []byte, into *headwaterv1.GetFeaturesRequest) bool {
	rest := string(message)
	for rest != "" {
		field, wireType, after, ok := readTag(rest)
		if !ok {
			return false
		}
		rest = after
		switch {
		case wireType == protowire.BytesType:
			var value string
			if value, rest, ok = readBytes(rest); !ok {
				return false
			}
			switch field {
			case fieldAskedService:
				into.Service, ok = value, utf8.ValidString(value)
			case fieldAskedPurpose:
				into.Purpose, ok = value, utf8.ValidString(value)
			case fieldAskedPrediction:
				into.PredictionId, ok = value, utf8.ValidString(value)
			case fieldAskedKeys:
				ok = readKeys(value, into)
			case fieldAskedMapping:
				ok = readMapping(value, into)
			default:
				return false
			}
		case wireType == protowire.VarintType:
			var n uint64
			if n, rest, ok = readVarint(rest); !ok {
				return false
			}
			switch field {
			case fieldAskedProvenance:
				into.WithProvenance = n != 0
			case fieldAskedPartial:
				into.AllowPartial = n != 0
			case fieldAskedEncoding:
				into.Encoding = headwaterv1.FeatureEncoding(n)
			default:
				return false
			}
		default:
			return false
		}
		if !ok {
			return false
		}
	}
	return true
}

// readKeys reads an entry of keys.
func readKeys(entry string, into *headwaterv1.GetFeaturesRequest) bool {
	name, value, ok := readEntry(entry)
	if !ok {
		return false
	}
	column := &headwaterv1.KeyColumn{}
	for rest := value; rest != ""; {
		field, wireType, after, ok := readTag(rest)
		if !ok || wireType != protowire.BytesType {
			return false
		}
		var text string
		if text, rest, ok = readBytes(after); !ok {
			return false
		}
		switch field {
		case fieldKeyStrings:
			if !utf8.ValidString(text) {
				return false
			}
			if column.Strings == nil {
				// Those that follow are about as long.
				column.Strings = make([]string, 0, 1+len(rest)/(len(text)+2))
			}
			column.Strings = append(column.Strings, text)
		case fieldKeyInt64s:
			if column.Int64S == nil {
				column.Int64S = make([]int64, 0, varints(text))
			}
			for text != "" {
				var n uint64
				if n, text, ok = readVarint(text); !ok {
					return false
				}
				column.Int64S = append(column.Int64S, int64(n))
			}
		default:
			return false
		}
	}
	if into.Keys == nil {
		into.Keys = make(map[string]*headwaterv1.KeyColumn, 1)
	}
	into.Keys[name] = column
	return true
}

// readMapping reads an entry of key_mapping.
func readMapping(entry string, into *headwaterv1.GetFeaturesRequest) bool {
	key, column, ok := readEntry(entry)
	if !ok || !utf8.ValidString(column) {
		return false
	}
	if into.KeyMapping == nil {
		into.KeyMapping = map[string]string{}
	}
	into.KeyMapping[key] = column
	return true
}

// readEntry reads an entry of a map, with its key and its value, each once and in this order: so all write it.
func readEntry(entry string) (key, value string, ok bool) {
	field, wireType, rest, ok := readTag(entry)
	if !ok || field != fieldEntryKey || wireType != protowire.BytesType {
		return "", "", false
	}
	if key, rest, ok = readBytes(rest); !ok || !utf8.ValidString(key) {
		return "", "", false
	}
	if field, wireType, rest, ok = readTag(rest); !ok || field != fieldEntryValue || wireType != protowire.BytesType {
		return "", "", false
	}
	value, rest, ok = readBytes(rest)
	return key, value, ok && rest == ""
}

// readTag reads a tag of one byte: no field of the request has a longer one.
func readTag(s string) (field int, wireType protowire.Type, rest string, ok bool) {
	if s == "" || s[0] >= 0x80 || s[0]>>3 == 0 {
		return 0, 0, s, false
	}
	return int(s[0] >> 3), protowire.Type(s[0] & 7), s[1:], true
}

func readBytes(s string) (value, rest string, ok bool) {
	n, rest, ok := readVarint(s)
	if !ok || n > uint64(len(rest)) {
		return "", s, false
	}
	return rest[:n], rest[n:], true
}

func readVarint(s string) (n uint64, rest string, ok bool) {
	for at := 0; at < len(s) && at < 10; at++ {
		b := s[at]
		if at == 9 && b > 1 {
			return 0, s, false
		}
		n |= uint64(b&0x7f) << (7 * at)
		if b < 0x80 {
			return n, s[at+1:], true
		}
	}
	return 0, s, false
}

// varints is how many varints a text is of.
func varints(s string) (n int) {
	for at := range len(s) {
		if s[at] < 0x80 {
			n++
		}
	}
	return n
}
