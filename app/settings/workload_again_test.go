package settings_test

import (
	"net/http"
	"testing"
)

// TestTheSameSettingsTwice: a form that was sent twice is saved once and deployed once, and is no conflict with itself.
func TestTheSameSettingsTwice(t *testing.T) {
	s := newSettings(t, map[string]string{"A": "1", "TOKEN": "old"}, "A")
	form := row(with(s.form(), "domain", "shop.example.com"), 1, "env_value", "new")
	form = row(form, 0, "auth_name", "me", "auth_password", "s3cret-password")
	for range 2 {
		s.send(form, "op", "save").leads(t, "/workloads/shop/settings")
	}
	s.has("A=1", "TOKEN=new")
	s.send(form, "op", "deploy").leads(t, "/workloads/shop/deployments/1") // it was not deployed since
	for range 2 {
		s.send(with(form, "domain", "other.example.com"), "op", "deploy").is(t, http.StatusConflict, "other.example.com")
	}
	form = with(s.form(), "domain", "other.example.com")
	s.send(form, "op", "deploy").leads(t, "/workloads/shop/deployments/2")
	s.send(form, "op", "deploy").leads(t, "/workloads/shop/deployments/2")
	entries, err := s.db.AuditEntries(t.Context(), "workload", 0, 10)
	must(t, err)
	if len(entries) != 2 {
		t.Errorf("audit %+v", entries)
	}
}

// TestSecretsThatWereTypedLongAgo: a form that outlived its secrets says so, whatever is pressed, before it saves anything.
func TestSecretsThatWereTypedLongAgo(t *testing.T) {
	s := newSettings(t, map[string]string{"API_TOKEN": "old"})
	p := s.send(row(s.form(), 0, "env_value", "new"), "port", "x", "op", "save")
	p.is(t, http.StatusUnprocessableEntity)
	late := with(p.fields(), "port", "80")
	if late.Get("draft") == "" {
		t.Fatal("nothing is kept")
	}
	draft, err := s.db.SealDraft("workload", struct{}{}, 0)
	must(t, err)
	for _, op := range []string{"env.more", "save"} {
		p = s.send(late, "draft", draft, "op", op)
		p.is(t, http.StatusUnprocessableEntity, "type them again", `href="#f-draft"`, `id="f-draft"`)
	}
	s.has("API_TOKEN=old")
	s.send(row(p.fields(), 0, "env_value", "newer"), "op", "save").leads(t, "/workloads/shop/settings")
	s.has("API_TOKEN=newer")
}
