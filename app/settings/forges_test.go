package settings_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tinyforge/app"
	"tinyforge/app/forgetest"
	"tinyforge/app/gitea"
	"tinyforge/app/settings"
	"tinyforge/db"
)

func TestConnectByToken(t *testing.T) {
	for _, tt := range []struct {
		path, kind string
		options    forgetest.Options
		wrong      map[string]forgetest.Access // by what is said of it
	}{
		{"gitea", "forgejo", forgetest.Options{Kind: forgetest.Gitea, Forgejo: true}, map[string]forgetest.Access{
			"The token lacks: write:repository": {Scopes: []string{"read:repository", "read:user"}},
			"may only read its repositories":    {Scopes: []string{"write:repository", "read:user"}, Right: forgetest.Read},
		}},
		{"gitlab", "gitlab", forgetest.Options{Kind: forgetest.GitLab}, map[string]forgetest.Access{
			"The token lacks: api":            {Scopes: []string{"read_api"}},
			"The token expired on 1 Feb 2020": {Scopes: []string{"api"}, Until: "2020-02-01"},
		}},
	} {
		t.Run(tt.path, func(t *testing.T) {
			w, s := newWorld(t), newForgeServer(t, tt.options)
			b, address := w.owner(), "/forges/new/"+tt.path
			b.get(address).is(t, http.StatusOK, "Access token")
			b.post(address).is(t, http.StatusUnprocessableEntity, "Fill in this field", "Fix 2 errors")
			b.post(address, "base_url", "https://me:pw@git.example.com", "token", "t").is(t, http.StatusUnprocessableEntity, "Leave user name and password out")
			b.post(address, "base_url", "ftp://x", "token", "a b").is(t, http.StatusUnprocessableEntity, "Enter a full address", "This is no token")
			row := s.Row("git")

			// A private address is offered to be allowed, and the token does not have to be typed again.
			p := b.post(address, "base_url", s.URL(), "token", row.Credentials.Token)
			p.is(t, http.StatusUnprocessableEntity, "in a private network", "Allow the network loopback", "Received. Leave empty to use it.")
			if strings.Contains(p.body, row.Credentials.Token) {
				t.Error("the token is in the page")
			}
			draft := find(t, p.body, `name="token_draft" value="([^"]+)"`)
			b.post(address, "base_url", s.URL(), "allow", "loopback", "token", "wrong", "forge_name", "git").is(t, http.StatusUnprocessableEntity, "refused the token")
			other := httptest.NewServer(http.NotFoundHandler())
			defer other.Close()
			b.post(address, "base_url", other.URL, "allow", "loopback", "token", "x", "forge_name", "git").is(t, http.StatusUnprocessableEntity, "but not as")
			for said, access := range tt.wrong {
				b.post(address, "base_url", s.URL(), "allow", "loopback", "token", s.NewToken(access), "forge_name", "git").is(t, http.StatusUnprocessableEntity, said)
			}
			b.post(address, "base_url", s.URL(), "allow", "loopback", "token_draft", draft, "op", "check.forge").is(t, http.StatusOK, "The connection works", `value="loopback" checked`)
			if list, err := w.db.Forges(t.Context()); err != nil || len(list) != 0 {
				t.Fatalf("a check saves: %v, %v", list, err)
			}
			b.post(address, "base_url", s.URL(), "allow", "loopback", "token_draft", draft, "forge_name", "git").leads(t, "/forges/1")
			saved := w.forgeNamed("git")
			if saved.Kind != tt.kind || saved.Credentials.Token != row.Credentials.Token || saved.Credentials.WebhookSecret == "" || saved.Networks[0] != "loopback" {
				t.Errorf("saved %+v", saved)
			}
			b.get("/forges/1").is(t, http.StatusOK, "git connected.", "acme/site", "/webhooks/git", "New workload")
			b.get("/forges").is(t, http.StatusOK, "1 repository", "Connected")
			b.post(address, "base_url", s.URL(), "allow", "loopback", "token_draft", draft, "forge_name", "git").is(t, http.StatusUnprocessableEntity, "There is a forge called git already")
		})
	}
}

func find(t *testing.T, body, pattern string) string {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(body)
	if m == nil {
		t.Fatalf("%s is not in\n%s", pattern, body)
	}
	return m[1]
}

// connected is a Gitea that is connected, with a workload on acme/site and its webhook.
func (w *world) connected(b *browser) (*forgeServer, db.Forge, db.Workload) {
	w.t.Helper()
	s := newForgeServer(w.t, forgetest.Options{Kind: forgetest.Gitea})
	b.post("/forges/new/gitea", "base_url", s.URL(), "allow", "loopback", "token", s.Row("").Credentials.Token, "forge_name", "git").leads(w.t, "/forges/1")
	row := w.forgeNamed("git")
	return s, row, w.site(row)
}

func (w *world) hook(row db.Forge, workload db.Workload) {
	w.t.Helper()
	_, err := app.RegisterHook(w.t.Context(), w.db, w.open(row).(app.Hooker), workload.RepositoryID, app.HookURL(w.server.URL, row.Name))
	must(w.t, err)
}

func TestMissedPushesAreFound(t *testing.T) {
	w := newWorld(t)
	b := w.owner()
	s, row, workload := w.connected(b)
	b.post(forgeAt(row, "/missed")).leads(t, forgeAt(row, "#deliveries"))
	b.get(forgeAt(row, "")).is(t, http.StatusOK, "1 missed push found", `<a href="/deployments/1">Started deployment 1</a>`, "missed", `<a href="/workloads/site">site</a>`)
	b.post(forgeAt(row, "/missed")).leads(t, forgeAt(row, "#deliveries"))
	b.get(forgeAt(row, "")).is(t, http.StatusOK, "No push was missed.")

	w.hook(row, workload)
	s.push("Delivered") // and so it is not missed
	b.post(forgeAt(row, "/missed"))
	b.get(forgeAt(row, "")).is(t, http.StatusOK, "No push was missed.")
	must(t, w.db.SetHookURL(t.Context(), workload.RepositoryID, ""))
	for _, h := range s.Hooks("acme/site") {
		must(t, w.open(row).(app.Hooker).RemoveHook(t.Context(), db.Repository{ExternalID: w.siteOf(row).ExternalID, FullName: "acme/site"}, h.URL))
	}
	s.push("Lost")
	b.post(forgeAt(row, "/missed"))
	b.get(forgeAt(row, "")).is(t, http.StatusOK, "1 missed push found")

	b.get("/deliveries/1").is(t, http.StatusOK, "This push was not delivered", "refs/heads/main", `<a href="/deployments/1">Started deployment 1</a>`)
	b.get("/deployments/1").leads(t, "/workloads/site/deployments/1")
	b.get("/deliveries/99").is(t, http.StatusNotFound)
	b.get("/deliveries/x").is(t, http.StatusNotFound)
	b.get(forgeAt(row, "?outcome=refused")).is(t, http.StatusOK, "No such delivery")
	b.get(forgeAt(row, "?q=none")).is(t, http.StatusOK, "No repository matches none")
}

func TestRotateSecret(t *testing.T) {
	w := newWorld(t)
	b := w.owner()
	s, row, workload := w.connected(b)
	w.hook(row, workload)
	before := s.Hooks("acme/site")[0]
	b.post(forgeAt(row, "/rotate")).leads(t, forgeAt(row, ""))
	b.get(forgeAt(row, "")).is(t, http.StatusOK, "The webhook has a new secret")
	after := s.Hooks("acme/site")
	if len(after) != 1 || after[0].Secret == before.Secret {
		t.Errorf("the webhooks are %+v", after)
	}
	commit := s.push("With the new secret")
	moves, err := w.db.LastMoves(t.Context(), workload.RepositoryID)
	if err != nil || moves["refs/heads/main"] != commit {
		t.Errorf("delivered %v, %v", moves, err)
	}
	_, err = s.AddHook("acme/site", forgetest.Hook{URL: before.URL, Secret: before.Secret, Events: []string{"push"}})
	must(t, err)
	s.push("With both")
	for _, d := range s.Deliveries() {
		if d.Code/100 != 2 {
			t.Errorf("a delivery was answered %d: %s", d.Code, d.Answer)
		}
	}
}

func TestASecretThatCouldNotBeToldIsToldAgain(t *testing.T) {
	w := newWorld(t)
	b := w.owner()
	s, row, workload := w.connected(b)
	w.hook(row, workload)
	before := s.Hooks("acme/site")[0]
	s.Fault(func(*http.Request) *forgetest.Fault { return &forgetest.Fault{Status: http.StatusBadGateway} })
	for range 2 { // the forge goes on to sign with the first secret
		b.post(forgeAt(row, "/rotate")).leads(t, forgeAt(row, ""))
		b.get(forgeAt(row, "")).is(t, http.StatusOK, "could not be told the new secret (502 Bad Gateway)", "was not told its new webhook secret yet")
		if known := w.forgeNamed("git").Credentials.WebhookSecrets(); !slices.Contains(known, row.Credentials.WebhookSecret) {
			t.Fatalf("what the forge signs with is refused: it is not one of %d secrets", len(known))
		}
	}
	b.get(forgeAt(row, "/edit")).is(t, http.StatusOK, "Tell the secret again")
	s.Fault(nil)
	commit := s.push("While it signs with the old secret")
	b.post(forgeAt(row, "/rotate")).leads(t, forgeAt(row, ""))
	b.get(forgeAt(row, "")).is(t, http.StatusOK, "The webhook has a new secret")
	b.get(forgeAt(row, "/edit")).is(t, http.StatusOK, "Make a new secret")
	now := w.forgeNamed("git").Credentials
	if hooks := s.Hooks("acme/site"); len(hooks) != 1 || hooks[0].Secret == before.Secret || now.OldSecret != row.Credentials.WebhookSecret || now.Untold {
		t.Errorf("the webhooks are %+v", hooks)
	}
	if moves, err := w.db.LastMoves(t.Context(), workload.RepositoryID); err != nil || moves["refs/heads/main"] != commit {
		t.Errorf("delivered %v, %v", moves, err)
	}
	b.get("/audit").is(t, http.StatusOK, "Made a new webhook secret", "Told a forge its webhook secret again")
}

func TestRotationLooksForMissedPushesInAnyCase(t *testing.T) {
	w := newWorld(t)
	b := w.owner()
	s, row, workload := w.connected(b)
	commit := s.push("Before there was a webhook")
	s.Fault(func(r *http.Request) *forgetest.Fault { // it is told nothing, and may be read
		if strings.Contains(r.URL.Path, "/hooks") {
			return &forgetest.Fault{Status: http.StatusBadGateway}
		}
		return nil
	})
	b.post(forgeAt(row, "/rotate")).leads(t, forgeAt(row, ""))
	b.get(forgeAt(row, "")).is(t, http.StatusOK, "could not be told")
	if moves, err := w.db.LastMoves(t.Context(), workload.RepositoryID); err != nil || moves["refs/heads/main"] != commit {
		t.Errorf("found %v, %v", moves, err)
	}
}

func TestRotationOfWhatSomebodyElseChanges(t *testing.T) {
	meanwhile := func() {}
	w := newWorldOf(t, func(c *settings.Config) {
		c.Forges = app.NewForges(c.DB, map[string]app.Opener{"gitea": func(row db.Forge, access app.Access) (app.Forge, error) {
			meanwhile()
			return gitea.New(row, access)
		}})
	})
	b := w.owner()
	_, row, _ := w.connected(b)
	change := func() {
		now := w.forgeNamed("git")
		now.Owner += "x"
		must(t, w.db.ChangeForge(t.Context(), &now))
	}
	change() // so that it is opened again
	meanwhile = change
	b.post(forgeAt(row, "/rotate")).is(t, http.StatusConflict, "Somebody else changed git just now, so nothing was done")
	if now := w.forgeNamed("git"); now.Credentials != row.Credentials || now.Owner != row.Owner+"xx" {
		t.Errorf("it is %+v", now)
	}
}

func TestChangeAndDisconnectForge(t *testing.T) {
	w := newWorld(t)
	b := w.owner()
	s, row, workload := w.connected(b)
	w.hook(row, workload)
	p := b.get(forgeAt(row, "/edit"))
	p.is(t, http.StatusOK, "Leave empty to keep the present one", "/webhooks/git")
	version := find(t, p.body, `name="version" value="([^"]+)"`)
	edit := func(pairs ...string) page {
		return b.post(forgeAt(row, "/edit"), append([]string{"version", version, "base_url", s.URL()}, pairs...)...)
	}
	edit("networks", "nonsense").is(t, http.StatusUnprocessableEntity, "Line 1 is not loopback")
	edit("networks", "").is(t, http.StatusUnprocessableEntity, "in a private network", "Allow the network loopback")
	edit("networks", "loopback", "token", "wrong").is(t, http.StatusUnprocessableEntity, "refused the token")
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the token is sent elsewhere: %s %v", r.URL, r.Header)
	}))
	defer other.Close()
	for _, op := range []string{"", "check.forge"} {
		b.post(forgeAt(row, "/edit"), "version", version, "base_url", other.URL, "networks", "loopback", "op", op).
			is(t, http.StatusUnprocessableEntity, "Type the token too")
	}
	edit("networks", "loopback", "op", "check.forge").is(t, http.StatusOK, "The connection works")
	edit("networks", "loopback\n10.0.0.0/8", "token", s.NewToken(forgetest.Access{Scopes: []string{"write:repository"}})).leads(t, forgeAt(row, ""))
	if now := w.forgeNamed("git"); now.Credentials.Token == row.Credentials.Token || len(now.Networks) != 2 || now.Credentials.WebhookSecret != row.Credentials.WebhookSecret {
		t.Errorf("saved %+v", now)
	}
	edit("networks", "loopback").is(t, http.StatusConflict, "These settings were changed")

	b.get(forgeAt(row, "/delete")).is(t, http.StatusConflict, "These workloads use it", "/workloads/site")
	b.post(forgeAt(row, "/delete"), "name", "git").is(t, http.StatusConflict, "These workloads use it")
	must(t, w.db.DeleteWorkload(t.Context(), workload.ID, false))
	b.get(forgeAt(row, "/delete")).is(t, http.StatusOK, "Type git to confirm")
	b.post(forgeAt(row, "/delete"), "name", "got").is(t, http.StatusUnprocessableEntity, "Type git exactly")
	b.post(forgeAt(row, "/delete"), "name", "git").is(t, http.StatusConflict, "still needs it")
	_, err := w.db.PurgeWorkload(t.Context(), workload.ID)
	must(t, err)
	b.post(forgeAt(row, "/delete"), "name", "git").leads(t, "/forges")
	if hooks := s.Hooks("acme/site"); len(hooks) != 0 {
		t.Errorf("left behind: %v", hooks)
	}
	if _, err := w.db.Forge(t.Context(), row.ID); !errors.Is(err, db.ErrNotFound) {
		t.Errorf("it is still there: %v", err)
	}
	entries, err := w.db.AuditEntries(t.Context(), "forge", 0, 10)
	if err != nil || len(entries) != 3 || entries[0].Action != "forge.deleted" || entries[1].Detail != "token, networks" {
		t.Errorf("audit: %+v, %v", entries, err)
	}
}

func TestAForgeThatIsAwayKeepsItsList(t *testing.T) {
	w := newWorld(t)
	b := w.owner()
	s, row, _ := w.connected(b)
	s.Fault(func(*http.Request) *forgetest.Fault { return &forgetest.Fault{} })
	b.post(forgeAt(row, "/resync")).leads(t, forgeAt(row, ""))
	b.get(forgeAt(row, "")).is(t, http.StatusOK, "The last refresh failed", "Could not be reached", "acme/site")
	s.Fault(nil)
	_, err := s.CreateRepository("acme/new", false)
	must(t, err)
	b.post(forgeAt(row, "/resync")).leads(t, forgeAt(row, ""))
	p := b.get(forgeAt(row, ""))
	p.is(t, http.StatusOK, "Repository list refreshed", "acme/new", "Connected")
	if strings.Contains(p.body, "The last refresh failed") {
		t.Error("the fault stays")
	}
}

func TestWhoMayChangeForges(t *testing.T) {
	w := newWorld(t)
	b := w.owner()
	_, row, _ := w.connected(b)
	for role, may := range map[db.Role]int{db.Viewer: http.StatusForbidden, db.Deployer: http.StatusSeeOther} {
		other := w.as(role)
		other.get("/forges").is(t, http.StatusOK, "git")
		other.get(forgeAt(row, "")).is(t, http.StatusOK, "acme/site")
		other.get("/start").is(t, http.StatusOK, "Getting started")
		if p := other.post(forgeAt(row, "/missed")); p.StatusCode != may {
			t.Errorf("%s looks for missed pushes: %d", role, p.StatusCode)
		}
		for _, path := range []string{"/forges/new", "/forges/new/github", "/forges/new/gitea", forgeAt(row, "/edit"), forgeAt(row, "/delete"), "/forges/github/created?code=a&state=b"} {
			other.get(path).is(t, http.StatusForbidden, "ask an administrator")
		}
		for _, path := range []string{"/forges/new/gitea", forgeAt(row, "/resync"), forgeAt(row, "/rotate"), forgeAt(row, "/delete")} {
			other.post(path).is(t, http.StatusForbidden)
		}
	}
}

func TestStart(t *testing.T) {
	w := newWorld(t)
	b := w.owner()
	b.get("/start").is(t, http.StatusOK, "Connect a forge", "After the step before.", "29.1.2", "8.2\u00a0GB", "name for itself")
	_, _, _ = w.connected(b)
	b.get("/start").is(t, http.StatusOK, "All is set up", "41.2")
}
