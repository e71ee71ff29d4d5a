package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/registry"

	"tinyforge/app/forgetest"
	"tinyforge/db"
)

// newForgeWithRegistry puts a registry, which wants the forge's token, at the forge's own address.
func newForgeWithRegistry(t *testing.T, forge *forgetest.Server) (address string, images *imageRegistry) {
	t.Helper()
	target, err := url.Parse(forge.URL())
	if err != nil {
		t.Fatal(err)
	}
	token := forge.Row("forge").Credentials.Token
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	mux := http.NewServeMux()
	mux.Handle("/", httputil.NewSingleHostReverseProxy(target))
	mux.HandleFunc("/v2/", func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != token {
			w.Header().Set("WWW-Authenticate", `Basic realm="forge"`)
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	auth := authn.FromConfig(authn.AuthConfig{Username: "ci", Password: token})
	return server.URL, imagesAt(t, strings.TrimPrefix(server.URL, "http://"), auth)
}

// announce delivers what Gitea tells the webhook of an organisation about a new image.
func (s *service) announce(forge *forgetest.Server, id, name, tag string) (answer string) {
	s.Helper()
	body := fmt.Appendf(nil, `{"action":"created","repository":null,"package":{"type":"container","name":%q,"version":%q,"owner":{"login":"acme"}}}`, name, tag)
	mac := hmac.New(sha256.New, []byte(forge.Row("").Credentials.WebhookSecret))
	mac.Write(body)
	request, err := http.NewRequestWithContext(s.Context(), http.MethodPost, s.hook(), bytes.NewReader(body))
	s.must(err)
	request.Header = http.Header{
		"X-Gitea-Event": {"package"}, "X-Gitea-Delivery": {id}, "X-Gitea-Signature": {hex.EncodeToString(mac.Sum(nil))},
		"Content-Type": {"application/json"},
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	s.must(err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	s.must(err)
	return fmt.Sprint(response.StatusCode, " ", string(text))
}

// TestPackageRedeploysAnImage: what continuous integration pushes to the forge's own registry, again and again under one
// tag, goes live without a push and without an account in the config, and without a failed request.
func TestPackageRedeploysAnImage(t *testing.T) {
	t.Parallel()
	forge := newForge(t, forgetest.Options{Kind: forgetest.Gitea})
	address, images := newForgeWithRegistry(t, forge)
	s := newService(t)
	c, web := newClone(t, forge, "acme/site"), unique("web")
	s.applyAt(forge, address, manifestOf(web, "image", "{image: '"+images.host+"/acme/site', healthcheck: {path: /up, interval: 200ms}}"))

	if answer := s.announce(forge, "early", "site", "latest"); !strings.Contains(answer, "was never deployed, and this names no commit") {
		t.Errorf("before the first push: %s", answer)
	}
	images.publish("acme/site:latest", "VERSION=one")
	commit := c.push("version", "one")
	c.ends(commit, "success", "Live in ")
	s.serves(web, "one")

	visitors := newLoad(t, s.site, web+".test")
	images.publish("acme/site:latest", "VERSION=two")
	if answer := s.announce(forge, "other", "site", "nightly"); !strings.Contains(answer, "no workload runs it") {
		t.Errorf("another tag: %s", answer)
	}
	for n, want := range []db.Phase{db.PhaseLive, db.PhaseSkipped} { // told twice
		if answer := s.announce(forge, fmt.Sprint("new ", n), "site", "latest"); !strings.HasPrefix(answer, "202 ") {
			t.Fatalf("a new image: %s", answer)
		}
		s.await("the new image is dealt with", func() bool {
			all := s.deployments(web)
			return len(all) == n+2 && all[0].Phase.Final()
		})
		if d := s.deployments(web)[0]; d.Phase != want || d.Commit != commit || d.Cause != db.CausePackage || d.Strategy != db.BlueGreen {
			t.Errorf("deployment %d is %+v", n, d)
		}
	}
	visitors.stop()
	s.serves(web, "two")
	s.await("the commit's status is success once more", func() bool { return c.last(commit).State == "success" })
}
