package access

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// payload is a record in the append log: fields in the encoding of protobuf, numbered as below, of which those that are zero are left out
// and those that are not known are passed over. Older servers wrote JSON objects, which begin with another byte than any field does.
type payload struct {
	*Record
	// Digest is the extent's, in base 16.
	Digest string `json:"extent,omitempty"`
	// digest is that of a record that was decoded, as it is.
	digest []byte
	// Body is the extent, in the first record of a day that has it.
	Body json.RawMessage `json:"extends_to,omitempty"`
}

// The fields of a record in the append log. Times are microseconds since 1970, zigzag-encoded. They never change their meaning.
const (
	fieldTime protowire.Number = iota + 1
	fieldPrincipal
	fieldCredential
	fieldRole
	fieldMethod
	fieldAction
	fieldResource
	fieldDecision
	fieldReason
	fieldPurpose
	fieldClientAddress
	fieldReadID
	fieldCalls
	fieldEntities
	fieldLastTime
	fieldLastReadID
	fieldContinues
	fieldExtent
	fieldExtendsTo
	fieldRowsReturned
	fieldRowsHidden
	fieldEntitiesHash
	fieldAsOf
	fieldDataset
)

// append appends the record, which is clean.
func (p *payload) append(dst []byte) []byte {
	r := p.Record
	dst = appendTime(dst, fieldTime, r.Time)
	dst = p.appendDecision(appendPrincipal(dst, r))
	dst = appendText(dst, fieldPurpose, r.Purpose)
	dst = appendText(dst, fieldClientAddress, r.ClientAddress)
	dst = appendText(dst, fieldReadID, r.ReadID)
	dst = appendNumber(dst, fieldCalls, r.Calls)
	dst = appendNumber(dst, fieldEntities, r.Entities)
	if !r.LastTime.IsZero() {
		dst = appendTime(dst, fieldLastTime, r.LastTime)
	}
	dst = appendText(dst, fieldLastReadID, r.LastReadID)
	dst = appendNumber(dst, fieldContinues, r.Continues)
	dst = appendNumber(dst, fieldRowsReturned, r.RowsReturned)
	dst = appendNumber(dst, fieldRowsHidden, r.RowsHidden)
	dst = appendText(dst, fieldEntitiesHash, r.EntitiesHash)
	dst = appendText(dst, fieldAsOf, r.AsOf)
	dst = appendText(dst, fieldDataset, r.Dataset)
	if p.Body != nil {
		dst = protowire.AppendBytes(protowire.AppendTag(dst, fieldExtendsTo, protowire.BytesType), p.Body)
	}
	return dst
}

// appendDecision appends what was decided.
func (p *payload) appendDecision(dst []byte) []byte {
	r := p.Record
	dst = appendText(dst, fieldMethod, r.Method)
	dst = appendText(dst, fieldAction, string(r.Action))
	dst = appendText(dst, fieldResource, r.Resource)
	dst = appendText(dst, fieldDecision, string(r.Decision))
	dst = appendText(dst, fieldReason, r.Reason)
	return appendExtent(dst, p.Digest)
}

// appendPrincipal appends what a record has of who called.
func appendPrincipal(dst []byte, r *Record) []byte {
	dst = appendText(appendText(dst, fieldPrincipal, r.Principal), fieldCredential, r.Credential)
	for _, role := range r.Roles {
		dst = protowire.AppendString(protowire.AppendTag(dst, fieldRole, protowire.BytesType), role)
	}
	return dst
}

func appendText(dst []byte, field protowire.Number, text string) []byte {
	if text == "" {
		return dst
	}
	return protowire.AppendString(protowire.AppendTag(dst, field, protowire.BytesType), text)
}

func appendNumber(dst []byte, field protowire.Number, n int64) []byte {
	if n == 0 {
		return dst
	}
	return protowire.AppendVarint(protowire.AppendTag(dst, field, protowire.VarintType), uint64(n))
}

func appendTime(dst []byte, field protowire.Number, t time.Time) []byte {
	return protowire.AppendVarint(protowire.AppendTag(dst, field, protowire.VarintType), protowire.EncodeZigZag(t.UnixMicro()))
}

// appendExtent appends the digest of an extent, given in base 16; empty: there is none.
func appendExtent(dst []byte, digest string) []byte {
	if digest == "" {
		return dst
	}
	// It was made by this package.
	b, _ := hex.DecodeString(digest)
	return protowire.AppendBytes(protowire.AppendTag(dst, fieldExtent, protowire.BytesType), b)
}

// decode reads what append appended, or an older server wrote, into an empty record. It shares the memory of b.
func (p *payload) decode(b []byte) error {
	if len(b) > 0 && b[0] == '{' {
		return json.Unmarshal(b, p)
	}
	r := p.Record
	r.Roles = []string{}
	// The texts are parts of one.
	all := string(b)
	for at := 0; at < len(b); {
		field, kind, n := protowire.ConsumeTag(b[at:])
		if n < 0 {
			return protowire.ParseError(n)
		}
		at += n
		size := protowire.ConsumeFieldValue(field, kind, b[at:])
		if size < 0 {
			return protowire.ParseError(size)
		}
		value := b[at : at+size]
		at += size
		switch kind {
		case protowire.VarintType:
			v, _ := protowire.ConsumeVarint(value)
			p.takeNumber(field, v)
		case protowire.BytesType:
			v, _ := protowire.ConsumeBytes(value)
			if err := p.takeText(field, v, all[at-len(v):at]); err != nil {
				return err
			}
		}
	}
	if r.Method == "" && r.Continues == 0 {
		return errors.New("found no method, and nothing that it continues")
	}
	return nil
}

func (p *payload) takeNumber(field protowire.Number, v uint64) {
	switch r := p.Record; field {
	case fieldTime:
		r.Time = time.UnixMicro(protowire.DecodeZigZag(v)).UTC()
	case fieldCalls:
		r.Calls = int64(v)
	case fieldEntities:
		r.Entities = int64(v)
	case fieldLastTime:
		r.LastTime = time.UnixMicro(protowire.DecodeZigZag(v)).UTC()
	case fieldContinues:
		r.Continues = int64(v)
	case fieldRowsReturned:
		r.RowsReturned = int64(v)
	case fieldRowsHidden:
		r.RowsHidden = int64(v)
	}
}

func (p *payload) takeText(field protowire.Number, b []byte, text string) error {
	switch r := p.Record; field {
	case fieldPrincipal:
		r.Principal = text
	case fieldCredential:
		r.Credential = text
	case fieldRole:
		r.Roles = append(r.Roles, text)
	case fieldMethod:
		r.Method = text
	case fieldAction:
		r.Action = Action(text)
	case fieldResource:
		r.Resource = text
	case fieldDecision:
		r.Decision = Decision(text)
	case fieldReason:
		r.Reason = text
	case fieldPurpose:
		r.Purpose = text
	case fieldClientAddress:
		r.ClientAddress = text
	case fieldReadID:
		r.ReadID = text
	case fieldLastReadID:
		r.LastReadID = text
	case fieldExtent:
		if len(b) != 32 {
			return fmt.Errorf("found the digest of an extent of %d bytes, expected 32", len(b))
		}
		p.digest = b
	case fieldExtendsTo:
		p.Body = b
	case fieldEntitiesHash:
		r.EntitiesHash = text
	case fieldAsOf:
		r.AsOf = text
	case fieldDataset:
		r.Dataset = text
	}
	return nil
}
