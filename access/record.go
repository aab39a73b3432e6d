package access

import (
	"strings"
	"time"
	"unicode/utf8"
)

// Decision is the outcome of a decision.
type Decision string

// The decisions.
const (
	Allowed Decision = "allowed"
	Denied  Decision = "denied"
)

// Record is one decision, or the online reads of one minute that were decided on alike, as the audit log keeps it: a row of
// headwater.audit_record.
type Record struct {
	// Writer and Number name the record for ever. They are given when the record is chained.
	Writer string `json:"-"`
	Number int64  `json:"-"`
	// Time is in UTC, in microseconds. Zero: set when it is written.
	Time time.Time `json:"time"`
	// Principal and Credential are empty when the caller did not prove who it is.
	Principal  string   `json:"principal"`
	Credential string   `json:"credential"`
	Roles      []string `json:"roles"`
	// Method is the gRPC method, as /PACKAGE.SERVICE/METHOD.
	Method string `json:"method"`
	// Action and Resource (KIND:NAME) are what was decided on. Both are empty when the call ended before that.
	Action        Action   `json:"action"`
	Resource      string   `json:"resource"`
	Decision      Decision `json:"decision"`
	Reason        string   `json:"reason"`
	Purpose       string   `json:"purpose"`
	ClientAddress string   `json:"client_address"`
	// ReadID is that of an online read, the first where there are several.
	ReadID string `json:"read_id"`

	// Calls is how many calls the record stands for: 1 where LastTime is zero. Zero: 1.
	Calls int64 `json:"calls,omitempty"`
	// Entities is how many entities online reads asked for, in all.
	Entities int64 `json:"entities,omitempty"`
	// LastTime and LastReadID are those of the last call of a record that counts them: Time is that of the first, and
	// ClientAddress has no port. Else LastTime is zero.
	LastTime   time.Time `json:"last_time,omitzero"`
	LastReadID string    `json:"last_read_id,omitempty"`
	// Continues is the number, in the append log, of the record whose Calls, Entities, RowsReturned, LastTime and LastReadID have become
	// these. The rest is empty. List shows what records have become, and none with Continues.
	Continues int64 `json:"continues,omitempty"`
	// Witnessed are records that the chain of this one's writer vouches for. List shows no record with any.
	Witnessed []Witness `json:"witnessed,omitempty"`

	// Extent is by which rules it was decided, and what was read. nil: nothing was decided.
	Extent *Extent `json:"-"`
	// RowsReturned are rows of views and sources of which values were given out, RowsHidden those that a row filter hid.
	RowsReturned int64 `json:"rows_returned,omitempty"`
	RowsHidden   int64 `json:"rows_hidden,omitempty"`
	// EntitiesHash is a keyed hash, in base 16, of the entities that were asked for. Empty where calls are counted.
	EntitiesHash string `json:"entities_hash,omitempty"`
	// AsOf is as it was asked for. Empty: now.
	AsOf string `json:"as_of,omitempty"`
	// Dataset is the id of what was built or given out.
	Dataset string `json:"dataset,omitempty"`
	// Earlier are records that are kept in one row with this one. List shows each by itself, and none with any.
	Earlier Earlier `json:"earlier,omitzero"`
}

// The longest texts that a record keeps, in bytes. Names come from the caller and may be of any length.
const (
	maxAuditText  = 1024
	maxAuditRoles = 64
)

// clean makes a record fit to be stored: no secret, nothing that a text column refuses, nothing of a caller's choosing
// that is large.
func (r *Record) clean() {
	for _, s := range []*string{
		&r.Principal, &r.Credential, &r.Method, &r.Resource, &r.Reason, &r.Purpose, &r.ClientAddress, &r.ReadID,
		&r.LastReadID, &r.EntitiesHash, &r.AsOf, &r.Dataset,
	} {
		*s = cleanText(*s)
	}
	roles := make([]string, 0, min(len(r.Roles), maxAuditRoles))
	for _, role := range r.Roles[:min(len(r.Roles), maxAuditRoles)] {
		roles = append(roles, cleanText(role))
	}
	r.Roles = roles
	r.Time, r.LastTime = r.Time.UTC().Truncate(time.Microsecond), r.LastTime.UTC().Truncate(time.Microsecond)
	r.Calls = max(r.Calls, 1)
	r.Earlier.clean()
}

func cleanText(s string) string {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "\uFFFD")
	}
	s = withoutSecrets(s)
	if len(s) <= maxAuditText {
		return s
	}
	cut := maxAuditText
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
