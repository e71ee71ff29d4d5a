package app

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestGitFetch(t *testing.T) {
	repo := serveRepo(t)
	dir := t.TempDir()
	if _, err := testGit(t, "loopback").Fetch(t.Context(), repo.remote(), repo.first, dir); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "index.html")); err != nil || string(got) != "one\n" {
		t.Errorf("index.html: %q, %v", got, err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "big.bin")); err != nil || !strings.HasPrefix(string(got), "version") {
		t.Errorf("big.bin: %q, %v", got, err)
	}
	if to, err := os.Readlink(filepath.Join(dir, "link")); err != nil || to != "/etc/passwd" {
		t.Errorf("link: %q, %v", to, err)
	}
	if _, err := os.Lstat(filepath.Join(dir, ".git")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf(".git: %v", err)
	}
}

func TestGitFetchOfAnnotatedTagAndSubmodule(t *testing.T) {
	repo := serveRepo(t)
	dir := t.TempDir()
	if _, err := testGit(t, "loopback").Fetch(t.Context(), repo.remote(), repo.tag, dir); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "index.html")); err != nil || string(got) != "two\n" {
		t.Errorf("index.html: %q, %v", got, err)
	}
	if entries, err := os.ReadDir(filepath.Join(dir, "s")); err != nil || len(entries) != 0 {
		t.Errorf("submodule: %v, %v", entries, err)
	}
}

func TestGitFetchOfSHA256Repository(t *testing.T) {
	repo := serveRepo(t, "--object-format=sha256")
	if len(repo.second) != 64 {
		t.Fatalf("not a SHA-256 repository: %s", repo.second)
	}
	dir := t.TempDir()
	if _, err := testGit(t, "loopback").Fetch(t.Context(), repo.remote(), repo.second, dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "index.html")); err != nil {
		t.Error(err)
	}
}

func TestGitHeads(t *testing.T) {
	repo := serveRepo(t)
	got, err := testGit(t, "loopback").Heads(t.Context(), repo.remote())
	want := map[string]string{"refs/heads/main": repo.second, "refs/tags/v1": repo.second, "refs/tags/light": repo.second}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}

// A host name that only our own lookup knows proves that git goes where the guard looked, without asking DNS again.
func TestGitGoesWhereTheGuardLooked(t *testing.T) {
	repo := serveRepo(t)
	for _, answer := range []string{"127.0.0.1", "::ffff:127.0.0.1"} {
		g := testGit(t, "loopback")
		g.guard.lookup = func(_ context.Context, _, host string) ([]netip.Addr, error) {
			if host != "forge.tinyforge.invalid" {
				t.Errorf("looked up %q", host)
			}
			return []netip.Addr{netip.MustParseAddr("10.9.8.7"), netip.MustParseAddr(answer)}, nil
		}
		remote := repo.remote()
		remote.URL = strings.Replace(remote.URL, "127.0.0.1", "Forge.tinyforge.INVALID", 1)
		if _, err := g.Fetch(t.Context(), remote, repo.first, t.TempDir()); err != nil {
			t.Error(err)
		}
	}
}

func TestGitRefusesAddresses(t *testing.T) {
	repo := serveRepo(t)
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "10.0.0.1", "169.254.169.254"} {
		remote := repo.remote()
		remote.URL = strings.Replace(remote.URL, "127.0.0.1", host, 1)
		_, err := testGit(t).Fetch(t.Context(), remote, repo.first, t.TempDir())
		if _, ok := errors.AsType[*RefusedError](err); !ok {
			t.Errorf("%s: %v", host, err)
		}
	}
	for _, raw := range []string{
		"http://0x7f.1/a/b.git", "http://2130706433/a/b.git", "http://127.1/a/b.git", "http://0177.0.0.1/a/b.git", "http://localhost./a/b.git",
		"http://straße.example/a/b.git", "http://[fe80::1%25eth0]/a/b.git", "file:///etc", "ssh://h/a", "--upload-pack=touch x", "ext::sh -c x",
		"http://user:pw@h.example/a", "http://h.example/a?b", "http:///a/b.git", "http://-h.example/a", "http://h.example:x/a",
	} {
		_, err := testGit(t, "loopback", "private").Fetch(t.Context(), Remote{URL: raw}, repo.first, t.TempDir())
		if !errors.Is(err, errRemote) {
			t.Errorf("%s: %v", raw, err)
		}
	}
	if n := repo.requests.Load(); n != 0 {
		t.Errorf("%d requests reached the server", n)
	}
}

func TestGitRefusesWhatIsNoHash(t *testing.T) {
	for _, commit := range []string{"", "main", "--upload-pack=x", strings.Repeat("0", 40), strings.Repeat("A", 40), strings.Repeat("a", 39), strings.Repeat("a", 40) + "\n"} {
		if _, err := testGit(t, "loopback").Fetch(t.Context(), Remote{URL: "http://127.0.0.1:1/a/b.git"}, commit, t.TempDir()); err == nil || !strings.Contains(err.Error(), "not a full commit hash") {
			t.Errorf("%q: %v", commit, err)
		}
	}
}

// TestGitSaysWhyItCannotBegin: in its own words, which are no server's.
func TestGitSaysWhyItCannotBegin(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ".git"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := testGit(t, "loopback").Fetch(t.Context(), Remote{URL: "http://127.0.0.1:1/a/b.git"}, strings.Repeat("a", 40), dir)
	if err == nil || !strings.Contains(err.Error(), "fetch commit: make git folder: ") || !strings.Contains(err.Error(), dir) {
		t.Errorf("it says %v", err)
	}
}

func TestGitErrors(t *testing.T) {
	repo := serveRepo(t)
	wrong := repo.remote()
	wrong.Password = "wrong"
	missing := repo.remote()
	missing.URL = strings.Replace(missing.URL, "site", "gone", 1)
	for name, tc := range map[string]struct {
		remote Remote
		commit string
		code   int // of a StatusError; 0 means ErrNoCommit
	}{
		"no such commit":     {repo.remote(), strings.Repeat("a", 40), 0},
		"wrong password":     {wrong, repo.first, 401},
		"no password":        {Remote{URL: repo.url}, repo.first, 401},
		"no such repository": {missing, repo.first, 404},
	} {
		_, err := testGit(t, "loopback").Fetch(t.Context(), tc.remote, tc.commit, t.TempDir())
		status, ok := errors.AsType[*StatusError](err)
		if tc.code == 0 && !errors.Is(err, ErrNoCommit) || tc.code != 0 && (!ok || status.Code != tc.code) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestGitStatusErrors(t *testing.T) {
	elsewhere := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") })
	for _, code := range []int{301, 302, 401, 403, 404, 429, 500, 502, 503} {
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", elsewhere.URL)
			w.WriteHeader(code)
			_, _ = w.Write([]byte("you sent " + r.Header.Get("Authorization")))
		})
		_, err := testGit(t, "loopback").Heads(t.Context(), Remote{URL: s.URL + "/a/b.git", Username: "x", Password: gitPassword})
		if status, ok := errors.AsType[*StatusError](err); !ok || status.Code != code {
			t.Errorf("%d: %v", code, err)
		}
	}
}

func TestS12_GitErrorsHoldNothingTheForgeSent(t *testing.T) {
	for name, answer := range map[string]func(w http.ResponseWriter, secret string){
		"nonsense": func(w http.ResponseWriter, s string) { _, _ = w.Write([]byte("<p>" + s + "\n")) },
		"smart nonsense": func(w http.ResponseWriter, s string) {
			w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
			_, _ = w.Write([]byte("001e# service=git-upload-pack\n0000" + s))
		},
		"error packet": func(w http.ResponseWriter, s string) {
			w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
			line := "ERR " + s
			_, _ = w.Write([]byte("001e# service=git-upload-pack\n0000" + pktLine(line)))
		},
		"location": func(w http.ResponseWriter, s string) {
			w.Header().Set("Location", "/"+url.PathEscape(s))
			w.WriteHeader(http.StatusFound)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				_, password, _ := r.BasicAuth()
				answer(w, password+r.Header.Get("Authorization"))
			})
			_, err := testGit(t, "loopback").Heads(t.Context(), Remote{URL: s.URL + "/a/b.git", Username: "x", Password: gitPassword})
			if err == nil {
				t.Fatal("no error")
			}
			// "eDp" is how the base64 of "x:" begins.
			if strings.Contains(err.Error(), gitPassword) || strings.Contains(err.Error(), "eDp") {
				t.Errorf("leaked: %v", err)
			}
		})
	}
}

func pktLine(s string) string {
	const digits = "0123456789abcdef"
	n := len(s) + 4
	return string([]byte{digits[n>>12&15], digits[n>>8&15], digits[n>>4&15], digits[n&15]}) + s
}

func TestGitKeepsCredentialsOutOfArgvAndFiles(t *testing.T) {
	dir := t.TempDir()
	found := make(chan string, 1)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		// The request is being made: git and its helpers run now, and the folder is as full as it gets.
		select {
		case found <- searchProcesses(t, filepath.Join(dir, ".git")) + searchFiles(dir):
		default:
		}
		http.NotFound(w, r)
	})
	remote := Remote{URL: s.URL + "/a/b.git", Username: "x", Password: gitPassword}
	if _, err := testGit(t, "loopback").Fetch(t.Context(), remote, strings.Repeat("a", 40), dir); err == nil {
		t.Fatal("no error")
	}
	if where := <-found; where != "" {
		t.Errorf("the password is in %s", where)
	}
}

// searchProcesses looks at the command lines of the processes whose environment names home.
func searchProcesses(t *testing.T, home string) string {
	seen := 0
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range lines {
		environ, err := os.ReadFile(filepath.Join(filepath.Dir(name), "environ"))
		if err != nil || !strings.Contains(string(environ), "HOME="+home+"\x00") {
			continue
		}
		seen++
		if line, _ := os.ReadFile(name); holdsPassword(line) {
			return strings.ReplaceAll(string(line), "\x00", " ")
		}
	}
	if seen == 0 {
		t.Error("no process of git was found")
	}
	return ""
}

func searchFiles(dir string) string {
	var found string
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if text, _ := os.ReadFile(path); holdsPassword(text) {
				found = path
			}
		}
		return nil
	})
	return found
}

func holdsPassword(text []byte) bool {
	return strings.Contains(string(text), gitPassword) || strings.Contains(string(text), "eDp")
}

func TestGitIsKilledWithItsChildren(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan struct{})
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done() // the helper that held the connection is dead
		close(gone)
	})
	_, err := testGit(t, "loopback").Fetch(ctx, Remote{URL: s.URL + "/a/b.git"}, strings.Repeat("a", 40), t.TempDir())
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	select {
	case <-gone:
	case <-time.After(10 * time.Second):
		t.Error("a child of git lives on")
	}
}

func TestGitIgnoresTheMachine(t *testing.T) {
	proxy := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the proxy was used") })
	home := t.TempDir()
	config := "[http]\n\tproxy = " + proxy.URL + "\n[filter \"evil\"]\n\tsmudge = false\n\trequired = true\n[url \"http://127.0.0.1:1/\"]\n\tinsteadOf = http://\n"
	if err := os.WriteFile(filepath.Join(home, ".gitconfig"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", home)
	t.Setenv("http_proxy", proxy.URL)
	t.Setenv("GIT_CONFIG_COUNT", "1")
	t.Setenv("GIT_CONFIG_KEY_0", "http.proxy")
	t.Setenv("GIT_CONFIG_VALUE_0", proxy.URL)
	t.Setenv("GIT_DIR", home)
	repo := serveRepo(t)
	if _, err := testGit(t, "loopback").Fetch(t.Context(), repo.remote(), repo.first, t.TempDir()); err != nil {
		t.Error(err)
	}
	if _, err := testGit(t, "loopback").Heads(t.Context(), repo.remote()); err != nil {
		t.Error(err)
	}
}

func TestGitMissingOrTooOld(t *testing.T) {
	empty := t.TempDir()
	t.Setenv("PATH", empty)
	remote := Remote{URL: "http://127.0.0.1:1/a/b.git"}
	_, err := testGit(t, "loopback").Fetch(t.Context(), remote, strings.Repeat("a", 40), t.TempDir())
	if !errors.Is(err, ErrNoGit) || !strings.Contains(err.Error(), "install git") {
		t.Errorf("missing: %v", err)
	}
	for version, want := range map[string]string{"2.36.9": "older than 2.37", "1.9": "older than 2.37", "2.37.0": "connect", "3.0.1 (Apple)": "connect"} {
		script := "#!/bin/sh\n[ \"$1\" = version ] && { echo git version " + strings.ReplaceAll(version, "(", "\\(") + "; exit; }\necho 'fatal: Failed to connect' >&2\nexit 128\n"
		script = strings.ReplaceAll(script, "Apple)", "Apple\\)")
		if err := os.WriteFile(filepath.Join(empty, "git"), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		_, err := testGit(t, "loopback").Heads(t.Context(), remote)
		if err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, ErrNoGit) != (want != "connect") {
			t.Errorf("%s: %v", version, err)
		}
	}
}
