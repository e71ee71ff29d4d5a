package proxy

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"tinyforge/db"
)

// What a client says about who it is does not reach the upstream.
func TestForwardingHeadersAreReplaced(t *testing.T) {
	got := forwarded(t, Config{}, http.Header{
		"X-Forwarded-For":    {"6.6.6.6"},
		"X-Forwarded-Proto":  {"https"},
		"X-Forwarded-Host":   {"evil.test"},
		"X-Forwarded-Port":   {"666"},
		"X-Forwarded-Prefix": {"/evil"},
		"X-Real-Ip":          {"6.6.6.6"},
		"Forwarded":          {"for=6.6.6.6"},
		"True-Client-Ip":     {"6.6.6.6"},
		"Cf-Connecting-Ip":   {"6.6.6.6"},
		"Fastly-Client-Ip":   {"6.6.6.6"},
		"X-Forwarded":        {"for=6.6.6.6"},
		"X_Forwarded_For":    {"6.6.6.6"},
		"X_real_ip":          {"6.6.6.6"},
		"X-Mine":             {"kept"},
	})
	want(t, got, map[string]string{
		"X-Forwarded-For":    "127.0.0.1",
		"X-Forwarded-Proto":  "http",
		"X-Forwarded-Host":   "a.test",
		"X-Forwarded-Port":   "",
		"X-Forwarded-Prefix": "",
		"X-Real-Ip":          "127.0.0.1",
		"Forwarded":          "",
		"True-Client-Ip":     "",
		"Cf-Connecting-Ip":   "",
		"Fastly-Client-Ip":   "",
		"X-Forwarded":        "",
		"X_forwarded_for":    "",
		"X_real_ip":          "",
		"X-Mine":             "kept",
		"Host":               "a.test",
	})
}

func TestTrustedProxyIsBelieved(t *testing.T) {
	cfg := Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	got := forwarded(t, cfg, http.Header{"X-Forwarded-For": {"192.0.2.7"}, "X-Forwarded-Proto": {"https"}})
	want(t, got, map[string]string{
		"X-Forwarded-For":   "192.0.2.7, 127.0.0.1",
		"X-Forwarded-Proto": "https",
		"X-Real-Ip":         "192.0.2.7",
	})
}

func TestHopByHopHeadersStayHere(t *testing.T) {
	got := forwarded(t, Config{}, http.Header{
		"Connection":          {"X-Secret-Hop, keep-alive"},
		"X-Secret-Hop":        {"1"},
		"Keep-Alive":          {"timeout=5"},
		"Proxy-Authorization": {"Basic eDp5"},
		"Te":                  {"gzip"},
		"Accept-Encoding":     {"br"},
	})
	want(t, got, map[string]string{
		"Connection": "", "X-Secret-Hop": "", "Keep-Alive": "", "Proxy-Authorization": "", "Te": "", "Accept-Encoding": "br",
	})
}

// A client cannot have what we say of it removed by calling it hop-by-hop.
func TestConnectionDoesNotNameWhatWeSet(t *testing.T) {
	ours := "X-Real-Ip, x-forwarded-for,X-FORWARDED-PROTO , X-Forwarded-Host"
	t.Run("a client", func(t *testing.T) {
		got := forwarded(t, Config{}, http.Header{
			"Connection":   {ours, "close, X-Secret-Hop, x-real-ip"},
			"X-Secret-Hop": {"1"},
		})
		want(t, got, map[string]string{
			"X-Real-Ip":         "127.0.0.1",
			"X-Forwarded-For":   "127.0.0.1",
			"X-Forwarded-Proto": "http",
			"X-Forwarded-Host":  "a.test",
			"X-Secret-Hop":      "",
			"Connection":        "",
		})
	})
	t.Run("a client behind a trusted proxy", func(t *testing.T) {
		cfg := Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
		got := forwarded(t, cfg, http.Header{
			"Connection":        {ours},
			"X-Forwarded-For":   {"192.0.2.7"},
			"X-Forwarded-Proto": {"https"},
		})
		want(t, got, map[string]string{
			"X-Real-Ip":         "192.0.2.7",
			"X-Forwarded-For":   "192.0.2.7, 127.0.0.1",
			"X-Forwarded-Proto": "https",
		})
	})
}

// The proxy asks for no encoding that the client did not ask for, and uses no proxy of its own.
func TestTransportIsTransparent(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://"+unusedAddr(t))
	p := serve(t, Config{})
	got := make(chan http.Header, 1)
	up := upstream(t, "a", func(_ http.ResponseWriter, r *http.Request) { got <- r.Header })
	_, port, err := net.SplitHostPort(up.Addr)
	must(t, err)
	up.Addr = "0.0.0.0:" + port // reaches loopback, for which no proxy is ever used under its own name
	upsert(t, p, "a.test", up)
	if res, body := p.do(t, http.MethodGet, "a.test", "/", nil); res.StatusCode != http.StatusOK {
		t.Fatalf("got %d %q", res.StatusCode, body)
	}
	want(t, <-got, map[string]string{"Accept-Encoding": ""})
}

func TestBigBodiesPass(t *testing.T) {
	p := serve(t, Config{})
	answer := bytes.Repeat([]byte("0123456789"), 10_000)
	upsert(t, p, "a.test", upstream(t, "a", func(w http.ResponseWriter, r *http.Request) {
		sum := sha256.New()
		if _, err := io.Copy(sum, r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("X-Sum", hex.EncodeToString(sum.Sum(nil)))
		_, _ = w.Write(answer)
	}))
	upload := bytes.Repeat([]byte("tinyforge"), 4<<20)
	sum := sha256.Sum256(upload)
	for name, body := range map[string]io.Reader{
		"known length": bytes.NewReader(upload),
		"chunked":      io.MultiReader(bytes.NewReader(upload)),
	} {
		res, err := p.client.Post("http://a.test/", "application/octet-stream", body)
		must(t, err)
		got, err := io.ReadAll(res.Body)
		must(t, err)
		must(t, res.Body.Close())
		if !bytes.Equal(got, answer) || res.Header.Get("X-Sum") != hex.EncodeToString(sum[:]) {
			t.Errorf("%s: %d, %d bytes of %d, sum %s", name, res.StatusCode, len(got), len(answer), res.Header.Get("X-Sum"))
		}
	}
}

// A client that goes away ends its request at the upstream, and nobody is bothered with it.
func TestClientAborts(t *testing.T) {
	p := serve(t, Config{})
	ended := make(chan struct{}, 2)
	arrived := make(chan struct{}, 2)
	upsert(t, p, "a.test", upstream(t, "a", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/half" {
			_, _ = io.WriteString(w, "half of it")
			_ = http.NewResponseController(w).Flush()
		}
		arrived <- struct{}{}
		<-r.Context().Done()
		ended <- struct{}{}
	}))
	for _, path := range []string{"/nothing", "/half"} {
		c, err := net.Dial("tcp", p.HTTPAddr().String())
		must(t, err)
		_, err = io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: a.test\r\n\r\n")
		must(t, err)
		<-arrived
		must(t, c.Close())
		<-ended
	}
	waitFor(t, func() bool { return p.Stats()[0].InFlight == 0 })
	if s := p.Stats()[0]; s.Requests != 2 || s.Failed != 0 {
		t.Errorf("stats %+v", s)
	}
	if all, failed, ok := p.Counts(db.Route{Host: p.Stats()[0].Host}); all != 2 || failed != 0 || !ok {
		t.Errorf("counts %d, %d, %v", all, failed, ok)
	}
	if _, _, ok := p.Counts(db.Route{Host: "elsewhere.test"}); ok {
		t.Error("a host without a route is counted")
	}
	if out := p.logged.String(); out != "" {
		t.Errorf("logged %q", out)
	}
}

// An upstream that breaks off is not repeated: it has seen the request.
func TestBrokenAnswerIsNotRepeated(t *testing.T) {
	p := serve(t, Config{})
	var requests atomic.Int64
	upsert(t, p, "a.test", upstream(t, "a", func(http.ResponseWriter, *http.Request) {
		requests.Add(1)
		panic(http.ErrAbortHandler)
	}))
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		res, _ := p.do(t, method, "a.test", "/", nil)
		if res.StatusCode != http.StatusBadGateway {
			t.Errorf("%s: %d, want 502", method, res.StatusCode)
		}
	}
	if n := requests.Load(); n != 2 {
		t.Errorf("the upstream got %d requests, want 2", n)
	}
}

func TestOversizedHeadersAreRefused(t *testing.T) {
	p := serve(t, Config{})
	upsert(t, p, "a.test", echoName(t, "a"))
	for size, status := range map[int]int{20 << 10: http.StatusOK, 64 << 10: http.StatusRequestHeaderFieldsTooLarge} {
		res, _ := p.do(t, http.MethodGet, "a.test", "/", http.Header{"Cookie": {strings.Repeat("x", size)}})
		if res.StatusCode != status {
			t.Errorf("%d bytes: %d, want %d", size, res.StatusCode, status)
		}
	}
}

// forwarded returns the header fields that an upstream gets for a request with h, Host included.
func forwarded(t *testing.T, cfg Config, h http.Header) http.Header {
	t.Helper()
	p := serve(t, cfg)
	got := make(chan http.Header, 1)
	upsert(t, p, "a.test", upstream(t, "a", func(_ http.ResponseWriter, r *http.Request) {
		r.Header.Set("Host", r.Host)
		got <- r.Header
	}))
	if res, _ := p.do(t, http.MethodGet, "a.test", "/", h); res.StatusCode != http.StatusOK {
		t.Fatalf("got %d", res.StatusCode)
	}
	return <-got
}

func want(t *testing.T, got http.Header, fields map[string]string) {
	t.Helper()
	for name, value := range fields {
		if v := strings.Join(got.Values(name), ", "); v != value {
			t.Errorf("%s: %q, want %q", name, v, value)
		}
	}
}
