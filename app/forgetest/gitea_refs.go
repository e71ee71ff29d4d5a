package forgetest

import (
	"net/http"
	"strings"
	"time"
)

func (g *gitea) listBranches(w http.ResponseWriter, r *http.Request, repo Repository, _ Right) {
	g.listRefs(w, r, repo, "refs/heads/", func(name string, at ref) any {
		branch, err := g.branch(r, repo, name, at)
		if err != nil {
			g.s.log.Error("read branch", "repository", repo.FullName, "branch", name, "err", err)
		}
		return branch
	})
}

func (g *gitea) getBranch(w http.ResponseWriter, r *http.Request, repo Repository, _ Right) {
	rs, err := g.s.refs(r.Context(), repo.ID)
	if err != nil {
		g.fail(w, http.StatusInternalServerError, err.Error())
		return
	}
	name := "refs/heads/" + r.PathValue("branch")
	at, found := rs[name]
	if !found {
		g.notFound(w)
		return
	}
	branch, err := g.branch(r, repo, name, at)
	if err != nil {
		g.fail(w, http.StatusInternalServerError, err.Error())
		return
	}
	answerJSON(w, http.StatusOK, branch)
}

func (g *gitea) branch(r *http.Request, repo Repository, name string, at ref) (map[string]any, error) {
	head, err := history{ctx: r.Context(), git: g.s.git, dir: g.s.gitDir(repo.ID)}.one(at.Commit)
	return map[string]any{
		"name": strings.TrimPrefix(name, "refs/heads/"), "commit": g.commit(repo, head), "protected": false,
		"required_approvals": 0, "enable_status_check": false, "status_check_contexts": []string{},
		"user_can_push": true, "user_can_merge": true, "effective_branch_protection_name": "",
	}, err
}

func (g *gitea) listTags(w http.ResponseWriter, r *http.Request, repo Repository, _ Right) {
	g.listRefs(w, r, repo, "refs/tags/", func(name string, at ref) any {
		api := g.s.url + "/api/v1/repos/" + repo.FullName + "/git/commits/" + at.Commit
		return map[string]any{
			"name": strings.TrimPrefix(name, "refs/tags/"), "message": "", "id": at.Object,
			"commit": map[string]any{"url": api, "sha": at.Commit, "created": time.Time{}},
		}
	})
}

// listGitRefs answers 404, not an empty list, when nothing matches.
func (g *gitea) listGitRefs(w http.ResponseWriter, r *http.Request, repo Repository, _ Right) {
	api := g.s.url + "/api/v1/repos/" + repo.FullName + "/git/"
	all, err := g.s.shapedRefs(r.Context(), repo.ID, "refs/"+r.PathValue("prefix"), func(name string, at ref) any {
		kind := "commit"
		if at.Object != at.Commit {
			kind = "tag"
		}
		return map[string]any{
			"ref": name, "url": api + name,
			"object": map[string]string{"type": kind, "sha": at.Object, "url": api + kind + "s/" + at.Object},
		}
	})
	switch {
	case err != nil:
		g.fail(w, http.StatusInternalServerError, err.Error())
	case len(all) == 0:
		g.notFound(w)
	default:
		answerJSON(w, http.StatusOK, all)
	}
}

func (g *gitea) listRefs(
	w http.ResponseWriter, r *http.Request, repo Repository, prefix string, shape func(string, ref) any,
) {
	all, err := g.s.shapedRefs(r.Context(), repo.ID, prefix, shape)
	if err != nil {
		g.fail(w, http.StatusInternalServerError, err.Error())
		return
	}
	answerJSON(w, http.StatusOK, giteaPage(w, r, g.s.url, all))
}
