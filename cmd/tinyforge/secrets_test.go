package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tinyforge/app/forgetest"
	"tinyforge/db"
	"tinyforge/db/dbtest"
)

// secretForms are how the sample program tells a secret. Of base64 a few characters at both ends belong to its neighbours too.
func secretForms(secret string) []string {
	inJSON, _ := json.Marshal(secret)
	basic := base64.URLEncoding.EncodeToString([]byte("user:" + secret))
	plain := base64.StdEncoding.EncodeToString([]byte(secret))
	return []string{secret, strings.Trim(string(inJSON), `"`), url.QueryEscape(secret), plain[:len(plain)-4], basic[8 : len(basic)-4]}
}

// TestSecretsReachNobody: a build that tells its secret, and programs that tell theirs while they serve and before they die, in
// every form. None is in a row, on a page, in the API, in a status or in the process's log, in the image, in how Docker describes
// it, or on the command line of any process.
func TestSecretsReachNobody(t *testing.T) {
	t.Parallel()
	forge := newForge(t, forgetest.Options{Kind: forgetest.Gitea})
	s := newService(t)
	c, web := newClone(t, forge, "acme/site"), unique("web")
	buildSecret, siteSecret := unique("b/u+i l&d\"")+"<é>", unique("s/i+t e&\\")+"=ü"
	var forms []string
	for _, secret := range []string{buildSecret, siteSecret, forge.Row("forge").Credentials.Token} {
		forms = append(forms, secretForms(secret)...)
	}
	s.secrets = append(s.secrets, forms...)
	s.write("npm", buildSecret)
	s.write("site", siteSecret)
	s.apply(forge, manifestOf(web, "dockerfile", "{build_secrets: {npm: file:npm}, healthcheck: {path: /up, interval: 200ms, attempts: 8}}",
		"env: {SITE_SECRET: file:site, MODE: production}"))
	stop := watchCommandLines(t, forms)

	telling := func(version string, env ...string) string {
		text := dockerfile("VERSION="+version, "RUN_OF="+web, "TELL=/run/secrets/npm", "EXIT_AFTER=0s", "EXIT_CODE=0") +
			"RUN --mount=type=secret,id=npm [\"/sampleapp\"]\nENV EXIT_AFTER= EXIT_CODE=3 TELL=\"SITE_SECRET MODE\"\n"
		for _, variable := range env {
			text += "ENV " + variable + "\n"
		}
		return text
	}
	one := c.push("Dockerfile", telling("one"))
	c.ends(one, "success")
	s.serves(web, "one")
	lives := s.deploymentLog(web)
	two := c.push("Dockerfile", telling("two", "EXIT_AFTER=0s"))
	c.ends(two, "failure")
	dies := s.deploymentLog(web)
	stop()
	for _, want := range []string{"told /run/secrets/npm", "raw [secret npm]", "url [secret npm]", `json {"value":"[secret npm]"}`} {
		if !strings.Contains(lives, want) {
			t.Errorf("the log of the build does not say %q:\n%s", want, lives)
		}
	}
	tail := s.deployments(web)[0].Tail
	for _, want := range []string{"told SITE_SECRET", "raw [secret SITE_SECRET]", "told MODE\nraw production\n"} {
		if !strings.Contains(tail, want) || !strings.Contains(dies, "| "+strings.Split(want, "\n")[0]) {
			t.Errorf("the last lines do not say %q:\n%s", want, tail)
		}
	}
	shown := s.shownOf(web)
	for what, text := range map[string]string{"statuses": fmt.Sprint(forge.Statuses("acme/site", one), forge.Statuses("acme/site", two)), "pages": shown,
		"rows": dies + tail + fmt.Sprintf("%+v", s.deployments(web)[0].Error), "Docker": s.imagesOf(web)} {
		for _, form := range forms {
			if strings.Contains(text, form) {
				t.Errorf("%q is in the %s:\n%s", form, what, text)
			}
		}
	}
	if !strings.Contains(shown, "raw [secret SITE_SECRET]") || !strings.Contains(shown, "[secret npm]") {
		t.Errorf("the pages do not show the output:\n%s", shown)
	}
}

// shownOf is all that pages and API show an administrator of a workload.
func (s *service) shownOf(workload string) string {
	s.Helper()
	user := db.User{Name: unique("ann"), Role: db.Administrator}
	s.must(s.store.SaveUser(s.Context(), &user))
	token, err := s.store.NewAPIToken(s.Context(), &db.APIToken{UserID: user.ID, Name: "test"})
	s.must(err)
	session, err := s.store.StartSession(s.Context(), user.ID, "127.0.0.1", "test")
	s.must(err)
	paths := []string{"/workloads/" + workload, "/api/v1/workloads/" + workload, "/workloads", "/workloads/" + workload + "/settings"}
	for _, d := range s.deployments(workload) {
		page := fmt.Sprintf("/workloads/%s/deployments/%d", workload, d.ID)
		paths = append(paths, page, page+"/log.txt", fmt.Sprintf("/api/v1/deployments/%d", d.ID), fmt.Sprintf("/api/v1/deployments/%d/log", d.ID))
	}
	var all strings.Builder
	for _, path := range paths {
		request, err := http.NewRequestWithContext(s.Context(), http.MethodGet, s.control+path, nil)
		s.must(err)
		if strings.HasPrefix(path, "/api/") {
			request.Header.Set("Authorization", "Bearer "+token)
		} else {
			request.AddCookie(&http.Cookie{Name: "session", Value: session})
		}
		response, err := http.DefaultClient.Do(request)
		s.must(err)
		text, err := io.ReadAll(response.Body)
		s.must(err)
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK || response.Request.URL.Path != path {
			s.Errorf("%s answers %d at %s", path, response.StatusCode, response.Request.URL)
		}
		all.WriteString(html.UnescapeString(string(text)))
	}
	return all.String()
}

// imagesOf is how Docker describes the images of a workload and how they were made.
func (s *service) imagesOf(workload string) string {
	s.Helper()
	docker, all := newDockerAPI(s.T), ""
	for _, d := range s.deployments(workload) {
		var inspected, history json.RawMessage
		docker.call(http.MethodGet, "/images/"+d.Release.Image+"/json", &inspected)
		docker.call(http.MethodGet, "/images/"+d.Release.Image+"/history", &history)
		if d.Phase == db.PhaseLive && (len(inspected) == 0 || len(history) == 0) { // that of a failed one may have been removed
			s.Errorf("there is no image %s", d.Release.Image)
		}
		all += string(inspected) + string(history)
	}
	return all
}

// watchCommandLines looks at those of all processes again and again, until stop is called.
func watchCommandLines(t *testing.T, secrets []string) (stop func()) {
	ended, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		sawGit := false
		for {
			files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
			for _, file := range files {
				line, _ := os.ReadFile(file)
				sawGit = sawGit || strings.Contains(string(line), "git\x00fetch\x00")
				for _, secret := range secrets {
					if strings.Contains(string(line), secret) {
						t.Errorf("%q is on a command line: %q", secret, line)
					}
				}
			}
			select {
			case <-ended:
				if !sawGit {
					t.Error("no git was seen")
				}
				return
			case <-tick.C:
			}
		}
	}()
	return func() { close(ended); <-done }
}

// TestTheLogHoldsNoSecretOfTheConfiguration, whatever a library puts into an error.
func TestTheLogHoldsNoSecretOfTheConfiguration(t *testing.T) {
	t.Parallel()
	c, _ := keyWorld(t, dbtest.SQLite(t))
	store, err := readyStore(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	c.Key, c.NPMPassword, c.Database = textOf(t, c), "correct horse", "postgres://ann:battery%2Fstaple@db/tinyforge"
	var out bytes.Buffer
	guard := &guardedLog{out: &out}
	log := newLogger(c, guard)
	keeper := guardKeeper{guard: guard, db: store, log: log, own: c.secrets()}
	if err := keeper.learn(t.Context()); err != nil {
		t.Fatal(err)
	}
	log.Error("all of them", "error", errors.New(c.Key+" "+c.NPMPassword+" "+c.Database+" s3cret"))
	for _, secret := range []string{c.Key[100:160], c.NPMPassword, "battery", "s3cret"} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("%q is in the log: %s", secret, out.String())
		}
	}
	if !strings.Contains(out.String(), "all of them") {
		t.Errorf("the log is %s", out.String())
	}
}
