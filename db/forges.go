package db

import (
	"log/slog"
	"time"
)

// Forge is a server that holds repositories and sends webhooks: one GitHub App, or one token on a Gitea or Forgejo.
type Forge struct {
	ID   int64  `bun:",pk,autoincrement"`
	Name string // unique; part of the webhook address, /webhooks/{name}
	Kind string // "github", "gitea": the key under which serve.go registered it

	URL    string // where people and git find it: "https://github.com", without a trailing slash
	APIURL string // "" means the usual one of the kind

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
	Token         string `json:"token,omitempty"`       // Gitea, Forgejo
	PrivateKey    string `json:"private_key,omitempty"` // GitHub App, PEM
}

// String, GoString and LogValue keep credentials out of logs and errors that print a Forge by chance.
func (Credentials) String() string       { return "[secret]" }
func (Credentials) GoString() string     { return "[secret]" }
func (Credentials) LogValue() slog.Value { return slog.StringValue("[secret]") }

// Installation is a GitHub App installed on an account.
type Installation struct {
	ID         int64 `bun:",pk,autoincrement"`
	ForgeID    int64
	ExternalID int64  // the forge's id of it; unique by forge
	Account    string // user or organisation
	Suspended  bool
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

// Repository is known by the forge's id of it; its name may change.
type Repository struct {
	ID             int64 `bun:",pk,autoincrement"`
	ForgeID        int64
	InstallationID int64 `bun:",nullzero"` // 0 where the forge has no installations
	ExternalID     int64 // the forge's id; unique by forge
	FullName       string
	DefaultBranch  string
	Private        bool
	Removed        bool // the forge no longer lets us see it; it comes back by being seen again
	CreatedAt      time.Time
	UpdatedAt      time.Time
}
