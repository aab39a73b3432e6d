package online

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/headwaterhq/headwater/feature"
)

// The numbers below are the format of docs/format/online-row.md, and those of the header are in accept.lua too.
const (
	// FormatVersion is a row's first byte.
	FormatVersion = 1

	flagTombstone = 1 << 0

	offVersion     = 0
	offFlags       = 1
	offEpoch       = 2
	offSeq         = 10
	offEventTime   = 18
	offAvailableAt = 26
	offRunSeq      = 34
	headerSize     = 42

	// signBit, flipped, makes unsigned order of the stored bytes the order of the times.
	signBit = 1 << 63

	// maxRowSize is more than any answer to a read carries, and far less than the 512 MiB that Redis takes as one value.
	maxRowSize = 16 << 20
)

// Header is what every row begins with. Rows of one entity and view version are ordered by (Epoch, Seq, EventTime,
// AvailableAt).
type Header struct {
	// Tombstone marks that there is no row: it takes the place of one that was withdrawn.
	Tombstone bool
	// Epoch is raised by a rebuild. Not negative.
	Epoch int64
	// Seq is the published sequence that the row is the winner of.
	Seq int64
	// EventTime says when the values were true, AvailableAt when they could be known. Both are the least Time in a
	// tombstone, so that it gives way to any row of its own sequence: within one sequence rows become current as time
	// passes, and none is withdrawn.
	EventTime, AvailableAt feature.Time
	// RunSeq is the run that wrote the row, from 1 to Seq: a withdrawal published as Seq brings back a row of an earlier
	// run. Of a tombstone it is the run that withdrew.
	RunSeq int64
}

func (h *Header) check() error {
	switch {
	case h.Epoch < 0:
		return fmt.Errorf("found epoch %d, expected 0 or more", h.Epoch)
	case h.RunSeq < 1:
		return fmt.Errorf("found run sequence %d, expected 1 or more", h.RunSeq)
	case h.RunSeq > h.Seq:
		return fmt.Errorf("found run sequence %d after sequence %d, expected the row of a run already published", h.RunSeq, h.Seq)
	case h.Tombstone && (h.EventTime != math.MinInt64 || h.AvailableAt != math.MinInt64):
		return fmt.Errorf("found a tombstone with event time %d and available at %d, expected the least of both",
			h.EventTime, h.AvailableAt)
	}
	return nil
}

// AppendTombstone appends the row that says there is none, as of a published sequence; runSeq is the run that withdrew
// the last one.
func AppendTombstone(dst []byte, epoch, seq, runSeq int64) ([]byte, error) {
	h := Header{
		Tombstone: true, Epoch: epoch, Seq: seq, RunSeq: runSeq,
		EventTime: math.MinInt64, AvailableAt: math.MinInt64,
	}
	if err := h.check(); err != nil {
		return dst, err
	}
	return appendHeader(dst, &h), nil
}

func appendHeader(dst []byte, h *Header) []byte {
	var flags byte
	if h.Tombstone {
		flags = flagTombstone
	}
	dst = append(dst, FormatVersion, flags)
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.Epoch))
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.Seq))
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.EventTime)^signBit)
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.AvailableAt)^signBit)
	return binary.BigEndian.AppendUint64(dst, uint64(h.RunSeq))
}

// DecodeHeader reads what a row begins with. It is strict, and does not look at a row's values.
func DecodeHeader(row string) (h Header, err error) {
	if err := h.decode(row); err != nil {
		return Header{}, err
	}
	return h, nil
}

// decode is DecodeHeader in place. After an error h holds nothing of use.
func (h *Header) decode(row string) error {
	if len(row) == 0 {
		return fmt.Errorf("found 0 bytes, expected a row")
	}
	if row[offVersion] != FormatVersion {
		return fmt.Errorf("found row format version %d, expected %d", row[offVersion], FormatVersion)
	}
	if len(row) < headerSize {
		return fmt.Errorf("found %d bytes, expected a header of %d", len(row), headerSize)
	}
	flags := row[offFlags]
	if flags&^flagTombstone != 0 {
		return fmt.Errorf("found flags %#02x, expected none but %#02x (tombstone)", flags, flagTombstone)
	}
	h.Tombstone = flags&flagTombstone != 0
	h.Epoch = int64(uint64At(row, offEpoch))
	h.Seq = int64(uint64At(row, offSeq))
	h.EventTime = feature.Time(uint64At(row, offEventTime) ^ signBit)
	h.AvailableAt = feature.Time(uint64At(row, offAvailableAt) ^ signBit)
	h.RunSeq = int64(uint64At(row, offRunSeq))
	// What check refuses, in short.
	if h.Tombstone || h.Epoch < 0 || h.RunSeq < 1 || h.RunSeq > h.Seq {
		if err := h.check(); err != nil {
			return err
		}
		if len(row) != headerSize {
			return fmt.Errorf("found a tombstone of %d bytes, expected %d", len(row), headerSize)
		}
	}
	return nil
}

// Rows come from the client as strings, and strings decoded from one share its memory: encoding/binary, which reads byte
// slices only, would cost a copy of each row.

func uint64At(s string, i int) uint64 {
	b := s[i : i+8]
	return uint64(b[7]) | uint64(b[6])<<8 | uint64(b[5])<<16 | uint64(b[4])<<24 |
		uint64(b[3])<<32 | uint64(b[2])<<40 | uint64(b[1])<<48 | uint64(b[0])<<56
}

func uint32At(s string, i int) uint32 {
	b := s[i : i+4]
	return uint32(b[3]) | uint32(b[2])<<8 | uint32(b[1])<<16 | uint32(b[0])<<24
}
