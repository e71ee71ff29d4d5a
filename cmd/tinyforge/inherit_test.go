package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/proxy"
)

// TestRestartOfAProxyThatInheritsItsSocket: who connects between two processes waits for the next one, as under systemd with
// a socket unit: no request fails, however often the proxy is started anew.
func TestRestartOfAProxyThatInheritsItsSocket(t *testing.T) {
	dir, err := os.MkdirTemp("", "tf")
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	defer listener.Close()
	file, err := listener.(*net.TCPListener).File()
	check(err)
	defer file.Close()
	exe, err := os.Executable()
	check(err)
	socket := filepath.Join(dir, "proxy.sock")
	start := func() *process {
		// A shell, since the process has to be told its own id.
		cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, exe, "proxy", "--data", dir, "--proxy-https", "off", "--log-level", "warn")
		cmd.ExtraFiles = []*os.File{file}
		cmd.Env = append(os.Environ(), asProcess+"=1", "LISTEN_FDS=1", "LISTEN_FDNAMES=http")
		return runProcess(t, cmd)
	}
	p := start()
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "here") }))
	t.Cleanup(site.Close)
	await(t, "it takes orders", func() bool { _, err := os.Stat(socket); return err == nil })
	client := proxy.NewClient(socket)
	check(client.Upsert(t.Context(), db.Route{Host: "a.test"}, deploy.Upstream{Name: "site", Addr: site.Listener.Addr().String()}))
	fresh := visitor{10 * time.Millisecond, true, http.MethodGet, "/"}
	visitors := startLoad(t, "http://"+listener.Addr().String(), "a.test", fresh, fresh, fresh)
	for range 4 {
		state, err := client.State(t.Context())
		check(err)
		await(t, "some more visitors came", func() func() bool {
			visitors.mu.Lock()
			defer visitors.mu.Unlock()
			so := visitors.sent
			return func() bool { visitors.mu.Lock(); defer visitors.mu.Unlock(); return visitors.sent > so+5 }
		}())
		p.terminate(20 * time.Second)
		p = start()
		await(t, "the next one takes orders", func() bool {
			next, err := client.State(t.Context())
			return err == nil && next.ID != state.ID
		})
	}
	visitors.stop()
	p.terminate(20 * time.Second)
}
