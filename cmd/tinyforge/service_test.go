package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
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

// service is a Tinyforge with a data folder and addresses of its own, and a database that is read from here. Its processes
// come and go; all that they leave in Docker is removed at the end.
type service struct {
	*testing.T
	dir           string
	env           []string
	within        []string // a command by way of which processes start
	networks      string   // in which the forge is
	control, site string   // URLs
	network       string
	store         *db.DB
	instance      string
	process       *process
	secrets       []string // must never be printed
}

// newService starts one with default options and those in env.
func newService(t *testing.T, env ...string) *service {
	t.Helper()
	s := prepareService(t, env...)
	s.start()
	return s
}

// prepareService is newService without a process.
func prepareService(t *testing.T, env ...string) *service {
	t.Helper()
	addresses := freeAddresses(t, 2)
	s := &service{
		T: t, dir: t.TempDir(), control: "http://" + addresses[0], site: "http://" + addresses[1], network: unique("tinyforge-test"),
		networks: "loopback",
	}
	s.env = append([]string{
		"TINYFORGE_DATA=" + filepath.Join(s.dir, "data"),
		"TINYFORGE_LISTEN=" + addresses[0],
		"TINYFORGE_PUBLIC_URL=" + s.control,
		"TINYFORGE_PROXY_HTTP=" + addresses[1],
		"TINYFORGE_PROXY_HTTPS=off",
		"TINYFORGE_DOCKER_NETWORK=" + s.network,
		"TINYFORGE_LIVENESS=1s",
		"TINYFORGE_LOG_LEVEL=debug",
	}, env...)
	t.Cleanup(s.clean)
	return s
}

// start starts a process and waits until it is ready.
func (s *service) start() {
	s.Helper()
	s.begin()
	s.ready()
}

// begin is start without waiting.
func (s *service) begin() {
	s.Helper()
	var p *process
	s.Cleanup(func() { // after its end
		s.inspect(p.log.String())
		if s.Failed() {
			s.Logf("the log:\n%s", p.log.String())
		}
	})
	p = startWithin(s.T, s.within, s.env, "serve")
	s.process = p
}

// ready waits until the process that was begun is ready.
func (s *service) ready() {
	s.Helper()
	p := s.process
	s.await("the process is ready", func() bool {
		select {
		case <-p.ended:
			s.Fatalf("it ended: %v\n%s", p.err, p.log.String())
		default:
		}
		code, _ := s.get(s.control+"/readyz", "")
		return code == http.StatusOK
	})
	if s.store == nil {
		s.open()
	}
}

// open opens the process's database a second time.
func (s *service) open() {
	s.Helper()
	c, _, err := readConfig("serve", nil, s.env, io.Discard)
	s.must(err)
	s.store, err = openStore(s.Context(), c)
	s.must(err)
	s.Cleanup(func() { _ = s.store.Close() })
	s.instance, err = s.store.InstanceID(s.Context())
	s.must(err)
}

// inspect finds what no process may print.
func (s *service) inspect(log string) {
	for _, bad := range append([]string{"DATA RACE", "panic:", "goroutine 1 ["}, s.secrets...) {
		if strings.Contains(log, bad) {
			s.Errorf("the log has %q in it:\n%s", bad, log)
		}
	}
}

// clean ends the process and removes all that is ours from Docker.
func (s *service) clean() {
	if s.process != nil {
		s.process.kill()
	}
	if s.instance != "" {
		newDockerAPI(s.T).sweep(s.instance)
		return
	}
	newDockerAPI(s.T).call(http.MethodDelete, "/networks/"+s.network, nil) // of one that did not get far
}

// apply makes forge, under the name "forge", and these workloads known. GitHub's app is told where to send deliveries.
func (s *service) apply(forge *forgetest.Server, workloads string) {
	s.Helper()
	s.applyAt(forge, forge.URL(), workloads)
}

// applyAt is apply for a forge that is reached at another address than its own.
func (s *service) applyAt(forge *forgetest.Server, url, workloads string) {
	s.Helper()
	row := forge.Row("forge")
	row.URL = url
	s.secrets = append(s.secrets, row.Credentials.WebhookSecret)
	s.write("secret", row.Credentials.WebhookSecret)
	kind := fmt.Sprintf("token: file:%s", s.write("token", row.Credentials.Token))
	if row.Kind == "github" {
		kind = fmt.Sprintf("api_url: %s\n    app_id: %d\n    private_key: file:%s", row.APIURL, row.AppID, s.write("key", row.Credentials.PrivateKey))
		s.secrets = append(s.secrets, row.Credentials.PrivateKey[40:80])
		forge.SetAppWebhook(s.hook())
	} else {
		s.secrets = append(s.secrets, row.Credentials.Token)
	}
	if signing := row.Credentials.SigningToken; signing != "" {
		s.secrets = append(s.secrets, signing[10:])
		kind += fmt.Sprintf("\n    signing_token: file:%s", s.write("signing", signing))
	}
	file := s.write("tinyforge.yml", fmt.Sprintf(`
forges:
  - name: forge
    kind: %s
    url: %s
    %s
    webhook_secret: file:secret
    networks: [%s]
workloads:
%s`, row.Kind, row.URL, kind, s.networks, workloads))
	var out bytes.Buffer
	if err := run(s.Context(), []string{"apply", file}, s.env, &out, &out); err != nil {
		s.Fatalf("apply: %v\n%s", err, out.String())
	}
	s.inspect(out.String())
}

// hook is where the forge delivers.
func (s *service) hook() string { return s.control + "/webhooks/forge" }

func (s *service) write(name, text string) (file string) {
	s.Helper()
	file = filepath.Join(s.dir, name)
	s.must(os.WriteFile(file, []byte(text), 0o600))
	return file
}

// get returns code and body of an answer; code is 0 when there was none. host is "" for that of the URL.
func (s *service) get(url, host string) (code int, body string) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), 40*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	s.must(err)
	request.Host = host
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(text)
}

// await polls a foreign process.
func (s *service) await(what string, done func() bool) {
	s.Helper()
	await(s.T, what, done)
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline, tick := time.After(time.Minute), time.NewTicker(25*time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain until %s", what)
		case <-tick.C:
		}
	}
}

func (s *service) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// unique makes a name that nobody else on this machine uses.
func unique(name string) string { return name + "-" + strings.ToLower(rand.Text()[:8]) }

// freeAddresses returns loopback addresses on which nobody listens at the moment.
func freeAddresses(t *testing.T, n int) (addresses []string) {
	t.Helper()
	var errs []error
	for range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { errs = append(errs, listener.Close()) }()
		addresses = append(addresses, listener.Addr().String())
	}
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	return addresses
}
