package forgetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Hook is a webhook of a repository or an organisation on Gitea.
type Hook struct {
	ID            int64
	URL           string
	Secret        string
	Events        []string // "push", "create", "delete"
	Inactive      bool
	Form          bool   // a form with the JSON in it instead of the JSON
	Authorization string // sent as the Authorization header
}

type hook struct {
	Hook
	repository int64  // 0 for an organisation's
	owner      string // lower case; "" for a repository's
	created    time.Time
	updated    time.Time
}

// AddHook makes a webhook of a repository, as its web pages would. Gitea only.
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
	g, ok := s.manners.(*gitea)
	if !ok {
		return 0, fmt.Errorf("add hook: %w", errors.ErrUnsupported)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return g.add(h).ID, nil
}

// add stores a hook. The server is locked.
func (g *gitea) add(h *hook) *hook {
	g.s.lastID++
	h.ID = g.s.lastID
	h.created = time.Now().UTC().Truncate(time.Second)
	h.updated = h.created
	g.hooks = append(g.hooks, h)
	return h
}

// Hooks returns the webhooks of a repository, secrets included, oldest first.
func (s *Server) Hooks(fullName string) []Hook {
	g, ok := s.manners.(*gitea)
	if !ok {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.find(fullName)
	if r == nil {
		return nil
	}
	var all []Hook
	for _, h := range g.hooksOf(r.ID) {
		all = append(all, h.Hook)
	}
	return all
}

// hooksOf returns the hooks of a repository alone. The server is locked.
func (g *gitea) hooksOf(repository int64) []*hook {
	var all []*hook
	for _, h := range g.hooks {
		if h.repository == repository {
			all = append(all, h)
		}
	}
	return all
}

// listening returns the active hooks, the owner's too, that want an event of a repository.
func (g *gitea) listening(r Repository, event string) []hook {
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	var all []hook
	for _, h := range g.hooks {
		concerned := h.repository == r.ID || h.owner != "" && h.owner == strings.ToLower(r.Owner())
		if concerned && !h.Inactive && slices.Contains(h.Events, event) {
			all = append(all, *h)
		}
	}
	return all
}
