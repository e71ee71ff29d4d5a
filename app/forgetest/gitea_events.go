package forgetest

import (
	"crypto/sha1" //nolint:gosec // the forges still send it beside SHA-256
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// giteaMaxCommits is what a push event lists at most, as [ui] FEED_MAX_COMMIT_NUM says by default.
const giteaMaxCommits = 5

type giteaPush struct {
	Ref          string          `json:"ref"`
	Before       string          `json:"before"`
	After        string          `json:"after"`
	CompareURL   string          `json:"compare_url"`
	Commits      []giteaCommit   `json:"commits"`
	TotalCommits int             `json:"total_commits"`
	HeadCommit   *giteaCommit    `json:"head_commit"`
	Repository   giteaRepository `json:"repository"`
	Pusher       giteaUser       `json:"pusher"`
	Sender       giteaUser       `json:"sender"`
}

type giteaCreate struct {
	Sha        string          `json:"sha"`
	Ref        string          `json:"ref"`
	RefType    string          `json:"ref_type"`
	Repository giteaRepository `json:"repository"`
	Sender     giteaUser       `json:"sender"`
}

type giteaDelete struct {
	Ref        string          `json:"ref"`
	RefType    string          `json:"ref_type"`
	PusherType string          `json:"pusher_type"`
	Repository giteaRepository `json:"repository"`
	Sender     giteaUser       `json:"sender"`
}

// pushed sends, as measured: for a new ref a push and a create; for a moved branch a push; a moved tag looks new; for a
// deleted branch a delete alone; for a deleted tag a push and a delete.
func (g *gitea) pushed(r Repository, p push) ([]outgoing, error) {
	var out []outgoing
	for _, u := range p.updates {
		if u.tag() && !u.deleted() {
			u.Before, u.PreviousCommit = zeroID, ""
		}
		if u.tag() || !u.deleted() {
			event, err := g.pushEvent(r, p, u)
			if err != nil {
				return nil, err
			}
			if out, err = g.tell(out, r, "push", event); err != nil {
				return nil, err
			}
		}
		event, body := "", any(nil)
		switch {
		case u.deleted():
			event, body = "delete", giteaDelete{
				Ref: u.shortRef(), RefType: u.refType(), PusherType: "user",
				Repository: g.shape(r, Admin), Sender: g.user(Developer),
			}
		case u.created():
			event, body = "create", giteaCreate{
				Sha: u.After, Ref: u.shortRef(), RefType: u.refType(), Repository: g.shape(r, Anonymous), Sender: g.user(Developer),
			}
		default:
			continue
		}
		var err error
		if out, err = g.tell(out, r, event, body); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (g *gitea) pushEvent(r Repository, p push, u update) (giteaPush, error) {
	event := giteaPush{
		Ref: u.Ref, Before: u.Before, After: u.After, CompareURL: g.s.url + "/", Commits: []giteaCommit{},
		Repository: g.shape(r, Admin), Pusher: g.user(Developer), Sender: g.user(Developer),
	}
	if u.deleted() {
		return event, nil
	}
	head, err := p.history.one(u.Commit)
	if err != nil {
		return event, err
	}
	shape := g.commit(r, head)
	event.HeadCommit = &shape
	if u.tag() {
		event.CompareURL = g.compare(r, zeroID, u.After)
		return event, nil
	}
	revisions, base := giteaRange(p, r, u)
	if base != "" {
		event.CompareURL = g.compare(r, base, u.After)
	}
	if event.TotalCommits, err = p.history.count(revisions...); err != nil {
		return event, err
	}
	commits, err := p.history.list(giteaMaxCommits, revisions...)
	for _, c := range commits {
		event.Commits = append(event.Commits, g.commit(r, c))
	}
	return event, err
}

// giteaRange says which commits an event lists, and what the comparison starts from: the old commit or, for a new
// branch, where it left the default one.
func giteaRange(p push, r Repository, u update) (revisions []string, base string) {
	if !u.created() {
		return []string{u.Commit, "^" + u.PreviousCommit}, u.Before
	}
	main, has := p.before["refs/heads/"+r.DefaultBranch]
	if !has {
		return []string{u.Commit}, ""
	}
	switch base = p.history.mergeBase(main.Commit, u.Commit); base {
	case "":
		return []string{u.Commit}, ""
	case u.Commit:
		return []string{u.Commit, "^" + main.Commit}, r.DefaultBranch
	default:
		return []string{u.Commit, "^" + main.Commit}, base
	}
}

func (g *gitea) compare(r Repository, from, to string) string {
	return g.s.url + "/" + r.FullName + "/compare/" + from + "..." + to
}

// tell adds a delivery for each hook that wants the event; ids differ, bodies do not.
func (g *gitea) tell(out []outgoing, r Repository, event string, body any) ([]outgoing, error) {
	for _, h := range g.s.listening(r, event) {
		o, err := g.to(h, r, event, body)
		if err != nil {
			return nil, err
		}
		out = append(out, o)
	}
	return out, nil
}

// to makes the request of a delivery. The signature is over the JSON, also where a form is sent.
func (g *gitea) to(h hook, r Repository, event string, body any) (outgoing, error) {
	text, err := json.MarshalIndent(body, "", "  ")
	if err != nil {
		return outgoing{}, fmt.Errorf("encode %s event: %w", event, err)
	}
	id, header := g.signWith(h.Secret, event, text)
	if h.owner != "" {
		header.Set("X-Gitea-Hook-Installation-Target-Type", "organization")
		header.Set("X-GitHub-Hook-Installation-Target-Type", "organization")
	}
	if h.Authorization != "" {
		header.Set("Authorization", h.Authorization)
	}
	if h.Form {
		header.Set("Content-Type", "application/x-www-form-urlencoded")
		text = []byte(url.Values{"payload": {string(text)}}.Encode())
	}
	return outgoing{id: id, event: event, repository: r.FullName, url: h.URL, header: header, body: text}, nil
}

func (g *gitea) sign(event string, body []byte) (id string, h http.Header) {
	return g.signWith(g.secret, event, body)
}

// signWith leaves the signatures empty where there is no secret, but not their headers.
func (g *gitea) signWith(secret, event string, body []byte) (id string, h http.Header) {
	signature, old := "", ""
	if secret != "" {
		signature, old = mac(sha256.New, secret, body), mac(sha1.New, secret, body)
	}
	id, h = newUUID(), http.Header{}
	h.Set("User-Agent", "Go-http-client/1.1")
	h.Set("Content-Type", "application/json")
	for _, family := range g.families() {
		h.Set("X-"+family+"-Event", event)
		h.Set("X-"+family+"-Event-Type", event)
		if family != "GitHub" {
			h.Set("X-"+family+"-Signature", signature)
		}
	}
	h.Set("X-Gitea-Hook-Installation-Target-Type", "repository")
	h.Set("X-GitHub-Hook-Installation-Target-Type", "repository")
	h.Set("X-Hub-Signature", "sha1="+old)
	h.Set("X-Hub-Signature-256", "sha256="+signature)
	g.number(h, id)
	return id, h
}

// again makes a new delivery of the same body, as replaying does.
func (g *gitea) again(d Delivery) outgoing {
	id, h := newUUID(), d.Header.Clone()
	g.number(h, id)
	return outgoing{id: id, event: d.Event, repository: d.Repository, url: d.URL, header: h, body: d.Body}
}

func (g *gitea) number(h http.Header, id string) {
	for _, family := range g.families() {
		h.Set("X-"+family+"-Delivery", id)
	}
}

// families are the names under which the headers are sent.
func (g *gitea) families() []string {
	families := []string{"Gitea", "Gogs", "GitHub"}
	if g.forgejo {
		families = append(families, "Forgejo")
	}
	return families
}

// testDelivery is what the button of that name sends: a push that moves nothing.
func (g *gitea) testDelivery(r Repository, head commit) giteaPush {
	shape := g.commit(r, head)
	shape.Added, shape.Removed, shape.Modified = nil, nil, nil
	return giteaPush{
		Ref: "refs/heads/" + r.DefaultBranch, Before: head.ID, After: head.ID,
		CompareURL: g.compare(r, head.ID, head.ID), Commits: []giteaCommit{shape}, TotalCommits: 1, HeadCommit: &shape,
		Repository: g.shape(r, Admin), Pusher: g.user(Developer), Sender: g.user(Developer),
	}
}

// knownEvents are what a hook can ask for.
func knownEvents() []string {
	return strings.Fields(`create delete fork issue_assign issue_comment issue_label issue_milestone issues package
		pull_request pull_request_assign pull_request_comment pull_request_label pull_request_milestone
		pull_request_review pull_request_review_request pull_request_sync push release repository status wiki
		workflow_job workflow_run`)
}
