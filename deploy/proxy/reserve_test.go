package proxy

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"

	"tinyforge/db"
	"tinyforge/deploy"
)

const reservedText = "deploy.test is Tinyforge's own host (--public-url): give the workload another one"

func wantRefused(t *testing.T, err error) {
	t.Helper()
	if failure, ok := errors.AsType[*deploy.Failure](err); !ok || failure.Text != reservedText {
		t.Errorf("got %v, want %q", err, reservedText)
	}
}

func TestReservedHostIsNoWorkloads(t *testing.T) {
	p := serve(t, Config{})
	own := echoName(t, "tinyforge")
	must(t, p.Reserve("Deploy.test:443", own))
	for _, host := range []string{"deploy.test", "DEPLOY.test."} {
		rt := db.Route{WorkloadID: 7, Host: host}
		wantRefused(t, p.Upsert(t.Context(), rt, up("tf-site-1")))
		wantRefused(t, p.Upsert(t.Context(), rt, deploy.Upstream{}))
		wantRefused(t, p.Hold(t.Context(), rt))
		must(t, p.Drain(t.Context(), rt, up("tf-site-1")))
		must(t, p.Delete(t.Context(), rt))
		if got, err := p.Current(t.Context(), rt); err != nil || got != own {
			t.Errorf("current: %+v, %v", got, err)
		}
	}
	if status, body := p.get("deploy.test", "/"); status != http.StatusOK || body != "tinyforge" {
		t.Errorf("got %d %q", status, body)
	}
	if s := p.Stats(); len(s) != 1 || s[0].Host != "deploy.test" || s[0].Requests != 1 {
		t.Errorf("stats %+v", s)
	}
}

// What a workload had at the host before is replaced, even while its requests wait, and its requests in flight can end.
func TestReservingTakesOver(t *testing.T) {
	tb := newTable(0, 1)
	rt := db.Route{WorkloadID: 7, Host: "deploy.test"}
	must(t, tb.Upsert(t.Context(), rt, up("tf-site-1")))
	flying := tb.lookup("deploy.test").acquire()
	must(t, tb.Hold(t.Context(), rt))
	must(t, tb.Reserve("deploy.test", up("tinyforge")))
	wantRefused(t, tb.Upsert(t.Context(), rt, up("tf-site-1")))
	if got := tb.lookup("deploy.test").acquire(); got.held() || got.up != up("tinyforge") {
		t.Errorf("leads to %+v", got.up)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := tb.Drain(ctx, rt, up("tf-site-1")); !errors.Is(err, context.Canceled) {
		t.Errorf("drain with a request in flight: %v", err)
	}
	flying.release()
	must(t, tb.Drain(ctx, rt, up("tf-site-1")))

	moved := deploy.Upstream{Name: "tinyforge", Addr: "127.0.0.1:2", Port: 2}
	must(t, tb.Reserve("deploy.test", moved))
	if got, err := tb.Current(t.Context(), rt); err != nil || got != moved {
		t.Errorf("after reserving again: %+v, %v", got, err)
	}
}

// A host that is Tinyforge's own no more leads there until a workload takes it.
func TestReleasedHostMayBeTaken(t *testing.T) {
	tb := newTable(0, 1)
	rt := db.Route{WorkloadID: 7, Host: "deploy.test"}
	must(t, tb.Release("deploy.test"))
	must(t, tb.Reserve("Deploy.test", up("tinyforge")))
	if hosts, err := tb.Reserved(); err != nil || !slices.Equal(hosts, []string{"deploy.test"}) {
		t.Errorf("reserved are %q, %v", hosts, err)
	}
	must(t, tb.Release("deploy.TEST"))
	if hosts, err := tb.Reserved(); err != nil || len(hosts) > 0 {
		t.Errorf("reserved are %q, %v", hosts, err)
	}
	if got, err := tb.Current(t.Context(), rt); err != nil || got != up("tinyforge") {
		t.Errorf("a released host leads to %+v, %v", got, err)
	}
	must(t, tb.Upsert(t.Context(), rt, up("tf-site-1")))
	if got, err := tb.Current(t.Context(), rt); err != nil || got != up("tf-site-1") {
		t.Errorf("taken, it leads to %+v, %v", got, err)
	}
	must(t, tb.Delete(t.Context(), rt))
}

func TestReserveRefusesWhatItCannotServe(t *testing.T) {
	tb := newTable(0, 1)
	for name, c := range map[string]struct {
		host string
		up   deploy.Upstream
	}{
		"no host":     {"", up("tinyforge")},
		"no upstream": {"deploy.test", deploy.Upstream{}},
		"no port":     {"deploy.test", deploy.Upstream{Name: "tinyforge", Addr: "127.0.0.1"}},
	} {
		if tb.Reserve(c.host, c.up) == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if s := tb.Stats(); len(s) != 0 {
		t.Errorf("stats %+v", s)
	}
}

// A URL's host has no brackets, a Host header has.
func TestReservedAddress(t *testing.T) {
	tb := newTable(0, 1)
	for host, header := range map[string]string{"::1": "[::1]:8080", "127.0.0.1": "127.0.0.1:8080"} {
		must(t, tb.Reserve(host, up("tinyforge")))
		if tb.lookup(hostKey(header)) == nil {
			t.Errorf("%s is not found under %s", host, header)
		}
	}
}

func TestReservedHostGetsItsCertificate(t *testing.T) {
	p := serve(t, Config{HTTPS: "127.0.0.1:0", InternalCA: true})
	must(t, p.Reserve("deploy.test", echoName(t, "tinyforge")))
	if res := p.getTLS(t, "deploy.test", "/"); res.StatusCode != http.StatusOK {
		t.Errorf("got %d", res.StatusCode)
	}
	if certs := certificates(t, p); len(certs) != 1 || certs[0] != "deploy.test" {
		t.Errorf("certificates for %q, want deploy.test only", certs)
	}
}
