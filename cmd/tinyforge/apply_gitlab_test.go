package main

import (
	"net/http"
	"strings"
	"testing"

	"tinyforge/app/forgetest"
)

const benchLab = `
  - name: lab
    kind: gitlab
    url: LAB
    token: file:lab.token
    networks: [loopback]
`

const benchNested = `workloads:
  - {name: web, forge: lab, repository: acme/tools/web/site, source: dockerfile}
`

// lab adds a GitLab with a project in a group of a group, and returns a manifest with its address.
func (b *applyBench) lab(o forgetest.Options) (s *forgetest.Server, address func(manifest string) string) {
	b.Helper()
	o.Kind = forgetest.GitLab
	s, err := forgetest.Start(o)
	must(b, err)
	b.Cleanup(func() { _ = s.Close() })
	_, err = s.CreateRepository("acme/tools/web/site", true)
	must(b, err)
	b.write("lab.token", s.Row("").Credentials.Token)
	b.write("lab.signing", s.Row("").Credentials.SigningToken)
	return s, func(manifest string) string { return strings.ReplaceAll(manifest, "LAB", s.URL()) }
}

func TestApplyGitLab(t *testing.T) {
	b := newApplyBench(t)
	lab, address := b.lab(forgetest.Options{Signing: true})
	plain := address("forges:" + benchLab + benchNested)
	b.applied(plain, false,
		"forge lab: created", "repository acme/tools/web/site on lab: created", "workload web: created",
		"webhook of acme/tools/web/site on lab: created")
	b.applied(plain, false,
		"forge lab: unchanged", "repository acme/tools/web/site on lab: unchanged", "workload web: unchanged",
		"webhook of acme/tools/web/site on lab: unchanged")
	if hooks := lab.Hooks("acme/tools/web/site"); len(hooks) != 1 || hooks[0].SigningToken != "" || hooks[0].Secret == "" {
		t.Errorf("the hooks are %+v", hooks)
	}

	// A signing token is a secret as well: webhooks that have another one, or none, are made anew.
	signing := strings.Replace(plain, "token:", "signing_token: file:lab.signing\n    token:", 1)
	for _, step := range []struct {
		manifest string
		signs    bool
	}{{signing, true}, {plain, false}} {
		b.applied(step.manifest, false,
			"forge lab: changed", "repository acme/tools/web/site on lab: unchanged", "workload web: unchanged",
			"webhook of acme/tools/web/site on lab: created")
		if hooks := lab.Hooks("acme/tools/web/site"); len(hooks) != 1 || (hooks[0].SigningToken != "") != step.signs {
			t.Errorf("the hooks are %+v", hooks)
		}
	}
	b.write("lab.signing", "whsec_short")
	b.refused(signing, false, `forges[0] (line 2): open forge "lab": the signing token must be whsec_ and the base64 of 32 bytes`)
}

func TestApplyGitLabRefusals(t *testing.T) {
	b := newApplyBench(t)
	lab, address := b.lab(forgetest.Options{})
	manifest := address("forges:" + benchLab + benchNested)
	for code, want := range map[int]string{
		401: "the forge refused the credentials (401): check token, it may have expired or been revoked",
		403: "the forge does not allow this (403): the token needs the scope api and the role Maintainer in the project",
		404: "the forge does not find it (404): check url, and that the token has the role Maintainer in the project",
		422: "list repositories: forge answered 422: check --public-url; for a private address, GitLab's administrator must allow webhooks to the local network",
		503: "list repositories: forge answered 503: try again later",
	} {
		lab.Fault(func(*http.Request) *forgetest.Fault { return &forgetest.Fault{Status: code} })
		b.refused(manifest, false, "forges[0] (line 2): "+want)
	}
	lab.Fault(nil)
	b.refused(strings.Replace(manifest, "web/site", "site", 1), false,
		"workloads[0].repository (line 8): the forge lab does not show this repository: "+
			"check the name with all its groups, and that the token has the role Maintainer in the project")
	b.untouched()
}

// Only GitLab has groups within groups.
func TestApplyNestedNames(t *testing.T) {
	for _, kind := range []string{"gitea", "forgejo"} {
		b := newApplyBench(t)
		forges := strings.Replace(benchGit, "kind: gitea", "kind: "+kind, 1)
		b.refused("forges:"+forges+"workloads:\n  - {name: api, forge: git, repository: acme/tools/api, source: dockerfile}\n", false,
			`workloads[0].repository (line 8): must be an owner and a name, such as "acme/site": git is of kind `+kind+`, which has no groups within groups`)
	}
	b := newApplyBench(t)
	b.refused("forges:"+benchHub+"workloads:\n  - {name: api, forge: hub, repository: acme/tools/api, source: dockerfile}\n", false,
		`workloads[0].repository (line 10): must be an owner and a name, such as "acme/site": hub is of kind github, which has no groups within groups`)
}

// Forgejo goes by its own name, and by that of Gitea.
func TestApplyForgejo(t *testing.T) {
	for _, kind := range []string{"forgejo", "gitea"} {
		b := newApplyBench(t)
		b.applied("forges:"+strings.Replace(benchGit, "kind: gitea", "kind: "+kind, 1)+"workloads:"+benchAPI, false,
			"forge git: created", "repository acme/api on git: created", "workload api: created", "webhook of acme/api on git: created")
	}
}
