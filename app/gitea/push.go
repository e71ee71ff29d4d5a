package gitea

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"tinyforge/app"
	"tinyforge/db"
)

// Push implements app.Forge. Gitea and Forgejo sign the JSON, also where they send it in a form. They sign it with the
// forge's secret, or with that of the repository which it is about (see app.RepositorySecret).
//
// FilesComplete is always false: at most the five newest commits are listed, and nothing tells a push that only went
// forward from one that was forced. Deleting a branch sends a delete event only, deleting a tag both a push and a
// delete event: either way Deleted is set, Ref is the full name and After is zero.
func (f *Forge) Push(h http.Header, body []byte) (app.Push, error) {
	text := body
	if app.IsForm(h) {
		var err error
		if text, err = app.FormPayload(body); err != nil {
			return app.Push{}, app.ErrSignature // there is nothing that could have been signed
		}
	}
	authentic, narrowly := f.verify(text, signature(h))
	if !authentic {
		return app.Push{}, app.ErrSignature
	}
	p := app.Push{DeliveryID: header(h, "Delivery"), Event: header(h, "Event"), RepositorySigned: narrowly}
	if p.DeliveryID == "" || p.Event == "" || len(p.DeliveryID)+len(p.Event) > 200 {
		return app.Push{}, fmt.Errorf("%w: no X-Gitea-Delivery and X-Gitea-Event", app.ErrMalformed)
	}
	var err error
	switch p.Event {
	case "push":
		err = f.decodePush(text, &p)
	case "delete":
		err = f.decodeDelete(text, &p)
	case "package":
		err = f.decodePackage(text, &p)
	default:
		err = fmt.Errorf("%w: event %q moves nothing", app.ErrIgnored, p.Event)
	}
	if err != nil {
		return app.Push{}, err
	}
	return p, nil
}

// verify tries the forge's secrets, then those of the repository which the text claims to be about. narrowly tells that it
// was one of the latter.
func (f *Forge) verify(text []byte, signature string) (authentic, narrowly bool) {
	for _, secret := range f.row.Credentials.WebhookSecrets() {
		if app.VerifyHMAC(secret, text, signature) {
			return true, false
		}
		narrowly = narrowly || app.VerifyHMAC(app.RepositorySecret(secret, claimedRepository(text)), text, signature)
	}
	return narrowly, narrowly
}

// claimedRepository reads the one thing that has to be known before the signature is: whose secret to try. The id is found
// as pushEvent and deleteEvent find it, so that both are the same also where a text has several. It is 0 when there is none.
func claimedRepository(text []byte) int64 {
	var e struct {
		Repository struct {
			ID int64 `json:"id"`
		} `json:"repository"`
	}
	if json.Unmarshal(text, &e) != nil {
		return 0
	}
	return e.Repository.ID
}

// signature returns what the delivery claims, in hexadecimal.
func signature(h http.Header) string {
	if s := header(h, "Signature"); s != "" {
		return s
	}
	s, _ := strings.CutPrefix(h.Get("X-Hub-Signature-256"), "sha256=")
	return s
}

// header prefers Forgejo's own headers to Gitea's, which Forgejo sends as well.
func header(h http.Header, name string) string {
	if v := h.Get("X-Forgejo-" + name); v != "" {
		return v
	}
	return h.Get("X-Gitea-" + name)
}

// pushEvent is what we read of a push event.
type pushEvent struct {
	Ref        string          `json:"ref"`
	Before     string          `json:"before"`
	After      string          `json:"after"`
	Commits    []commit        `json:"commits"`
	HeadCommit *commit         `json:"head_commit"`
	Repository repositoryEntry `json:"repository"`
}

type commit struct {
	ID      string `json:"id"`
	Message string `json:"message"`
	Author  struct {
		Name string `json:"name"`
	} `json:"author"`
	Added    []string `json:"added"`
	Modified []string `json:"modified"`
	Removed  []string `json:"removed"`
}

type repositoryEntry struct {
	ID            int64  `json:"id"`
	FullName      string `json:"full_name"`
	DefaultBranch string `json:"default_branch"`
	Private       bool   `json:"private"`
	ObjectFormat  string `json:"object_format_name"` // "sha1", "sha256"; "" from old versions
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
	p.Ref, p.Before, p.After, p.Deleted = e.Ref, e.Before, e.After, app.ZeroHash(e.After)
	for _, c := range e.Commits {
		p.Files = append(p.Files, slices.Concat(c.Added, c.Modified, c.Removed)...)
	}
	p.Files = app.Paths(p.Files)
	if p.Deleted {
		return nil
	}
	p.Commit = e.commit()
	if e.HeadCommit != nil {
		p.Message, p.Author = app.FirstLine(e.HeadCommit.Message), app.FirstLine(e.HeadCommit.Author.Name)
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
		return fmt.Errorf("%w: a test delivery; the webhook works", app.ErrIgnored)
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

// deleteEvent is what we read of a delete event. Its ref is a short name.
type deleteEvent struct {
	Ref        string          `json:"ref"`
	RefType    string          `json:"ref_type"`
	Repository repositoryEntry `json:"repository"`
}

func (f *Forge) decodeDelete(text []byte, p *app.Push) (err error) {
	var e deleteEvent
	if json.Unmarshal(text, &e) != nil {
		return fmt.Errorf("%w: the delete event is not the JSON that it should be", app.ErrMalformed)
	}
	if p.Repository, err = e.Repository.row(f.row.ID); err != nil {
		return err
	}
	switch e.RefType {
	case "branch":
		p.Ref = "refs/heads/" + e.Ref
	case "tag":
		p.Ref = "refs/tags/" + e.Ref
	}
	if !app.ValidRef(p.Ref) {
		return fmt.Errorf("%w: a delete event without a branch or a tag", app.ErrMalformed)
	}
	p.Deleted, p.After = true, strings.Repeat("0", 40)
	if e.Repository.ObjectFormat == "sha256" {
		p.After = strings.Repeat("0", 64)
	}
	return nil
}
