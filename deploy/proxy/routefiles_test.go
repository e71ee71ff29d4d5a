package proxy

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"tinyforge/db"
	"tinyforge/deploy"
)

// writerFolder is set in the environment of a test binary that is to change routes in that folder until it is killed.
const writerFolder = "TINYFORGE_TEST_ROUTES"

func TestMain(m *testing.M) {
	if dir := os.Getenv(writerFolder); dir != "" {
		changeForever(dir)
		return
	}
	os.Exit(m.Run())
}

const writerHosts = 5

// changeForever upserts its hosts in turn, and says each time which one is done, and how often. One is deleted and made
// again all the time.
func changeForever(dir string) {
	tb, err := openTable(Config{Routes: dir}, slog.New(slog.DiscardHandler))
	for err == nil {
		for i := range writerHosts {
			rt := db.Route{Host: fmt.Sprintf("h%d.test", i)}
			now, _ := tb.Current(context.Background(), rt)
			n, _ := strconv.Atoi(now.Name)
			n++
			if err = tb.Upsert(context.Background(), rt, deploy.Upstream{Name: strconv.Itoa(n), Addr: "127.0.0.1:1"}); err != nil {
				break
			}
			fmt.Println(i, n)
		}
		gone := db.Route{Host: "gone.test"}
		_ = tb.Upsert(context.Background(), gone, deploy.Upstream{})
		_ = tb.Delete(context.Background(), gone)
	}
	fmt.Println("error", err)
}

// TestKilledWhileRoutesChange: kill -9 at any moment of changes back to back leaves every route as it was said to be, or as
// the change that was under way makes it.
func TestKilledWhileRoutesChange(t *testing.T) {
	exe, err := os.Executable()
	must(t, err)
	dir := filepath.Join(t.TempDir(), "routes")
	said := map[int]int{}
	for range 30 {
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), writerFolder+"="+dir)
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		lines := bufio.NewScanner(out)
		for until := 1 + rand.IntN(30); lines.Scan(); until-- {
			var i, n int
			if _, err := fmt.Sscan(lines.Text(), &i, &n); err != nil {
				t.Fatalf("it says %q", lines.Text())
			}
			said[i] = n
			if until == 0 {
				time.AfterFunc(rand.N(3*time.Millisecond), func() { _ = cmd.Process.Kill() })
			}
		}
		_ = cmd.Wait()

		var log lockedBuffer
		tb, err := openTable(Config{Routes: dir}, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn})))
		must(t, err)
		for i := range writerHosts {
			// Before its first change a route is not there, and its name empty: 0.
			up, err := tb.Current(t.Context(), db.Route{Host: fmt.Sprintf("h%d.test", i)})
			now, _ := strconv.Atoi(up.Name)
			if now != said[i] && now != said[i]+1 || (err != nil) != (now == 0) {
				t.Errorf("h%d.test was said to be at %d and is at %q, %v", i, said[i], up.Name, err)
			}
			said[i] = now
		}
		if log.String() != "" {
			t.Error(log.String())
		}
		tb.files.close()
	}
}

// TestRoutesOutliveTheProcess with all that there is to them, and are served from the first request on.
func TestRoutesOutliveTheProcess(t *testing.T) {
	cfg := Config{Routes: filepath.Join(t.TempDir(), "routes")}
	hash, err := bcrypt.GenerateFromPassword([]byte("correct horse"), bcrypt.MinCost)
	must(t, err)
	open, locked := echoName(t, "open"), echoName(t, "locked")
	p := newTestProxy(t, cfg)
	upsert(t, p, "open.test", open)
	upsert(t, p, "held.test", open)
	upsert(t, p, "gone.test", open)
	upsert(t, p, "empty.test", deploy.Upstream{})
	secret := db.Route{Host: "locked.test", RouteOptions: db.RouteOptions{
		Paths: []string{"/app"}, StripPrefix: true, MaxBody: 10, Timeout: time.Hour, BasicAuth: []db.BasicAuth{{Username: "ann", Hash: string(hash)}}}}
	must(t, p.Upsert(t.Context(), secret, locked))
	must(t, p.Upsert(t.Context(), db.Route{Host: "old.test", RedirectTo: "open.test"}, open))
	must(t, p.Reserve("deploy.test", locked))
	must(t, p.Reserve("::1", locked))
	must(t, p.Reserve("released.test", locked))
	must(t, p.Release("released.test"))
	must(t, p.Hold(t.Context(), db.Route{Host: "held.test"}))
	must(t, p.Delete(t.Context(), db.Route{Host: "gone.test"}))
	if _, err := New(p.cfg, p.log); err == nil || !strings.Contains(err.Error(), "another proxy keeps its routes") {
		t.Errorf("a second proxy on the same folder: %v", err)
	}
	want := p.records()
	p.Close()

	next := serve(t, cfg)
	t.Cleanup(next.Close)
	if got := next.records(); fmt.Sprint(got) != fmt.Sprint(want) || len(got) != 7 {
		t.Errorf("there are\n%+v\nand were\n%+v", got, want)
	}
	for host, status := range map[string]int{"open.test": 200, "gone.test": 404, "released.test": 404, "empty.test": 503, "locked.test": 401, "old.test": 301, "deploy.test": 200} {
		if got, _ := next.get(host, "/app"); got != status {
			t.Errorf("%s: %d, want %d", host, got, status)
		}
	}
	wantRefused(t, next.Upsert(t.Context(), db.Route{Host: "deploy.test"}, open))
	waits := make(chan string, 1)
	go func() {
		status, body := next.get("held.test", "/")
		waits <- fmt.Sprint(status, body)
	}()
	waitFor(t, func() bool { return next.stat("held.test").Waiting == 1 })
	upsert(t, next, "held.test", open)
	if got := <-waits; got != "200open" {
		t.Errorf("what waited got %s", got)
	}
}

// records is what is kept of all routes, by what the table serves.
func (p *testProxy) records() map[string]record {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := map[string]record{}
	p.routes.Range(func(host, r any) bool {
		if host != "released.test" {
			all[host.(string)] = r.(*route).record()
		}
		return true
	})
	return all
}

func (p *testProxy) stat(host string) Stats {
	for _, s := range p.Stats() {
		if s.Host == host {
			return s
		}
	}
	return Stats{}
}

// TestRouteFiles: they are the owner's alone, and one that cannot be used is told by its name and keeps no other away.
func TestRouteFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "routes")
	quiet := slog.New(slog.DiscardHandler)
	tb, err := openTable(Config{Routes: dir}, quiet)
	must(t, err)
	odd := []string{"a.test", "#new", "x/../y", "..x", strings.Repeat("a", 250) + ".tes", "[::1]", "пример.рф"}
	for _, host := range odd {
		must(t, tb.Upsert(t.Context(), db.Route{Host: host}, up("tf-web-1")))
	}
	tb.files.close()
	for name, text := range map[string]string{"half.test": `{"host":"half.te`, "other.test": `{"host":"x.test"}`, "bad.test": `{"host":"bad.test","upstream":{"Addr":"nowhere"}}`, newName: `{"ho`} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	must(t, os.Mkdir(filepath.Join(dir, "folder.test"), 0o700))

	var log lockedBuffer
	tb, err = openTable(Config{Routes: dir}, slog.New(slog.NewTextHandler(&log, nil)))
	must(t, err)
	defer tb.files.close()
	for _, name := range []string{"half.test", "other.test", "bad.test", "folder.test"} {
		if !strings.Contains(log.String(), "file="+filepath.Join(dir, name)+" ") {
			t.Errorf("%s is not told:\n%s", name, log.String())
		}
	}
	for _, host := range odd {
		if got, err := tb.Current(t.Context(), db.Route{Host: host}); err != nil || got != up("tf-web-1") {
			t.Errorf("%q: %+v, %v", host, got, err)
		}
		info, err := os.Stat(filepath.Join(dir, fileName(hostKey(host))))
		if err != nil || info.Mode() != 0o600 {
			t.Errorf("%q: %v, %v", host, info, err)
		}
	}
	must(t, tb.Upsert(t.Context(), db.Route{Host: "half.test"}, up("tf-web-1"))) // mended
}

// TestRouteThatCannotBeKept stays as it was, and is kept the next time, though it looks the same then.
func TestRouteThatCannotBeKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "routes")
	tb, err := openTable(Config{Routes: dir}, slog.New(slog.DiscardHandler))
	must(t, err)
	defer func() { tb.files.close() }()
	rt, a := db.Route{Host: "a.test"}, up("tf-web-1")
	must(t, tb.Upsert(t.Context(), rt, a))
	must(t, os.Mkdir(filepath.Join(dir, newName), 0o700)) // in the way
	for name, err := range map[string]error{
		"upsert": tb.Upsert(t.Context(), rt, up("tf-web-2")), "hold": tb.Hold(t.Context(), rt), "new": tb.Upsert(t.Context(), db.Route{Host: "b.test"}, a),
		"reserve": tb.Reserve("a.test", up("tinyforge")),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if got, err := tb.Current(t.Context(), rt); err != nil || got != a || tb.lookup("a.test").target.Load().held() || len(tb.Stats()) != 1 {
		t.Errorf("it leads to %+v, %v", got, err)
	}
	must(t, os.Remove(filepath.Join(dir, newName)))
	must(t, os.Remove(filepath.Join(dir, "a.test"))) // what the file has is not known after an error
	must(t, tb.Upsert(t.Context(), rt, a))
	tb.files.close()
	tb, err = openTable(Config{Routes: dir}, slog.New(slog.DiscardHandler))
	must(t, err)
	if got, err := tb.Current(t.Context(), rt); err != nil || got != a {
		t.Errorf("kept is %+v, %v", got, err)
	}
}

// TestManyRoutesAreBackAtOnce: before the first request is answered, none of a thousand hosts is unknown.
func TestManyRoutesAreBackAtOnce(t *testing.T) {
	const routes = 1000
	dir := filepath.Join(t.TempDir(), "routes")
	must(t, os.Mkdir(dir, 0o700))
	site := echoName(t, "site")
	for i := range routes {
		host := fmt.Sprintf("h%d.test", i)
		must(t, os.WriteFile(filepath.Join(dir, host), fmt.Appendf(nil, `{"host":%q,"upstream":{"Name":"site","Addr":%q,"Port":80}}`, host, site.Addr), 0o600))
	}
	begun := time.Now()
	p := newTestProxy(t, Config{Routes: dir})
	t.Cleanup(p.Close)
	t.Logf("%d routes are back after %s", routes, time.Since(begun).Round(time.Millisecond))
	must(t, p.Listen(t.Context()))
	first := make(chan int, 1)
	go func() {
		status, _ := p.get("h999.test", "/") // it connects before the proxy runs
		first <- status
	}()
	p.run(t)
	if status := <-first; status != http.StatusOK || len(p.Stats()) != routes {
		t.Errorf("the first request is answered %d, and there are %d routes", status, len(p.Stats()))
	}
}
