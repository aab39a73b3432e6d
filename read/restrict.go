package read

import (
	"slices"
	"strings"

	"github.com/headwaterhq/headwater/feature"
)

// Restrictions are what a reader is held to: which rows it sees, and what of their values. Immutable. nil: to nothing.
type Restrictions struct {
	// Filters are by view, NAME@VERSION.
	Filters map[string]*Filter
	// Masks are by feature, NAME@VERSION.FEATURE, on-demand features included.
	Masks map[string]*Mask
	// Times are what is shown of a row's times beside its values, by view, NAME@VERSION: no feature is one.
	Times map[string]*Times
}

// Times are the masks of a row's times. nil: one is shown as it is.
type Times struct{ EventTime, AvailableAt *Mask }

// Shown are the times of a row as the reader sees them, zero for one that is not shown. hasEvent is false where that is the event time.
func (t *Times) Shown(eventTime, availableAt feature.Time) (shownEvent, shownAvailable feature.Time, hasEvent bool) {
	show := func(m *Mask, at feature.Time) (feature.Time, bool) {
		if m == nil {
			return at, true
		}
		v := m.Apply(feature.Timestamp(at))
		if v.IsNull() {
			return 0, false
		}
		return v.Timestamp(), true
	}
	shownEvent, hasEvent = show(t.EventTime, eventTime)
	shownAvailable, _ = show(t.AvailableAt, availableAt)
	return shownEvent, shownAvailable, hasEvent
}

// unseen are the times of a row of which the reader sees no value.
var unseen = func() *Times {
	m := &Mask{Apply: func(feature.Value) feature.Value { return feature.Null() }}
	return &Times{EventTime: m, AvailableAt: m}
}()

// hideTimes gives each view what is shown of its rows' times: as the restrictions say, or nothing where each value of it that is read is
// redacted.
func (p *Plan) hideTimes(r *Restrictions) {
	if r == nil {
		return
	}
	for i := range p.Views {
		v := &p.Views[i]
		v.Times = r.Times[v.Version.Ref()]
		values, redacted := 0, 0
		for _, columns := range [][]Column{p.Columns, p.reads} {
			for k := range columns {
				if c := &columns[k]; c.View == i {
					values++
					if c.Mask != nil && c.Mask.Rule.Does == feature.MaskRedact.String() {
						redacted++
					}
				}
			}
		}
		if values > 0 && values == redacted {
			v.Times = unseen
		}
	}
}

// Rule is a policy as it holds for one reader.
type Rule struct {
	// Policy is NAME@VERSION.
	Policy string `json:"policy"`
	// About is the view, NAME@VERSION, or the feature, NAME@VERSION.FEATURE.
	About string `json:"about"`
	// Does says what becomes of rows or values, with all that is known of the reader in it: two rules that do the same have the
	// same text.
	Does string `json:"does"`
	// KeyVersion is that of the secret by which a mask hashes, 0 for none.
	KeyVersion int `json:"key_version,omitempty"`
	// Unmasked are on-demand features, VIEW.NAME, that are computed of the values as a mask's policy finds them.
	Unmasked []string `json:"unmasked,omitempty"`
}

// Same reports whether two rules do the same to the same, of whatever policies they are.
func (r *Rule) Same(o *Rule) bool {
	return r.About == o.About && r.Does == o.Does && r.KeyVersion == o.KeyVersion && slices.Equal(r.Unmasked, o.Unmasked)
}

// Filter decides on the winning row of a view whether the reader sees it. Safe for concurrent use.
type Filter struct {
	// Slots are what it looks at: positions of the view's stored columns, SlotEventTime or SlotAvailableAt.
	Slots []int
	// Holds is given their values, in their order.
	Holds func(values []feature.Value) bool
	// Rules are those that it is made of: each of them must hold.
	Rules []Rule
}

// The slots of a row's times.
const (
	SlotEventTime   = -1
	SlotAvailableAt = -2
)

// AppendValues appends what the filter is to be given of a row: stored gives a stored column.
func (f *Filter) AppendValues(dst []feature.Value, eventTime, availableAt feature.Time, stored func(slot int) feature.Value) []feature.Value {
	for _, slot := range f.Slots {
		switch slot {
		case SlotEventTime:
			dst = append(dst, feature.Timestamp(eventTime))
		case SlotAvailableAt:
			dst = append(dst, feature.Timestamp(availableAt))
		default:
			dst = append(dst, stored(slot))
		}
	}
	return dst
}

// Mask changes what the reader sees of a value. Safe for concurrent use.
type Mask struct {
	// Apply is given values that are not NULL, and gives values of the same type or NULL.
	Apply func(feature.Value) feature.Value
	// AppendText appends what Apply makes of a text or bytes, where it is never NULL. nil: Apply is to be asked.
	AppendText func(dst []byte, text string) []byte
	Rule       Rule
	// Redacts says that Apply gives NULL, whatever it is given.
	Redacts bool
}

// hides reports whether an on-demand feature sees what the mask shows.
func (m *Mask) hides(v *feature.ViewVersion, at int) bool {
	return !slices.Contains(m.Rule.Unmasked, v.Name+"."+v.Features[at].Name)
}

func (r *Restrictions) filter(v *feature.ViewVersion) *Filter {
	if r == nil {
		return nil
	}
	return r.Filters[v.Ref()]
}

func (r *Restrictions) mask(v *feature.ViewVersion, at int) *Mask {
	if r == nil {
		return nil
	}
	return r.Masks[v.Ref()+"."+v.Features[at].Name]
}

// Rules are those that a plan applies, in the order of what they are about and of their policies.
func (p *Plan) Rules() []Rule {
	var rules []Rule
	for i := range p.Views {
		if f := p.Views[i].Filter; f != nil {
			rules = append(rules, f.Rules...)
		}
	}
	for _, columns := range [][]Column{p.Columns, p.reads} {
		for i := range columns {
			if m := columns[i].Mask; m != nil {
				rules = append(rules, m.Rule)
			}
		}
	}
	slices.SortFunc(rules, func(a, b Rule) int {
		return strings.Compare(a.About+"\x00"+a.Policy+"\x00"+a.Does, b.About+"\x00"+b.Policy+"\x00"+b.Does)
	})
	return slices.CompactFunc(rules, func(a, b Rule) bool { return a.Policy == b.Policy && a.Same(&b) })
}
