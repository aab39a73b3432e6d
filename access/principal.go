package access

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/headwaterhq/headwater/feature"
)

// Principal is who asks. Immutable.
type Principal struct {
	Name string
	// Credential names what proved it: a token by its id, a JWT as jwt:ID, a certificate as cert:FINGERPRINT.
	Credential string
	// Roles as the token was given them. A role that is not defined grants nothing.
	Roles []string
	// Attributes are texts that are known of it besides, by name, each list sorted and not empty. nil: none.
	Attributes map[string][]string

	// elevated is who it is without the roles that it took for a time, and taken why it took them. nil: it took none.
	elevated *Principal
	taken    string
	// takenUntil is when the first of those ends.
	takenUntil time.Time
	// scopes bound what its token is used for. nil: nothing does.
	scopes []Scope
	// policyKey is policyKeyOf(p), or empty where nobody has computed it yet.
	policyKey string
	// record is recordedOf(p), or empty where nobody has computed it yet.
	record []byte
}

// NewPrincipal makes a principal that nothing proved, such as one that is asked about.
func NewPrincipal(name string, roles []string, attributes map[string][]string) *Principal {
	return newPrincipal(Principal{Name: name, Roles: roles, Attributes: attributes})
}

func newPrincipal(p Principal) *Principal {
	p.policyKey, p.record = policyKeyOf(&p), recordedOf(&p)
	return &p
}

// Anonymous is every caller of a server that does not ask who calls. It has the built-in role.
var Anonymous = NewPrincipal("anonymous", []string{feature.AdminRole}, nil)

// policyKeyOf is a text that stands for all of a principal that decisions depend on: its roles in their order, its attributes and its
// scopes. Of two principals that differ in any of these it is another text.
func policyKeyOf(p *Principal) string {
	var b strings.Builder
	list := func(texts []string) {
		fmt.Fprintf(&b, "%d;", len(texts))
		for _, text := range texts {
			fmt.Fprintf(&b, "%d:%s", len(text), text)
		}
	}
	list(p.Roles)
	for _, name := range slices.Sorted(maps.Keys(p.Attributes)) {
		fmt.Fprintf(&b, "a%d:%s", len(name), name)
		list(p.Attributes[name])
	}
	for _, s := range p.scopes {
		text := s.String()
		fmt.Fprintf(&b, "s%d:%s", len(text), text)
	}
	return b.String()
}

func (p *Principal) key() string {
	if p.policyKey == "" {
		return policyKeyOf(p)
	}
	return p.policyKey
}

func (p *Principal) recorded() []byte {
	if p.record == nil {
		return recordedOf(p)
	}
	return p.record
}

// Address is where a call came from. The zero value is that of a call of which it is not known.
type Address struct {
	ip   netip.Addr
	port uint16
	// other is an address that is not of IP.
	other string
}

// AddressOf is the Address of a peer. nil: none.
func AddressOf(a net.Addr) Address {
	switch a := a.(type) {
	case nil:
		return Address{}
	case *net.TCPAddr:
		p := a.AddrPort()
		return Address{ip: p.Addr().Unmap(), port: p.Port()}
	}
	return Address{other: a.String()}
}

// String is HOST:PORT, or what else is known.
func (a Address) String() string {
	if !a.ip.IsValid() {
		return a.other
	}
	return netip.AddrPortFrom(a.ip, a.port).String()
}

// append appends String, fit to be stored.
func (a Address) append(dst []byte) []byte {
	if !a.ip.IsValid() {
		return append(dst, cleanText(a.other)...)
	}
	return netip.AddrPortFrom(a.ip, a.port).AppendTo(dst)
}

// host is the address without the port, which is another for each connection.
func (a Address) host() Address {
	a.port = 0
	return a
}

// hostString is HOST, or what else is known.
func (a Address) hostString() string {
	if !a.ip.IsValid() {
		return a.other
	}
	return a.ip.String()
}
