package app

import "net/netip"

// embedded returns the addresses of version 4 that one of version 6 leads to where a gateway translates or tunnels: whoever
// may not call 127.0.0.1 may not call 64:ff9b::7f00:1 either. It is nil for all others.
func embedded(addr netip.Addr) []netip.Addr {
	if !addr.Is6() || addr.Is4In6() {
		return nil
	}
	b := addr.As16()
	v4 := func(at int) netip.Addr { return netip.AddrFrom4([4]byte(b[at : at+4])) }
	in := func(prefix string) bool { return netip.MustParsePrefix(prefix).Contains(addr.WithZone("")) }
	switch {
	case in("64:ff9b::/96"), // NAT64, RFC 6052
		in("::/96") && addr.WithZone("") != netip.IPv6Unspecified() && addr.WithZone("") != netip.IPv6Loopback(), // RFC 4291, 2.5.5.1
		in("::ffff:0:0:0/96"): // SIIT, RFC 2765
		return []netip.Addr{v4(12)}
	case in("64:ff9b:1::/48"): // local NAT64, RFC 8215
		if b[13]|b[14]|b[15] == 0 {
			return []netip.Addr{netip.IPv4Unspecified()} // of another length than 96: where the address stands cannot be told
		}
		return []netip.Addr{v4(12)}
	case in("2002::/16"): // 6to4, RFC 3056
		return []netip.Addr{v4(2)}
	case in("2001::/32"): // Teredo, RFC 4380: the server, and the client with each bit turned
		return []netip.Addr{v4(4), netip.AddrFrom4([4]byte{^b[12], ^b[13], ^b[14], ^b[15]})}
	case b[8]&^3 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe: // ISATAP, RFC 5214
		return []netip.Addr{v4(12)}
	}
	return nil
}
