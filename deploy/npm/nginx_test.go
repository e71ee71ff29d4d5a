package npm_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/deploytest"
	"tinyforge/deploy/npm"
)

// realNginx is an nginx of this machine, on loopback, with a folder of its own.
type realNginx struct {
	t    *testing.T
	dir  string
	addr string
}

func newRealNginx(t *testing.T) *realNginx {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer ln.Close()
	listens, err := ln.(*net.TCPListener).File()
	must(t, err)
	defer listens.Close()
	n := &realNginx{t: t, dir: t.TempDir(), addr: ln.Addr().String()}
	must(t, os.Mkdir(filepath.Join(n.dir, "hosts"), 0o700))
	must(t, os.WriteFile(filepath.Join(n.dir, "nginx.conf"), []byte(strings.NewReplacer("DIR", n.dir, "ADDR", n.addr).Replace(`
daemon off;
worker_processes 2;
pid DIR/nginx.pid;
error_log DIR/error.log warn;
events { worker_connections 512; }
http {
  access_log off;
  client_body_temp_path DIR/body; proxy_temp_path DIR/proxy; fastcgi_temp_path DIR/fastcgi; uwsgi_temp_path DIR/uwsgi; scgi_temp_path DIR/scgi;
  include DIR/hosts/*.conf;
  server { listen ADDR default_server; location / { return 200 "the default page"; } }
}
`)), 0o600))
	cmd := n.command()
	cmd.ExtraFiles = []*os.File{listens} // an address that is only looked up may be another's before nginx has it
	cmd.Env = append(os.Environ(), "NGINX=3;")
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	})
	raw, err := ln.(*net.TCPListener).SyscallConn()
	must(t, err)
	must(t, raw.Control(func(fd uintptr) { err = syscall.SetNonblock(int(fd), true) })) // nginx takes it for granted, and Start undoes it
	must(t, err)
	must(t, ln.Close())
	must(t, listens.Close())
	if status, text := get(n.addr, host, "/"); status != http.StatusOK { // waits until its workers accept
		t.Fatalf("nginx answers %d %s: %s", status, text, n.errors())
	}
	return n
}

func (n *realNginx) command(args ...string) *exec.Cmd {
	return exec.Command("nginx", append([]string{"-p", n.dir, "-c", filepath.Join(n.dir, "nginx.conf"), "-e", filepath.Join(n.dir, "error.log")}, args...)...)
}

func (n *realNginx) errors() string {
	text, _ := os.ReadFile(filepath.Join(n.dir, "error.log"))
	return string(text)
}

func (n *realNginx) run(args ...string) error {
	if out, err := n.command(args...).CombinedOutput(); err != nil {
		return errors.New(string(out))
	}
	return nil
}

func (n *realNginx) file(name string) string {
	return filepath.Join(n.dir, "hosts", strings.ReplaceAll(name, "/", "-"))
}

func (n *realNginx) Write(name, text string) {
	if err := os.WriteFile(n.file(name), []byte(text), 0o600); err != nil {
		n.t.Error(err)
	}
}

func (n *realNginx) Remove(name string) { _ = os.Remove(n.file(name)) }
func (n *realNginx) Test() error        { return n.run("-t") }
func (n *realNginx) Reload() error      { return n.run("-s", "reload") }
func (n *realNginx) Listen() string     { return n.addr }

// realWorld is a Router before a real nginx.
func realWorld(t *testing.T) (*npm.Router, *deploytest.NPM, *realNginx) {
	t.Helper()
	nginx := newRealNginx(t)
	manager := deploytest.NewNPM(t, nginx)
	r, err := npm.New(npm.Config{
		URL: manager.URL, Identity: manager.Identity, Password: manager.Password, Proxy: nginx.addr, Forward: npm.ByAddress,
		Instance: "abcdefgh", Key: []byte("0123456789abcdef"), Grace: 10 * time.Millisecond,
		Settle: time.Minute, // how fast nginx is, is not what these tests are about
	}, quiet(t))
	must(t, err)
	return r, manager, nginx
}

// TestS15_RealNginx: what the fake nginx believes of nginx is so. A missing nginx fails it: scripts/setup installs one.
func TestS15_RealNginx(t *testing.T) {
	t.Parallel()
	deploytest.ExerciseRouter(t, func(t *testing.T) deploytest.RouterFixture {
		r, _, nginx := realWorld(t)
		return deploytest.RouterFixture{Router: r, Blind: true, Absent: http.StatusOK, Get: func(host, path string) (int, string) {
			return get(nginx.addr, host, path)
		}}
	})
}

// TestS15_RealNginxProbesThroughAll: an access list, forced TLS, custom locations and a release that answers 500 do not
// keep the probes from their answer, and no visitor gets one.
func TestS15_RealNginxProbesThroughAll(t *testing.T) {
	t.Parallel()
	r, manager, nginx := realWorld(t)
	rt := db.Route{WorkloadID: 1, Host: host}
	up := newApp(t, "tf-shy-1", http.StatusInternalServerError)
	must(t, r.Upsert(t.Context(), rt, up))
	must(t, manager.Change(host, map[string]any{
		"access_list_id": 1, "certificate_id": 1, "ssl_forced": true,
		"locations": []any{map[string]any{"path": "/.well-known/", "forward_scheme": "http", "forward_host": "127.0.0.1", "forward_port": 9}},
	}))
	green := newApp(t, "tf-shy-2", http.StatusInternalServerError)
	must(t, r.Upsert(t.Context(), rt, green))
	if got, err := r.Current(t.Context(), rt); err != nil || got != green {
		t.Errorf("current is %+v, %v", got, err)
	}
	if status, _ := get(nginx.addr, host, "/.well-known/x"); status == http.StatusOK {
		t.Errorf("a visitor gets %d", status)
	}
	for _, path := range []string{"/", "/.tinyforge", "/.well-known/acme-challenge/test-challenge"} {
		for _, secret := range []string{"", "guess"} {
			req, err := http.NewRequest(http.MethodGet, "http://"+nginx.addr+path, nil)
			must(t, err)
			req.Host = host
			req.Header.Set("X-Tinyforge-Probe", secret)
			res, err := http.DefaultTransport.RoundTrip(req)
			must(t, err)
			_ = res.Body.Close()
			if res.Header.Get("X-Tinyforge-Upstream") != "" {
				t.Errorf("GET %s with the secret %q tells where the host leads to", path, secret)
			}
		}
	}
}

// newApp is a release that answers its name.
func newApp(t *testing.T, name string, status int) deploy.Upstream {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(name, "tf-shy-") && r.Header.Get("X-Tinyforge-Probe") != "" {
			t.Error("the release sees the secret")
		}
		w.Header().Set("X-Tinyforge-Upstream", "http://elsewhere:1 0.000") // it must not be believed
		w.WriteHeader(status)
		fmt.Fprint(w, name)
	})}
	go func() { _ = server.Serve(ln) }()
	t.Cleanup(func() { _ = server.Close() })
	return deploy.Upstream{Name: name, Addr: ln.Addr().String(), Port: 8080}
}
