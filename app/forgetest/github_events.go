package forgetest

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the forges still send it beside SHA-256
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"net/http"
	"slices"
	"strconv"
)

// What GitHub documents about push events.
const (
	githubMaxCommits  = 2048
	githubMaxTags     = 3
	githubMaxBranches = 5000
)

type githubPush struct {
	Ref          string                 `json:"ref"`
	Before       string                 `json:"before"`
	After        string                 `json:"after"`
	Repository   githubRepository       `json:"repository"`
	Pusher       githubPerson           `json:"pusher"`
	Organization *githubUser            `json:"organization,omitempty"`
	Sender       githubUser             `json:"sender"`
	Installation githubInstallationName `json:"installation"`
	Created      bool                   `json:"created"`
	Deleted      bool                   `json:"deleted"`
	Forced       bool                   `json:"forced"`
	BaseRef      *string                `json:"base_ref"`
	Compare      string                 `json:"compare"`
	Commits      []githubCommit         `json:"commits"`
	HeadCommit   *githubCommit          `json:"head_commit"`
}

type githubDelete struct {
	Ref          string                 `json:"ref"`
	RefType      string                 `json:"ref_type"`
	PusherType   string                 `json:"pusher_type"`
	Repository   githubRepository       `json:"repository"`
	Organization *githubUser            `json:"organization,omitempty"`
	Sender       githubUser             `json:"sender"`
	Installation githubInstallationName `json:"installation"`
}

type githubInstallationEvent struct {
	Action       string                 `json:"action"`
	Installation githubInstallation     `json:"installation"`
	Repositories []githubRepositoryName `json:"repositories,omitempty"`
	Requester    *githubUser            `json:"requester"`
	Sender       githubUser             `json:"sender"`
}

type githubSelectionEvent struct {
	Action       string                 `json:"action"`
	Installation githubInstallation     `json:"installation"`
	Selection    string                 `json:"repository_selection"`
	Added        []githubRepositoryName `json:"repositories_added"`
	Removed      []githubRepositoryName `json:"repositories_removed"`
	Requester    *githubUser            `json:"requester"`
	Sender       githubUser             `json:"sender"`
}

// pushed sends a push event for each ref, and a delete event too for a deleted one. Neither is sent where the App cannot
// see the repository, nor for more than three tags or 5000 branches at once.
func (g *gitHub) pushed(r Repository, p push) ([]outgoing, error) {
	g.s.mu.Lock()
	i := g.installations[r.Installation]
	heard := i != nil && !i.suspended() && i.repositories[r.ID]
	hook := g.hook
	g.s.mu.Unlock()
	if !heard || hook == "" {
		return nil, nil
	}
	tags := 0
	for _, u := range p.updates {
		if u.tag() {
			tags++
		}
	}
	var out []outgoing
	for _, u := range p.updates {
		if u.tag() && tags > githubMaxTags || !u.tag() && len(p.updates)-tags > githubMaxBranches {
			continue
		}
		events, err := g.events(r, p, u)
		if err != nil {
			return nil, err
		}
		out = append(out, events...)
	}
	return out, nil
}

func (g *gitHub) events(r Repository, p push, u update) ([]outgoing, error) {
	body, err := g.pushEvent(r, p, u)
	if err != nil {
		return nil, err
	}
	first, err := g.outgoing("push", r.FullName, body)
	if err != nil || !u.deleted() {
		return []outgoing{first}, err
	}
	owner := g.githubAccount(r.Owner())
	second, err := g.outgoing("delete", r.FullName, githubDelete{
		Ref: u.shortRef(), RefType: u.refType(), PusherType: "user", Repository: g.githubRepository(r),
		Organization: &owner, Sender: g.githubAccount(Developer), Installation: githubInstalled(r.Installation),
	})
	return []outgoing{first, second}, err
}

func (g *gitHub) pushEvent(r Repository, p push, u update) (githubPush, error) {
	owner := g.githubAccount(r.Owner())
	event := githubPush{
		Ref: u.Ref, Before: u.Before, After: u.After, Repository: g.githubPushed(r),
		Pusher:       githubPerson{Name: Developer, Email: Developer + "@example.com"},
		Organization: &owner, Sender: g.githubAccount(Developer), Installation: githubInstalled(r.Installation),
		Created: u.created(), Deleted: u.deleted(), Commits: []githubCommit{},
		Compare: fmt.Sprintf("%s/%s/compare/%.12s...%.12s", g.s.url, r.FullName, u.Before, u.After),
	}
	if u.deleted() {
		return event, nil
	}
	event.Forced = !u.created() && !p.history.isAncestor(u.PreviousCommit, u.Commit)
	if u.created() {
		event.BaseRef = baseRef(p.before, u)
	}
	head, err := p.history.one(u.Commit)
	if err != nil {
		return event, err
	}
	shape := g.githubCommit(r, head)
	event.HeadCommit = &shape
	commits, err := p.history.list(githubMaxCommits, githubRange(p.before, u)...)
	if err != nil {
		return event, err
	}
	slices.Reverse(commits)
	for _, c := range commits {
		event.Commits = append(event.Commits, g.githubCommit(r, c))
	}
	return event, nil
}

// githubRange says which commits an event lists: what is new to a moved ref, what is new to the repository for a new one.
func githubRange(before refs, u update) []string {
	if !u.created() {
		return []string{u.Commit, "^" + u.PreviousCommit}
	}
	revisions := []string{u.Commit}
	for _, known := range before {
		revisions = append(revisions, "^"+known.Commit)
	}
	return revisions
}

// baseRef is a branch that was where the new ref is now, or nil.
func baseRef(before refs, u update) *string {
	for name, known := range before {
		if known.Commit == u.Commit && !(update{Ref: name}).tag() {
			return &name
		}
	}
	return nil
}

func githubInstalled(id int64) githubInstallationName {
	return githubInstallationName{ID: id, NodeID: nodeID("IntegrationInstallation", id)}
}

// installationChanged returns the delivery of an installation event; it needs no subscription. The server is locked.
func (g *gitHub) installationChanged(
	i *installation, event, action string, about []Repository,
) ([]outgoing, error) {
	if g.hook == "" {
		return nil, nil
	}
	names := []githubRepositoryName{}
	for _, r := range about {
		names = append(names, githubName(r))
	}
	var body any = githubInstallationEvent{
		Action: action, Installation: g.githubInstallation(i), Repositories: names, Sender: g.githubAccount(Developer),
	}
	if event == "installation_repositories" {
		selection := githubSelectionEvent{
			Action: action, Installation: g.githubInstallation(i), Selection: "selected",
			Added: []githubRepositoryName{}, Removed: []githubRepositoryName{}, Sender: g.githubAccount(Developer),
		}
		if action == "added" {
			selection.Added = names
		} else {
			selection.Removed = names
		}
		body = selection
	}
	o, err := g.to(g.hook, event, "", body)
	return []outgoing{o}, err
}

func (g *gitHub) outgoing(event, repository string, body any) (outgoing, error) {
	g.s.mu.Lock()
	hook := g.hook
	g.s.mu.Unlock()
	return g.to(hook, event, repository, body)
}

// to makes the request of a delivery. GitHub sends compact JSON without escaping what is harmless outside of HTML.
func (g *gitHub) to(hook, event, repository string, body any) (outgoing, error) {
	var raw bytes.Buffer
	encoder := json.NewEncoder(&raw)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(body); err != nil {
		return outgoing{}, fmt.Errorf("encode %s event: %w", event, err)
	}
	text := bytes.TrimSuffix(raw.Bytes(), []byte("\n"))
	id, header := g.sign(event, text)
	return outgoing{id: id, event: event, repository: repository, url: hook, header: header, body: text}, nil
}

func (g *gitHub) sign(event string, body []byte) (id string, h http.Header) {
	id, h = newUUID(), http.Header{}
	for name, value := range map[string]string{
		"Accept":                                 "*/*",
		"Content-Type":                           "application/json",
		"User-Agent":                             "GitHub-Hookshot/0000000",
		"X-GitHub-Delivery":                      id,
		"X-GitHub-Event":                         event,
		"X-GitHub-Hook-ID":                       hookID,
		"X-GitHub-Hook-Installation-Target-ID":   strconv.FormatInt(g.appID, 10),
		"X-GitHub-Hook-Installation-Target-Type": "integration",
		"X-GitHub-Enterprise-Version":            "3.17.0",
		"X-Hub-Signature":                        "sha1=" + mac(sha1.New, g.secret, body),
		"X-Hub-Signature-256":                    "sha256=" + mac(sha256.New, g.secret, body),
	} {
		h.Set(name, value)
	}
	return id, h
}

// again keeps the delivery's id, as GitHub's redelivery does.
func (g *gitHub) again(d Delivery) outgoing {
	return outgoing{id: d.ID, event: d.Event, repository: d.Repository, url: d.URL, header: d.Header.Clone(), body: d.Body}
}

func mac(h func() hash.Hash, secret string, body []byte) string {
	m := hmac.New(h, []byte(secret))
	m.Write(body)
	return hex.EncodeToString(m.Sum(nil))
}
