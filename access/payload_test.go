package access

import (
	"encoding/hex"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A record in the append log is read as it was written, and fields that are not known are passed over.
func TestRecordsAreReadAsTheyWereWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := func(name string) string { return rapid.String().Draw(t, name) }
		number := func(name string) int64 { return rapid.Int64Min(0).Draw(t, name) }
		at := func(name string) time.Time { return time.UnixMicro(rapid.Int64Range(-1<<50, 1<<52).Draw(t, name)) }
		r := Record{
			Time: at("time"), Principal: text("principal"), Credential: text("credential"), Roles: rapid.SliceOf(rapid.String()).Draw(t, "roles"),
			Method: "m" + text("method"), Action: Action(text("action")), Resource: text("resource"), Decision: Denied, Reason: text("reason"),
			Purpose: text("purpose"), ClientAddress: text("address"), ReadID: text("read id"), Calls: number("calls"), Entities: number("entities"),
			LastReadID: text("last read id"), Continues: number("continues"), RowsReturned: number("returned"), RowsHidden: number("hidden"),
			EntitiesHash: text("hash"), AsOf: text("as of"), Dataset: text("dataset"),
		}
		if rapid.Bool().Draw(t, "counts") {
			r.LastTime = at("last time")
		}
		r.clean()
		written := payload{Record: &r}
		if rapid.Bool().Draw(t, "extends") {
			kept, err := (&keptExtents{}).keep(&Extent{Rules: []string{text("rule")}})
			if err != nil {
				t.Fatal(err)
			}
			written.Digest, written.Body = kept.hex, kept.body
		}
		b := written.append(nil)
		// Field 1000, as bytes.
		b = append(b, 0xc2, 0x3e, 2, 'x', 'y')
		found := payload{Record: &Record{}}
		if err := found.decode(b); err != nil {
			t.Fatal(err)
		}
		found.Digest, found.digest = hex.EncodeToString(found.digest), nil
		if !reflect.DeepEqual(found, written) {
			t.Fatalf("found %+v, %+v\nexpected %+v, %+v", *found.Record, found, r, written)
		}
	})
}

func TestWhatIsNoRecordIsNotRead(t *testing.T) {
	for _, b := range []string{"", "\x08", "\x12\x05ab", "{", "\x92\x01\x02ab"} {
		if err := (&payload{Record: &Record{}}).decode([]byte(b)); err == nil {
			t.Errorf("%q is taken for a record", b)
		}
	}
}
