package forgetest

import (
	"encoding/base64"
	"fmt"
	"hash/fnv"
	"strings"
	"time"
)

// The shapes of GitHub's objects, as far as anybody reads them.

type githubUser struct {
	Login  string `json:"login"`
	Name   string `json:"name,omitempty"`  // in push events only
	Email  string `json:"email,omitempty"` // in push events only
	ID     int64  `json:"id"`
	NodeID string `json:"node_id"`
	URL    string `json:"url"`
	HTML   string `json:"html_url"`
	Type   string `json:"type"`
	Admin  bool   `json:"site_admin"`
}

type githubRepository struct {
	ID            int64      `json:"id"`
	NodeID        string     `json:"node_id"`
	Name          string     `json:"name"`
	FullName      string     `json:"full_name"`
	Private       bool       `json:"private"`
	Owner         githubUser `json:"owner"`
	HTML          string     `json:"html_url"`
	Description   *string    `json:"description"`
	Fork          bool       `json:"fork"`
	URL           string     `json:"url"`
	StatusesURL   string     `json:"statuses_url"`
	CommitsURL    string     `json:"commits_url"`
	CreatedAt     any        `json:"created_at"` // seconds in push events, RFC 3339 elsewhere
	UpdatedAt     string     `json:"updated_at"`
	PushedAt      any        `json:"pushed_at"`
	CloneURL      string     `json:"clone_url"`
	Size          int        `json:"size"`
	Archived      bool       `json:"archived"`
	Disabled      bool       `json:"disabled"`
	DefaultBranch string     `json:"default_branch"`
	MasterBranch  string     `json:"master_branch,omitempty"` // in push events only
	Topics        []string   `json:"topics"`
	Visibility    string     `json:"visibility"`
}

// githubRepositoryName is how events about installations name a repository.
type githubRepositoryName struct {
	ID       int64  `json:"id"`
	NodeID   string `json:"node_id"`
	Name     string `json:"name"`
	FullName string `json:"full_name"`
	Private  bool   `json:"private"`
}

type githubInstallation struct {
	ID           int64             `json:"id"`
	Account      githubUser        `json:"account"`
	Selection    string            `json:"repository_selection"`
	TokensURL    string            `json:"access_tokens_url"`
	Repositories string            `json:"repositories_url"`
	HTML         string            `json:"html_url"`
	AppID        int64             `json:"app_id"`
	AppSlug      string            `json:"app_slug"`
	TargetID     int64             `json:"target_id"`
	TargetType   string            `json:"target_type"`
	Permissions  map[string]string `json:"permissions"`
	Events       []string          `json:"events"`
	CreatedAt    time.Time         `json:"created_at"`
	UpdatedAt    time.Time         `json:"updated_at"`
	SingleFile   *string           `json:"single_file_name"`
	SuspendedBy  *githubUser       `json:"suspended_by"`
	SuspendedAt  *time.Time        `json:"suspended_at"`
}

type githubInstallationName struct {
	ID     int64  `json:"id"`
	NodeID string `json:"node_id"`
}

type githubPerson struct {
	Name     string `json:"name"`
	Email    string `json:"email"`
	Username string `json:"username,omitempty"`
}

type githubCommit struct {
	ID        string       `json:"id"`
	Tree      string       `json:"tree_id"`
	Distinct  bool         `json:"distinct"`
	Message   string       `json:"message"`
	Timestamp string       `json:"timestamp"`
	URL       string       `json:"url"`
	Author    githubPerson `json:"author"`
	Committer githubPerson `json:"committer"`
	Added     []string     `json:"added"`
	Removed   []string     `json:"removed"`
	Modified  []string     `json:"modified"`
}

// githubAccount is a user or an organisation: everybody but the developer is one.
func (g *gitHub) githubAccount(login string) githubUser {
	h := fnv.New32a()
	_, _ = h.Write([]byte(strings.ToLower(login)))
	id := int64(h.Sum32())
	kind := "Organization"
	if login == Developer {
		kind = "User"
	}
	return githubUser{
		Login: login, ID: id, NodeID: nodeID(kind, id), Type: kind,
		URL: g.apiURL() + "users/" + login, HTML: g.s.url + "/" + login,
	}
}

func (g *gitHub) githubRepository(r Repository) githubRepository {
	visibility := "public"
	if r.Private {
		visibility = "private"
	}
	at := r.CreatedAt.Format(time.RFC3339)
	api := g.apiURL() + "repos/" + r.FullName
	return githubRepository{
		ID: r.ID, NodeID: nodeID("Repository", r.ID), Name: r.Name(), FullName: r.FullName, Private: r.Private,
		Owner: g.githubAccount(r.Owner()), HTML: g.s.url + "/" + r.FullName, URL: api,
		StatusesURL: api + "/statuses/{sha}", CommitsURL: api + "/commits{/sha}",
		CreatedAt: at, UpdatedAt: at, PushedAt: at, CloneURL: r.CloneURL, Archived: r.Archived,
		DefaultBranch: r.DefaultBranch, Topics: []string{}, Visibility: visibility,
	}
}

// githubPushed is the repository as push events have it: times in seconds, an owner with an e-mail address.
func (g *gitHub) githubPushed(r Repository) githubRepository {
	shape := g.githubRepository(r)
	shape.Owner.Name = shape.Owner.Login
	shape.Owner.Email = fmt.Sprintf("%d+%s@users.noreply.example.com", shape.Owner.ID, shape.Owner.Login)
	shape.URL = shape.HTML
	shape.CreatedAt, shape.PushedAt, shape.MasterBranch = r.CreatedAt.Unix(), time.Now().Unix(), r.DefaultBranch
	return shape
}

func githubName(r Repository) githubRepositoryName {
	return githubRepositoryName{
		ID: r.ID, NodeID: nodeID("Repository", r.ID), Name: r.Name(), FullName: r.FullName, Private: r.Private,
	}
}

func (g *gitHub) githubInstallation(i *installation) githubInstallation {
	account := g.githubAccount(i.account)
	shape := githubInstallation{
		ID: i.id, Account: account, Selection: "selected",
		TokensURL:    fmt.Sprintf("%sapp/installations/%d/access_tokens", g.apiURL(), i.id),
		Repositories: g.apiURL() + "installation/repositories",
		HTML:         fmt.Sprintf("%s/settings/installations/%d", g.s.url, i.id),
		AppID:        g.appID, AppSlug: "tinyforge", TargetID: account.ID, TargetType: account.Type,
		Permissions: appPermissions(), Events: []string{"delete", "push", "registry_package"}, CreatedAt: i.created, UpdatedAt: i.created,
	}
	if i.suspended() {
		by, at := g.githubAccount(Developer), i.suspendedAt.UTC().Truncate(time.Second)
		shape.SuspendedBy, shape.SuspendedAt = &by, &at
	}
	return shape
}

func (g *gitHub) githubCommit(r Repository, c commit) githubCommit {
	return githubCommit{
		ID: c.ID, Tree: c.Tree, Distinct: true, Message: strings.TrimRight(c.Message, "\n"),
		Timestamp: c.At.Format(time.RFC3339), URL: g.s.url + "/" + r.FullName + "/commit/" + c.ID,
		Author:    githubPerson{Name: c.Author.Name, Email: c.Author.Email},
		Committer: githubPerson{Name: c.Committer.Name, Email: c.Committer.Email},
		Added:     c.Added, Removed: c.Removed, Modified: c.Modified,
	}
}

func nodeID(kind string, id int64) string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%03d:%s%d", len(kind), kind, id))
}
