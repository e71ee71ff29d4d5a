package github

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"tinyforge/app"
	"tinyforge/db"
)

// maxListedCommits is how many commits GitHub puts into a push event. One that has as many may have lost some.
const maxListedCommits = 2048

// Push implements app.Forge. GitHub signs the body as it is sent, form encoding included. A deletion is told by the push
// event, so the delete event that comes with it is ignored.
func (f *Forge) Push(h http.Header, body []byte) (app.Push, error) {
	signature, ok := strings.CutPrefix(h.Get("X-Hub-Signature-256"), "sha256=")
	if !ok || !slices.ContainsFunc(f.row.Credentials.WebhookSecrets(), func(secret string) bool { return app.VerifyHMAC(secret, body, signature) }) {
		return app.Push{}, app.ErrSignature
	}
	p := app.Push{DeliveryID: h.Get("X-GitHub-Delivery"), Event: h.Get("X-GitHub-Event")}
	if p.DeliveryID == "" || p.Event == "" || len(p.DeliveryID)+len(p.Event) > 200 {
		return app.Push{}, fmt.Errorf("%w: no X-GitHub-Delivery and X-GitHub-Event", app.ErrMalformed)
	}
	decode := f.decoder(p.Event)
	if decode == nil {
		return app.Push{}, ignored(p.Event)
	}
	text, err := payload(h, body)
	if err != nil {
		return app.Push{}, err
	}
	if err := decode(text, &p); err != nil {
		return app.Push{}, err
	}
	return p, nil
}

func (f *Forge) decoder(event string) func([]byte, *app.Push) error {
	switch event {
	case "push":
		return f.decodePush
	case "installation":
		return f.decodeInstallation
	case "installation_repositories":
		return f.decodeSelection
	case "package", "registry_package":
		return f.decodePackage
	}
	return nil
}

func ignored(event string) error {
	switch event {
	case "ping":
		return fmt.Errorf("%w: ping; the webhook works", app.ErrIgnored)
	case "delete":
		return fmt.Errorf("%w: a deletion is told by the push event", app.ErrIgnored)
	}
	return fmt.Errorf("%w: event %q moves nothing", app.ErrIgnored, event)
}

func payload(h http.Header, body []byte) ([]byte, error) {
	if !app.IsForm(h) {
		return body, nil
	}
	text, err := app.FormPayload(body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", app.ErrMalformed, err)
	}
	return text, nil
}

// pushEvent is what we read of a push event.
type pushEvent struct {
	Ref        string          `json:"ref"`
	Before     string          `json:"before"`
	After      string          `json:"after"`
	Created    bool            `json:"created"`
	Deleted    bool            `json:"deleted"`
	Forced     bool            `json:"forced"`
	Commits    []change        `json:"commits"`
	HeadCommit *commit         `json:"head_commit"`
	Repository repositoryEntry `json:"repository"`
}

type commit struct {
	ID      string `json:"id"`
	Message string `json:"message"`
	Author  struct {
		Name     string `json:"name"`
		Username string `json:"username"`
	} `json:"author"`
}

// change is what a commit did.
type change struct {
	Added    []string `json:"added"`
	Modified []string `json:"modified"`
	Removed  []string `json:"removed"`
}

type repositoryEntry struct {
	ID            int64  `json:"id"`
	FullName      string `json:"full_name"`
	DefaultBranch string `json:"default_branch"`
	Private       bool   `json:"private"`
}

func (r repositoryEntry) row(forgeID int64) (db.Repository, error) {
	if _, _, ok := app.SplitName(r.FullName); !ok || r.ID <= 0 {
		return db.Repository{}, fmt.Errorf("%w: a repository without id or name", app.ErrMalformed)
	}
	return db.Repository{
		ForgeID: forgeID, ExternalID: r.ID, FullName: r.FullName, DefaultBranch: app.FirstLine(r.DefaultBranch), Private: r.Private,
	}, nil
}

func (f *Forge) decodePush(text []byte, p *app.Push) (err error) {
	var e pushEvent
	if json.Unmarshal(text, &e) != nil {
		return fmt.Errorf("%w: the push event is not the JSON that it should be", app.ErrMalformed)
	}
	if p.Repository, err = e.Repository.row(f.row.ID); err != nil {
		return err
	}
	if err := e.check(); err != nil {
		return err
	}
	p.Ref, p.Before, p.After, p.Deleted = e.Ref, e.Before, e.After, e.Deleted || app.ZeroHash(e.After)
	for _, c := range e.Commits {
		p.Files = append(p.Files, slices.Concat(c.Added, c.Modified, c.Removed)...)
	}
	p.Files, p.FilesComplete = app.Paths(p.Files), e.filesComplete()
	if p.Deleted {
		return nil
	}
	p.Commit = e.commit()
	if e.HeadCommit != nil {
		p.Message, p.Author = app.FirstLine(e.HeadCommit.Message), app.FirstLine(e.HeadCommit.author())
	}
	return nil
}

func (e *pushEvent) check() error {
	switch {
	case !strings.HasPrefix(e.Ref, "refs/"), !app.ValidHash(e.Before), !app.ValidHash(e.After),
		e.HeadCommit != nil && (!app.ValidHash(e.HeadCommit.ID) || app.ZeroHash(e.HeadCommit.ID)):
		return fmt.Errorf("%w: a push event without ref or hashes", app.ErrMalformed)
	case !app.ValidRef(e.Ref):
		return fmt.Errorf("%w: the ref is neither a branch nor a tag", app.ErrIgnored)
	case e.Before == e.After:
		return fmt.Errorf("%w: the ref did not move", app.ErrIgnored)
	}
	return nil
}

// commit is what to deploy. For an annotated tag After is the tag object and head_commit what it names.
func (e *pushEvent) commit() string {
	if strings.HasPrefix(e.Ref, "refs/tags/") && e.HeadCommit != nil {
		return e.HeadCommit.ID
	}
	return e.After
}

func (c *commit) author() string {
	if c.Author.Name != "" {
		return c.Author.Name
	}
	return c.Author.Username
}

// filesComplete tells whether Files must be all that changed between Before and After: the ref moved forward along the
// listed commits, and none of them is without files, as those are whose list GitHub left out.
func (e *pushEvent) filesComplete() bool {
	if e.Created || e.Deleted || e.Forced || len(e.Commits) == 0 || len(e.Commits) >= maxListedCommits || app.ZeroHash(e.Before) {
		return false
	}
	return !slices.ContainsFunc(e.Commits, func(c change) bool { return len(c.Added)+len(c.Modified)+len(c.Removed) == 0 })
}
