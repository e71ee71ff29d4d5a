package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tinyforge/app/forgetest"
	"tinyforge/db"
)

// TestFirstStart: nothing is configured but where.
func TestFirstStart(t *testing.T) {
	t.Parallel()
	s := newService(t)
	data := filepath.Join(s.dir, "data")
	for name, mode := range map[string]os.FileMode{".": 0o700 | os.ModeDir, "key": 0o600, "tinyforge.db": 0o600, "lock": 0o600, "checkouts": 0o700 | os.ModeDir} {
		info, err := os.Stat(filepath.Join(data, name))
		if err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, error %v, want %v", name, info, err, mode)
		}
	}
	var ready map[string]string
	code, body := s.get(s.control+"/readyz", "")
	if err := json.Unmarshal([]byte(body), &ready); err != nil || code != http.StatusOK || ready["database"]+ready["docker"]+ready["proxy"] != "okokok" {
		t.Errorf("/readyz answers %d %s", code, body)
	}
	for path, want := range map[string]int{
		"/healthz": 200, "/metrics": 200, "/deployments/1": 303, "/deployments/x": 303, "/": 303, "/webhooks/forge": 405,
	} {
		if code, body := s.get(s.control+path, ""); code != want {
			t.Errorf("GET %s: %d %s, want %d", path, code, body, want)
		}
	}
	if code, body := s.get(s.site+"/", "unknown.test"); code != http.StatusNotFound {
		t.Errorf("an unknown host is answered %d %s", code, body)
	}

	other := prepareService(t, "TINYFORGE_DATA="+data)
	second := startProcess(t, other.env, "serve")
	err := second.wait(10 * time.Second)
	if want := "another tinyforge serves from " + data + ": stop it, or give this one a folder of its own with --data"; err == nil || !strings.Contains(second.log.String(), want) {
		t.Errorf("a second process ended with %v\n%s", err, second.log.String())
	}
	if code, _ := s.get(s.control+"/healthz", ""); code != http.StatusOK {
		t.Error("it ended the first")
	}

	key, err := os.ReadFile(filepath.Join(data, "key"))
	s.must(err)
	s.secrets = append(s.secrets, strings.TrimSpace(string(key)))
	s.process.terminate(5 * time.Second)
	s.start()
	if again, err := os.ReadFile(filepath.Join(data, "key")); err != nil || string(again) != string(key) {
		t.Error("the second start changed the key")
	}
	s.process.terminate(5 * time.Second)

	s.must(os.Chmod(filepath.Join(data, "key"), 0o644))
	s.refusesToServe("can be read by other users: chmod 600 " + filepath.Join(data, "key"))
	s.must(os.Remove(filepath.Join(data, "key")))
	s.refusesToServe("key is missing, and the database opens with it alone: put it back")
	stranger, err := db.NewKeyring()
	s.must(err)
	s.must(os.WriteFile(filepath.Join(data, "key"), []byte(stranger.Text()), 0o600))
	s.refusesToServe("put back the key that belongs to this database")
}

// refusesToServe demands that a process ends at once with these words.
func (s *service) refusesToServe(words string) {
	s.Helper()
	p := startProcess(s.T, s.env, "serve")
	if err := p.wait(30 * time.Second); err == nil || !strings.Contains(p.log.String(), words) {
		s.Errorf("it ended with %v, want %q\n%s", err, words, p.log.String())
	}
	s.inspect(p.log.String())
}

// TestAddressTaken: a process that cannot listen says so in one sentence, which names the option, and ends before it does
// anything.
func TestAddressTaken(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	taken := listener.Addr().String()
	for _, option := range []string{"listen", "listen-public", "proxy-http", "proxy-https"} {
		s := prepareService(t, envName(option)+"="+taken)
		p := startProcess(t, s.env, "serve")
		want := fmt.Sprintf("tinyforge: %s is in use: stop what listens there, or choose another address with --%s\n", taken, option)
		if err := p.wait(30 * time.Second); err == nil || !strings.HasSuffix(p.log.String(), want) {
			t.Errorf("--%s: it ended with %v\n%s", option, err, p.log.String())
		}
		if strings.Contains(p.log.String(), "tinyforge starts") || strings.Contains(p.log.String(), `"level":"ERROR"`) {
			t.Errorf("--%s: it did something first:\n%s", option, p.log.String())
		}
	}
}

// TestTerminate: a deployment in the middle is handed to the next process; nothing of it is undone. A request that is being
// served gets its answer.
func TestTerminate(t *testing.T) {
	t.Parallel()
	s, forge, web := newService(t), newForge(t, forgetest.Options{Kind: forgetest.GitHub}), unique("web")
	c := newClone(t, forge, "acme/site")
	s.apply(forge, manifestOf(web, "dockerfile", "{deploy_strategy: blue-green, healthcheck: {path: /up, attempts: 100}}"))
	c.ends(c.release("one"), "success")
	s.serves(web, "one")
	commit := c.release("two", "UP_AFTER=3s")
	s.reaches(web, commit, db.PhaseGating)
	answer := make(chan string, 1)
	go func() {
		code, body := s.get(s.site+"/slow?ms=1000", web+".test")
		answer <- fmt.Sprint(code, " ", strings.TrimSpace(body))
	}()
	s.await("the request is being served", func() bool {
		_, page := s.get(s.control+"/metrics", "")
		return strings.Contains(page, `tinyforge_proxy_in_flight{host="`+web+`.test"} 1`)
	})

	s.process.terminate(15 * time.Second)
	if got := <-answer; got != "200 one" {
		t.Errorf("the request was answered %s", got)
	}
	if d := s.deployments(web)[0]; d.Phase != db.PhaseGating || d.LeaseOwner != "" || d.Attempt != 0 {
		t.Errorf("the deployment is left as %+v", d)
	}
	left := s.releases(web)
	if len(left) != 2 || left[0].State != "running" || left[1].State != "running" {
		t.Errorf("the containers are %+v", left)
	}
	s.start()
	c.ends(commit, "success")
	s.serves(web, "two")
	if again := s.releases(web)[0]; again.ID != left[0].ID && again.ID != left[1].ID {
		t.Errorf("%+v is none of %+v", again, left)
	}
}

// TestInternalCA: sites and the control plane are served over TLS with certificates of our own.
func TestInternalCA(t *testing.T) {
	t.Parallel()
	secure := freeAddresses(t, 1)[0]
	s := newService(t, "TINYFORGE_PROXY_HTTPS="+secure, "TINYFORGE_INTERNAL_CA=true", "TINYFORGE_PUBLIC_URL=https://forge.test")
	forge, web := newForge(t, forgetest.Options{Kind: forgetest.GitHub}), unique("web")
	c := newClone(t, forge, "acme/site")
	s.apply(forge, manifestOf(web, "dockerfile", blueGreen))
	forge.SetAppWebhook(s.hook())
	status := c.ends(c.release("one"), "success")
	if !strings.HasPrefix(status.TargetURL, "https://forge.test/deployments/") {
		t.Errorf("the status links to %s", status.TargetURL)
	}

	pem, err := os.ReadFile(filepath.Join(s.dir, "data", "certificates", "pki", "authorities", "local", "root.crt"))
	s.must(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	transport := &http.Transport{
		ForceAttemptHTTP2: true,
		TLSClientConfig:   &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", secure)
		},
	}
	defer transport.CloseIdleConnections()
	for url, want := range map[string]int{"https://" + web + ".test/up": 200, "https://forge.test/healthz": 200, status.TargetURL: 303} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		s.must(err)
		response, err := transport.RoundTrip(request)
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		_ = response.Body.Close()
		if response.StatusCode != want || response.ProtoMajor != 2 {
			t.Errorf("%s: %s by %s, want %d", url, response.Status, response.Proto, want)
		}
	}
	for _, private := range []string{"/metrics", "/readyz"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://forge.test"+private, nil)
		s.must(err)
		if response, err := transport.RoundTrip(request); err != nil || response.StatusCode != http.StatusNotFound {
			t.Errorf("everybody sees %s: %v, %v", private, response, err)
		}
	}
	if code, _ := s.get(s.site+"/", web+".test"); code != http.StatusPermanentRedirect {
		t.Errorf("over HTTP it is answered %d", code)
	}
}
