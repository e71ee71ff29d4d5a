package forgetest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"tinyforge/db"
)

// Developer is the account that may push everywhere.
const Developer = "dev"

// Nobody is a login that no account has.
const Nobody = "nobody"

// ErrNoRepository is returned for a name that no repository has, or had.
var ErrNoRepository = errors.New("no such repository")

// Repository is a repository of the forge.
type Repository struct {
	ID            int64
	FullName      string // "acme/site"
	CloneURL      string
	DefaultBranch string
	Private       bool
	Archived      bool
	Installation  int64 // of the App on the owner; 0 where the forge has none
	CreatedAt     time.Time
}

// Row returns the repository as a row. For want of a database its InstallationID is the forge's id of the installation.
func (r Repository) Row() db.Repository {
	return db.Repository{
		ForgeID: 1, ExternalID: r.ID, InstallationID: r.Installation, FullName: r.FullName, DefaultBranch: r.DefaultBranch, Private: r.Private,
	}
}

// Owner is the part of FullName before the last slash.
func (r Repository) Owner() string { return r.FullName[:strings.LastIndex(r.FullName, "/")] }

// Name is the part of FullName after the last slash.
func (r Repository) Name() string { return r.FullName[strings.LastIndex(r.FullName, "/")+1:] }

type repository struct {
	Repository // under Server.mu
	statuses   []Status

	pushing sync.Mutex // one push at a time, so that refs before and after belong to it
}

// CreateRepository makes an empty repository whose default branch is main. A GitHub App is installed on its owner, as
// if it had been before: nothing is delivered.
func (s *Server) CreateRepository(fullName string, private bool) (Repository, error) {
	parts := strings.Split(fullName, "/")
	if slices.Contains(parts, "") || len(parts) < 2 || len(parts) > 2 && !s.manners.nests() {
		return Repository{}, fmt.Errorf("create repository: name %q is not owner/name", fullName)
	}
	s.mu.Lock()
	if _, taken := s.names[strings.ToLower(fullName)]; taken {
		s.mu.Unlock()
		return Repository{}, fmt.Errorf("create repository %s: it exists", fullName)
	}
	s.lastID++
	r := &repository{Repository: Repository{
		ID: s.lastID, DefaultBranch: "main", Private: private, CreatedAt: time.Now().UTC().Truncate(time.Second),
	}}
	s.name(r, fullName)
	s.repositories[r.ID] = r
	s.manners.created(r)
	made := r.Repository
	s.mu.Unlock()
	return made, s.initialize(made)
}

func (s *Server) initialize(r Repository) error {
	dir := s.gitDir(r.ID)
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return fmt.Errorf("create repository %s: %w", r.FullName, err)
	}
	ctx := context.Background()
	if _, err := s.git.run(ctx, "", nil, "init", "--bare", "--quiet", "--initial-branch="+r.DefaultBranch, dir); err != nil {
		return fmt.Errorf("create repository %s: %w", r.FullName, err)
	}
	// Collection in the background would outlive the server and hide force-pushed commits at random.
	config, err := os.OpenFile(filepath.Join(dir, "config"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("configure repository %s: %w", r.FullName, err)
	}
	_, err = config.WriteString("[receive]\n\tautogc = false\n[gc]\n\tauto = 0\n")
	return errors.Join(err, config.Close())
}

// name gives r a name; the former one, if any, redirects from now on. The server is locked.
func (s *Server) name(r *repository, fullName string) {
	if r.FullName != "" {
		delete(s.names, strings.ToLower(r.FullName))
		s.formerNames[strings.ToLower(r.FullName)] = r.ID
	}
	delete(s.formerNames, strings.ToLower(fullName))
	s.names[strings.ToLower(fullName)] = r.ID
	r.FullName, r.CloneURL = fullName, s.url+"/"+fullName+".git"
}

// Repository returns the repository that has this name now.
func (s *Server) Repository(fullName string) (Repository, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.find(fullName)
	if r == nil {
		return Repository{}, fmt.Errorf("%w: %s", ErrNoRepository, fullName)
	}
	return r.Repository, nil
}

// find returns the repository that has this name now, or nil. The server is locked.
func (s *Server) find(fullName string) *repository {
	return s.repositories[s.names[strings.ToLower(fullName)]]
}

// Rename gives a repository another name. API and git redirect from the old one. No delivery says so.
func (s *Server) Rename(old, fullName string) error {
	return s.change(old, func(r *repository) { s.name(r, fullName) })
}

// Archive makes a repository read-only for git. Gitea still takes statuses, the others do not.
func (s *Server) Archive(fullName string) error {
	return s.change(fullName, func(r *repository) { r.Archived = true })
}

// SetPrivate changes who may read a repository.
func (s *Server) SetPrivate(fullName string, private bool) error {
	return s.change(fullName, func(r *repository) { r.Private = private })
}

// DeleteRepository removes a repository with its commits and statuses.
func (s *Server) DeleteRepository(fullName string) error {
	var id int64
	err := s.change(fullName, func(r *repository) {
		id = r.ID
		delete(s.names, strings.ToLower(r.FullName))
		delete(s.repositories, r.ID)
	})
	if err != nil {
		return err
	}
	return os.RemoveAll(s.gitDir(id))
}

func (s *Server) change(fullName string, f func(*repository)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.find(fullName)
	if r == nil {
		return fmt.Errorf("%w: %s", ErrNoRepository, fullName)
	}
	f(r)
	return nil
}

// DeleteCommit removes a commit, every ref that reaches it, and all that nothing reaches any more: what is left after a
// force push and the forge's garbage collection. Nothing is delivered.
func (s *Server) DeleteCommit(ctx context.Context, fullName, sha string) error {
	r, err := s.Repository(fullName)
	if err != nil {
		return err
	}
	dir := s.gitDir(r.ID)
	refs, err := s.git.run(ctx, dir, nil, "for-each-ref", "--contains="+sha, "--format=%(refname)")
	if err != nil {
		return fmt.Errorf("find refs of %s: %w", sha, err)
	}
	for _, ref := range strings.Fields(refs) {
		if _, err := s.git.run(ctx, dir, nil, "update-ref", "-d", ref); err != nil {
			return fmt.Errorf("delete %s: %w", ref, err)
		}
	}
	if _, err := s.git.run(ctx, dir, nil, "gc", "--quiet", "--prune=now"); err != nil {
		return fmt.Errorf("collect garbage of %s: %w", fullName, err)
	}
	return nil
}

// PushURL is the clone address with the developer's credentials in it, for a real git push.
func (s *Server) PushURL(fullName string) string {
	u, err := url.Parse(s.url)
	if err != nil {
		return ""
	}
	u.User = url.UserPassword(Developer, s.password)
	return u.String() + "/" + fullName + ".git"
}

func (s *Server) gitDir(id int64) string {
	return filepath.Join(s.dir, "repositories", strconv.FormatInt(id, 10)+".git")
}
