package settings_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"tinyforge/db"
)

// settingsOf are the settings of a workload called shop with these variables.
type settingsOf struct {
	*browser
	t *testing.T
}

func newSettings(t *testing.T, env map[string]string, plain ...string) settingsOf {
	t.Helper()
	w := newWorld(t)
	b := w.owner()
	repo := w.repository("acme/shop")
	must(t, w.db.CreateWorkload(t.Context(), &db.Workload{Name: "shop", RepositoryID: repo.ID, Source: "image", Config: json.RawMessage(`{"image":"a"}`),
		Enabled: true, Env: env, Plain: plain}))
	return settingsOf{b, t}
}

func (s settingsOf) form() url.Values {
	s.t.Helper()
	return s.get("/workloads/shop/settings").fields()
}

func (s settingsOf) send(form url.Values, pairs ...string) page {
	s.t.Helper()
	return s.do(http.MethodPost, "/workloads/shop/settings", with(form, pairs...))
}

// has checks the variables that are saved: NAME=value, in order.
func (s settingsOf) has(want ...string) {
	s.t.Helper()
	var got []string
	for name, value := range s.saved("shop").Env {
		got = append(got, name+"="+value)
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		s.t.Errorf("saved are %q, want %q", got, want)
	}
}

// TestPasteInPlaceOfAllWithAWrongLine: the lines that were right are not lost by the one that was wrong.
func TestPasteInPlaceOfAllWithAWrongLine(t *testing.T) {
	s := newSettings(t, map[string]string{"A": "1", "B": "2"}, "A", "B")
	text := s.send(s.form(), "op", "env.text").fields()
	p := s.send(text, "env_paste", "B=2\nC=3\nD 4\n", "op", "save")
	p.is(t, http.StatusUnprocessableEntity, "Line 3")
	s.send(p.fields(), "env_paste", "D=4\n", "op", "save").leads(t, "/workloads/shop/settings")
	s.has("B=2", "C=3", "D=4")
}

// TestPasteOfRenamedSecrets: what is not shown has no other name; it is asked for until it is typed.
func TestPasteOfRenamedSecrets(t *testing.T) {
	s := newSettings(t, map[string]string{"API_TOKEN": "s3cret", "LEVEL": "debug"}) // nobody called them plain
	text := s.send(s.form(), "op", "env.text").fields()
	renamed := strings.NewReplacer("API_TOKEN", "GITHUB_TOKEN", "LEVEL", "LOGLEVEL").Replace(text.Get("env_paste"))
	p := s.send(text, "env_paste", renamed, "op", "save")
	p.is(t, http.StatusUnprocessableEntity, "it is not known any more", `href="#f-env_0"`, `href="#f-env_1"`)
	if strings.Contains(p.body, "A value is set") {
		t.Error("a value that is not known is said to be set")
	}
	p = s.send(p.fields(), "op", "env.more")
	p = s.send(p.fields(), "op", "save")
	p.is(t, http.StatusUnprocessableEntity, `href="#f-env_0"`, `href="#f-env_1"`)
	s.has("API_TOKEN=s3cret", "LEVEL=debug")
	form := row(row(p.fields(), 0, "env_value", "new"), 1, "env_value", "info")
	s.send(form, "op", "save").leads(t, "/workloads/shop/settings")
	s.has("GITHUB_TOKEN=new", "LOGLEVEL=info")
	if plain := s.saved("shop").Plain; len(plain) > 0 {
		t.Errorf("plain are %q", plain)
	}
}

// TestPasteAndRemove: the button of a row removes that row alone.
func TestPasteAndRemove(t *testing.T) {
	s := newSettings(t, map[string]string{"A": "1", "B": "2"}, "A", "B")
	p := s.send(s.form(), "env_paste", "C=3\nB=5\n", "op", "env.drop:0")
	p.is(t, http.StatusOK)
	s.send(p.fields(), "op", "save").leads(t, "/workloads/shop/settings")
	s.has("B=5", "C=3")
	p = s.send(s.form(), "env_paste", "B=6\n", "op", "env.drop:0")
	s.send(p.fields(), "op", "save").leads(t, "/workloads/shop/settings")
	s.has("C=3")
}

// TestMoreThanAWorkloadMayHave: what is too much is said and stays in the form.
func TestMoreThanAWorkloadMayHave(t *testing.T) {
	s := newSettings(t, map[string]string{"A": "1"}, "A")
	var text strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&text, "N%04d=%d\n", i, i)
	}
	p := s.send(s.form(), "env_paste", text.String(), "op", "env.parse")
	p = s.send(p.fields(), "op", "save")
	p.is(t, http.StatusUnprocessableEntity, "at most 1000 variables", `href="#f-env"`, "N0999")
	s.has("A=1")
	p = s.send(p.fields(), "op", "env.drop:0")
	s.send(p.fields(), "op", "save").leads(t, "/workloads/shop/settings")
	if got := s.saved("shop").Env; len(got) != 1000 || got["N0999"] != "999" {
		t.Errorf("%d variables", len(got))
	}

	form := s.form()
	for i := range 101 {
		form.Add("auth_name", fmt.Sprintf("u%d", i))
		form.Add("auth_was", "")
		form.Add("auth_password", "")
	}
	p = s.send(form, "op", "save")
	p.is(t, http.StatusUnprocessableEntity, "At most 100 people", `href="#f-auth"`, `value="u100"`)
	if got := s.saved("shop").Routing.BasicAuth; len(got) > 0 {
		t.Errorf("saved %+v", got)
	}
}
