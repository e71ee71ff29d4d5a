package npm_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"testing"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/deploytest"
	"tinyforge/deploy/npm"
)

func TestMain(m *testing.M) { os.Exit(deploytest.RunMany(m)) }

const host = "www.example.com"

// deadAddress is one on which nobody listens: no port of those that are given out.
const deadAddress = "127.0.0.1:9"

// world is a Nginx Proxy Manager, its nginx, and a Router of ours before it.
type world struct {
	t     *testing.T
	nginx *deploytest.FakeNginx
	npm   *deploytest.NPM
	*npm.Router
}

func newWorld(t *testing.T, change func(*npm.Config)) *world {
	t.Helper()
	w := &world{t: t, nginx: deploytest.NewFakeNginx(t)}
	w.npm = deploytest.NewNPM(t, w.nginx)
	w.Router = w.again(change)
	return w
}

// again makes the router of another process.
func (w *world) again(change func(*npm.Config), log ...*slog.Logger) *npm.Router {
	w.t.Helper()
	cfg := npm.Config{
		URL: w.npm.URL, Identity: w.npm.Identity, Password: w.npm.Password, Proxy: w.nginx.Addr,
		Instance: "abcdefgh", Key: []byte("0123456789abcdef"), Grace: 10 * time.Millisecond, Settle: time.Minute,
	}
	if change != nil {
		change(&cfg)
	}
	r, err := npm.New(cfg, append(log, quiet(w.t))[0])
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// Upsert names the release before it routes to it, as Docker does.
func (w *world) Upsert(ctx context.Context, rt db.Route, up deploy.Upstream) error {
	if up.Name != "" {
		w.nginx.Name(up.Name, up.Addr)
	}
	return w.Router.Upsert(ctx, rt, up)
}

func (w *world) get(host, path string) (int, string) { return get(w.nginx.Addr, host, path) }

func get(address, host, path string) (int, string) {
	req, err := http.NewRequest(http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return 0, err.Error()
	}
	req.Host = host
	req.Close = true // nginx may answer from before on a connection from before
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(body)
}

func TestS15_NginxProxyManagerIsARouter(t *testing.T) {
	t.Parallel()
	for name, forward := range map[string]npm.Forward{"by name": npm.ByName, "by address": npm.ByAddress} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			deploytest.ExerciseRouter(t, func(t *testing.T) deploytest.RouterFixture {
				w := newWorld(t, func(c *npm.Config) { c.Forward = forward })
				return deploytest.RouterFixture{Router: w, Get: w.get, Blind: true, Absent: http.StatusOK}
			})
		})
	}
}

// quiet logs to the test.
func quiet(t *testing.T) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
