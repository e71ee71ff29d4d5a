package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"tinyforge/db"
	"tinyforge/deploy"
)

func redirecting(host, to string) db.Route {
	return db.Route{WorkloadID: 1, Host: host, RedirectTo: to}
}

// A redirect host is secured first, with a certificate of its own, and then sent on to the host that is served.
func TestRedirectHostIsSecured(t *testing.T) {
	p := serve(t, Config{HTTPS: "127.0.0.1:0", InternalCA: true})
	must(t, p.Upsert(t.Context(), redirecting("a.test", "www.a.test"), deploy.Upstream{}))
	upsert(t, p, "www.a.test", echoName(t, "a"))
	_, port, _ := net.SplitHostPort(p.HTTPSAddr().String())
	res, _ := p.do(t, http.MethodGet, "a.test", "/x?y", nil)
	if to := res.Header.Get("Location"); res.StatusCode != http.StatusPermanentRedirect || to != "https://a.test:"+port+"/x?y" {
		t.Errorf("on HTTP: %d to %q", res.StatusCode, to)
	}
	client := p.tlsClient(t)
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := client.Get("https://a.test/x?y")
	must(t, err)
	must(t, res.Body.Close())
	if to := res.Header.Get("Location"); res.StatusCode != http.StatusMovedPermanently || to != "https://www.a.test:"+port+"/x?y" {
		t.Errorf("on HTTPS: %d to %q", res.StatusCode, to)
	}
	client.CheckRedirect = nil
	res, err = client.Get("https://a.test/x?y")
	must(t, err)
	body, err := io.ReadAll(res.Body)
	must(t, err)
	must(t, res.Body.Close())
	if res.StatusCode != http.StatusOK || string(body) != "a" || res.Request.URL.Host != "www.a.test:"+port {
		t.Errorf("followed: %d %q from %s", res.StatusCode, body, res.Request.URL)
	}
	if certs := certificates(t, p); len(certs) != 2 {
		t.Errorf("certificates for %q, want both hosts", certs)
	}
}

// All hosts of a workload may have certificates, whatever their options, and no other name.
func TestCertificatesForAllHosts(t *testing.T) {
	p := newTestProxy(t, Config{HTTPS: "127.0.0.1:0", ACME: ACME{CA: "https://ca.test/dir"}})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer ln.Close()
	p.https = ln
	w := db.Workload{ID: 1, Host: "www.example.com", Routing: db.Routing{
		Aliases: []string{"shop.example.com"}, Redirects: []string{"example.com"}, RouteOptions: guarded(t)}}
	for _, rt := range w.Routes() {
		must(t, p.Upsert(t.Context(), rt, deploy.Upstream{}))
	}
	m := &permission{part: part{proxy: p.Proxy}}
	for _, host := range w.Hosts() {
		must(t, m.CertificateAllowed(t.Context(), host))
	}
	must(t, p.Delete(t.Context(), w.Routes()[1]))
	for _, host := range []string{"shop.example.com", "example.org", "x.www.example.com"} {
		if m.CertificateAllowed(t.Context(), host) == nil {
			t.Errorf("%s may have a certificate", host)
		}
	}
}

// A name of the local machine has no certificate of a public CA: it is sent on to where it is served.
func TestRedirectToALocalName(t *testing.T) {
	p := serve(t, Config{HTTPS: "127.0.0.1:0"})
	must(t, p.Upsert(t.Context(), redirecting("app.localhost", "www.localhost"), deploy.Upstream{}))
	must(t, p.Upsert(t.Context(), redirecting("old.localhost", "www.example.com"), deploy.Upstream{}))
	_, plain, _ := net.SplitHostPort(p.HTTPAddr().String())
	_, secured, _ := net.SplitHostPort(p.HTTPSAddr().String())
	for host, want := range map[string]string{
		"app.localhost": "http://www.localhost:" + plain + "/", "old.localhost": "https://www.example.com:" + secured + "/",
	} {
		res, _ := p.do(t, http.MethodGet, host, "/", nil)
		if to := res.Header.Get("Location"); res.StatusCode != http.StatusMovedPermanently || to != want {
			t.Errorf("%s: %d to %q, want %q", host, res.StatusCode, to, want)
		}
	}
	if s := p.Stats(); s[0].Requests != 1 || s[0].InFlight != 0 || s[0].Failed != 0 {
		t.Errorf("stats %+v", s)
	}
}

// What a client writes in place of a path does not become a part of the host it is sent to.
func TestRedirectKeepsTheHost(t *testing.T) {
	p := serve(t, Config{})
	must(t, p.Upsert(t.Context(), redirecting("a.test", "www.a.test"), deploy.Upstream{}))
	_, port, _ := net.SplitHostPort(p.HTTPAddr().String())
	for line, want := range map[string]string{
		"GET //evil.test/":           "//evil.test/",
		"GET x:.evil.test/":          "/",
		"GET http://a.test/x?y":      "/x?y",
		"GET /\\evil.test":           "/%5Cevil.test",
		"GET /?next=http://evil.com": "/?next=http://evil.com",
	} {
		c, err := net.Dial("tcp", p.HTTPAddr().String())
		must(t, err)
		_, err = fmt.Fprintf(c, "%s HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n", line)
		must(t, err)
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		must(t, err)
		must(t, c.Close())
		if to := res.Header.Get("Location"); to != "http://www.a.test:"+port+want {
			t.Errorf("%s: %d to %q, want %q on www.a.test", line, res.StatusCode, to, want)
		}
	}
}

func TestPrefixBehindATrustedProxy(t *testing.T) {
	for name, test := range map[string]struct {
		cfg  Config
		want string
	}{
		"nobody":        {Config{}, "/%D1%8F"},
		"trusted proxy": {Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, "/outer/%D1%8F"},
	} {
		t.Run(name, func(t *testing.T) {
			p := serve(t, test.cfg)
			got := make(chan *http.Request, 1)
			rt := db.Route{WorkloadID: 1, Host: "a.test", RouteOptions: db.RouteOptions{Paths: []string{"/я"}, StripPrefix: true}}
			must(t, p.Upsert(t.Context(), rt, upstream(t, "a", func(_ http.ResponseWriter, r *http.Request) { got <- r })))
			p.do(t, http.MethodGet, "a.test", "/%D1%8F/b%2Fc?d", http.Header{"X-Forwarded-Prefix": {"/outer/"}, "Connection": {"X-Forwarded-Prefix"}})
			r := <-got
			if r.RequestURI != "/b%2Fc?d" {
				t.Errorf("the upstream got %s", r.RequestURI)
			}
			want(t, r.Header, map[string]string{"X-Forwarded-Prefix": test.want})
		})
	}
}

// A request goes by one set of options while they change all the time, and none fails.
func TestOptionsSwapUnderLoad(t *testing.T) {
	p := serve(t, Config{})
	up := upstream(t, "a", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.RequestURI+" "+r.Header.Get("X-Forwarded-Prefix"))
	})
	sets := []db.RouteOptions{{}, {Paths: []string{"/app"}, StripPrefix: true}, {Paths: []string{"/app/v2"}, StripPrefix: true}}
	rt := db.Route{WorkloadID: 1, Host: "a.test"}
	must(t, p.Upsert(t.Context(), rt, up))
	target := p.lookup("a.test").target.Load()
	stop, done := make(chan struct{}), make(chan map[string]int)
	for range 4 {
		go func() {
			seen := map[string]int{}
			defer func() { done <- seen }()
			for {
				select {
				case <-stop:
					return
				default:
				}
				status, body := p.get("a.test", "/app/v2/x")
				seen[fmt.Sprint(status, " ", body)]++
			}
		}()
	}
	for i := range 300 {
		rt.RouteOptions = sets[i%len(sets)]
		must(t, p.Upsert(t.Context(), rt, up))
		_, body := p.get("a.test", "/app/v2/x")
		if wants := []string{"/app/v2/x ", "/v2/x /app", "/x /app/v2"}[i%len(sets)]; body != wants {
			t.Errorf("after the upsert: %q, want %q", body, wants)
		}
	}
	close(stop)
	for range 4 {
		for got := range <-done {
			if got != "200 /app/v2/x " && got != "200 /v2/x /app" && got != "200 /x /app/v2" {
				t.Errorf("a request got %q", got)
			}
		}
	}
	if p.lookup("a.test").target.Load() != target {
		t.Error("the target was replaced")
	}
}

// The recovery upserts what is there already: nothing is remembered anew for that.
func TestSameOptionsAreKept(t *testing.T) {
	tb := newTable(0, 0)
	rt := db.Route{Host: "a.test", RouteOptions: guarded(t)}
	must(t, tb.Upsert(t.Context(), rt, up("a")))
	before := tb.lookup("a.test").options.Load()
	must(t, tb.Upsert(t.Context(), rt, up("b")))
	if tb.lookup("a.test").options.Load() != before {
		t.Error("the same options were replaced")
	}
	rt.BasicAuth[0].Username = "eve" // the caller's own
	if before.BasicAuth[0].Username != "ann" {
		t.Error("options change after the upsert")
	}
	rt.RouteOptions = db.RouteOptions{}
	must(t, tb.Upsert(t.Context(), rt, up("b")))
	if o := tb.lookup("a.test").options.Load(); o != nil {
		t.Errorf("left: %+v", o)
	}
}

// Tinyforge's own host has no options, whatever a workload had there.
func TestReservedHostHasNoOptions(t *testing.T) {
	p := serve(t, Config{})
	for _, rt := range []db.Route{redirecting("deploy.test", "b.test"), {Host: "deploy.test", RouteOptions: guarded(t)}} {
		must(t, p.Upsert(t.Context(), rt, deploy.Upstream{}))
		must(t, p.Reserve("deploy.test", echoName(t, "tinyforge")))
		if status, body := p.get("deploy.test", "/"); status != http.StatusOK || body != "tinyforge" {
			t.Errorf("got %d %q", status, body)
		}
		wantRefused(t, p.Upsert(t.Context(), rt, deploy.Upstream{}))
		must(t, p.Release("deploy.test"))
		must(t, p.Delete(t.Context(), rt))
	}
}

func TestUpsertRefusesOptionsThatMakeNoSense(t *testing.T) {
	tb := newTable(0, 0)
	rt := db.Route{Host: "a.test", RouteOptions: db.RouteOptions{Paths: []string{"app"}}}
	if err := tb.Upsert(t.Context(), rt, up("a")); err == nil || !strings.Contains(err.Error(), `"app" must begin with "/"`) || tb.lookup("a.test") != nil {
		t.Errorf("got %v", err)
	}
}
