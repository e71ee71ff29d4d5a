package db

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/uptrace/bun"
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

	AppURL              string    // page of the GitHub App, as GitHub told it; "" where that is not known
	AppSlug             string    // the App's name in GitHub's addresses
	Owner               string    // account of which the App is, or the token; "" where that is not known
	OwnerIsOrganization bool      // as far as that is known
	Requested           bool      // somebody asked for an installation, and its account has not agreed yet
	TokenUntil          time.Time `bun:",nullzero"` // zero where it does not expire, or that is not known

	SyncedAt time.Time `bun:",nullzero"` // when its repositories were listed last
	Fault    string    // why that could not be done the last time, in words; "" when it could

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

	// OldSecret is the webhook secret before this one. It is good until OldUntil, in seconds since 1970.
	OldSecret string `json:"old_secret,omitempty"`
	OldUntil  int64  `json:"old_until,omitempty"`

	// Untold means that nobody knows whether the forge has WebhookSecret yet. Until it has, OldSecret is good.
	Untold bool `json:"untold,omitempty"`
}

// oldSecretLife is for how long deliveries that are signed with the secret before are taken.
const oldSecretLife = 24 * time.Hour

// Rotate makes secret the webhook secret, which the forge is to be told. It does nothing while there is one that it was not told:
// what it signs with would be forgotten.
func (c *Credentials) Rotate(secret string) {
	if !c.Untold {
		c.OldSecret, c.WebhookSecret, c.Untold = c.WebhookSecret, secret, true
	}
}

// Told notes that the forge signs with the webhook secret. The one before is good for a day more.
func (c *Credentials) Told() {
	c.Untold, c.OldUntil = false, now().Add(oldSecretLife).Unix()
}

// WebhookSecrets are those that deliveries may be signed with now.
func (c Credentials) WebhookSecrets() []string {
	if c.OldSecret == "" || !c.Untold && now().Unix() >= c.OldUntil {
		return []string{c.WebhookSecret}
	}
	return []string{c.WebhookSecret, c.OldSecret}
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

var (
	// ErrForgeTaken is returned by CreateForge when there is another forge of this name.
	ErrForgeTaken = errors.New("there is a forge of this name")

	// ErrForgeChanged is returned by ChangeForge when somebody else changed the forge since it was read.
	ErrForgeChanged = errors.New("the forge was changed by somebody else")
)

// CreateForge inserts a forge, or returns ErrForgeTaken. It fills in ID and the times.
func (d *DB) CreateForge(ctx context.Context, f *Forge) error { return d.createForge(ctx, d.bun, f) }

func (d *DB) createForge(ctx context.Context, db bun.IDB, f *Forge) error {
	sealed, err := d.keys.seal(f.Credentials.clear(), sealForge)
	if err != nil {
		return err
	}
	f.Sealed, f.UpdatedAt, f.CreatedAt = sealed, now(), now()
	err = db.NewInsert().Model(f).On("CONFLICT (name) DO NOTHING").Returning("id").Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("create forge: %w", ErrForgeTaken)
	}
	return found("create forge", err)
}

// ChangeForge saves what somebody changed of a forge that exists: addresses, networks, credentials, and what is known of the
// App and the account. It returns ErrForgeChanged, and does nothing, when the row is not any more as it was read.
// Commit statuses that the forge refused are due again.
func (d *DB) ChangeForge(ctx context.Context, f *Forge) error {
	sealed, err := d.keys.seal(f.Credentials.clear(), sealForge)
	if err != nil {
		return err
	}
	read := f.UpdatedAt
	f.Sealed, f.UpdatedAt = sealed, now()
	err = d.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		ok, err := affected(tx.NewUpdate().Model(f).
			Column("url", "api_url", "networks", "app_id", "app_url", "app_slug", "sealed", "owner", "owner_is_organization", "token_until", "updated_at").
			Where("id = ? AND updated_at = ?", f.ID, read).Exec(ctx))
		if err != nil || !ok {
			return cmp.Or(err, ErrForgeChanged)
		}
		return reviveReports(ctx, tx, tx.NewSelect().Model((*Repository)(nil)).Column("id").Where("forge_id = ?", f.ID))
	})
	if err != nil {
		f.UpdatedAt = read
	}
	return found("change forge", err)
}

// SetForgeRequested notes that somebody asked for an installation of the App that others have to agree to.
func (d *DB) SetForgeRequested(ctx context.Context, id int64) error {
	_, err := d.bun.NewUpdate().Model((*Forge)(nil)).Set("requested = ?", true).Where("id = ?", id).Exec(ctx)
	return found("note request", err)
}

// SetForgeFault notes why the forge's repositories could not be listed.
func (d *DB) SetForgeFault(ctx context.Context, id int64, fault string) error {
	_, err := d.bun.NewUpdate().Model((*Forge)(nil)).Set("fault = ?", clean(cut(fault, 500))).Where("id = ?", id).Exec(ctx)
	return found("note fault", err)
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
