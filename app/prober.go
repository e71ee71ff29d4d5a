package app

import (
	"context"
	"fmt"
	"time"

	"tinyforge/db"
)

// Prober is a Forge that can tell, before it is used, whether its address and its token are good for all that is needed. It
// changes nothing on the forge.
type Prober interface {
	// Probe looks at one thing after the other: the address, the kind of forge, the token, its scopes, the listing of
	// repositories, and in one of them the right to webhooks, the right to statuses and the cloning. What is missing is a
	// *ProbeError. What cannot be looked at, since there is no repository yet, is not missing.
	Probe(ctx context.Context) (Probed, error)
}

// Probed is what a probe has found.
type Probed struct {
	Kind         string    // of the forge as it says itself: "forgejo"
	Account      string    // of the token; "" where the token may not tell
	TokenUntil   time.Time // zero where it does not expire, or that is not known
	Repositories bool      // there is at least one
	NoHook       string    // a repository that the account does not administer, where it administers none; "" otherwise
	Lacks        []string  // scopes that are of use and not needed
}

// ProbeStep is what a probe looks at.
type ProbeStep string

const (
	ProbeAddress ProbeStep = "address" // it answers
	ProbeKind    ProbeStep = "kind"    // it is this kind of forge
	ProbeToken   ProbeStep = "token"   // it is known, and not over
	ProbeScopes  ProbeStep = "scopes"  // the token has them
	ProbeList    ProbeStep = "list"    // repositories
	ProbeStatus  ProbeStep = "status"  // the right to commit statuses
	ProbeClone   ProbeStep = "clone"   // of a repository
)

// ProbeError is the first thing that a probe found missing.
type ProbeError struct {
	Step    ProbeStep
	Missing []string  // scopes
	Until   time.Time // when the token expired; zero where it did not
	Err     error     // why; nil where Step says all
}

func (e *ProbeError) Error() string { return fmt.Sprintf("probe %s: %v", e.Step, e.Err) }

func (e *ProbeError) Unwrap() error { return e.Err }

// Installer is a Forge that is an App which accounts install.
type Installer interface {
	// Installation asks for the installation with the forge's own id. One that is not this App's is a *StatusError with 404.
	Installation(ctx context.Context, externalID int64) (db.Installation, error)

	// Installations yields all of them, suspended ones too.
	Installations(ctx context.Context) ([]db.Installation, error)

	// SetHook gives the App's own webhook an address and a secret.
	SetHook(ctx context.Context, url, secret string) error
}

// NewApp is a GitHub App that is to be made.
type NewApp struct {
	Name      string // of the App, at most 34 characters
	Forge     string // name of the forge that it becomes
	PublicURL string // without a trailing slash
	Webhook   bool   // whether pushes are to be delivered
}
