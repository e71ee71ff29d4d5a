package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"path/filepath"
	"testing"

	"tinyforge/app/forgetest"
)

// TestSeveralSignAlike: two that are started at once on an empty database sign with one root, and what one has signed the other serves.
func TestSeveralSignAlike(t *testing.T) {
	t.Parallel()
	all := prepareSiblings(t, 2, "TINYFORGE_INTERNAL_CA=true")
	var secure []string
	for _, s := range all {
		address := freeAddresses(t, 1)[0]
		secure = append(secure, address)
		s.env = append(s.env, "TINYFORGE_PROXY_HTTPS="+address)
		s.begin()
	}
	for _, s := range all {
		s.ready()
	}
	a := all[0]
	forge, web := newForge(t, forgetest.Options{Kind: forgetest.GitHub}), unique("web")
	c := newClone(t, forge, "acme/site")
	a.apply(forge, manifestOf(web, "dockerfile", blueGreen))
	c.ends(c.release("one"), "success")
	root := func(s *service) string {
		return s.read(filepath.Join(s.dir, "data", "certificates", "pki", "authorities", "local", "root.crt"))
	}
	if root(all[0]) != root(all[1]) {
		t.Error("the roots differ")
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(root(a)))
	var serials []string
	for i := range all {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "tcp", secure[i])
			}}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+web+".test/", nil)
		a.must(err)
		response, err := transport.RoundTrip(request)
		if err != nil {
			t.Fatalf("proxy %d: %v", i, err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("proxy %d answers %s", i, response.Status)
		}
		serials = append(serials, response.TLS.PeerCertificates[0].SerialNumber.String())
	}
	if serials[0] != serials[1] {
		t.Errorf("the certificates are %q", serials)
	}
}
