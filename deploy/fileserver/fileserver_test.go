package fileserver

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"tinyforge/deploy/site"
)

// running is a site that is served on a port of its own.
type running struct {
	*testing.T
	url    string
	log    bytes.Buffer
	cancel context.CancelFunc
	ended  chan error
}

// serve serves these files, in their folder, with the config in other respects.
func serve(t *testing.T, files map[string]string, c site.Config) *running {
	t.Helper()
	dir := t.TempDir()
	c.Files = map[string]string{}
	for name, text := range files {
		at := filepath.Join(dir, site.FilesFolder, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
		c.Files[name] = "tag-of-" + filepath.Base(name)
	}
	return serveDir(t, dir, c)
}

func serveDir(t *testing.T, dir string, c site.Config) *running {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &running{T: t, url: "http://" + listener.Addr().String(), ended: make(chan error, 1)}
	log := slog.New(slog.NewJSONHandler(&s.log, nil))
	handler, err := New(c, filepath.Join(dir, site.FilesFolder), log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	go func() { s.ended <- Serve(ctx, listener, handler, log) }()
	t.Cleanup(cancel)
	return s
}

type answer struct {
	*http.Response
	body string
}

// do makes a request; each pair of fields is a name and a value.
func (s *running) do(method, path string, fields ...string) answer {
	s.Helper()
	r, err := http.NewRequestWithContext(s.Context(), method, s.url+path, nil)
	if err != nil {
		s.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	transport := &http.Transport{DisableCompression: true, DisableKeepAlives: true}
	a, err := transport.RoundTrip(r)
	if err != nil {
		s.Fatal(err)
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	if err != nil {
		s.Fatal(err)
	}
	return answer{a, string(body)}
}

func (a answer) wants(t *testing.T, status int, body string, fields ...string) {
	t.Helper()
	if a.StatusCode != status || a.body != body {
		t.Errorf("%s: got %d %.200q, want %d %.200q", a.Request.URL.Path, a.StatusCode, a.body, status, body)
	}
	for i := 0; i < len(fields); i += 2 {
		if got := a.Header.Get(fields[i]); got != fields[i+1] {
			t.Errorf("%s: %s is %q, want %q", a.Request.URL.Path, fields[i], got, fields[i+1])
		}
	}
}

func TestFiles(t *testing.T) {
	s := serve(t, map[string]string{
		"index.html": "<h1>Hi</h1>", "docs/index.html": "docs", "about.html": "about", "notes.txt": "0123456789", "app.js": "js",
		"font.woff2": "font", "LICENSE": "license", "404.html": "nothing here", ".env": "SECRET", "a/.git/config": "SECRET",
	}, site.Config{})
	get := func(path string, fields ...string) answer { t.Helper(); return s.do("GET", path, fields...) }

	get("/").wants(t, 200, "<h1>Hi</h1>", "Content-Type", "text/html; charset=utf-8", "Etag", `"tag-of-index.html"`, "Last-Modified", "")
	get("/notes.txt").wants(t, 200, "0123456789", "Content-Type", "text/plain; charset=utf-8", "Content-Length", "10", "Accept-Ranges", "bytes")
	get("/app.js").wants(t, 200, "js", "Content-Type", "text/javascript; charset=utf-8")
	get("/font.woff2").wants(t, 200, "font", "Content-Type", "font/woff2")
	get("/LICENSE").wants(t, 200, "license", "Content-Type", "")
	get("/about").wants(t, 200, "about")
	get("/docs").wants(t, 308, "", "Location", "/docs/")
	get("/docs/").wants(t, 200, "docs")
	s.do("HEAD", "/notes.txt").wants(t, 200, "", "Content-Length", "10")
	s.do("POST", "/notes.txt").wants(t, 405, "405 Method Not Allowed\n", "Allow", "GET, HEAD")
	get(site.ReadyPath).wants(t, 200, "", "Cache-Control", "no-store")

	get("/notes.txt", "Range", "bytes=2-4").wants(t, 206, "234", "Content-Range", "bytes 2-4/10")
	get("/notes.txt", "Range", "bytes=-3").wants(t, 206, "789")
	get("/notes.txt", "Range", "bytes=20-").wants(t, 416, "invalid range: failed to overlap\n", "Content-Range", "bytes */10")
	get("/notes.txt", "If-None-Match", `"tag-of-notes.txt"`).wants(t, 304, "")
	get("/notes.txt", "If-None-Match", `"another"`).wants(t, 200, "0123456789")
	get("/notes.txt", "If-Range", `"another"`, "Range", "bytes=2-4").wants(t, 200, "0123456789")

	for _, path := range []string{"/none", "/.env", "/a/.git/config", "/a/%2egit/config", "/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc/passwd", "/site.json", "/notes.txt%00tag", "/notes.txt/x"} {
		get(path).wants(t, 404, "nothing here", "Content-Type", "text/html; charset=utf-8")
	}
	get("/none", "If-None-Match", `"tag-of-404.html"`, "Range", "bytes=0-1").wants(t, 404, "nothing here")
	if s.log.Len() > 0 {
		t.Errorf("it logs %s", s.log.String())
	}
}

func TestWithoutAPageOfStatus404(t *testing.T) {
	s := serve(t, map[string]string{"a.txt": "a"}, site.Config{})
	s.do("GET", "/").wants(t, 404, "404 Not Found\n", "Content-Type", "text/plain; charset=utf-8")
}

func TestCompression(t *testing.T) {
	long := strings.Repeat("Lorem ipsum. ", 200)
	s := serve(t, map[string]string{
		"long.html": long, "long.js": long, "long.js.br": "ready-made br", "long.js.gz": "ready-made gz", "long.js.zst": "ready-made zst", "long.png": long, "short.css": "a{}",
	}, site.Config{})
	ask := func(path, encodings string) answer {
		t.Helper()
		return s.do("GET", path, "Accept-Encoding", encodings)
	}

	ask("/long.js", "gzip, br, zstd").wants(t, 200, "ready-made br", "Content-Encoding", "br", "Etag", `"tag-of-long.js.br"`, "Vary", "Accept-Encoding", "Content-Type", "text/javascript; charset=utf-8")
	ask("/long.js", "zstd").wants(t, 200, "ready-made zst", "Content-Encoding", "zstd")
	ask("/long.js", "gzip").wants(t, 200, "ready-made gz", "Content-Encoding", "gzip")
	s.do("GET", "/long.js", "Accept-Encoding", "br", "Range", "bytes=6-9").wants(t, 206, "made", "Content-Encoding", "br", "Content-Range", "bytes 6-9/13")
	s.do("HEAD", "/long.js", "Accept-Encoding", "br").wants(t, 200, "", "Content-Encoding", "br", "Content-Length", "13")
	ask("/long.js", "br;q=0.1, gzip").wants(t, 200, "ready-made gz", "Content-Encoding", "gzip", "Content-Length", "13")
	ask("/long.js", "identity").wants(t, 200, long, "Content-Encoding", "", "Vary", "Accept-Encoding")

	packed := ask("/long.html", "gzip")
	reader, err := gzip.NewReader(strings.NewReader(packed.body))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(reader); err != nil || string(text) != long {
		t.Errorf("gzip holds %.50q, %v", text, err)
	}
	both := ask("/long.html", "gzip, zstd")
	decoder, err := zstd.NewReader(strings.NewReader(both.body))
	if err != nil {
		t.Fatal(err)
	}
	defer decoder.Close()
	if text, err := io.ReadAll(decoder); err != nil || string(text) != long || both.Header.Get("Etag") != `"tag-of-long.html-zstd"` {
		t.Errorf("zstd holds %.50q, %v, with the tag %s", text, err, both.Header.Get("Etag"))
	}
	s.do("GET", "/long.html", "Accept-Encoding", "gzip", "If-None-Match", packed.Header.Get("Etag")).wants(t, 304, "")
	s.do("GET", "/long.html", "Accept-Encoding", "gzip", "Range", "bytes=0-4").wants(t, 206, "Lorem", "Content-Encoding", "")
	ask("/long.png", "gzip").wants(t, 200, long, "Content-Encoding", "")
	ask("/short.css", "gzip").wants(t, 200, "a{}", "Content-Encoding", "")
}

func TestRules(t *testing.T) {
	s := serve(t, map[string]string{"index.html": "home", "en/index.html": "english"}, site.Config{
		SPA:       true,
		Redirects: []site.Redirect{{From: "/old/*", To: "/en/:splat", Status: 307}, {From: "/lang", To: "/en/", Status: 200}},
		Headers:   []site.HeaderRule{{For: "/*", Fields: []site.Header{{Name: "X-Frame-Options", Value: "DENY"}, {Name: "Content-Type", Value: "text/x-own"}}}},
	})
	s.do("POST", "/old/a?b=c").wants(t, 307, "", "Location", "/en/a?b=c", "X-Frame-Options", "")
	s.do("GET", "/lang").wants(t, 200, "english", "X-Frame-Options", "DENY", "Content-Type", "text/x-own")
	s.do("GET", "/some/route").wants(t, 200, "home")
	s.do("GET", "/.env").wants(t, 404, "404 Not Found\n", "X-Frame-Options", "DENY")
}

// A file that is there in the config and not in the folder is our own fault: visitors get a status, and the log the reason.
func TestFileThatIsGone(t *testing.T) {
	dir := t.TempDir()
	s := serveDir(t, dir, site.Config{Files: map[string]string{"a.txt": "x", "b.txt": "y", "b.txt.br": "z"}})
	if err := errors.Join(os.MkdirAll(filepath.Join(dir, site.FilesFolder), 0o755), os.WriteFile(filepath.Join(dir, site.FilesFolder, "b.txt"), []byte("b"), 0o644)); err != nil {
		t.Fatal(err)
	}
	s.do("GET", "/b.txt", "Accept-Encoding", "br").wants(t, 200, "b", "Content-Encoding", "", "Etag", `"y"`)
	s.do("GET", "/a.txt").wants(t, 404, "404 Not Found\n")
	if !strings.Contains(s.log.String(), `"level":"ERROR"`) || !strings.Contains(s.log.String(), "a.txt") {
		t.Errorf("it logs %q", s.log.String())
	}
}

// The promise that a redeploy fails no request holds for those in flight when the server is asked to end.
func TestRequestsInFlightEnd(t *testing.T) {
	large := strings.Repeat("0123456789", 3<<20)
	s := serve(t, map[string]string{"large.bin": large}, site.Config{})
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprint(conn, "GET /large.bin HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	begun := make([]byte, 100)
	if _, err := io.ReadFull(conn, begun); err != nil {
		t.Fatal(err)
	}
	s.cancel()
	refused(t, s.url)
	rest, err := io.ReadAll(conn)
	if err != nil || len(begun)+len(rest) < len(large) {
		t.Errorf("got %d of %d bytes, %v", len(begun)+len(rest), len(large), err)
	}
	select {
	case err := <-s.ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("it does not end")
	}
}

// refused waits until nobody listens.
func refused(t *testing.T, url string) {
	t.Helper()
	deadline, tick := time.After(20*time.Second), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			return
		}
		_ = conn.Close()
		select {
		case <-deadline:
			t.Fatal("it still takes connections")
		case <-tick.C:
		}
	}
}

func TestRunFindsFaults(t *testing.T) {
	dir := t.TempDir()
	run := func(config any) error {
		text, err := json.Marshal(config)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, site.ConfigFile), text, 0o644); err != nil {
			t.Fatal(err)
		}
		return Run(t.Context(), dir, slog.New(slog.DiscardHandler))
	}
	listener, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for want, err := range map[string]error{
		"no such file":           Run(t.Context(), t.TempDir(), slog.New(slog.DiscardHandler)),
		"cannot unmarshal":       run("nonsense"),
		"has no index.html":      run(site.Config{SPA: true}),
		"address already in use": run(site.Config{Port: listener.Addr().(*net.TCPAddr).Port}),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
