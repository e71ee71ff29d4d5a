package compose

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strings"
	"testing"
)

// TestStuckContainer: a Docker that was ended has left something of a container that keeps it from ever starting again. It is
// made anew, and the other service is not.
func TestStuckContainer(t *testing.T) {
	h := newHost(t)
	r := h.from(1, two("one"))
	h.start(r)
	must(t, h.rt.Stop(t.Context(), r.ID))
	before := h.ids()
	docker := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", "docker" },
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return h.rt.docker.Dialer()(ctx)
		}},
		FlushInterval: -1,
	}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/containers/"+before["web"]+"/start") {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprintf(w, `{"message":"failed to start shim: mkdir /run/containerd/io.containerd.runtime.v2.task/moby/%s: file exists: unknown"}`, before["web"])
			return
		}
		docker.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	cfg := h.rt.cfg
	cfg.Host = "tcp://" + front.Listener.Addr().String()
	through, err := New(cfg, h.inner)
	must(t, err)
	in, err := through.Start(t.Context(), r)
	must(t, err)
	if got := h.get(in.Upstream, "/"); got != "one" {
		t.Errorf("it answers %q", got)
	}
	if after := h.ids(); len(after) != 2 || after["web"] == before["web"] || after["db"] != before["db"] {
		t.Errorf("the containers were %v and are %v", before, after)
	}
}
