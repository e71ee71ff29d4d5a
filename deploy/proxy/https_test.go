package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestHTTPS(t *testing.T) {
	p := serve(t, Config{HTTPS: "127.0.0.1:0", InternalCA: true})
	seen := make(chan http.Header, 1)
	upsert(t, p, "a.test", upstream(t, "a", func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header
		_, _ = io.WriteString(w, "a")
	}))

	res := p.getTLS(t, "a.test", "/")
	if res.StatusCode != http.StatusOK || res.ProtoMajor != 2 {
		t.Errorf("got %d by %s, want 200 by HTTP/2", res.StatusCode, res.Proto)
	}
	if proto := (<-seen).Get("X-Forwarded-Proto"); proto != "https" {
		t.Errorf("X-Forwarded-Proto %q", proto)
	}
	if _, err := p.tlsClient(t).Get("https://unknown.test/"); err == nil || !strings.Contains(err.Error(), "tls: ") {
		t.Errorf("a host that is not in the table: %v, want a TLS alert", err)
	}
	if certs := certificates(t, p); len(certs) != 1 || certs[0] != "a.test" {
		t.Errorf("certificates for %q, want a.test only", certs)
	}
}

// A certificate comes with the route: no restart, no reload.
func TestHTTPSForALaterRoute(t *testing.T) {
	p := serve(t, Config{HTTPS: "127.0.0.1:0", InternalCA: true})
	if _, err := p.tlsClient(t).Get("https://a.test/"); err == nil {
		t.Fatal("answered before the route was there")
	}
	upsert(t, p, "a.test", echoName(t, "a"))
	if res := p.getTLS(t, "a.test", "/"); res.StatusCode != http.StatusOK {
		t.Errorf("got %d", res.StatusCode)
	}
}

func TestHTTPIsRedirected(t *testing.T) {
	p := serve(t, Config{HTTPS: "127.0.0.1:0", InternalCA: true})
	upsert(t, p, "a.test", echoName(t, "a"))
	res, _ := p.do(t, http.MethodPost, "A.test", "/path?q=1", nil)
	_, port, _ := net.SplitHostPort(p.HTTPSAddr().String())
	want := "https://a.test:" + port + "/path?q=1"
	if got := res.Header.Get("Location"); res.StatusCode != http.StatusPermanentRedirect || got != want {
		t.Errorf("got %d to %q, want 308 to %q", res.StatusCode, got, want)
	}
	if res, _ := p.do(t, http.MethodGet, "unknown.test", "/", nil); res.StatusCode != http.StatusNotFound {
		t.Errorf("unknown host: %d", res.StatusCode)
	}
}

// No public CA signs for names of the local machine, so they are not sent to HTTPS.
func TestLocalNamesStayOnHTTPWithAPublicCA(t *testing.T) {
	p := serve(t, Config{HTTPS: "127.0.0.1:0"})
	upsert(t, p, "app.localhost", echoName(t, "local"))
	upsert(t, p, "www.example.com", echoName(t, "public"))
	if status, body := p.get("app.localhost", "/"); status != http.StatusOK || body != "local" {
		t.Errorf("app.localhost: %d %q", status, body)
	}
	if status, _ := p.get("www.example.com", "/"); status != http.StatusPermanentRedirect {
		t.Errorf("www.example.com: %d", status)
	}
	if _, err := p.tlsClient(t).Get("https://app.localhost/"); err == nil {
		t.Error("app.localhost was answered on HTTPS")
	}
}

func (p *testProxy) getTLS(t *testing.T, host, path string) *http.Response {
	t.Helper()
	res, err := p.tlsClient(t).Get("https://" + host + path)
	must(t, err)
	_, err = io.Copy(io.Discard, res.Body)
	must(t, err)
	must(t, res.Body.Close())
	return res
}

// tlsClient trusts the proxy's own root, where there is one.
func (p *testProxy) tlsClient(t *testing.T) *http.Client {
	t.Helper()
	roots := x509.NewCertPool()
	if pem, err := os.ReadFile(filepath.Join(p.cfg.DataDir, "pki", "authorities", "local", "root.crt")); err == nil {
		roots.AppendCertsFromPEM(pem)
	}
	transport := &http.Transport{
		ForceAttemptHTTP2: true,
		TLSClientConfig:   &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", p.HTTPSAddr().String())
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func certificates(t *testing.T, p *testProxy) (hosts []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(p.cfg.DataDir, "certificates", "*", "*", "*.crt"))
	must(t, err)
	for _, f := range files {
		hosts = append(hosts, strings.TrimSuffix(filepath.Base(f), ".crt"))
	}
	return hosts
}
