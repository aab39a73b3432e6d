package access

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Extent is what a decision extends to: by which rules it was made, and what was read under it. It is the same for all reads by one plan,
// so records have its SHA-256, and the first of a process's records of a day has it whole. Immutable. The tags are the names of the fields
// in headwater.audit_extent; fields are added, and neither renamed nor taken away.
type Extent struct {
	// ResourceVersion is what was read as KIND:NAME@VERSION, with commas between several views.
	ResourceVersion string `json:"resource_version,omitempty"`
	// Attributes are those of the principal's that row filters looked at.
	Attributes map[string][]string `json:"attributes,omitempty"`
	// Features, VIEW@VERSION.FEATURE, in the order of the answer. Asked are those that were asked for, Returned those of which values were
	// given out, as they are or masked, and Masked those that the reader is shown masked, or not at all where a mask redacts.
	Asked    []string `json:"asked,omitempty"`
	Returned []string `json:"returned,omitempty"`
	Masked   []string `json:"masked,omitempty"`
	// FilteredBy are features and attributes, VIEW@VERSION.NAME, that row filters alone looked at.
	FilteredBy []string `json:"filtered_by,omitempty"`
	// SourceColumns, SOURCE.COLUMN, sorted, are those that all of these are made of.
	SourceColumns []string `json:"source_columns,omitempty"`
	// PolicyVersion is the revision of the registry whose roles and policies decided. 0: they are of none.
	PolicyVersion int64 `json:"policy_version,omitempty"`
	// Rules are those that decided: grants as ROLE#N, N from 1 on, and policies as NAME@VERSION.
	Rules []string `json:"rules,omitempty"`
	// Use is one of feature.Uses. Empty: it is no reading.
	Use string `json:"use,omitempty"`
}

// clean makes texts fit to be stored; names that definitions give are fit already.
func (e *Extent) clean() *Extent {
	if e.Attributes == nil {
		return e
	}
	cleaned := *e
	cleaned.Attributes = make(map[string][]string, len(e.Attributes))
	for name, values := range e.Attributes {
		values = slices.Clone(values)
		for i := range values {
			values[i] = cleanText(values[i])
		}
		cleaned.Attributes[cleanText(name)] = values
	}
	return &cleaned
}

// keptExtent is an extent as it is recorded.
type keptExtent struct {
	// hex is the digest in base 16, and body what it is of.
	hex  string
	body []byte
	// day is the newest, since 1970, of a record that has the body and is in the append log.
	day atomic.Int64
}

func (k *keptExtent) digest() []byte {
	digest := sha256.Sum256(k.body)
	return digest[:]
}

// dayOf is the day of a time, since 1970, in UTC.
func dayOf(t time.Time) int64 { return t.Unix() / (24 * 60 * 60) }

// maxKeptExtents bounds those that an audit log remembers to have written. Beyond, it forgets all, and writes them again.
const maxKeptExtents = 4096

// keptExtents are those of an audit log, by their texts.
type keptExtents struct {
	mu  sync.Mutex
	all map[string]*keptExtent
}

// keep is an extent as it is recorded, the same one each time as long as it is remembered.
func (k *keptExtents) keep(e *Extent) (*keptExtent, error) {
	body, err := json.Marshal(e.clean())
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if known := k.all[string(body)]; known != nil {
		return known, nil
	}
	if len(k.all) >= maxKeptExtents || k.all == nil {
		k.all = map[string]*keptExtent{}
	}
	digest := sha256.Sum256(body)
	kept := &keptExtent{hex: hex.EncodeToString(digest[:]), body: body}
	kept.day.Store(math.MinInt64)
	k.all[string(body)] = kept
	return kept, nil
}

// wrote notes that a record of a day with the body is in the append log.
func (k *keptExtent) wrote(day int64) {
	for {
		last := k.day.Load()
		if day <= last || k.day.CompareAndSwap(last, day) {
			return
		}
	}
}
