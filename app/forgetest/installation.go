package forgetest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// ErrNotInstalled is returned where the App has to be installed on an account, and is not.
var ErrNotInstalled = errors.New("the app is not installed on this account")

// installation is the App on one account.
type installation struct {
	id           int64
	account      string
	created      time.Time
	suspendedAt  time.Time
	repositories map[int64]bool
}

func (i *installation) suspended() bool { return !i.suspendedAt.IsZero() }

// installationToken is what the App acts with for an hour.
type installationToken struct {
	installation *installation
	expires      time.Time
	only         map[int64]bool // nil means every repository of the installation
	permissions  map[string]string
}

func (t *installationToken) expired() bool { return !time.Now().Before(t.expires) }

func (t *installationToken) sees(repository int64) bool {
	return t.installation.repositories[repository] && (t.only == nil || t.only[repository])
}

func (t *installationToken) may(permission, level string) bool {
	has := t.permissions[permission]
	return has == "write" || has == level
}

// appPermissions are what the App asks its users for.
func appPermissions() map[string]string {
	return map[string]string{"contents": "read", "metadata": "read", "packages": "read", "statuses": "write"}
}

// SetAppWebhook sets the address of the App's webhook, "" for none. Gitea has no Apps: there it does nothing, and hooks
// are made through the API or with AddHook.
func (s *Server) SetAppWebhook(url string) {
	if g, ok := s.manners.(*gitHub); ok {
		s.mu.Lock()
		defer s.mu.Unlock()
		g.hook = url
	}
}

// ExpireTokens ends all installation tokens, as an hour that has passed would.
func (s *Server) ExpireTokens() {
	if g, ok := s.manners.(*gitHub); ok {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, t := range g.tokens {
			t.expires = time.Now()
		}
	}
}

// InstallApp installs the App on an account, with all its repositories, and returns the installation's id.
func (s *Server) InstallApp(account string) (int64, error) {
	var id int64
	err := s.tellApp(account, "installation", "created", func(g *gitHub, i *installation) ([]Repository, error) {
		if i == nil {
			i = g.install(account)
		}
		id = i.id
		for _, r := range s.repositories {
			if strings.EqualFold(r.Owner(), account) {
				r.Installation, i.repositories[r.ID] = i.id, true
			}
		}
		return g.repositoriesOf(i), nil
	})
	return id, err
}

// UninstallApp removes the App from an account. Its tokens end.
func (s *Server) UninstallApp(account string) error {
	return s.tellApp(account, "installation", "deleted", func(g *gitHub, i *installation) ([]Repository, error) {
		if i == nil {
			return nil, ErrNotInstalled
		}
		gone := g.repositoriesOf(i)
		delete(g.installations, i.id)
		maps.DeleteFunc(g.tokens, func(_ string, t *installationToken) bool { return t.installation == i })
		for id := range i.repositories {
			if r := s.repositories[id]; r != nil {
				r.Installation = 0
			}
		}
		return gone, nil
	})
}

// Suspend suspends the App on an account: it gets no tokens, and its old ones are refused.
func (s *Server) Suspend(account string) error { return s.suspend(account, "suspend", time.Now()) }

// Unsuspend ends Suspend.
func (s *Server) Unsuspend(account string) error { return s.suspend(account, "unsuspend", time.Time{}) }

func (s *Server) suspend(account, action string, at time.Time) error {
	return s.tellApp(account, "installation", action, func(_ *gitHub, i *installation) ([]Repository, error) {
		if i == nil {
			return nil, ErrNotInstalled
		}
		i.suspendedAt = at
		return nil, nil
	})
}

// AddRepository lets the App see a repository.
func (s *Server) AddRepository(fullName string) error { return s.choose(fullName, "added") }

// RemoveRepository hides a repository from the App. It stays on the forge.
func (s *Server) RemoveRepository(fullName string) error { return s.choose(fullName, "removed") }

func (s *Server) choose(fullName, action string) error {
	owner, _, _ := strings.Cut(fullName, "/")
	return s.tellApp(owner, "installation_repositories", action, func(_ *gitHub, i *installation) ([]Repository, error) {
		r := s.find(fullName)
		if r == nil {
			return nil, fmt.Errorf("%w: %s", ErrNoRepository, fullName)
		}
		if i == nil {
			return nil, ErrNotInstalled
		}
		if r.Installation = 0; action == "added" {
			r.Installation = i.id
		}
		i.repositories[r.ID] = action == "added"
		return []Repository{r.Repository}, nil
	})
}

// tellApp changes the App's installation on an account, nil when there is none, and delivers the event about it.
func (s *Server) tellApp(
	account, event, action string, change func(*gitHub, *installation) ([]Repository, error),
) error {
	g, ok := s.manners.(*gitHub)
	if !ok {
		return fmt.Errorf("%s %s: %w", event, action, errors.ErrUnsupported)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i := g.installationOn(account)
	about, err := change(g, i)
	if err != nil {
		return fmt.Errorf("%s %s on %s: %w", event, action, account, err)
	}
	if i == nil {
		i = g.installationOn(account)
	}
	out, err := g.installationChanged(i, event, action, about)
	if err != nil {
		return err
	}
	s.sender.send(out...)
	return nil
}

// repositoriesOf returns what an installation sees, by id. The server is locked.
func (g *gitHub) repositoriesOf(i *installation) []Repository {
	var all []Repository
	for _, id := range slices.Sorted(maps.Keys(i.repositories)) {
		if r := g.s.repositories[id]; r != nil && i.repositories[id] {
			all = append(all, r.Repository)
		}
	}
	return all
}
