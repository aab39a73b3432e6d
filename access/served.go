package access

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/read"
)

// Reads is what readings by one plan extend to, by who reads. The zero value is empty. It may be used concurrently.
type Reads struct {
	known lookup[readBy, *readAs]
}

// maxReadBy bounds the readers of one plan that are kept. Beyond, those under another policy go, then any.
const maxReadBy = 256

type readBy struct {
	audit  *AuditLog
	policy *Policy
	// who is Principal.policyKey.
	who, method string
}

// readAs is what all readings by one plan, of principals that decide alike, have in common.
type readAs struct {
	policy *Policy
	extent *keptExtent
	// decisions are those that allow them, for counts.
	decisions []*decision
	// governed is the decision on a reading that policies were asked about, and fields its part of a record in the append log.
	governed *decision
	fields   []byte
}

// Served is an online read that is about to be answered.
type Served struct {
	// Reads are those of the plan, and Restriction is what it was made under.
	Reads       *Reads
	Plan        *read.Plan
	Restriction *Restriction
	// Rows are the rows of views of which values are given out, Hidden those that a row filter hides.
	Rows, Hidden int64
	// AppendHash appends the keyed hash of the entities in base 16. It is asked where the read is recorded by itself.
	AppendHash func(dst []byte) []byte
}

// Served records an online read with what it is given: one that policies were asked about by itself, others as one of a minute's. When it
// has returned, the record survives the process. An AUDIT_UNAVAILABLE fault means that it is not recorded, and must not be answered.
func (s *Session) Served(r *Served) error {
	if s.audit.off {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	as, err := s.readAs(r)
	if err != nil {
		return errUnrecorded(err)
	}
	if as.governed != nil {
		if err := s.audit.appendServed(s, as, r); err != nil {
			return err
		}
		s.allowed = s.allowed[:0]
		return nil
	}
	rows := r.Rows
	for i, d := range s.allowed {
		// Of several views that are read by reference, the first has the rows.
		if err := s.count(as.known(d), as.extent, rows); err != nil {
			s.allowed = s.allowed[i:]
			return err
		}
		rows = 0
	}
	s.allowed = s.allowed[:0]
	return nil
}

// End records what was allowed and had no answer. An AUDIT_UNAVAILABLE fault means that it is not recorded.
func (s *Session) End() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.allowed) > 0 {
		if s.audit.off {
			return nil
		}
		d := s.allowed[0]
		extent, err := s.audit.extents.keep(s.extentOf(d))
		if err != nil {
			return errUnrecorded(err)
		}
		if err := s.count(d, extent, 0); err != nil {
			return err
		}
		s.allowed = s.allowed[1:]
	}
	return nil
}

// count counts a read. s is locked.
func (s *Session) count(d *decision, extent *keptExtent, rows int64) error {
	key := countKey{principal: s.principal, decision: d, extent: extent, method: s.method, purpose: s.purpose, address: s.address.host()}
	return s.audit.count(key, s.began, s.readID, s.entities, rows)
}

// extentOf is what a decision extends to of which no reading came.
func (s *Session) extentOf(d *decision) *Extent {
	e := &Extent{PolicyVersion: s.policy.revision(), Rules: strings.Fields(d.rules), Use: useOf(d.action)}
	if strings.Contains(d.resource, "@") {
		// The name may be of a caller's choosing.
		e.ResourceVersion = cleanText(d.resource)
	}
	return e
}

func (p *Policy) revision() int64 {
	if p == nil {
		return 0
	}
	return p.rules.Revision
}

// useOf is what an action reads for, or empty.
func useOf(action Action) string {
	switch action {
	case ActionReadOnline:
		return feature.UseServing
	case ActionReadOffline:
		return feature.UseTraining
	}
	return ""
}

// known is a decision as the readings have it in common, so that counts find it.
func (a *readAs) known(d *decision) *decision {
	for _, known := range a.decisions {
		if *known == *d {
			return known
		}
	}
	return d
}

// readAs is what a reading has in common with others. s is locked.
func (s *Session) readAs(r *Served) (*readAs, error) {
	key := readBy{s.audit, s.policy, s.principal.key(), s.method}
	if known, ok := r.Reads.known.get(key); ok {
		return known, nil
	}
	as := &readAs{policy: s.policy, decisions: slices.Clone(s.allowed)}
	var rules []string
	for _, d := range s.allowed {
		rules = withRules(rules, strings.Fields(d.rules))
	}
	extent := s.policy.extentOf(r.Plan, r.Restriction, rules, feature.UseServing)
	var err error
	if as.extent, err = s.audit.extents.keep(extent); err != nil {
		return nil, err
	}
	if r.Restriction.Governed() {
		as.governed = &decision{action: ActionReadOnline, resource: extent.ResourceVersion, allowed: true, reason: s.reasonUnder(r.Restriction)}
		fixed := payload{Record: &Record{
			Method: s.method, Action: as.governed.action, Resource: as.governed.resource, Decision: Allowed, Reason: as.governed.reason,
		}, Digest: as.extent.hex}
		fixed.clean()
		as.fields = fixed.appendDecision(nil)
	}
	r.Reads.known.put(key, as, maxReadBy, func(a *readAs) bool { return a.policy != s.policy })
	return as, nil
}

// reasonUnder is why a reading was let in under policies: what allowed it, and which were asked. s is locked.
func (s *Session) reasonUnder(r *Restriction) string {
	if len(s.allowed) == 0 {
		return "under " + r.text()
	}
	return s.allowed[0].reason + "; under " + r.text()
}

// appendServed appends the record of a read that policies were asked about. s is locked.
func (a *AuditLog) appendServed(s *Session, as *readAs, r *Served) error {
	if s.principal.taken != "" {
		// What is told of break glass is in the reason.
		record := s.recordOf(as.governed)
		record.Time, record.Entities, record.RowsReturned, record.RowsHidden = s.began, int64(s.entities), r.Rows, r.Hidden
		record.EntitiesHash = string(r.AppendHash(nil))
		if _, err := a.appendKept(record, as.extent); err != nil {
			return errUnrecorded(err)
		}
		return nil
	}
	b, _ := recordBuffers.Get().(*recordBuffer)
	if b == nil {
		b = &recordBuffer{}
	}
	defer recordBuffers.Put(b)
	dst := appendTime(b.record[:0], fieldTime, s.began)
	dst = append(append(dst, s.principal.recorded()...), as.fields...)
	dst = appendText(dst, fieldPurpose, cleanText(s.purpose))
	b.text = s.address.append(b.text[:0])
	dst = protowire.AppendBytes(protowire.AppendTag(dst, fieldClientAddress, protowire.BytesType), b.text)
	dst = appendText(dst, fieldReadID, s.readID)
	dst = appendNumber(dst, fieldCalls, 1)
	dst = appendNumber(dst, fieldEntities, int64(s.entities))
	dst = appendNumber(dst, fieldRowsReturned, r.Rows)
	dst = appendNumber(dst, fieldRowsHidden, r.Hidden)
	b.text = r.AppendHash(b.text[:0])
	dst = protowire.AppendBytes(protowire.AppendTag(dst, fieldEntitiesHash, protowire.BytesType), b.text)
	day := dayOf(s.began)
	fresh := as.extent.day.Load() < day
	if fresh {
		dst = protowire.AppendBytes(protowire.AppendTag(dst, fieldExtendsTo, protowire.BytesType), as.extent.body)
	}
	b.record = dst
	if _, err := a.log.Append(dst); err != nil {
		return errUnrecorded(err)
	}
	if fresh {
		as.extent.wrote(day)
	}
	a.signal()
	return nil
}

// recordBuffer is memory for a record at a time.
type recordBuffer struct{ record, text []byte }

var recordBuffers sync.Pool

// recordedOf is what records have of a principal, as a part of one in the append log.
func recordedOf(p *Principal) []byte {
	r := Record{Principal: p.Name, Credential: p.Credential, Roles: p.Roles}
	r.clean()
	return appendPrincipal([]byte{}, &r)
}

// Read is a reading of which values are about to be given out, but for online ones; see Served.
type Read struct {
	Plan        *read.Plan
	Restriction *Restriction
	// Rows are the rows of which values are given out, Hidden those that a row filter hides.
	Rows, Hidden int64
	// EntitiesHash is a keyed hash of whom it is about, in base 16. AsOf is as it was asked for.
	EntitiesHash, AsOf string
	// Dataset is its id. ReadID is that of the online read that is had again.
	Dataset, ReadID string
}

// Read records a reading with what it gives out, beside the decisions that let it in. An AUDIT_UNAVAILABLE fault means that it is not
// recorded, and nothing may be given out.
func (s *Session) Read(r *Read) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	reason := "given out, as was allowed"
	if r.Restriction.Governed() {
		reason = "under " + r.Restriction.text()
	}
	extent := s.policy.extentOf(r.Plan, r.Restriction, s.rules, cmp.Or(s.use, feature.UseTraining))
	record := s.recordOf(&decision{action: ActionReadOffline, resource: extent.ResourceVersion, allowed: true, reason: reason})
	record.Extent, record.RowsReturned, record.RowsHidden = extent, r.Rows, r.Hidden
	record.EntitiesHash, record.AsOf, record.Dataset, record.ReadID = r.EntitiesHash, r.AsOf, r.Dataset, r.ReadID
	return s.audit.Write(record)
}

// extentOf is what readings by a plan extend to. rules are those that let them in.
func (p *Policy) extentOf(plan *read.Plan, r *Restriction, rules []string, use string) *Extent {
	e := &Extent{ResourceVersion: readResource(plan.Service), PolicyVersion: p.revision(), Rules: rules, Use: use}
	if r != nil {
		e.Attributes, e.Rules = r.Attributes, withRules(rules, r.Policies)
	}
	for _, rule := range plan.Rules() {
		e.Rules = withRules(e.Rules, []string{rule.Policy})
	}
	columns := map[string]bool{}
	seen := map[string]bool{}
	for i := range plan.Columns {
		c := &plan.Columns[i]
		ref := c.Ref()
		if seen[ref] {
			continue
		}
		seen[ref] = true
		e.Asked = append(e.Asked, ref)
		if plan.Masks(c) {
			e.Masked = append(e.Masked, ref)
		}
		if c.Mask == nil || !c.Mask.Redacts {
			e.Returned = append(e.Returned, ref)
			c.Version.SourceColumns(c.Version.Features[c.Feature].Name, columns)
		}
	}
	for _, c := range plan.Reads() {
		seen[c.Ref()] = true
	}
	for i := range plan.Views {
		v := &plan.Views[i]
		if v.Filter == nil {
			continue
		}
		for _, slot := range v.Filter.Slots {
			name := slotName(v.Version, slot)
			v.Version.SourceColumns(name, columns)
			if ref := v.Version.Ref() + "." + name; !seen[ref] {
				seen[ref] = true
				e.FilteredBy = append(e.FilteredBy, ref)
			}
		}
	}
	e.SourceColumns = slices.Sorted(maps.Keys(columns))
	return e
}

// slotName is the column of a view that a filter looks at.
func slotName(v *feature.ViewVersion, slot int) string {
	switch slot {
	case read.SlotEventTime:
		return "event_time"
	case read.SlotAvailableAt:
		return "available_at"
	}
	return v.Stored()[slot].Name
}

// Shown are rows of a view, a source or a read that are shown as they are, or as they were kept.
type Shown struct {
	Kind Kind
	// Ref is NAME@VERSION.
	Ref string
	// Features are those of a view of which values are shown, SourceColumns those behind them.
	Features, SourceColumns []string
	// Applied are the rules of policies that they are shown under.
	Applied []read.Rule
	// Rows are those that are shown, Hidden those that a row filter hides.
	Rows, Hidden int64
	// Dataset and ReadID are those of what they are of. Empty: of neither.
	Dataset, ReadID string
}

// StoredOf are the features and attributes of a view, VIEW@VERSION.NAME, and the columns of sources that they are made of.
func StoredOf(v *feature.ViewVersion) (features, sourceColumns []string) {
	columns := map[string]bool{}
	for _, c := range v.Stored() {
		features = append(features, v.Ref()+"."+c.Name)
		v.SourceColumns(c.Name, columns)
	}
	return features, slices.Sorted(maps.Keys(columns))
}

// Show records rows that are about to be shown, beside the decision that allows it. An AUDIT_UNAVAILABLE fault means that it is not
// recorded, and nothing may be shown.
func (s *Session) Show(r *Shown) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	ref := resource(r.Kind, r.Ref)
	record := s.recordOf(&decision{action: ActionReadOffline, resource: ref, allowed: true, reason: "shown, as was allowed"})
	record.Extent = &Extent{
		ResourceVersion: ref, Asked: r.Features, Returned: r.Features, SourceColumns: r.SourceColumns, PolicyVersion: s.policy.revision(),
		Rules: s.rules, Use: feature.UseTraining,
	}
	for _, rule := range r.Applied {
		record.Extent.Rules = withRules(record.Extent.Rules, []string{rule.Policy})
		if column, masks := strings.CutPrefix(rule.About, ref+"."); masks {
			record.Extent.Masked = append(record.Extent.Masked, r.Ref+"."+column)
		}
	}
	record.RowsReturned, record.RowsHidden, record.Dataset, record.ReadID = r.Rows, r.Hidden, r.Dataset, r.ReadID
	return s.audit.Write(record)
}
