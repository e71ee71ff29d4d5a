package settings_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"tinyforge/db"
)

// onceShown finds the link or token that a page shows once.
func (p page) onceShown(t *testing.T) string {
	t.Helper()
	_, after, ok := strings.Cut(p.body, `<code class="once">`)
	text, _, _ := strings.Cut(after, "<")
	if !ok || text == "" {
		t.Fatalf("nothing is shown: %s", p.body)
	}
	return text
}

func TestUserIsAdded(t *testing.T) {
	w := newWorld(t)
	b := w.owner()
	b.post("/settings/users", "username", " ", "role", "root").is(t, http.StatusUnprocessableEntity, "Fill in this field", "Choose one of the options")
	b.post("/settings/users", "username", "ann", "role", "viewer").is(t, http.StatusUnprocessableEntity, "Another user has this name")
	b.post("/settings/users", "username", "Боб 🚀", "role", "deployer").leads(t, "/settings/users/2")
	p := b.get("/settings/users/2")
	p.is(t, http.StatusOK, "Боб 🚀 was added", "shown only now")
	link, err := url.Parse(p.onceShown(t))
	must(t, err)
	if p := b.get("/settings/users/2"); strings.Contains(p.body, "/setup?token=") {
		t.Error("the link is shown twice")
	}
	bob := w.browser()
	bob.get(link.RequestURI()).is(t, http.StatusOK, "A new password for Боб 🚀")
	bob.post("/setup", "token", link.Query().Get("token"), "password", "a tree house in spring", "language", "ru").leads(t, "/workloads")
	bob.get("/settings").is(t, http.StatusOK, "Общие")
	bob.get("/settings/users").is(t, http.StatusForbidden)
	bob.post("/settings/users", "username", "eve", "role", "administrator").is(t, http.StatusForbidden)
	bob.post("/settings/users/2", "username", "Боб 🚀", "role", "administrator").is(t, http.StatusForbidden)

	b.post("/settings/users/2", "username", "Bob", "role", "viewer").leads(t, "/settings/users/2")
	b.get("/settings/users").is(t, http.StatusOK, "Bob", "viewer", "password")
	b.post("/settings/users/2/end-sessions").leads(t, "/settings/users/2")
	b.get("/settings/users/2").is(t, http.StatusOK, "1 session ended.")
	bob.get("/settings").leads(t, "/sign-in?next=%2Fsettings")
	b.post("/settings/users/2/link").leads(t, "/settings/users/2")
	b.get("/settings/users/2").onceShown(t)
	b.post("/settings/users/2/remove").leads(t, "/settings/users")
	b.get("/settings/users").is(t, http.StatusOK, "Bob was removed")
	for action, detail := range map[string]string{"user.added": "deployer", "user.saved": "name, before: Боб 🚀, deployer → viewer", "user.link_made": "", "user.removed": ""} {
		w.audited(action, detail)
	}
}

func TestTheLastAdministratorStays(t *testing.T) {
	w := newWorld(t)
	b := w.owner()
	b.post("/settings/users/1", "username", "ann", "role", "viewer").is(t, http.StatusUnprocessableEntity, "the last administrator")
	b.post("/settings/users/1/remove").is(t, http.StatusConflict, "the last administrator")
	b.get("/settings/users/1").is(t, http.StatusOK)
}

func TestPasswordIsChanged(t *testing.T) {
	w := newWorld(t)
	b := w.owner()
	other := w.browser()
	other.post("/sign-in", "username", "ann", "password", password).leads(t, "/workloads")
	p := b.post("/settings/password", "password_now", "wrong", "password_new", "short")
	p.is(t, http.StatusUnprocessableEntity, "The current password is not right")
	if p.says("Use at least 12 characters</") {
		t.Error("the new one is weighed for anybody")
	}
	b.post("/settings/password", "password_now", password, "password_new", "short").is(t, http.StatusUnprocessableEntity, "Use at least 12 characters</")
	b.post("/settings/password", "password_now", password, "password_new", "a tree house in spring").leads(t, "/settings/password")
	b.get("/settings/password").is(t, http.StatusOK, "Password changed")
	other.get("/workloads").leads(t, "/sign-in?next=%2Fworkloads")
	other.post("/sign-in", "username", "ann", "password", password).is(t, http.StatusUnprocessableEntity)
	other.post("/sign-in", "username", "ann", "password", "a tree house in spring").leads(t, "/workloads")
	for range 9 {
		b.post("/settings/password", "password_now", "wrong", "password_new", "a tree house in spring")
	}
	b.post("/settings/password", "password_now", "wrong", "password_new", "a tree house in spring")
	b.post("/settings/password", "password_now", "a tree house in spring", "password_new", password).is(t, http.StatusUnprocessableEntity, "Too many attempts")
}

func TestSessionsAreEnded(t *testing.T) {
	w := newWorld(t)
	b := w.owner()
	const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
	others := []*browser{w.browser(), w.browser(), w.browser()}
	for _, o := range others {
		o.do(http.MethodPost, "/sign-in", url.Values{"username": {"ann"}, "password": {password}}, "User-Agent", firefox).leads(t, "/workloads")
	}
	b.get("/settings/sessions").is(t, http.StatusOK, "4 sessions", "Firefox on Linux", "this one", "127.0.0.1")
	list, err := w.db.Sessions(t.Context(), 1)
	must(t, err)
	b.post("/settings/sessions/"+idOf(list[1].ID)+"/end").leads(t, "/settings/sessions")
	b.get("/settings/sessions").is(t, http.StatusOK, "Session ended.", "3 sessions")
	b.post("/settings/sessions/999/end").is(t, http.StatusNotFound)
	eve := w.user("eve", db.Viewer)
	eve.post("/settings/sessions/"+idOf(list[0].ID)+"/end").is(t, http.StatusNotFound)
	b.post("/settings/sessions/end-others").leads(t, "/settings/sessions")
	b.get("/settings/sessions").is(t, http.StatusOK, "2 sessions ended.", "1 session")
	for _, o := range others {
		o.get("/workloads").leads(t, "/sign-in?next=%2Fworkloads")
	}
	eve.get("/workloads").is(t, http.StatusOK)
}

func TestAuditPage(t *testing.T) {
	w := newWorld(t)
	b := w.owner()
	for range 130 {
		must(t, w.db.Audit(t.Context(), db.AuditEntry{Actor: "=cmd()", Action: "workload.other", Subject: "shop <b>", Detail: "domain", Address: "192.0.2.1"}))
	}
	must(t, w.db.Audit(t.Context(), db.AuditEntry{Actor: "ann", Action: "deployment.cancelled", Subject: "shop", Detail: "7"}))
	p := b.get("/audit")
	p.is(t, http.StatusOK, `href="/deployments/7"`, "shop &lt;b&gt;", "workload.other", "/workloads/shop%20%3Cb%3E", "/audit?before=")
	_, after, _ := strings.Cut(p.body, `href="/audit?before=`)
	before, _, _ := strings.Cut(after, `"`)
	p = b.get("/audit?before=" + before)
	p.is(t, http.StatusOK, "Set a password with a one-time link")
	if strings.Count(p.body, "shop") == 0 || strings.Contains(p.body, `href="/audit?before=`) {
		t.Error("the second page is not the rest")
	}
	if p := b.get("/audit?what=user"); strings.Contains(p.body, "shop") || !strings.Contains(p.body, "Set a password") {
		t.Errorf("of users: %s", p.body)
	}
	b.get("/audit?before=x").is(t, http.StatusBadRequest)
	p = b.get("/audit.csv?what=workload")
	p.is(t, http.StatusOK, "time,who,action,subject,detail,from\n", "Z,'=cmd(),workload.other,shop <b>,domain,192.0.2.1\n")
	if n := strings.Count(p.body, "\n"); n != 131 {
		t.Errorf("%d lines", n)
	}
	w.user("eve", db.Deployer).get("/audit").is(t, http.StatusForbidden)
}
