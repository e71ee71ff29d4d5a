package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	"code.dny.dev/ssrf"
)

// guard decides which addresses calls to one forge may reach: public ones, and those of the networks that the operator
// allowed by name, but none where a cloud keeps credentials, unless a prefix names that very address. An address of version 6
// that stands for one of version 4 is allowed when both are. It is safe for concurrent use.
type guard struct {
	policy   *ssrf.Guardian
	named    []netip.Prefix // which the operator allowed
	resolver *net.Resolver
	lookup   func(ctx context.Context, network, host string) ([]netip.Addr, error)
}

func newGuard(networks []string) (*guard, error) {
	prefixes, err := ParseNetworks(networks)
	if err != nil {
		return nil, err
	}
	var v4, v6 []netip.Prefix
	for _, p := range prefixes {
		if p.Addr().Is4() {
			v4 = append(v4, p)
		} else {
			v6 = append(v6, p)
		}
	}
	return &guard{
		policy:   ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...)),
		named:    prefixes,
		resolver: net.DefaultResolver,
		lookup:   net.DefaultResolver.LookupNetIP,
	}, nil
}

// RefusedError is a call that was not made because of where it would have gone. Its text is meant for the operator.
type RefusedError struct {
	Host string // as configured; "" when it is not known
	Addr netip.Addr
}

func (e *RefusedError) Error() string {
	host, what := e.Host, "not a public address"
	if slices.Contains(metadataAddrs(), e.Addr) {
		what = "where clouds keep credentials"
	}
	if host == "" || host == e.Addr.String() {
		return fmt.Sprintf("%s is %s%s", e.Addr, what, e.advice())
	}
	return fmt.Sprintf("%s resolves to %s, which is %s%s", host, e.Addr, what, e.advice())
}

// advice names the word that allows the address, where there is one.
func (e *RefusedError) advice() string {
	word := e.Network()
	switch {
	case word == "":
		return ""
	case strings.Contains(word, "/"):
		return fmt.Sprintf(`; allow it with networks: [%q]`, word)
	}
	return "; allow it with networks: [" + word + "]"
}

// Network is the word of a forge's Networks that allows the address. It is "" for addresses where clouds keep credentials and
// for link-local ones: nobody keeps a forge there.
func (e *RefusedError) Network() string {
	within := func(p netip.Prefix) bool { return p.Contains(e.Addr) }
	switch {
	case slices.Contains(metadataAddrs(), e.Addr):
		return ""
	case slices.ContainsFunc(loopbackPrefixes(), within):
		return "loopback"
	case slices.ContainsFunc(privatePrefixes(), within):
		return "private"
	case e.Addr.IsLinkLocalUnicast() || e.Addr.IsUnspecified() || e.Addr.IsMulticast():
		return ""
	}
	return fmt.Sprintf("%s/%d", e.Addr, e.Addr.BitLen())
}

// dialer returns a DialContext that reaches allowed addresses only. The check is made on the address that is dialled, so
// what DNS says in between does not matter. It returns a *RefusedError.
func (g *guard) dialer(timeout time.Duration) func(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: timeout, KeepAlive: 30 * time.Second, Control: g.control, Resolver: g.resolver}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := d.DialContext(ctx, network, addr)
		if refused, ok := errors.AsType[*RefusedError](err); ok {
			host, _, _ := net.SplitHostPort(addr)
			return nil, &RefusedError{Host: host, Addr: refused.Addr}
		}
		return conn, err
	}
}

func (g *guard) control(network, address string, conn syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("check address: %w", err)
	}
	if g.policy.Safe(network, address, conn) != nil || !g.allows(to.Addr()) {
		return &RefusedError{Addr: to.Addr().Unmap()}
	}
	return nil
}

// allows tells whether addr may be called, however it is written.
func (g *guard) allows(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	if slices.Contains(g.named, netip.PrefixFrom(addr, addr.BitLen())) {
		return true
	}
	return g.policy.SafeAddr(addr) == nil && !slices.Contains(metadataAddrs(), addr) &&
		!slices.ContainsFunc(embedded(addr), func(within netip.Addr) bool { return !g.allows(within) })
}

// resolve returns the allowed addresses of host, for a program that dials by itself. It returns a *RefusedError when the
// host has addresses but none is allowed.
func (g *guard) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	addrs, err := g.addresses(ctx, host)
	if err != nil {
		return nil, err
	}
	var allowed []netip.Addr
	var refused error
	for _, addr := range addrs {
		addr = addr.Unmap()
		if !g.allows(addr) {
			refused = &RefusedError{Host: host, Addr: addr}
			continue
		}
		allowed = append(allowed, addr)
	}
	if len(allowed) == 0 {
		return nil, refused
	}
	return allowed, nil
}

func (g *guard) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr}, nil
	}
	addrs, err := g.lookup(ctx, "ip", host)
	if err == nil && len(addrs) == 0 {
		err = &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return addrs, err
}
