package app

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// ParseNetworks turns the words of a forge row's Networks into the prefixes they stand for: "loopback", "private", or a
// prefix in CIDR notation. An address where a cloud keeps credentials is allowed by a prefix of full length only. All words
// that are neither are reported at once, with what is allowed.
func ParseNetworks(words []string) ([]netip.Prefix, error) {
	var (
		prefixes []netip.Prefix
		faults   []error
	)
	for _, word := range words {
		more, err := parseNetwork(word)
		prefixes = append(prefixes, more...)
		faults = append(faults, err)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return prefixes, nil
}

func parseNetwork(word string) ([]netip.Prefix, error) {
	switch strings.TrimSpace(word) {
	case "loopback":
		return loopbackPrefixes(), nil
	case "private":
		return privatePrefixes(), nil
	}
	prefix, err := netip.ParsePrefix(strings.TrimSpace(word))
	if err != nil || prefix.Addr().Is4In6() {
		return nil, fmt.Errorf(`unknown network %q: use "loopback", "private", or a prefix such as "10.0.0.0/8" or "fd00::/8"`, word)
	}
	return []netip.Prefix{prefix.Masked()}, nil
}

func loopbackPrefixes() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
}

func privatePrefixes() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"),
		netip.MustParsePrefix("172.16.0.0/12"),
		netip.MustParsePrefix("192.168.0.0/16"),
		netip.MustParsePrefix("fc00::/7"),
	}
}
