package forgetest

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"net/url"
	"os"
	"strconv"
	"strings"
)

const (
	uploadPack  = "git-upload-pack"
	receivePack = "git-receive-pack"
)

// serveSmart answers git's smart HTTP protocol, below the name of a repository of however many parts.
func (s *Server) serveSmart(w http.ResponseWriter, r *http.Request) {
	for _, service := range []string{uploadPack, receivePack} {
		if name, ok := strings.CutSuffix(r.URL.Path, "/"+service); ok && r.Method == http.MethodPost {
			s.serveGit(w, r, name, service)
			return
		}
	}
	if name, ok := strings.CutSuffix(r.URL.Path, "/info/refs"); ok && r.Method == http.MethodGet {
		s.serveGit(w, r, name, r.URL.Query().Get("service"))
		return
	}
	http.NotFound(w, r)
}

func (s *Server) serveGit(w http.ResponseWriter, r *http.Request, path, service string) {
	if service != uploadPack && service != receivePack {
		http.Error(w, "only git's smart protocol is served", http.StatusForbidden)
		return
	}
	repo, moved := s.resolve(strings.TrimSuffix(strings.TrimPrefix(path, "/"), ".git"))
	if code := s.allowGit(r, repo, service == receivePack); code != 0 {
		if code == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Basic realm="forge"`)
		}
		http.Error(w, http.StatusText(code), code)
		return
	}
	if moved {
		s.redirectGit(w, r, path, repo)
		return
	}
	if service == receivePack && r.Method == http.MethodPost {
		s.receive(w, r, repo)
		return
	}
	s.backend(w, r, repo)
}

// resolve finds a repository by its name or, with moved, by a former one. nil when there is none.
func (s *Server) resolve(fullName string) (repo *repository, moved bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.find(fullName); r != nil {
		return r, false
	}
	r := s.repositories[s.formerNames[strings.ToLower(fullName)]]
	return r, r != nil
}

// allowGit returns 0 or the code of the answer. The developer may do everything but push to an archive.
func (s *Server) allowGit(r *http.Request, repo *repository, write bool) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if repo != nil && repo.Archived && write {
		return http.StatusForbidden
	}
	user, password, _ := r.BasicAuth()
	if user == Developer && subtle.ConstantTimeCompare([]byte(password), []byte(s.password)) == 1 {
		if repo == nil {
			return http.StatusNotFound
		}
		return 0
	}
	return s.manners.allow(r, repo, write)
}

func (s *Server) redirectGit(w http.ResponseWriter, r *http.Request, path string, repo *repository) {
	s.mu.Lock()
	to := repo.CloneURL
	s.mu.Unlock()
	rest := strings.TrimPrefix(r.URL.Path, path)
	if r.URL.RawQuery != "" {
		rest += "?" + r.URL.RawQuery
	}
	w.Header().Set("Location", to+rest)
	w.WriteHeader(http.StatusMovedPermanently)
}

// receive serves a push. Its deliveries are queued before the developer's git is told that the push is done.
func (s *Server) receive(w http.ResponseWriter, r *http.Request, repo *repository) {
	repo.pushing.Lock()
	defer repo.pushing.Unlock()
	before, err := s.refs(r.Context(), repo.ID)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	held := &heldAnswer{header: http.Header{}, code: http.StatusOK}
	s.backend(held, r, repo)
	// The push happened, even if the developer has gone by now.
	if err := s.announce(context.WithoutCancel(r.Context()), repo, before); err != nil {
		s.log.Error("announce push", "repository", repo.ID, "err", err)
	}
	held.release(w)
}

// announce queues the deliveries for what changed since before.
func (s *Server) announce(ctx context.Context, repo *repository, before refs) error {
	after, err := s.refs(ctx, repo.ID)
	if err != nil {
		return err
	}
	s.mu.Lock()
	r := repo.Repository
	s.mu.Unlock()
	p := push{history: history{ctx: ctx, git: s.git, dir: s.gitDir(r.ID)}, before: before, updates: before.updates(after)}
	if len(p.updates) == 0 {
		return nil
	}
	out, err := s.manners.pushed(r, p)
	if err != nil {
		return err
	}
	s.sender.send(out...)
	return nil
}

// backend runs git http-backend.
func (s *Server) backend(w http.ResponseWriter, r *http.Request, repo *repository) {
	body, err := spool(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	defer body.Close()
	to := r.Clone(r.Context())
	to.Body, to.ContentLength, to.TransferEncoding = body, body.size, nil
	last := r.URL.Path[strings.LastIndex(r.URL.Path, "/"):]
	if r.Method == http.MethodGet {
		last = "/info/refs"
	}
	to.URL = &url.URL{Path: "/" + strconv.FormatInt(repo.ID, 10) + ".git" + last, RawQuery: r.URL.RawQuery}
	to.Header.Del("Authorization")
	(&cgi.Handler{
		Path: s.git.exe,
		Args: []string{"http-backend"},
		Root: "/",
		Dir:  s.dir,
		Env: append(s.git.environment(),
			"GIT_PROJECT_ROOT="+s.dir+"/repositories",
			"GIT_HTTP_EXPORT_ALL=1",
			"GIT_PROTOCOL="+r.Header.Get("Git-Protocol"),
			"REMOTE_USER="+Developer, // without one, http-backend refuses pushes; who may push is decided before
		),
		Stderr: io.Discard,
	}).ServeHTTP(w, to)
}

// spooled is a request body of known length: CGI cannot take one in chunks, which is how git sends large packs.
type spooled struct {
	*os.File
	size int64
}

func spool(r *http.Request) (*spooled, error) {
	f, err := os.CreateTemp("", "forgetest-body-")
	if err != nil {
		return nil, fmt.Errorf("spool body: %w", err)
	}
	_ = os.Remove(f.Name())
	size, err := io.Copy(f, r.Body)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("spool body: %w", err), f.Close())
	}
	return &spooled{File: f, size: size}, nil
}

// heldAnswer keeps an answer back until release.
type heldAnswer struct {
	header http.Header
	code   int
	body   bytes.Buffer
}

func (h *heldAnswer) Header() http.Header         { return h.header }
func (h *heldAnswer) WriteHeader(code int)        { h.code = code }
func (h *heldAnswer) Write(b []byte) (int, error) { return h.body.Write(b) }

func (h *heldAnswer) release(w http.ResponseWriter) {
	for name, values := range h.header {
		w.Header()[name] = values
	}
	w.WriteHeader(h.code)
	_, _ = h.body.WriteTo(w)
}
