package app

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"tinyforge/db"
)

// Store is what Forges reads. Credentials are unsealed.
type Store interface {
	Forge(ctx context.Context, id int64) (db.Forge, error)
	Installation(ctx context.Context, id int64) (db.Installation, error)
}

// Access is what an Opener gets to reach its forge with. Client and Git keep to the row's Networks.
type Access struct {
	Client *http.Client
	Git    *Git

	// Installation reads a row of installations by its ID.
	Installation func(ctx context.Context, id int64) (db.Installation, error)
}

// Opener makes a Forge of a row of its kind. It makes no network call. Its errors name what is wrong with the row and
// hold no secret.
type Opener func(row db.Forge, access Access) (Forge, error)

// Forges opens forges by the kind in their row. It is safe for concurrent use.
type Forges struct {
	store Store
	kinds map[string]Opener

	mu      sync.Mutex
	allowed []string // networks that all forges may be in
	open    map[int64]opened
}

type opened struct {
	forge   Forge
	updated time.Time // of the row
}

// Allow has calls to every forge reach these networks too, beside those of its row: what was opened before is opened anew.
// Words that ParseNetworks does not take are an error, and change nothing.
func (f *Forges) Allow(networks []string) error {
	if _, err := ParseNetworks(networks); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Equal(f.allowed, networks) {
		f.allowed, f.open = slices.Clone(networks), map[int64]opened{}
	}
	return nil
}

// networks are all that calls to a forge may reach.
func (f *Forges) networks(row db.Forge) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Concat(row.Networks, f.allowed)
}

// NewForges takes the openers by kind: "github", "gitea", "gitlab".
func NewForges(store Store, kinds map[string]Opener) *Forges {
	return &Forges{store: store, kinds: kinds, open: map[int64]opened{}}
}

// Open reads the row and opens it. What was opened before is reused while the row's UpdatedAt stays the same, so tokens
// and connections are.
func (f *Forges) Open(ctx context.Context, forgeID int64) (Forge, error) {
	row, err := f.store.Forge(ctx, forgeID)
	if err != nil {
		return nil, fmt.Errorf("read forge %d: %w", forgeID, err)
	}
	return f.OpenRow(row)
}

// OpenRow is Open for a row that was read already. A row without an ID is opened anew each time.
func (f *Forges) OpenRow(row db.Forge) (Forge, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if o, ok := f.open[row.ID]; ok && row.ID != 0 && o.updated.Equal(row.UpdatedAt) {
		return o.forge, nil
	}
	forge, err := f.openNew(row, slices.Concat(row.Networks, f.allowed))
	if err != nil {
		return nil, fmt.Errorf("open forge %q: %w", row.Name, err)
	}
	if row.ID != 0 {
		f.open[row.ID] = opened{forge: forge, updated: row.UpdatedAt}
	}
	return forge, nil
}

// Fetch makes dir a checkout of a commit of repo, see Forge.
func (f *Forges) Fetch(ctx context.Context, repo db.Repository, commit, dir string) (db.CommitText, error) {
	forge, err := f.Open(ctx, repo.ForgeID)
	if err != nil {
		return db.CommitText{}, err
	}
	return forge.Fetch(ctx, repo, commit, dir)
}

// RegistryAccount returns the account for the registry at host of repo's forge, see Registrar. ok is false where the forge
// has no registry.
func (f *Forges) RegistryAccount(ctx context.Context, repo db.Repository, host string) (a RegistryAccount, ok bool, err error) {
	forge, err := f.Open(ctx, repo.ForgeID)
	if err != nil {
		return RegistryAccount{}, false, err
	}
	registrar, has := forge.(Registrar)
	if !has {
		return RegistryAccount{}, false, nil
	}
	return registrar.RegistryAccount(ctx, repo, host)
}

func (f *Forges) openNew(row db.Forge, networks []string) (Forge, error) {
	opener, ok := f.kinds[row.Kind]
	if !ok {
		return nil, fmt.Errorf("unknown kind %q: use one of %s", row.Kind, strings.Join(slices.Sorted(maps.Keys(f.kinds)), ", "))
	}
	client, err := NewClient(networks)
	if err != nil {
		return nil, err
	}
	git, err := NewGit(networks)
	if err != nil {
		return nil, err
	}
	return opener(row, Access{Client: client, Git: git, Installation: f.store.Installation})
}
