package forgetest

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Hook is a webhook of a repository or an organisation on Gitea, of a project or a group on GitLab.
type Hook struct {
	ID            int64
	URL           string
	Secret        string
	SigningToken  string    // GitLab only: "whsec_..."
	Events        []string  // "push", "create", "delete"; on GitLab "push", "tag_push", "pipeline"
	Inactive      bool      // on GitLab, disabled for good because deliveries failed
	DisabledUntil time.Time // GitLab only
	Unverified    bool      // GitLab only: certificates are not looked at
	Filter        string    // GitLab only: the branches it is for
	Form          bool      // Gitea only: a form with the JSON in it instead of the JSON
	Authorization string    // Gitea only: sent as the Authorization header
}

type hook struct {
	Hook
	repository int64  // 0 for an organisation's
	owner      string // lower case; "" for a repository's
	created    time.Time
	updated    time.Time
	failures   int // deliveries in a row that failed
}

// AddHook makes a webhook of a repository, as its web pages would. GitHub has none.
func (s *Server) AddHook(fullName string, h Hook) (int64, error) {
	r, err := s.Repository(fullName)
	if err != nil {
		return 0, err
	}
	return s.addHook(&hook{Hook: h, repository: r.ID})
}

// AddOrganizationHook makes a webhook of all repositories of an owner. It fires beside those of the repository.
func (s *Server) AddOrganizationHook(owner string, h Hook) (int64, error) {
	return s.addHook(&hook{Hook: h, owner: strings.ToLower(owner)})
}

func (s *Server) addHook(h *hook) (int64, error) {
	if s.manners.hookEvents() == nil {
		return 0, fmt.Errorf("add hook: %w", errors.ErrUnsupported)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keepHook(h).ID, nil
}

// keepHook stores a hook. The server is locked.
func (s *Server) keepHook(h *hook) *hook {
	s.lastID++
	h.ID = s.lastID
	h.created = time.Now().UTC().Truncate(time.Second)
	h.updated = h.created
	s.hooks = append(s.hooks, h)
	return h
}

// dropHook removes a hook.
func (s *Server) dropHook(h *hook) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks = slices.DeleteFunc(s.hooks, func(other *hook) bool { return other == h })
}

// hookOf returns the hook of a repository that the path of a request names, or nil.
func (s *Server) hookOf(repository int64, r *http.Request) *hook {
	s.mu.Lock()
	defer s.mu.Unlock()
	hooks := s.hooksOf(repository)
	i := slices.IndexFunc(hooks, func(h *hook) bool { return h.ID == pathID(r, "hook") })
	if i < 0 {
		return nil
	}
	return hooks[i]
}

// Hooks returns the webhooks of a repository, secrets included, oldest first.
func (s *Server) Hooks(fullName string) []Hook {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.find(fullName)
	if r == nil {
		return nil
	}
	var all []Hook
	for _, h := range s.hooksOf(r.ID) {
		all = append(all, h.Hook)
	}
	return all
}

// hooksOf returns the hooks of a repository alone. The server is locked.
func (s *Server) hooksOf(repository int64) []*hook {
	var all []*hook
	for _, h := range s.hooks {
		if h.repository == repository {
			all = append(all, h)
		}
	}
	return all
}

// listening returns the active hooks, the owner's too, that want an event of a repository.
func (s *Server) listening(r Repository, event string) []hook {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []hook
	for _, h := range s.hooks {
		concerned := h.repository == r.ID || h.owner != "" && h.owner == strings.ToLower(r.Owner())
		enabled := !h.Inactive && !time.Now().Before(h.DisabledUntil)
		if concerned && enabled && slices.Contains(h.Events, event) {
			all = append(all, *h)
		}
	}
	return all
}
