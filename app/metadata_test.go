package app

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"
)

// documentedMetadata is written down apart from the code, so that none gets lost there.
var documentedMetadata = []string{
	"169.254.169.254", "169.254.170.2", "169.254.170.23", "169.254.0.23", "169.254.42.42", "168.63.129.16", "100.100.100.200",
	"192.0.0.192", "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "fd00:c1::a9fe:a9fe", "fd00:42::42", "fd00:a9fe:a9fe::1",
	"fd00:100::100:200", "fe80::a9fe:a9fe",
}

// TestMetadataIsNamedOrRefused: neither the public range nor an allowed network that is wider than the address opens it, for
// the HTTP client and for git.
func TestMetadataIsNamedOrRefused(t *testing.T) {
	for _, s := range documentedMetadata {
		addr := netip.MustParseAddr(s)
		full := netip.PrefixFrom(addr, addr.BitLen())
		wider := netip.PrefixFrom(addr, addr.BitLen()-1).Masked()
		all := netip.PrefixFrom(addr, 0).Masked()
		for _, tc := range []struct {
			networks []string
			refused  bool
		}{
			{nil, true},
			{[]string{"loopback", "private"}, true},
			{[]string{all.String()}, true},
			{[]string{wider.String()}, true},
			{[]string{netip.PrefixFrom(addr.Next(), addr.BitLen()).String(), "private"}, true},
			{[]string{full.String()}, false},
			{[]string{"private", all.String(), full.String()}, false},
		} {
			g := testGuard(t, tc.networks...)
			for path, call := range map[string]func(netip.Addr) error{"client": throughControl(g), "git": throughResolve(t, g)} {
				err := call(addr)
				if _, refused := errors.AsType[*RefusedError](err); refused != tc.refused || (err != nil) != tc.refused {
					t.Errorf("%s, %s with %v: %v, want refused %v", path, addr, tc.networks, err, tc.refused)
				}
			}
		}
		// The neighbour in the same network is nothing special.
		if err := throughControl(testGuard(t, wider.String()))(other(addr, wider)); err != nil {
			t.Errorf("beside %s: %v", addr, err)
		}
	}
}

// TestMetadataInDisguise: an address of version 4 in one of version 6, and one with a zone.
func TestMetadataInDisguise(t *testing.T) {
	g := testGuard(t, "private", "169.254.0.0/16", "fe80::/10", "::/0", "0.0.0.0/0")
	for _, s := range []string{"::ffff:168.63.129.16", "::ffff:169.254.169.254", "fd00:ec2::254%eth0", "fe80::a9fe:a9fe%eth0"} {
		addr := netip.MustParseAddr(s)
		for path, call := range map[string]func(netip.Addr) error{"client": throughControl(g), "git": throughResolve(t, g)} {
			if _, refused := errors.AsType[*RefusedError](call(addr)); !refused {
				t.Errorf("%s: %s is allowed", path, addr)
			}
		}
	}
}

// TestMetadataIsNotDialled goes through the whole client: an allowed network alone would let the call out.
func TestMetadataIsNotDialled(t *testing.T) {
	_, err := testGuard(t, "169.254.0.0/16").dialer(time.Second)(t.Context(), "tcp", "169.254.169.254:80")
	if _, refused := errors.AsType[*RefusedError](err); !refused {
		t.Errorf("got %v", err)
	}
}

func throughControl(g *guard) func(netip.Addr) error {
	return func(addr netip.Addr) error {
		network := "tcp4"
		if addr.Is6() {
			network = "tcp6"
		}
		return g.control(network, netip.AddrPortFrom(addr, 80).String(), nil)
	}
}

func throughResolve(t *testing.T, g *guard) func(netip.Addr) error {
	return func(addr netip.Addr) error {
		g.lookup = func(context.Context, string, string) ([]netip.Addr, error) { return []netip.Addr{addr}, nil }
		_, literal := g.resolve(t.Context(), addr.String())
		_, named := g.resolve(t.Context(), "meta.example")
		if (literal == nil) != (named == nil) {
			t.Errorf("%s by itself: %v, behind a name: %v", addr, literal, named)
		}
		return named
	}
}

// other returns the other address of a prefix that has two.
func other(addr netip.Addr, pair netip.Prefix) netip.Addr {
	if addr == pair.Addr() {
		return addr.Next()
	}
	return pair.Addr()
}
