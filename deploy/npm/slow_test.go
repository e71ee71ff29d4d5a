package npm_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tinyforge/deploy"
	"tinyforge/deploy/npm"
)

// slowFront leads to nginx until that has said a few times, after a change, that it cannot connect. Then it keeps a probe waiting.
func slowFront(t *testing.T, w *world) (address string) {
	t.Helper()
	behind := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: w.nginx.Addr})
	var refused atomic.Int32
	behind.ModifyResponse = func(res *http.Response) error {
		said := res.Header.Get("X-Tinyforge-Upstream")
		if strings.Contains(said, "//Tf-web-1:") && strings.HasSuffix(said, " -") { // spelled anew by the change; instead of how long it took
			refused.Add(1)
		}
		return nil
	}
	front := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if refused.Load() >= 3 {
			<-r.Context().Done()
			return
		}
		behind.ServeHTTP(rw, r)
	}))
	t.Cleanup(front.Close)
	return strings.TrimPrefix(front.URL, "http://")
}

// TestS15_CutProbeSaysNothing: where the time is over in the midst of a probe, what those before it saw is told.
func TestS15_CutProbeSaysNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	up := w.live("tf-web-1")
	moved := deploy.Upstream{Name: up.Name, Addr: deadAddress, Port: up.Port}
	w.nginx.Name(moved.Name, moved.Addr)
	w.nginx.Start() // nginx remembers names
	slow := w.again(func(c *npm.Config) { c.Proxy, c.Settle = slowFront(t, w), 5*time.Second })
	fails(t, slow.Upsert(t.Context(), web, moved), "cannot connect")
}
