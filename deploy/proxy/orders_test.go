package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"tinyforge/db"
	"tinyforge/deploy"
)

// TestOrdersEndWithTheirClient: what was asked of a proxy that did not answer in time, by who has given up or was killed, is not
// done later. It could undo what was ordered after it.
func TestOrdersEndWithTheirClient(t *testing.T) {
	p := newTestProxy(t, Config{})
	path := socketPath(t)
	a, err := p.ListenAdmin(t.Context(), path)
	must(t, err)
	const orders = 20
	for i := range orders { // nobody serves yet
		body := fmt.Sprintf(`{"Route":{"Host":"%d.test"},"Upstream":{"Name":"old","Addr":"127.0.0.1:1"}}`, i)
		conn, err := new(net.Dialer).DialContext(t.Context(), "unix", path)
		must(t, err)
		_, err = fmt.Fprintf(conn, "POST /upsert HTTP/1.1\r\nHost: proxy\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		must(t, errors.Join(err, conn.Close()))
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	c := NewClient(path)
	must(t, c.Upsert(t.Context(), db.Route{Host: "new.test"}, up("tf-web-2")))
	applied := func() (n int) {
		for i := range orders {
			if _, err := p.Current(t.Context(), db.Route{Host: fmt.Sprintf("%d.test", i)}); !errors.Is(err, deploy.ErrNoRoute) {
				n++
			}
		}
		return n
	}
	waitFor(t, func() bool { return strings.Count(p.logged.String(), "gave up")+applied() == orders })
	if n := applied(); n > 0 {
		t.Errorf("%d orders are carried out of which nobody waits for the end", n)
	}
	if got, err := p.Current(t.Context(), db.Route{Host: "new.test"}); err != nil || got != up("tf-web-2") {
		t.Errorf("the order of who waits: %+v, %v", got, err)
	}
	cancel()
	must(t, <-done)
}
