package forgetest

import (
	"strings"
	"time"
)

// The shapes of GitLab's objects, as far as anybody reads them.

type gitlabProject struct {
	ID            int64          `json:"id"`
	Description   *string        `json:"description"`
	Name          string         `json:"name"`
	Path          string         `json:"path"`
	FullPath      string         `json:"path_with_namespace"`
	DefaultBranch string         `json:"default_branch"`
	Visibility    string         `json:"visibility"`
	SSHURL        string         `json:"ssh_url_to_repo"`
	HTTPURL       string         `json:"http_url_to_repo"`
	WebURL        string         `json:"web_url"`
	Archived      bool           `json:"archived"`
	CreatedAt     time.Time      `json:"created_at"`
	Permissions   map[string]any `json:"permissions"`
}

func (g *gitLab) shape(r Repository, right Right) gitlabProject {
	visibility := "public"
	if r.Private {
		visibility = "private"
	}
	permissions := map[string]any{"project_access": nil, "group_access": nil}
	if level := right.level(); level > 0 {
		permissions["project_access"] = map[string]int{"access_level": level, "notification_level": 3}
	}
	return gitlabProject{
		ID: r.ID, Name: r.Name(), Path: r.Name(), FullPath: r.FullName, DefaultBranch: r.DefaultBranch, Visibility: visibility,
		SSHURL: "git@127.0.0.1:" + r.FullName + ".git", HTTPURL: r.CloneURL, WebURL: g.s.url + "/" + r.FullName,
		Archived: r.Archived, CreatedAt: r.CreatedAt, Permissions: permissions,
	}
}

// gitlabEventProject is a project in an event, where visibility is a number.
type gitlabEventProject struct {
	ID            int64   `json:"id"`
	Name          string  `json:"name"`
	Description   string  `json:"description"`
	WebURL        string  `json:"web_url"`
	AvatarURL     *string `json:"avatar_url"`
	SSHURL        string  `json:"git_ssh_url"`
	HTTPURL       string  `json:"git_http_url"`
	Namespace     string  `json:"namespace"`
	Visibility    int     `json:"visibility_level"`
	FullPath      string  `json:"path_with_namespace"`
	DefaultBranch string  `json:"default_branch"`
}

func (g *gitLab) eventProject(r Repository) gitlabEventProject {
	p := g.shape(r, Admin)
	level := 20
	if r.Private {
		level = 0
	}
	return gitlabEventProject{
		ID: r.ID, Name: r.Name(), WebURL: p.WebURL, SSHURL: p.SSHURL, HTTPURL: p.HTTPURL, Namespace: r.Owner(),
		Visibility: level, FullPath: r.FullName, DefaultBranch: r.DefaultBranch,
	}
}

type gitlabCommit struct {
	ID        string       `json:"id"`
	Message   string       `json:"message"`
	Title     string       `json:"title"`
	Timestamp time.Time    `json:"timestamp"`
	URL       string       `json:"url"`
	Author    gitlabPerson `json:"author"`
	Added     []string     `json:"added"`
	Modified  []string     `json:"modified"`
	Removed   []string     `json:"removed"`
}

type gitlabPerson struct {
	Name  string `json:"name"`
	Email string `json:"email"`
}

func (g *gitLab) commit(r Repository, c commit) gitlabCommit {
	title, _, _ := strings.Cut(c.Message, "\n")
	return gitlabCommit{
		ID: c.ID, Message: c.Message, Title: title, Timestamp: c.At, URL: g.s.url + "/" + r.FullName + "/-/commit/" + c.ID,
		Author: gitlabPerson{c.Author.Name, c.Author.Email}, Added: c.Added, Modified: c.Modified, Removed: c.Removed,
	}
}
