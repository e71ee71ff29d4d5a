package forgetest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// gitlabMaxCommits is what an event lists at most.
	gitlabMaxCommits = 20

	// gitlabMaxRefs is how many branches, or tags, a push may change before nothing is told of any.
	gitlabMaxRefs = 3

	signingPrefix = "whsec_"
)

type gitlabPush struct {
	Kind       string             `json:"object_kind"`
	Name       string             `json:"event_name"`
	Before     string             `json:"before"`
	After      string             `json:"after"`
	Ref        string             `json:"ref"`
	Protected  bool               `json:"ref_protected"`
	Checkout   *string            `json:"checkout_sha"`
	Message    *string            `json:"message"`
	UserID     int64              `json:"user_id"`
	UserName   string             `json:"user_name"`
	Username   string             `json:"user_username"`
	Email      string             `json:"user_email"`
	ProjectID  int64              `json:"project_id"`
	Project    gitlabEventProject `json:"project"`
	Commits    []gitlabCommit     `json:"commits"`
	Total      int                `json:"total_commits_count"`
	Options    struct{}           `json:"push_options"`
	Repository struct {
		Name string `json:"name"`
		URL  string `json:"url"`
	} `json:"repository"`
}

// pushed sends an event for each ref, deleted ones too, but none for a kind of ref of which the push changes more than three.
func (g *gitLab) pushed(r Repository, p push) ([]outgoing, error) {
	var out []outgoing
	for _, tags := range []bool{false, true} {
		changes := slices.DeleteFunc(slices.Clone(p.updates), func(u update) bool { return u.tag() != tags })
		if len(changes) > gitlabMaxRefs {
			continue
		}
		for _, u := range changes {
			event, err := g.pushEvent(r, p, u)
			if err != nil {
				return nil, err
			}
			for _, h := range g.s.listening(r, event.Kind) {
				o, err := g.to(h, r, event.Kind, event)
				if err != nil {
					return nil, err
				}
				out = append(out, o)
			}
		}
	}
	return out, nil
}

func (g *gitLab) pushEvent(r Repository, p push, u update) (gitlabPush, error) {
	event := gitlabPush{
		Kind: "push", Before: u.Before, After: u.After, Ref: u.Ref, UserID: 4, UserName: "A Developer", Username: Developer,
		ProjectID: r.ID, Project: g.eventProject(r), Commits: []gitlabCommit{},
	}
	if u.tag() {
		event.Kind = "tag_push"
	}
	event.Name, event.Repository.Name, event.Repository.URL = event.Kind, r.Name(), event.Project.SSHURL
	if u.deleted() {
		return event, nil
	}
	event.Checkout = &u.Commit
	if u.tag() {
		head, err := p.history.one(u.Commit)
		event.Commits, event.Total = []gitlabCommit{g.commit(r, head)}, 1
		return event, err
	}
	revisions := gitlabRange(p, r, u)
	var err error
	if event.Total, err = p.history.count(revisions...); err != nil {
		return event, err
	}
	commits, err := p.history.list(gitlabMaxCommits, revisions...)
	for _, c := range slices.Backward(commits) { // oldest first
		event.Commits = append(event.Commits, g.commit(r, c))
	}
	return event, err
}

// gitlabRange says which commits an event lists: what is new to the branch or, for a new branch, to the default one. Those
// that a forced push drops are in neither.
func gitlabRange(p push, r Repository, u update) []string {
	if !u.created() {
		return []string{u.Commit, "^" + u.PreviousCommit}
	}
	if main, has := p.before["refs/heads/"+r.DefaultBranch]; has {
		return []string{u.Commit, "^" + main.Commit}
	}
	return []string{u.Commit}
}

// to makes the request of a delivery.
func (g *gitLab) to(h hook, r Repository, event string, body any) (outgoing, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return outgoing{}, fmt.Errorf("encode %s event: %w", event, err)
	}
	id, header := g.signWith(h.Secret, h.SigningToken, event, text)
	return outgoing{id: id, event: event, repository: r.FullName, url: h.URL, header: header, body: text, hook: h.ID}, nil
}

func (g *gitLab) sign(event string, body []byte) (id string, h http.Header) {
	return g.signWith(g.secret, g.signing, event, body)
}

// signWith sends the secret as it is, and signs with the signing token where there is one.
func (g *gitLab) signWith(secret, signing, event string, body []byte) (id string, h http.Header) {
	id, h = newUUID(), http.Header{}
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", "GitLab/19.0.0")
	h.Set("X-Gitlab-Instance", g.s.url)
	h.Set("X-Gitlab-Webhook-UUID", newUUID())
	h.Set("X-Gitlab-Event-UUID", newUUID())
	h.Set("Idempotency-Key", id)
	if event != "" {
		h.Set("X-Gitlab-Event", gitlabEventName(event))
	}
	if secret != "" {
		h.Set("X-Gitlab-Token", secret)
	}
	g.stamp(h, signing, id, body)
	return id, h
}

// stamp signs a delivery at this moment.
func (g *gitLab) stamp(h http.Header, signing, id string, body []byte) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(signing, signingPrefix))
	if signing == "" || err != nil {
		return
	}
	at := strconv.FormatInt(time.Now().Unix(), 10)
	sum := hmac.New(sha256.New, key)
	_, _ = fmt.Fprintf(sum, "%s.%s.%s", id, at, body) // never fails
	h.Set("Webhook-Id", id)
	h.Set("Webhook-Timestamp", at)
	h.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(sum.Sum(nil)))
}

// gitlabEventName is what the header says: "Tag Push Hook" for tag_push.
func gitlabEventName(event string) string {
	words := strings.Split(event, "_")
	for i, word := range words {
		words[i] = strings.ToUpper(word[:1]) + word[1:]
	}
	return strings.Join(words, " ") + " Hook"
}

// again sends the same delivery, by its Idempotency-Key, in a new request.
func (g *gitLab) again(d Delivery) outgoing {
	h := d.Header.Clone()
	h.Set("X-Gitlab-Webhook-UUID", newUUID())
	o := outgoing{id: d.ID, event: d.Event, repository: d.Repository, url: d.URL, header: h, body: d.Body}
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	for _, hook := range g.s.hooks {
		if hook.URL == d.URL && hook.Secret == h.Get("X-Gitlab-Token") {
			o.hook = hook.ID
			g.stamp(h, hook.SigningToken, d.ID, d.Body)
		}
	}
	return o
}
