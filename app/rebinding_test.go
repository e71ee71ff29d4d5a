package app

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// TestDNSThatChanges: a name leads to an allowed address when it is looked at, and elsewhere afterwards. The call goes where
// the guard looked, or nowhere.
func TestDNSThatChanges(t *testing.T) {
	var reached atomic.Int32
	elsewhere := serveAt(t, "127.0.0.2:0", func(net.Conn, http.ConnState) { reached.Add(1) })
	_, port, _ := net.SplitHostPort(host(elsewhere))
	var asked atomic.Int32
	good := serveAt(t, "127.0.0.1:"+port, func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			asked.Add(1)
		}
	})
	url := "http://forge.tinyforge.invalid:" + port

	t.Run("client", func(t *testing.T) {
		names := newNames(t, "127.0.0.1", "127.0.0.2")
		client := newClient(names.guard("127.0.0.1/32"), timeouts{})
		t.Cleanup(client.CloseIdleConnections)
		if _, err := get(t, client, url); err != nil {
			t.Fatal(err)
		}
		client.CloseIdleConnections() // or the connection that is there would be taken again
		_, err := get(t, client, url)
		if refused, ok := errors.AsType[*RefusedError](err); !ok || refused.Addr.String() != "127.0.0.2" || refused.Host != "forge.tinyforge.invalid" {
			t.Errorf("after the change: %v", err)
		}
	})
	t.Run("git", func(t *testing.T) {
		names := newNames(t, "127.0.0.1", "127.0.0.2")
		git := testGit(t)
		git.guard = names.guard("127.0.0.1/32")
		_, err := git.Heads(t.Context(), Remote{URL: url + "/a/b.git"})
		if status, ok := errors.AsType[*StatusError](err); !ok || status.Code != http.StatusNotFound {
			t.Errorf("where the guard looked: %v", err)
		}
		_, err = git.Heads(t.Context(), Remote{URL: url + "/a/b.git"})
		if _, ok := errors.AsType[*RefusedError](err); !ok {
			t.Errorf("after the change: %v", err)
		}
	})
	t.Run("both at once", func(t *testing.T) {
		names := newNames(t, "127.0.0.2 127.0.0.1")
		git := testGit(t)
		git.guard = names.guard("127.0.0.1/32")
		if _, err := git.Heads(t.Context(), Remote{URL: url + "/a/b.git"}); err == nil {
			t.Error("git: no error")
		}
		client := newClient(names.guard("127.0.0.1/32"), timeouts{})
		t.Cleanup(client.CloseIdleConnections)
		_, _ = get(t, client, url) // which of the two is tried first is DNS's choice
	})
	if asked.Load() == 0 || host(good) == host(elsewhere) {
		t.Error("the allowed server was not reached: nothing was tested")
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("the other server was reached %d times", n)
	}
}

// TestNamesInDisguise: spellings that a C library, a browser or a URL parser takes for an address or another host.
func TestNamesInDisguise(t *testing.T) {
	var reached atomic.Int32
	s := serveAt(t, "127.0.0.1:0", func(net.Conn, http.ConnState) { reached.Add(1) })
	_, port, _ := net.SplitHostPort(host(s))
	names := newNames(t, "")
	client := newClient(names.guard(), timeouts{})
	t.Cleanup(client.CloseIdleConnections)
	for _, spelling := range []string{
		"127.0.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001", "127.1", "127.0.1", "0", "0.0.0.0", "127.0.0.1.", "localhost",
		"localhost.", "LOCALHOST", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]", "[::127.0.0.1]", "[64:ff9b::127.0.0.1]",
		"[2002:7f00:1::]", "user@127.0.0.1", "140.82.121.4@127.0.0.1", "user:pass@localhost", "%31%32%37.0.0.1", "①②⑦.⓪.⓪.①", "127。0。0。1", "ｌｏｃａｌｈｏｓｔ",
		"127.0.0.1%00.example", "localhost%2eexample", "[::1%25lo]", "127.0.0.1:80@localhost",
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+spelling+":"+port+"/", nil)
		if err != nil {
			continue
		}
		resp, err := client.Do(r)
		if err == nil {
			resp.Body.Close()
			t.Errorf("%s is answered %d", spelling, resp.StatusCode)
		}
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("%d connections were made", n)
	}
}

// names is a DNS server that answers every name of tinyforge.invalid with the next of its answers, and the last from then on.
type names struct {
	*testing.T
	addr string

	mu      sync.Mutex
	answers []string // each addresses with spaces between
}

func newNames(t *testing.T, answers ...string) *names {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	n := &names{T: t, addr: conn.LocalAddr().String(), answers: answers}
	go n.serve(conn)
	return n
}

func (n *names) guard(networks ...string) *guard {
	g := testGuard(n.T, networks...)
	g.resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", n.addr)
	}}
	g.lookup = g.resolver.LookupNetIP
	return g
}

func (n *names) serve(conn net.PacketConn) {
	buffer := make([]byte, 1500)
	for {
		size, from, err := conn.ReadFrom(buffer)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(buffer[:size]) != nil || len(m.Questions) != 1 {
			continue
		}
		q := m.Questions[0]
		m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
		if strings.HasSuffix(q.Name.String(), "tinyforge.invalid.") {
			if q.Type == dnsmessage.TypeA {
				m.Answers = n.next(q)
			}
		} else {
			m.RCode = dnsmessage.RCodeNameError
		}
		packed, err := m.Pack()
		if err != nil {
			n.Errorf("pack answer: %v", err)
			return
		}
		_, _ = conn.WriteTo(packed, from)
	}
}

func (n *names) next(q dnsmessage.Question) (list []dnsmessage.Resource) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for word := range strings.FieldsSeq(n.answers[0]) {
		list = append(list, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
			Body:   &dnsmessage.AResource{A: netip.MustParseAddr(word).As4()},
		})
	}
	if len(n.answers) > 1 {
		n.answers = n.answers[1:]
	}
	return list
}
