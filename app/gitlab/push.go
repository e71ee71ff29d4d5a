package gitlab

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"tinyforge/app"
	"tinyforge/db"
)

// Push implements app.Forge. Which proof a delivery needs is up to the forge's row alone, never to the delivery:
//
//   - With a signing token, a webhook-signature of at most five minutes ago. X-Gitlab-Token counts for nothing then: whoever
//     has seen it once, in the clear, could leave the signature out.
//   - Without one, X-Gitlab-Token. A signature that is there too cannot be checked and counts for nothing. That header does
//     not prove the body: whoever reads it on its way can send what they like, which TLS has to prevent.
//
// Either is the forge's own or that of the repository which the delivery is about (see app.RepositorySecret).
//
// FilesComplete is always false: at most the twenty newest commits are listed, and nothing tells a push that only went
// forward from one that was forced, whose dropped commits are not listed at all. For the same reason Message is "" when the
// commit is not new to the repository, and Author whoever pushed it.
func (f *Forge) Push(h http.Header, body []byte) (app.Push, error) {
	authentic, narrowly := f.verify(h, body)
	if !authentic {
		return app.Push{}, app.ErrSignature
	}
	hook := h.Get("X-Gitlab-Event")
	p := app.Push{DeliveryID: f.deliveryID(h), Event: "push", RepositorySigned: narrowly}
	switch {
	case p.DeliveryID == "" || hook == "" || len(p.DeliveryID)+len(hook) > 200:
		return app.Push{}, fmt.Errorf("%w: no X-Gitlab-Event and Idempotency-Key", app.ErrMalformed)
	case hook != "Push Hook" && hook != "Tag Push Hook":
		return app.Push{}, fmt.Errorf("%w: event %q moves nothing", app.ErrIgnored, hook)
	}
	if err := f.decode(body, &p); err != nil {
		return app.Push{}, err
	}
	return p, nil
}

// deliveryID is the same when GitLab sends a delivery again. GitLab before 17.4 has no Idempotency-Key: then it is another
// one each time, which is better than that of the event, since deliveries that followed from each other share it. Of a signed
// delivery it is the signed one, which nobody on the way can exchange.
func (f *Forge) deliveryID(h http.Header) string {
	if f.signingKey != nil {
		return h.Get("webhook-id")
	}
	return cmp.Or(h.Get("Idempotency-Key"), h.Get("webhook-id"), h.Get("X-Gitlab-Webhook-UUID"), h.Get("X-Gitlab-Event-UUID"))
}

// pushEvent is what we read of a push of a branch or a tag.
type pushEvent struct {
	Kind     string       `json:"object_kind"`
	Ref      string       `json:"ref"`
	Before   string       `json:"before"`
	After    string       `json:"after"`        // for an annotated tag, the tag object
	Checkout string       `json:"checkout_sha"` // the commit; null for a deletion
	Pusher   string       `json:"user_name"`
	Project  projectEntry `json:"project"`
	Commits  []commit     `json:"commits"`
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

type projectEntry struct {
	ID            int64  `json:"id"`
	FullName      string `json:"path_with_namespace"`
	DefaultBranch string `json:"default_branch"`
	Visibility    int    `json:"visibility_level"`
}

// public is the visibility level of what everybody may read; below are private and internal.
const public = 20

func (f *Forge) decode(body []byte, p *app.Push) error {
	var e pushEvent
	if json.Unmarshal(body, &e) != nil {
		return fmt.Errorf("%w: the push event is not the JSON that it should be", app.ErrMalformed)
	}
	if err := e.check(); err != nil {
		return err
	}
	p.Repository = db.Repository{
		ForgeID: f.row.ID, ExternalID: e.Project.ID, FullName: e.Project.FullName,
		DefaultBranch: app.FirstLine(e.Project.DefaultBranch), Private: e.Project.Visibility < public,
	}
	p.Ref, p.Before, p.After, p.Deleted = e.Ref, e.Before, e.After, app.ZeroHash(e.After)
	for _, c := range e.Commits {
		p.Files = append(p.Files, slices.Concat(c.Added, c.Modified, c.Removed)...)
	}
	p.Files = app.Paths(p.Files)
	if p.Deleted {
		return nil
	}
	p.Commit, p.Author = e.commit(), app.FirstLine(e.Pusher)
	if i := slices.IndexFunc(e.Commits, func(c commit) bool { return c.ID == p.Commit }); i >= 0 {
		p.Message, p.Author = app.FirstLine(e.Commits[i].Message), app.FirstLine(e.Commits[i].Author.Name)
	}
	return nil
}

func (e *pushEvent) check() error {
	switch {
	case e.Kind != "push" && e.Kind != "tag_push":
		return fmt.Errorf("%w: a push event that says it is another", app.ErrMalformed)
	case e.Project.ID <= 0 || !app.NestedName(e.Project.FullName):
		return fmt.Errorf("%w: a repository without id or name", app.ErrMalformed)
	case !strings.HasPrefix(e.Ref, "refs/"), !app.ValidHash(e.Before), !app.ValidHash(e.After),
		e.Checkout != "" && (!app.ValidHash(e.Checkout) || app.ZeroHash(e.Checkout)):
		return fmt.Errorf("%w: a push event without ref or hashes", app.ErrMalformed)
	case !app.ValidRef(e.Ref):
		return fmt.Errorf("%w: the ref is neither a branch nor a tag", app.ErrIgnored)
	case e.Before == e.After:
		return fmt.Errorf("%w: a test delivery; the webhook works", app.ErrIgnored)
	case e.commit() == "" && !app.ZeroHash(e.After):
		return fmt.Errorf("%w: the tag names no commit", app.ErrIgnored)
	}
	return nil
}

// commit is what to deploy, "" for a tag of something else than a commit.
func (e *pushEvent) commit() string {
	if strings.HasPrefix(e.Ref, "refs/tags/") {
		return e.Checkout
	}
	return e.After
}
