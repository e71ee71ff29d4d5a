package app

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"
)

func testGuard(t *testing.T, networks ...string) *guard {
	t.Helper()
	g, err := newGuard(networks)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestGuardAddresses(t *testing.T) {
	for _, tc := range []struct {
		addr     string
		networks []string
		refused  bool
	}{
		{"140.82.121.4:443", nil, false},
		{"140.82.121.4:3000", nil, false},
		{"[2606:50c0:8000::64]:443", nil, false},
		{"127.0.0.1:80", nil, true},
		{"127.0.0.1:80", []string{"loopback"}, false},
		{"127.8.9.10:80", []string{"loopback"}, false},
		{"[::1]:80", nil, true},
		{"[::1]:80", []string{"loopback"}, false},
		{"10.0.0.5:443", nil, true},
		{"10.0.0.5:443", []string{"loopback"}, true},
		{"10.0.0.5:443", []string{"private"}, false},
		{"172.31.0.1:443", []string{"private"}, false},
		{"172.32.0.1:443", nil, false},
		{"192.168.1.1:443", nil, true},
		{"192.168.1.1:443", []string{"192.168.1.0/24"}, false},
		{"192.168.2.1:443", []string{"192.168.1.0/24"}, true},
		{"[fd12::1]:443", nil, true},
		{"[fd12::1]:443", []string{"private"}, false},
		{"169.254.169.254:80", nil, true},
		{"169.254.169.254:80", []string{"private", "loopback"}, true},
		{"[fe80::1]:80", []string{"private"}, true},
		{"[fd00:ec2::254]:80", nil, true},
		{"100.64.0.1:80", nil, true},
		{"0.0.0.0:80", nil, true},
		{"[::]:80", nil, true},
		{"224.0.0.1:80", nil, true},
		{"[::ffff:10.0.0.5]:443", nil, true},
		{"[::ffff:127.0.0.1]:443", nil, true},
		{"[::ffff:169.254.169.254]:80", []string{"private", "loopback"}, true},
		{"[64:ff9b::7f00:1]:80", nil, true},
		{"[::ffff:10.0.0.5]:443", []string{"::/0"}, true},
		{"[64:ff9b::8c52:7904]:443", nil, true},
		{"[64:ff9b::8c52:7904]:443", []string{"64:ff9b::/96"}, false},
		{"[64:ff9b::7f00:1]:80", []string{"64:ff9b::/96"}, true},
		{"[64:ff9b::7f00:1]:80", []string{"64:ff9b::/96", "loopback"}, false},
		{"[64:ff9b::7f00:1]:80", []string{"64:ff9b::7f00:1/128"}, false},
		{"[64:ff9b::a9fe:a9fe]:80", []string{"64:ff9b::/96", "private", "loopback", "0.0.0.0/0"}, true},
		{"[64:ff9b:1::10.0.0.5]:80", []string{"64:ff9b:1::/48"}, true},
		{"[64:ff9b:1::140.82.121.4]:80", []string{"64:ff9b:1::/48"}, false},
		{"[64:ff9b:1:7f00:0:100::]:80", []string{"64:ff9b:1::/48"}, true},
		{"[2002:7f00:1::]:80", nil, true},
		{"[2002:7f00:1::]:80", []string{"2002::/16"}, true},
		{"[2002:8c52:7904::1]:80", []string{"2002::/16"}, false},
		{"[2001:0:8c52:7904::f5ff:fffa]:80", []string{"2001::/32"}, true}, // Teredo of 10.0.0.5
		{"[2001:0:a00:5::73ad:86fb]:80", []string{"2001::/32"}, true},     // through a server at 10.0.0.5
		{"[2001:0:8c52:7904::73ad:86fb]:80", []string{"2001::/32"}, false},
		{"[::10.0.0.5]:80", []string{"::/0"}, true},
		{"[::ffff:0:10.0.0.5]:80", []string{"::/0"}, true},
		{"[2606:50c0::5efe:10.0.0.5]:80", nil, true}, // ISATAP
		{"[2606:50c0::200:5efe:140.82.121.4]:80", nil, false},
	} {
		network := "tcp4"
		if netip.MustParseAddrPort(tc.addr).Addr().Is6() {
			network = "tcp6"
		}
		err := testGuard(t, tc.networks...).control(network, tc.addr, nil)
		if _, refused := errors.AsType[*RefusedError](err); refused != tc.refused || (err != nil) != tc.refused {
			t.Errorf("%s with %v: %v, want refused %v", tc.addr, tc.networks, err, tc.refused)
		}
	}
}

func TestGuardResolve(t *testing.T) {
	for _, tc := range []struct {
		host     string
		answers  []string
		networks []string
		want     string // "" means refused
	}{
		{"forge.example", []string{"140.82.121.4"}, nil, "140.82.121.4"},
		{"forge.example", []string{"::ffff:140.82.121.4"}, nil, "140.82.121.4"},
		{"forge.example", []string{"10.0.0.5"}, nil, ""},
		{"forge.example", []string{"::ffff:10.0.0.5"}, nil, ""},
		{"forge.example", []string{"10.0.0.5", "140.82.121.4"}, nil, "140.82.121.4"},
		{"forge.example", []string{"10.0.0.5"}, []string{"private"}, "10.0.0.5"},
		{"forge.example", []string{"64:ff9b::a00:5"}, []string{"64:ff9b::/96"}, ""},
		{"forge.example", []string{"64:ff9b::a00:5", "64:ff9b::8c52:7904"}, []string{"64:ff9b::/96"}, "64:ff9b::8c52:7904"},
		{"2002:a00:5::", nil, []string{"::/0"}, ""},
		{"127.0.0.1", nil, nil, ""},
		{"::ffff:127.0.0.1", nil, nil, ""},
		{"::1", nil, []string{"loopback"}, "::1"},
	} {
		g := testGuard(t, tc.networks...)
		g.lookup = func(context.Context, string, string) ([]netip.Addr, error) {
			var addrs []netip.Addr
			for _, a := range tc.answers {
				addrs = append(addrs, netip.MustParseAddr(a))
			}
			return addrs, nil
		}
		got, err := g.resolve(t.Context(), tc.host)
		if tc.want == "" {
			if _, ok := errors.AsType[*RefusedError](err); !ok {
				t.Errorf("%s %v: %v, %v, want a refusal", tc.host, tc.answers, got, err)
			}
			continue
		}
		if err != nil || len(got) != 1 || got[0].String() != tc.want {
			t.Errorf("%s %v: %v, %v, want %s", tc.host, tc.answers, got, err, tc.want)
		}
	}
}

func TestGuardResolveOfNoAddress(t *testing.T) {
	g := testGuard(t)
	g.lookup = func(context.Context, string, string) ([]netip.Addr, error) { return nil, nil }
	_, err := g.resolve(t.Context(), "forge.example")
	if dns, ok := errors.AsType[*net.DNSError](err); !ok || !dns.IsNotFound {
		t.Errorf("got %v", err)
	}
}

func TestRefusedErrorSaysWhatToDo(t *testing.T) {
	for _, tc := range []struct{ host, addr, want string }{
		{"forge.example", "10.0.0.5", "forge.example resolves to 10.0.0.5, which is not a public address; allow it with networks: [private]"},
		{"localhost", "127.0.0.1", "localhost resolves to 127.0.0.1, which is not a public address; allow it with networks: [loopback]"},
		{"::1", "::1", "::1 is not a public address; allow it with networks: [loopback]"},
		{"vpn.example", "100.64.3.4", `vpn.example resolves to 100.64.3.4, which is not a public address; allow it with networks: ["100.64.3.4/32"]`},
		{"meta.example", "169.254.169.254", "meta.example resolves to 169.254.169.254, which is where clouds keep credentials"},
		{"", "168.63.129.16", "168.63.129.16 is where clouds keep credentials"},
		{"fd00:ec2::254", "fd00:ec2::254", "fd00:ec2::254 is where clouds keep credentials"},
		{"near.example", "169.254.1.1", "near.example resolves to 169.254.1.1, which is not a public address"},
	} {
		if got := (&RefusedError{Host: tc.host, Addr: netip.MustParseAddr(tc.addr)}).Error(); got != tc.want {
			t.Errorf("got  %s\nwant %s", got, tc.want)
		}
	}
}

func TestDialerNamesTheHost(t *testing.T) {
	_, err := testGuard(t).dialer(time.Second)(t.Context(), "tcp", "localhost:80")
	if refused, ok := errors.AsType[*RefusedError](err); !ok || refused.Host != "localhost" || !refused.Addr.IsLoopback() {
		t.Errorf("got %v", err)
	}
}
