package main

import (
	"errors"
	"net/http"
	"os"
	"reflect"
	"strings"
	"testing"

	"tinyforge/app"
	"tinyforge/app/forgetest"
	"tinyforge/db"
)

func TestApply(t *testing.T) {
	b := newApplyBench(t)
	b.applied(benchAll, false,
		"forge hub: created", "forge git: created",
		"repository acme/site on hub: created", "repository acme/api on git: created",
		"workload web: created", "workload api: created",
		"webhook of acme/api on git: created",
	)
	forges, workloads, homes := b.rows()
	hub, git, web, api := forges[1], forges[0], workloads[1], workloads[0]
	want := b.hub.Row("hub")
	if hub.Kind != "github" || hub.URL != b.hub.URL() || hub.AppID != want.AppID || hub.Credentials.WebhookSecret != want.Credentials.WebhookSecret {
		t.Errorf("the forge is %+v", hub)
	}
	if git.Credentials.Token != b.git.Row("").Credentials.Token || len(git.Credentials.WebhookSecret) < 20 {
		t.Errorf("the forge is %+v", git)
	}
	if web.Host != "www.example.com" || !web.Enabled || web.Env["MODE"] != "production" || string(web.Config) != `{"port":8080,"healthcheck":{"path":"/up"}}` {
		t.Errorf("the workload is %+v, config %s", web, web.Config)
	}
	if api.RefPattern != "tags/v*" || homes[0].ForgeID != git.ID || homes[1].ForgeID != hub.ID || homes[1].DefaultBranch != "main" || !homes[1].Private {
		t.Errorf("the workload is %+v, repositories %+v", api, homes)
	}
	installation, err := b.store.Installation(t.Context(), homes[1].InstallationID)
	if r, _ := b.hub.Repository("acme/site"); err != nil || installation.ExternalID != r.Installation || installation.Account != "acme" {
		t.Errorf("the installation is %+v, error %v", installation, err)
	}
	hooks := b.git.Hooks("acme/api")
	if len(hooks) != 1 || hooks[0].URL != "https://deploy.example.com/webhooks/git" || hooks[0].Secret != app.RepositorySecret(git.Credentials.WebhookSecret, homes[0].ExternalID) {
		t.Errorf("the hooks are %+v", hooks)
	}
	if hooks := b.git.Hooks("acme/site"); len(hooks) != 0 {
		t.Errorf("the repository that no workload uses has %+v", hooks)
	}
}

// TestApplyAgain: the same file, written otherwise, changes nothing.
func TestApplyAgain(t *testing.T) {
	b := newApplyBench(t)
	if _, err := b.apply(benchAll, false); err != nil {
		t.Fatal(err)
	}
	forges, workloads, homes := b.rows()
	calls := 0
	b.hub.Fault(func(*http.Request) *forgetest.Fault { calls++; return nil })
	unchanged := []string{
		"forge hub: unchanged", "forge git: unchanged",
		"repository acme/site on hub: unchanged", "repository acme/api on git: unchanged",
		"workload web: unchanged", "workload api: unchanged",
		"webhook of acme/api on git: unchanged",
	}
	otherwise := strings.Replace(benchAll, "{port: 8080, healthcheck: {path: /up}}", "\n      healthcheck:\n        path: '/up'\n      port: 0x1f90", 1)
	for _, manifest := range []string{benchAll, otherwise} {
		for _, prune := range []bool{false, true} {
			b.applied(manifest, prune, unchanged...)
		}
	}
	forges2, workloads2, homes2 := b.rows()
	for _, pair := range [][2]any{{forges, forges2}, {workloads, workloads2}, {homes, homes2}} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("%+v became %+v", pair[0], pair[1])
		}
	}
	if calls > 0 {
		t.Errorf("the forge was asked %d times for what was known", calls)
	}
}

func TestApplyChanges(t *testing.T) {
	for name, test := range map[string]struct {
		from, to string
		check    func(w db.Workload) bool
	}{
		"ref":     {"host:", "ref: release/*\n    host:", func(w db.Workload) bool { return w.RefPattern == "release/*" }},
		"host":    {"host: www", "host: web", func(w db.Workload) bool { return w.Host == "web.example.com" }},
		"no host": {"host: www.example.com", "host: ''", func(w db.Workload) bool { return w.Host == "" }},
		"paths":   {`["app/**"]`, `[]`, func(w db.Workload) bool { return len(w.Paths) == 0 }},
		"env":     {"production", "test", func(w db.Workload) bool { return w.Env["MODE"] == "test" }},
		"no env":  {"env: {MODE: production}", "env:", func(w db.Workload) bool { return len(w.Env) == 0 }},
		"enabled": {"host:", "enabled: false\n    host:", func(w db.Workload) bool { return !w.Enabled }},
		"config":  {"8080", "9090", func(w db.Workload) bool { return strings.Contains(string(w.Config), "9090") }},
		"source":  {"dockerfile\n    host", "image\n    host", func(w db.Workload) bool { return w.Source == "image" }},
	} {
		t.Run(name, func(t *testing.T) {
			b := newApplyBench(t)
			if _, err := b.apply(benchAll, false); err != nil {
				t.Fatal(err)
			}
			manifest := strings.Replace(benchAll, test.from, test.to, 1)
			if name == "source" {
				manifest = strings.Replace(manifest, "port: 8080,", "image: app, port: 8080,", 1)
			}
			for _, became := range []string{"changed", "unchanged"} {
				b.applied(manifest, false,
					"forge hub: unchanged", "forge git: unchanged",
					"repository acme/site on hub: unchanged", "repository acme/api on git: unchanged",
					"workload web: "+became, "workload api: unchanged",
					"webhook of acme/api on git: unchanged",
				)
				if w := b.workload("web"); !test.check(w) {
					t.Errorf("the workload is %+v, config %s", w, w.Config)
				}
			}
		})
	}
}

// TestApplyNothing: a manifest with a fault, or a forge that refuses us, leaves an empty database empty.
func TestApplyNothing(t *testing.T) {
	status := func(code int) func(*http.Request) *forgetest.Fault {
		return func(*http.Request) *forgetest.Fault { return &forgetest.Fault{Status: code, Reflect: true} }
	}
	change := func(from, to string) string { return strings.Replace(benchAll, from, to, 1) }
	for name, test := range map[string]struct {
		manifest string
		prepare  func(b *applyBench)
		want     []string
	}{
		"several": {strings.Replace(change("path: /up", "path: up"), "ref: \"tags/v*\"", "ref: 'v 1', host: www.example.com", 1), nil, []string{
			`workloads[0].config.healthcheck.path (line 23): must be a path on the release, such as "/up"`,
			`workloads[1].ref (line 25): matches no branch or tag: use a pattern such as "main", "release/*" or "tags/v*"`,
			`workloads[1].host (line 25): is the same host as workloads[0].host (line 20): it can lead to one place only, so leave one of them out`,
		}},
		"no public URL": {benchAll, func(b *applyBench) { b.publicURL = "" }, []string{
			"forges[1] (line 10): needs a webhook in each repository: set --public-url (TINYFORGE_PUBLIC_URL) to the address at which the forge git reaches this server",
		}},
		"token": {benchAll, func(b *applyBench) { b.write("git.token", "other") }, []string{
			"forges[1] (line 10): the forge refused the credentials (401): check token, it may have expired or been deleted",
		}},
		"app": {change("app_id: APP", "app_id: 1"), nil, []string{
			"forges[0] (line 2): the forge refused the credentials (401): check app_id, and that private_key is one of this app's keys",
		}},
		"key": {benchAll, func(b *applyBench) { b.write("hub.pem", rsaPEM()) }, []string{
			"forges[0] (line 2): the forge refused the credentials (401): check app_id, and that private_key is one of this app's keys",
		}},
		"scope": {benchAll, func(b *applyBench) {
			b.write("git.token", b.git.NewToken(forgetest.Access{Scopes: []string{"read:user"}}))
		}, []string{
			"forges[1] (line 10): the forge does not allow this (403): the token needs the scopes write:repository and read:user, and its owner must be an administrator of the repository",
		}},
		"both": {change("app_id: APP", "app_id: 1"), func(b *applyBench) { b.write("git.token", "other") }, []string{
			"forges[0] (line 2): the forge refused the credentials (401): check app_id, and that private_key is one of this app's keys",
			"forges[1] (line 10): the forge refused the credentials (401): check token, it may have expired or been deleted",
		}},
		"unseen": {strings.Replace(change("Acme/Site", "acme/sote"), "acme/api", "acme/apo", 1), nil, []string{
			"workloads[0].repository (line 18): the forge hub does not show this repository: check the name, and that the app is installed on the account and may see the repository",
			"workloads[1].repository (line 25): the forge git does not show this repository: check the name, and that the token's owner is an administrator of the repository",
		}},
		"not installed": {benchAll, func(b *applyBench) { must(b, b.hub.RemoveRepository("acme/site")) }, []string{
			"workloads[0].repository (line 18): the forge hub does not show this repository: check the name, and that the app is installed on the account and may see the repository",
		}},
		"500":      {benchAll, func(b *applyBench) { b.hub.Fault(status(500)) }, []string{"forges[0] (line 2): list installations: forge answered 500: try again later"}},
		"404":      {benchAll, func(b *applyBench) { b.hub.Fault(status(404)) }, []string{"forges[0] (line 2): the forge does not find it (404): check url and api_url, and that the app still exists"}},
		"418":      {benchAll, func(b *applyBench) { b.git.Fault(status(418)) }, []string{"forges[1] (line 10): list repositories: forge answered 418: check url and api_url"}},
		"redirect": {benchAll, func(b *applyBench) { b.git.Fault(status(302)) }, []string{"forges[1] (line 10): the forge answered with a redirect (302): check url, and that the repository was not renamed"}},
		"network": {strings.Replace(benchAll, "GIT\n    token: file:git.token\n    networks: [loopback]", "GIT\n    token: file:git.token", 1), nil, []string{
			"forges[1] (line 10): list repositories: forge git at GIT: 127.0.0.1 is not a public address; allow it with networks: [loopback]",
		}},
		"own host": {change("host: www.example.com", "host: deploy.example.com"), nil, []string{
			"workloads[0].host (line 20): is Tinyforge's own host (--public-url): choose another",
		}},
		"nothing to ask for": {benchForges + "workloads: []\n", func(b *applyBench) { b.write("git.token", "other") }, []string{
			"forges[1] (line 10): the forge refused the credentials (401): check token, it may have expired or been deleted",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newApplyBench(t)
			if test.prepare != nil {
				test.prepare(b)
			}
			b.refused(test.manifest, true, test.want...)
			b.untouched()
		})
	}
}

func must(b *applyBench, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// TestApplyHookFault: a webhook that cannot be made keeps nothing else from being done, and the next run makes it.
func TestApplyHookFault(t *testing.T) {
	b := newApplyBench(t)
	b.git.Fault(func(r *http.Request) *forgetest.Fault {
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/hooks") {
			return &forgetest.Fault{Status: http.StatusForbidden, Reflect: true}
		}
		return nil
	})
	b.refused(benchAll, false, "workloads[1].repository (line 25): webhook of acme/api: the forge does not allow this (403): "+
		"the token needs the scopes write:repository and read:user, and its owner must be an administrator of the repository")
	if w := b.workload("api"); w.Source != "dockerfile" {
		t.Errorf("the workload is %+v", w)
	}
	b.git.Fault(nil)
	b.applied(benchAll, false,
		"forge hub: unchanged", "forge git: unchanged",
		"repository acme/site on hub: unchanged", "repository acme/api on git: unchanged",
		"workload web: unchanged", "workload api: unchanged",
		"webhook of acme/api on git: created",
	)
}

// TestApplyNewSecret: webhooks with the old secret go once there is one with the new, also when the run before failed in between.
func TestApplyNewSecret(t *testing.T) {
	b := newApplyBench(t)
	if _, err := b.apply(benchAll, false); err != nil {
		t.Fatal(err)
	}
	b.write("git.secret", "a new secret")
	manifest := strings.Replace(benchAll, "token: file:git.token", "token: file:git.token\n    webhook_secret: file:git.secret", 1)
	b.git.Fault(func(r *http.Request) *forgetest.Fault {
		if r.Method == http.MethodDelete {
			return &forgetest.Fault{Status: http.StatusBadGateway}
		}
		return nil
	})
	b.refused(manifest, false, "workloads[1].repository (line 26): webhook of acme/api: delete webhook: forge answered 502: try again later")
	b.git.Fault(nil)
	r, err := b.git.Repository("acme/api")
	if err != nil {
		t.Fatal(err)
	}
	if hooks := b.git.Hooks("acme/api"); len(hooks) != 2 || hooks[1].Secret != app.RepositorySecret("a new secret", r.ID) {
		t.Errorf("in between the hooks are %+v", hooks)
	}
	if out, err := b.apply(manifest, false); err != nil || !strings.Contains(out, "webhook of acme/api on git: created") {
		t.Errorf("error %v after\n%s", err, out)
	}
	if hooks := b.git.Hooks("acme/api"); len(hooks) != 1 || hooks[0].Secret != app.RepositorySecret("a new secret", r.ID) {
		t.Errorf("the hooks are %+v", hooks)
	}
	if _, err := b.apply(benchAll, false); err != nil {
		t.Fatal(err)
	}
	if f, err := b.store.ForgeByName(t.Context(), "git"); err != nil || f.Credentials.WebhookSecret != "a new secret" {
		t.Errorf("the secret was not kept, error %v", err)
	}
}

// TestApplyForgeOfDatabase: a workload may use a forge that was made elsewhere, but its kind stays what it is.
func TestApplyForgeOfDatabase(t *testing.T) {
	b := newApplyBench(t)
	row := b.git.Row("git")
	row.ID = 0
	if err := b.store.SaveForge(t.Context(), &row); err != nil {
		t.Fatal(err)
	}
	b.applied("workloads:"+benchAPI, false,
		"repository acme/api on git: created", "workload api: created", "webhook of acme/api on git: created",
		"forge git: not in the file (left, since workload api uses it)",
	)
	b.refused("forges:"+strings.Replace(benchHub, "name: hub", "name: git", 1), false,
		"forges[0].kind (line 3): the forge git is of kind gitea, which cannot be changed: choose another name")
	b.publicURL = ""
	b.refused("workloads:"+benchAPI, false, "workloads[0].forge (line 2): needs a webhook in each repository: "+
		"set --public-url (TINYFORGE_PUBLIC_URL) to the address at which the forge git reaches this server")
}

// TestApplyRepository: a row that is out of date is brought up to date.
func TestApplyRepository(t *testing.T) {
	b := newApplyBench(t)
	if _, err := b.apply(benchAll, false); err != nil {
		t.Fatal(err)
	}
	must(b, b.git.Rename("acme/api", "acme/server"))
	manifest := strings.Replace(benchAll, "acme/api", "acme/server", 1)
	out, err := b.apply(manifest, false)
	if err != nil || !strings.Contains(out, "repository acme/server on git: changed\n") || !strings.Contains(out, "webhook of acme/server on git: unchanged") {
		t.Errorf("error %v after\n%s", err, out)
	}
	_, _, homes := b.rows()
	site := homes[1]
	change := db.InstallationChange{
		Installation: db.Installation{ForgeID: site.ForgeID, ExternalID: 1, Account: "acme"},
		Removed:      []int64{site.ExternalID},
	}
	installation, err := b.store.Installation(t.Context(), site.InstallationID)
	must(b, err)
	change.Installation = installation
	must(b, b.store.ApplyInstallationChange(t.Context(), change))
	if out, err := b.apply(manifest, false); err != nil || !strings.Contains(out, "repository acme/site on hub: changed\n") {
		t.Errorf("error %v after\n%s", err, out)
	}
	if _, _, homes := b.rows(); homes[1].Removed || homes[1].ID != site.ID {
		t.Errorf("the repository is %+v", homes[1])
	}
}

func TestApplyInput(t *testing.T) {
	b := newApplyBench(t)
	o := applyOptions{File: b.dir + "/none.yml"}
	err := applyFile(t.Context(), b.store, app.NewForges(b.store, forgeKinds()), testSources(), o, os.Stdout)
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	stdin := os.Stdin
	t.Cleanup(func() { os.Stdin = stdin })
	b.write("stdin", "forges: []\nworkloads: [{name: x}]\n")
	if os.Stdin, err = os.Open(b.dir + "/stdin"); err != nil {
		t.Fatal(err)
	}
	o.File = "-"
	err = applyFile(t.Context(), b.store, app.NewForges(b.store, forgeKinds()), testSources(), o, os.Stdout)
	if err == nil || !strings.HasPrefix(err.Error(), "apply standard input: nothing was changed:\nworkloads[0].forge (line 2): is required\n") {
		t.Errorf("error %v", err)
	}
}
