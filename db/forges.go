package db

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// ErrForgeInUse is returned by DeleteForge while a workload, or a deployment in the history of one, needs the forge.
var ErrForgeInUse = errors.New("the forge is in use")

// Forge is a server that holds repositories and sends webhooks: one GitHub App, or one token on a Gitea, Forgejo
// or GitLab.
type Forge struct {
	ID   int64  `bun:",pk,autoincrement"`
	Name string // unique; part of the webhook address, /webhooks/{name}
	Kind string // "github", "gitea", "gitlab": the key under which serve.go registered it

	URL    string // where people and git find it: "https://github.com", without a trailing slash
	APIURL string `bun:"api_url"` // "" means the usual one of the kind

	// Networks are the otherwise refused networks that calls to this forge may reach: "loopback", "private", or a prefix
	// such as "10.0.0.0/8". Empty means public addresses only.
	Networks []string `bun:"type:jsonb"`

	AppID       int64       // GitHub App id; 0 where a token is used
	Credentials Credentials `bun:"-"`
	Sealed      []byte      // Credentials, sealed

	CreatedAt time.Time
	UpdatedAt time.Time
}

// Credentials are the secrets of a Forge. They are sealed at rest.
type Credentials struct {
	WebhookSecret string `json:"webhook_secret,omitempty"`
	SigningToken  string `json:"signing_token,omitempty"` // GitLab: what its webhooks sign with; "" where they do not
	Token         string `json:"token,omitempty"`         // Gitea, Forgejo, GitLab
	PrivateKey    string `json:"private_key,omitempty"`   // GitHub App, PEM

	// With these people sign in by their account there: of the GitHub App, or of an OAuth2 application of Gitea or Forgejo. ""
	// means that nobody does.
	ClientID     string `json:"client_id,omitempty"`
	ClientSecret string `json:"client_secret,omitempty"`
}

// clearCredentials has no methods, so that it is encoded as it is.
type clearCredentials Credentials

func (c Credentials) clear() clearCredentials { return clearCredentials(c) }

// String, GoString, LogValue and MarshalJSON keep credentials out of logs and errors that print a Forge by chance.
func (Credentials) String() string               { return "[secret]" }
func (Credentials) GoString() string             { return "[secret]" }
func (Credentials) LogValue() slog.Value         { return slog.StringValue("[secret]") }
func (Credentials) MarshalJSON() ([]byte, error) { return []byte(`"[secret]"`), nil }

const sealForge = "forges.credentials"

// SaveForge inserts the forge, or changes the one with the same name. It fills in ID and the times.
func (d *DB) SaveForge(ctx context.Context, f *Forge) error {
	sealed, err := d.keys.seal(f.Credentials.clear(), sealForge)
	if err != nil {
		return err
	}
	f.Sealed, f.UpdatedAt, f.CreatedAt = sealed, now(), now()
	err = d.bun.NewInsert().Model(f).
		On("CONFLICT (name) DO UPDATE").
		Set("kind = EXCLUDED.kind, url = EXCLUDED.url, api_url = EXCLUDED.api_url, networks = EXCLUDED.networks").
		Set("app_id = EXCLUDED.app_id, sealed = EXCLUDED.sealed, updated_at = EXCLUDED.updated_at").
		Returning("id, created_at").
		Scan(ctx)
	return found("save forge", err)
}

// Forge returns the forge with this id, or ErrNotFound.
func (d *DB) Forge(ctx context.Context, id int64) (Forge, error) {
	return d.forge(ctx, "id = ?", id)
}

// ForgeByName returns the forge with this name, or ErrNotFound.
func (d *DB) ForgeByName(ctx context.Context, name string) (Forge, error) {
	return d.forge(ctx, "name = ?", name)
}

// Forges returns all of them, by name.
func (d *DB) Forges(ctx context.Context) ([]Forge, error) {
	var list []Forge
	if err := d.bun.NewSelect().Model(&list).Order("name").Scan(ctx); err != nil {
		return nil, found("read forges", err)
	}
	for i := range list {
		if err := list[i].unseal(d.keys); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// DeleteForge removes a forge and all that was known of its repositories. It returns ErrForgeInUse while a workload, or a
// deployment in the history of one, is of such a repository.
func (d *DB) DeleteForge(ctx context.Context, id int64) error {
	_, err := d.bun.NewDelete().Model((*Forge)(nil)).Where("id = ?", id).Exec(ctx)
	if foreignKeyViolation(err) {
		return fmt.Errorf("delete forge: %w", ErrForgeInUse)
	}
	return found("delete forge", err)
}

func (d *DB) forge(ctx context.Context, where string, arg any) (Forge, error) {
	var f Forge
	if err := d.bun.NewSelect().Model(&f).Where(where, arg).Scan(ctx); err != nil {
		return Forge{}, found("read forge", err)
	}
	return f, f.unseal(d.keys)
}

func (f *Forge) unseal(keys *Keyring) error {
	var c clearCredentials
	if err := keys.open(f.Sealed, &c, sealForge); err != nil {
		return fmt.Errorf("forge %s: %w", f.Name, err)
	}
	f.Credentials = Credentials(c)
	return nil
}
