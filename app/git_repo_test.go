package app

import (
	"io"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// gitRepo is a repository with a few commits, served over HTTP by git itself.
type gitRepo struct {
	url           string
	dir           string // the bare repository that is served
	first, second string // commits; no ref points to the first
	tag           string // tag object that names second
	requests      atomic.Int32
}

const gitPassword = "s3cret-pa55word"

// serveRepo serves /acme/site.git to whoever gives gitPassword, with its oddities: a hook, a filter, a symbolic link that
// leaves the folder, a submodule.
func serveRepo(t *testing.T, initArgs ...string) *gitRepo {
	t.Helper()
	root := t.TempDir()
	work := filepath.Join(root, "work")
	git := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("git", args...)
		cmd.Dir = work
		cmd.Env = []string{
			"PATH=" + os.Getenv("PATH"), "HOME=" + root, "GIT_CONFIG_NOSYSTEM=1", "LC_ALL=C",
			"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=c", "GIT_COMMITTER_EMAIL=c@example.com",
		}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(work, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(work, 0o755); err != nil {
		t.Fatal(err)
	}
	git(append([]string{"init", "-q", "-b", "main"}, initArgs...)...)
	write("index.html", "one\n")
	write(".gitattributes", "*.bin filter=lfs\n*.html filter=evil\n")
	write("big.bin", "version https://git-lfs.github.com/spec/v1\n")
	write(".gitmodules", "[submodule \"s\"]\n\tpath = s\n\turl = http://127.0.0.1:1/never.git\n")
	if err := os.Symlink("/etc/passwd", filepath.Join(work, "link")); err != nil {
		t.Fatal(err)
	}
	git("add", ".")
	git("commit", "-qm", "first")
	repo := &gitRepo{first: git("rev-parse", "HEAD")}
	git("update-index", "--add", "--cacheinfo", "160000,"+repo.first+",s")
	write("index.html", "two\n")
	git("add", "index.html")
	git("commit", "-qm", "second")
	repo.second = git("rev-parse", "HEAD")
	git("tag", "-a", "-m", "release", "v1")
	git("tag", "light")
	repo.tag = git("rev-parse", "v1")
	repo.dir = filepath.Join(root, "acme", "site.git")
	git("clone", "-q", "--bare", work, repo.dir)

	path, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		repo.requests.Add(1)
		if _, password, _ := r.BasicAuth(); password != gitPassword {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			http.Error(w, "you sent "+r.Header.Get("Authorization"), http.StatusUnauthorized)
			return
		}
		(&cgi.Handler{
			Path: path, Args: []string{"http-backend"}, Dir: root, Stderr: io.Discard,
			Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "HOME=" + root, "GIT_PROTOCOL=" + r.Header.Get("Git-Protocol")},
		}).ServeHTTP(w, r)
	})
	repo.url = s.URL + "/acme/site.git"
	return repo
}

func (r *gitRepo) remote() Remote {
	return Remote{URL: r.url, Username: "x", Password: gitPassword}
}

func testGit(t *testing.T, networks ...string) *Git {
	t.Helper()
	g, err := NewGit(networks)
	if err != nil {
		t.Fatal(err)
	}
	return g
}
