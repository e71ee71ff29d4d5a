package npm

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"tinyforge/deploy"
)

// target is where a proxy host forwards to.
type target struct {
	Scheme string `json:"scheme"`
	Host   string `json:"host"`
	Port   int    `json:"port"`
}

// nobody is the target of a route without a release: our snippet answers 503 for it. The name can never resolve.
var nobody = target{Scheme: "http", Host: "no-release.tinyforge.invalid", Port: 1}

// same tells whether nginx goes to the same place: it asks for names in lower case.
func (t target) same(o target) bool {
	return t.Scheme == o.Scheme && strings.EqualFold(t.Host, o.Host) && t.Port == o.Port
}

func (t target) isNobody() bool { return t.same(nobody) }

// said is how the snippet tells of it.
func (t target) said() string { return t.Scheme + "://" + t.address() }

func (t target) address() string { return t.Host + ":" + strconv.Itoa(t.Port) }

func (t target) fields() fields {
	return fields{"forward_scheme": t.Scheme, "forward_host": t.Host, "forward_port": t.Port}
}

// parseSaid is the reverse of said.
func parseSaid(text string) (target, bool) {
	scheme, address, found := strings.Cut(text, "://")
	i := strings.LastIndexByte(address, ':')
	if !found || i <= 0 {
		return target{}, false
	}
	port, err := strconv.Atoi(address[i+1:])
	return target{Scheme: scheme, Host: address[:i], Port: port}, err == nil
}

// names is what may be a container's name. Nginx Proxy Manager checks nothing of it, and a quote would break its nginx.
var names = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9])?$`)

// targetOf returns where a proxy host has to forward to for an upstream.
func (f Forward) targetOf(up deploy.Upstream) (target, error) {
	if up == (deploy.Upstream{}) {
		return nobody, nil
	}
	t := target{Scheme: "http", Host: up.Name, Port: up.Port}
	if f == ByAddress {
		host, port, err := net.SplitHostPort(up.Addr)
		if err != nil {
			return target{}, fmt.Errorf("upstream %s: %q is not host:port", up.Name, up.Addr)
		}
		t.Host = host
		if t.Port, err = strconv.Atoi(port); err != nil {
			return target{}, fmt.Errorf("upstream %s: %q is not host:port", up.Name, up.Addr)
		}
	}
	if ip, err := netip.ParseAddr(t.Host); err == nil && ip.Is6() && ip.Zone() == "" {
		t.Host = "[" + ip.String() + "]"
	} else if !names.MatchString(t.Host) {
		return target{}, fmt.Errorf("upstream %s: %q is neither a name nor an address", up.Name, t.Host)
	}
	if t.Port < 1 || t.Port > 65535 {
		return target{}, fmt.Errorf("upstream %s: %d is no port", up.Name, t.Port)
	}
	return t, nil
}

// upstreamOf is the reverse of targetOf, as far as a target tells.
func (f Forward) upstreamOf(t target) deploy.Upstream {
	switch {
	case t.isNobody():
		return deploy.Upstream{}
	case f == ByAddress:
		return deploy.Upstream{Addr: t.address(), Port: t.Port}
	}
	return deploy.Upstream{Name: strings.ToLower(t.Host), Port: t.Port}
}

// respelled is the same target, spelled so that its probes tell it from was: the first letter changes its case, in which
// nginx is not interested.
func (t target) respelled(was target) target {
	if t.Host != was.Host {
		return t
	}
	for i, c := range t.Host {
		letter := string(c)
		switch {
		case c >= 'a' && c <= 'z':
			t.Host = t.Host[:i] + strings.ToUpper(letter) + t.Host[i+1:]
			return t
		case c >= 'A' && c <= 'Z':
			t.Host = t.Host[:i] + strings.ToLower(letter) + t.Host[i+1:]
			return t
		}
	}
	return t
}
