package settings

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
)

// TestAddressOfAVisitor: each proxy that is trusted is believed for the one before it, and nobody else is.
func TestAddressOfAVisitor(t *testing.T) {
	npm := []netip.Prefix{netip.MustParsePrefix("172.18.0.0/16"), netip.MustParsePrefix("10.0.0.9/32")}
	for _, c := range []struct {
		trusted []netip.Prefix
		peer    string
		way     []string // lines of X-Forwarded-For
		want    string
	}{
		{nil, "203.0.113.7:99", []string{"192.0.2.1"}, "203.0.113.7"},
		{nil, "127.0.0.1:99", nil, "127.0.0.1"},
		{nil, "127.0.0.1:99", []string{"192.0.2.66, 203.0.113.7"}, "203.0.113.7"},
		{nil, "[::1]:99", []string{"192.0.2.66", "2001:db8::1"}, "2001:db8::1"},
		{nil, "[::ffff:127.0.0.1]:99", []string{"::ffff:203.0.113.7"}, "203.0.113.7"},
		{nil, "172.18.0.2:99", []string{"203.0.113.7"}, "172.18.0.2"},
		{npm, "172.18.0.2:99", []string{"203.0.113.7"}, "203.0.113.7"},
		{npm, "172.18.0.2:99", []string{"192.0.2.66, 203.0.113.7, 10.0.0.9"}, "203.0.113.7"},
		{npm, "172.18.0.2:99", []string{"192.0.2.66", "203.0.113.7", "10.0.0.9"}, "203.0.113.7"},
		{npm, "172.18.0.2:99", []string{"10.0.0.9"}, "10.0.0.9"},
		{npm, "172.18.0.2:99", []string{"203.0.113.7, unknown"}, "172.18.0.2"},
		{npm, "127.0.0.1:99", []string{"203.0.113.7"}, "127.0.0.1"},
		{npm, "pipe", nil, "pipe"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr, r.Header = c.peer, http.Header{"X-Forwarded-For": c.way}
		v := &visit{Settings: New(Config{TrustedProxies: c.trusted}), r: r}
		if got := v.address(); got != c.want {
			t.Errorf("from %s by %q: %s, want %s", c.peer, c.way, got, c.want)
		}
	}
}

// TestCookiesOverHTTPS: a proxy that is trusted says what the browser speaks, and so does the public address.
func TestCookiesOverHTTPS(t *testing.T) {
	for _, c := range []struct {
		peer, proto, host, public string
		secure                    bool
	}{
		{"127.0.0.1:99", "", "deploy.example.com", "", false},
		{"127.0.0.1:99", "https", "deploy.example.com", "", true},
		{"172.18.0.2:99", "https", "deploy.example.com", "", false},
		{"172.18.0.2:99", "", "Deploy.example.com", "https://deploy.example.com", true},
		{"172.18.0.2:99", "", "deploy.example.com:8443", "https://deploy.example.com:8443", true},
		{"127.0.0.1:99", "", "127.0.0.1:4040", "https://deploy.example.com", false},
		{"172.18.0.2:99", "", "deploy.example.com", "http://deploy.example.com", false},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr, r.Host = c.peer, c.host
		r.Header.Set("X-Forwarded-Proto", c.proto)
		v := &visit{Settings: New(Config{}), r: r, Chosen: Chosen{PublicURL: c.public}}
		if v.secure() != c.secure {
			t.Errorf("%+v: %v", c, v.secure())
		}
	}
}
