package forgetest

import (
	"fmt"
	"hash/fnv"
	"strings"
	"time"
)

// The shapes of Gitea's objects, as far as anybody reads them.

type giteaUser struct {
	ID         int64     `json:"id"`
	Login      string    `json:"login"`
	LoginName  string    `json:"login_name"`
	SourceID   int64     `json:"source_id"`
	FullName   string    `json:"full_name"`
	Email      string    `json:"email"`
	AvatarURL  string    `json:"avatar_url"`
	HTML       string    `json:"html_url"`
	Admin      bool      `json:"is_admin"`
	LastLogin  time.Time `json:"last_login"`
	Created    time.Time `json:"created"`
	Visibility string    `json:"visibility"`
	Username   string    `json:"username"`
}

type giteaPermissions struct {
	Admin bool `json:"admin"`
	Push  bool `json:"push"`
	Pull  bool `json:"pull"`
}

type giteaRepository struct {
	ID            int64            `json:"id"`
	Owner         giteaUser        `json:"owner"`
	Name          string           `json:"name"`
	FullName      string           `json:"full_name"`
	Description   string           `json:"description"`
	Empty         bool             `json:"empty"`
	Private       bool             `json:"private"`
	Fork          bool             `json:"fork"`
	Mirror        bool             `json:"mirror"`
	Size          int              `json:"size"`
	HTML          string           `json:"html_url"`
	URL           string           `json:"url"`
	SSHURL        string           `json:"ssh_url"`
	CloneURL      string           `json:"clone_url"`
	DefaultBranch string           `json:"default_branch"`
	Archived      bool             `json:"archived"`
	CreatedAt     time.Time        `json:"created_at"`
	UpdatedAt     time.Time        `json:"updated_at"`
	Permissions   giteaPermissions `json:"permissions"`
	HasCode       bool             `json:"has_code"`
	Internal      bool             `json:"internal"`
	ObjectFormat  string           `json:"object_format_name"`
	Topics        []string         `json:"topics"`
	Licenses      []string         `json:"licenses"`
}

type giteaPerson struct {
	Name     string `json:"name"`
	Email    string `json:"email"`
	Username string `json:"username"`
}

type giteaCommit struct {
	ID           string      `json:"id"`
	Message      string      `json:"message"`
	URL          string      `json:"url"`
	Author       giteaPerson `json:"author"`
	Committer    giteaPerson `json:"committer"`
	Verification *struct{}   `json:"verification"`
	Timestamp    time.Time   `json:"timestamp"`
	Added        []string    `json:"added"`
	Removed      []string    `json:"removed"`
	Modified     []string    `json:"modified"`
}

func (g *gitea) user(login string) giteaUser {
	h := fnv.New32a()
	_, _ = h.Write([]byte(strings.ToLower(login)))
	id := int64(h.Sum32())
	return giteaUser{
		ID: id, Login: login, Email: fmt.Sprintf("%d+%s@noreply.127.0.0.1", id, login),
		AvatarURL: fmt.Sprintf("%s/avatars/%d", g.s.url, id), HTML: g.s.url + "/" + login,
		Visibility: "public", Username: login,
	}
}

func (g *gitea) shape(r Repository, right Right) giteaRepository {
	return giteaRepository{
		ID: r.ID, Owner: g.user(r.Owner()), Name: r.Name(), FullName: r.FullName, Private: r.Private,
		HTML: g.s.url + "/" + r.FullName, URL: g.s.url + "/api/v1/repos/" + r.FullName,
		SSHURL: "gitea@127.0.0.1:" + r.FullName + ".git", CloneURL: r.CloneURL,
		DefaultBranch: r.DefaultBranch, Archived: r.Archived, CreatedAt: r.CreatedAt, UpdatedAt: r.CreatedAt,
		Permissions: giteaPermissions{Admin: right == Admin, Push: right <= Write, Pull: right <= Read || !r.Private},
		HasCode:     true, ObjectFormat: "sha1", Topics: []string{}, Licenses: []string{},
	}
}

func (g *gitea) commit(r Repository, c commit) giteaCommit {
	return giteaCommit{
		ID: c.ID, Message: c.Message, URL: g.s.url + "/" + r.FullName + "/commit/" + c.ID,
		Author:    giteaPerson{Name: c.Author.Name, Email: c.Author.Email},
		Committer: giteaPerson{Name: c.Committer.Name, Email: c.Committer.Email},
		Timestamp: c.At, Added: c.Added, Removed: c.Removed, Modified: c.Modified,
	}
}
