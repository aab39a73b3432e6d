package access

import (
	"net"
	"net/netip"
	"strings"

	"github.com/headwaterhq/headwater/feature"
)

// Principal is who asks. Immutable.
type Principal struct {
	Name string
	// Credential is the id of the token that proved it.
	Credential string
	// Roles as the token was given them. A role that is not defined grants nothing.
	Roles []string

	// roleSet is roleSetOf(Roles), or empty where nobody has computed it yet.
	roleSet string
}

// Anonymous is every caller of a server that does not ask who calls. It has the built-in role.
var Anonymous = &Principal{Name: "anonymous", Roles: []string{feature.AdminRole}, roleSet: feature.AdminRole}

// roleSetOf is a text that stands for roles in their order. No role has a NUL in its name that was ever in Postgres.
func roleSetOf(roles []string) string { return strings.Join(roles, "\x00") }

func (p *Principal) roles() string {
	if p.roleSet == "" {
		return roleSetOf(p.Roles)
	}
	return p.roleSet
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
