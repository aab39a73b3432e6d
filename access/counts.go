package access

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// counts are online reads by who read what, in the minute that goes on. The first read of a combination in a minute is written to
// the append log before its reply, as each decision is; those after it are counted, and what was counted is written each
// countEvery, in place of what was written before. So a process that ends at any moment loses how often something was read
// within its last countEvery, and never that it was.
type counts struct {
	mu  sync.RWMutex
	all map[countKey]*count
	// most is maxCounts, or what a test takes for it.
	most int

	// failed is why the last writing of counts failed. Until one does not, nothing is counted.
	failed atomic.Pointer[error]
}

const (
	// countEvery is how much counting a process that is killed may lose.
	countEvery = time.Second
	// maxCounts bounds the combinations that are counted at once: callers choose purposes. Beyond, reads are recorded one by one.
	maxCounts = 10_000
)

// countKey is what reads are counted by, besides the minute. Principals and decisions are compared by identity: where the token or
// the policy has changed within a minute, there are two counts.
type countKey struct {
	principal *Principal
	decision  *decision
	extent    *keptExtent
	method    string
	purpose   string
	// address is without a port.
	address Address
}

// record is what a count begins as.
func (k *countKey) record(at time.Time, readID string, entities int, rows int64) Record {
	return Record{
		Time: at, Principal: k.principal.Name, Credential: k.principal.Credential, Roles: k.principal.Roles,
		Method: k.method, Action: k.decision.action, Resource: k.decision.resource, Decision: Allowed, Reason: k.principal.because(k.decision.reason),
		Purpose: k.purpose, ClientAddress: k.address.hostString(), ReadID: readID,
		Calls: 1, Entities: int64(entities), RowsReturned: rows, LastTime: at, LastReadID: readID,
	}
}

type count struct {
	mu sync.Mutex
	// minute is since 1970, and number that of the record that the count of that minute began with; 0: it has not begun.
	minute, number        int64
	calls, entities, rows int64
	// written is how many of the calls are in the append log.
	written    int64
	lastTime   time.Time
	lastReadID string
	// gone: another takes its place.
	gone bool
}

// count records an online read. When it has returned, the record survives the process: as one of a minute's reads of its kind.
// An AUDIT_UNAVAILABLE fault means that it is not recorded.
func (a *AuditLog) count(key countKey, at time.Time, readID string, entities int, rows int64) error {
	if a.off {
		return nil
	}
	if failed := a.counts.failed.Load(); failed != nil {
		return errUnrecorded(*failed)
	}
	for {
		c := a.counts.find(key)
		if c == nil {
			if _, err := a.appendKept(key.record(at, readID, entities, rows), key.extent); err != nil {
				return errUnrecorded(err)
			}
			return nil
		}
		if done, err := a.addTo(c, &key, at, readID, entities, rows); done || err != nil {
			return err
		}
	}
}

// find is the count of a key, or nil when there are too many.
func (c *counts) find(key countKey) *count {
	c.mu.RLock()
	found := c.all[key]
	c.mu.RUnlock()
	if found != nil {
		return found
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if found = c.all[key]; found == nil && len(c.all) < c.most {
		found = &count{}
		c.all[key] = found
	}
	return found
}

// addTo counts a read, unless the count is gone.
func (a *AuditLog) addTo(c *count, key *countKey, at time.Time, readID string, entities int, rows int64) (done bool, err error) {
	minute := at.Unix() / 60
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.gone:
		return false, nil
	case c.number != 0 && minute <= c.minute:
		c.calls, c.entities, c.rows = c.calls+1, c.entities+int64(entities), c.rows+rows
		if !at.Before(c.lastTime) {
			c.lastTime, c.lastReadID = at, readID
		}
		return true, nil
	}
	if err := a.writeCount(c); err != nil {
		return false, errUnrecorded(err)
	}
	number, err := a.appendKept(key.record(at, readID, entities, rows), key.extent)
	if err != nil {
		return false, errUnrecorded(err)
	}
	c.minute, c.number, c.calls, c.entities, c.rows, c.written = minute, number, 1, int64(entities), rows, 1
	c.lastTime, c.lastReadID = at, readID
	return true, nil
}

// writeCount appends what was counted since it was last written. c is locked.
func (a *AuditLog) writeCount(c *count) error {
	if c.calls == c.written {
		return nil
	}
	_, err := a.append(Record{
		Time: c.lastTime, Continues: c.number, Calls: c.calls, Entities: c.entities, RowsReturned: c.rows, LastTime: c.lastTime,
		LastReadID: c.lastReadID,
	})
	if err == nil {
		c.written = c.calls
	}
	return err
}

// writeCounts appends what was counted, and forgets the minutes that are over.
func (a *AuditLog) writeCounts(now time.Time) error {
	a.counts.mu.RLock()
	all := maps.Clone(a.counts.all)
	a.counts.mu.RUnlock()
	minute := now.Unix() / 60
	var err error
	for key, c := range all {
		c.mu.Lock()
		err = a.writeCount(c)
		c.gone = err == nil && c.minute < minute
		gone := c.gone
		c.mu.Unlock()
		if gone {
			a.counts.mu.Lock()
			delete(a.counts.all, key)
			a.counts.mu.Unlock()
		}
		if err != nil {
			a.counts.failed.Store(&err)
			return err
		}
	}
	a.counts.failed.Store(nil)
	return nil
}
