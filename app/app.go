// Package app speaks to forges and to people. It knows nothing of Docker or proxies: it meets package deploy in the
// rows of package db, and makes the commit status of each deployment equal to its phase.
package app

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"time"

	"tinyforge/db"
)

var (
	// ErrSignature is returned for a delivery whose signature is absent or wrong, or whose forge has no webhook secret.
	ErrSignature = errors.New("webhook signature does not verify")

	// ErrIgnored is returned, wrapped with the reason, for an authentic delivery that moves nothing.
	ErrIgnored = errors.New("ignored")

	// ErrMalformed is returned, wrapped with what is wrong, for an authentic delivery that cannot be decoded.
	ErrMalformed = errors.New("malformed delivery")
)

// Forge is one forge, opened from its row. Implementations are safe for concurrent use and make no network call on
// construction. Every error that comes from an HTTP answer is or wraps a *StatusError, which carries no part of the
// answer's body.
type Forge interface {
	// Push verifies the signature over body, then decodes it. It makes no network call.
	Push(h http.Header, body []byte) (Push, error)

	// SetStatus makes s the newest status of its context on s.Commit. Repeating it is harmless.
	SetStatus(ctx context.Context, repo db.Repository, s Status) error

	// Fetch makes dir, which exists and is empty, a checkout of one commit, without a .git folder and without the
	// credentials it used, and returns what the commit says of itself. It returns an error that wraps ErrNoCommit when the
	// forge no longer has the commit.
	Fetch(ctx context.Context, repo db.Repository, commit, dir string) (db.CommitText, error)

	// Repositories yields what the credentials let us see, with ForgeID and, where the forge has them, the installation
	// (ExternalID in Installation) filled in.
	Repositories(ctx context.Context) iter.Seq2[Installed, error]

	// Heads returns the commit of each branch and tag, by full ref name.
	Heads(ctx context.Context, repo db.Repository) (map[string]string, error)
}

// Hooker is a Forge whose repositories need a webhook each. A GitHub App has one of its own instead.
//
// A webhook is registered with RepositorySecret of the forge's secret and the repository's ExternalID, since whoever
// administers the repository may be shown it. Push takes what is signed with it for this repository only. What is signed
// with the forge's own secret it takes for any: that is for webhooks which people make by hand, of an organisation or of all.
type Hooker interface {
	// FindHook returns the id of the webhook with this address, when there is exactly one and it is active and for the right events;
	// 0 else. It needs the repository's ExternalID and FullName.
	FindHook(ctx context.Context, repo db.Repository, url string) (id int64, err error)

	// RenewHook makes such a webhook, with the repository's secret, whatever there is, then removes those with this address that are
	// older: at no moment is there none. Of those of two that are at it at once the newer one is left. It returns the id of its own.
	RenewHook(ctx context.Context, repo db.Repository, url string) (id int64, err error)

	// RemoveHook removes every webhook with this address. None is not an error.
	RemoveHook(ctx context.Context, repo db.Repository, url string) error

	// HookSecret returns all that a webhook which RenewHook makes signs with. It needs the repository's ExternalID. No forge
	// shows it: who wants a webhook that signs with something else than before renews it.
	HookSecret(repo db.Repository) string
}

// Registrar is a Forge that has a container registry of its own.
type Registrar interface {
	// RegistryAccount returns the account with which repo's images are pulled from the registry at host, "HOST" or
	// "HOST:PORT". ok is false for a registry that is not the forge's own: no other may be given the account.
	RegistryAccount(ctx context.Context, repo db.Repository, host string) (account RegistryAccount, ok bool, err error)
}

// RegistryAccount is what a registry asks for. Password is a secret.
type RegistryAccount struct{ Username, Password string }

// Push is an authentic delivery, decoded: a moved ref, a new package when Package is set or, when Installation is, a change
// of what we may see.
type Push struct {
	DeliveryID string // the forge's id of it
	Event      string // "push", "installation", "package"

	Repository db.Repository // ExternalID, FullName, DefaultBranch, Private; ForgeID too. A package may have none
	Ref        string        // "refs/heads/main", "refs/tags/v1"
	Before     string        // as sent; zeros for a new ref
	After      string        // as sent; zeros for a deleted one. For an annotated tag, the tag object
	Commit     string        // what to deploy: After, or the commit that an annotated tag names. "" when Deleted
	Deleted    bool
	Message    string // the commit's first line
	Author     string

	Files         []string // paths added, modified or removed
	FilesComplete bool     // false when the forge may have left some out: then no filter may trust Files

	// RepositorySigned tells that whoever administers the repository could have signed it (see RepositorySecret). Then its
	// ExternalID is proven, but not its FullName: taken for true it would turn one repository into another.
	RepositorySigned bool

	Installation *InstallationChange
	Package      *Package // with the Ref and the Commit that it was made of, where the forge tells them
}

// Package is a container image that the forge's registry has now.
type Package struct {
	Image  string // "ghcr.io/acme/site", in lower case
	Tag    string // "" when it is not told
	Digest string // "sha256:..."; "" when it is not told
}

// Name is the image with its tag.
func (p Package) Name() string {
	if p.Tag == "" {
		return p.Image
	}
	return p.Image + ":" + p.Tag
}

// InstallationChange is what the events installation and installation_repositories say.
type InstallationChange = db.InstallationChange

// Installed is a repository and the installation through which we see it.
type Installed struct {
	Repository   db.Repository
	Installation *db.Installation // nil where the forge has none
}

// StatusContext is the one context under which Tinyforge reports.
const StatusContext = "tinyforge"

// Status is a commit status.
type Status struct {
	Commit      string
	State       db.Status
	Description string // at most 140 characters
	TargetURL   string // "" when no public address is configured
}

// Check tells what of a status no forge could be told.
func (s Status) Check() error {
	if !ValidHash(s.Commit) {
		return errors.New("set commit status: not a full commit hash")
	}
	switch s.State {
	case db.StatusPending, db.StatusSuccess, db.StatusFailure:
		return nil
	}
	return errors.New("set commit status: unknown state")
}

// ErrNoCommit is returned by Fetch when the forge does not have the commit, or not any more.
var ErrNoCommit = errors.New("the forge no longer has this commit")

// StatusError is an HTTP answer that is not the expected one. It carries the code only: a body could reflect what we
// sent, the token included.
type StatusError struct {
	Op         string // "set commit status"
	Code       int
	RetryAfter time.Duration // 0 when the forge gave none
}

func (e *StatusError) Error() string { return fmt.Sprintf("%s: forge answered %d", e.Op, e.Code) }

// Permanent tells whether repeating the request is useless: a client error other than a time-out, a conflict or a rate
// limit, or a redirect, which means the repository was renamed or the address is wrong.
func (e *StatusError) Permanent() bool {
	switch e.Code {
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return e.Code >= 300 && e.Code < 500 && e.RetryAfter == 0
}
