package main

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"

	"tinyforge/app/forgetest"
	"tinyforge/db"
)

// badRelease is a push that must not go live.
type badRelease struct {
	name       string
	config     string // further keys
	dockerfile string
	words      []string // of the failure
}

// watched and probed are how a release is gated.
const (
	watched = ""
	probed  = "healthcheck: {path: /up, interval: 200ms, attempts: 4}"
)

func badBuilds() []badRelease {
	return []badRelease{
		{"a file that is not there", probed, "FROM scratch\nCOPY missing /\n", []string{"Build failed", "COPY missing", "not found"}},
		{"a syntax error", probed, "FROM scratch\nCOPPY sampleapp /\n", []string{"Build failed", "COPPY"}},
		{"a step that fails", probed, dockerfile("EXIT_AFTER=0s", "EXIT_CODE=7") + "RUN [\"/sampleapp\"]\n",
			[]string{"Build failed: step `RUN [\"/sampleapp\"]` exited with 7"}},
		{"nothing in it", probed, "", []string{"Build failed", "Dockerfile"}},
		{"a file elsewhere", "dockerfile: sub/Dockerfile", dockerfile(), []string{`"sub/Dockerfile" is not in the repository at this commit`}},
	}
}

func badStarts() []badRelease {
	return []badRelease{
		{"never ready", probed, dockerfile("VERSION=bad", "UNHEALTHY=1"), []string{"Gate failed: GET /up answered 500"}},
		{"another port, probed", probed, dockerfile("LISTEN_PORT=9"), []string{"Gate failed: GET /up was refused (nothing listens on port 8080)"}},
		{"another port", watched, dockerfile("LISTEN_PORT=9"), []string{"Gate failed: nothing listens on port 8080 after 1 s; set port to"}},
		{"exits at once", watched, dockerfile("EXIT_AFTER=0s", "EXIT_CODE=3"), []string{"Gate failed: the container ended"}},
		{"exits in the window", watched, dockerfile("EXIT_AFTER=500ms", "EXIT_CODE=4"), []string{"Gate failed: the container ended"}},
		{"no such program", watched, dockerfile() + "ENTRYPOINT [\"/other\"]\n",
			[]string{"The container could not start", "/other"}},
	}
}

// TestBadRelease: whatever is wrong with what was pushed, the commit says so and what served before serves.
func TestBadRelease(t *testing.T) {
	t.Parallel()
	for strategy, all := range map[string][]badRelease{
		"blue-green": append(badBuilds(), badStarts()...),
		"recreate":   badStarts(),
	} {
		t.Run(strategy, func(t *testing.T) {
			t.Parallel()
			s, forge := newService(t), newForge(t, forgetest.Options{Kind: forgetest.GitHub})
			c, web := newClone(t, forge, "acme/site"), unique("web")
			apply := func(more string) {
				s.apply(forge, manifestOf(web, "dockerfile", "{deploy_strategy: "+strategy+", "+more+"}"))
			}
			apply(probed)
			c.ends(c.release("one"), "success")
			s.serves(web, "one")
			visitors := newLoad(t, s.site, web+".test")
			for _, bad := range all {
				apply(bad.config)
				s.stays(c, web, "one", c.push("Dockerfile", bad.dockerfile), bad.words...)
			}
			apply(probed)
			for _, version := range []string{"two", "three"} {
				c.ends(c.release(version), "success")
				s.serves(web, version)
			}
			visitors.stop()
		})
	}
}

// TestBuildTakesTooLong: a build that never ends is ended.
func TestBuildTakesTooLong(t *testing.T) {
	t.Parallel()
	x := newScene(t, blueGreen, "TINYFORGE_BUILD_TIMEOUT=8s")
	x.stays(x.clone, x.name, "zero", x.clone.push("Dockerfile", dockerfile("VERSION="+unique("endless"))+"RUN [\"/sampleapp\"]\n"),
		"Given up: building took longer than 8s")
}

// stays waits until a commit failed with these words and demands that a version serves on.
func (s *service) stays(c *clone, workload, version, commit string, words ...string) {
	s.Helper()
	c.ends(commit, "failure", append(words, "the previous release still serves")...)
	if d := s.deployments(workload)[0]; d.Commit != commit || d.Phase != db.PhaseFailed || d.Error == "" {
		s.Errorf("the deployment is %+v", d)
	}
	s.serves(workload, version)
}

// TestBadForge: whatever a forge answers to a fetch, the deployment ends. TestGitGivesUpASilentForge of package app is of one
// that does not answer: half a minute is what it is given.
func TestBadForge(t *testing.T) {
	t.Parallel()
	s, forge := newService(t), newForge(t, forgetest.Options{Kind: forgetest.GitHub})
	c, web := newClone(t, forge, "acme/site"), unique("web")
	s.apply(forge, manifestOf(web, "dockerfile", blueGreen))
	c.ends(c.release("one"), "success")
	visitors := newLoad(t, s.site, web+".test")

	for _, bad := range []struct {
		fault forgetest.Fault
		words []string
	}{
		{forgetest.Fault{Status: 500, Reflect: true}, []string{"Fetch failed: the forge answered 500"}},
		{forgetest.Fault{Status: 401, Reflect: true}, []string{"Fetch failed: the forge refused our credentials (401)", "renew the token"}},
		{forgetest.Fault{Status: 302, Location: "http://127.0.0.1:1/", Reflect: true}, []string{"Fetch failed: the forge answered with a redirect (302)"}},
		{forgetest.Fault{Status: 200, Body: "<html>Sign in</html>", Reflect: true}, []string{"Fetch failed: the forge's answer could not be understood"}},
	} {
		forge.Fault(func(r *http.Request) *forgetest.Fault {
			if fetches(r) {
				return &bad.fault
			}
			return nil
		})
		s.stays(c, web, "one", c.release("bad"), bad.words...)
	}

	// A commit that is gone when it is fetched, since somebody forced the branch elsewhere.
	arrived, goOn := make(chan struct{}, 10), make(chan struct{})
	forge.Fault(func(r *http.Request) *forgetest.Fault {
		if fetches(r) {
			arrived <- struct{}{}
			<-goOn
		}
		return nil
	})
	gone := c.release("gone")
	<-arrived
	if err := forge.DeleteCommit(t.Context(), "acme/site", gone); err != nil {
		t.Fatal(err)
	}
	close(goOn)
	s.reaches(web, gone, db.PhaseFailed) // which nobody can be told any more
	if d := s.deployments(web)[0]; d.Error != "Fetch failed: the forge no longer has this commit; the previous release still serves" {
		t.Errorf("it says %q", d.Error)
	}
	s.await("the status is given up", func() bool { return s.deployments(web)[0].Reported == db.StatusFailure })
	s.serves(web, "one")
	forge.Fault(nil)
	visitors.stop()
}

// fetches tells whether a request is one of a git fetch.
func fetches(r *http.Request) bool {
	return r.URL.Query().Get("service") == "git-upload-pack" || strings.HasSuffix(r.URL.Path, "/git-upload-pack")
}

// TestForgeDelaysStatus: a forge that takes no statuses delays them and nothing else.
func TestForgeDelaysStatus(t *testing.T) {
	t.Parallel()
	s, forge := newService(t), newForge(t, forgetest.Options{Kind: forgetest.Gitea})
	c, web := newClone(t, forge, "acme/site"), unique("web")
	s.apply(forge, manifestOf(web, "dockerfile", blueGreen))
	forge.Fault(func(r *http.Request) *forgetest.Fault {
		if strings.Contains(r.URL.Path, "/statuses/") {
			return &forgetest.Fault{Status: 502, Reflect: true}
		}
		return nil
	})
	commit := c.release("one")
	s.reaches(web, commit, db.PhaseLive)
	s.serves(web, "one")
	if states := c.states(commit); states != "[]" {
		t.Errorf("the statuses are %s", states)
	}
	forge.Fault(nil)
	s.await("the status is there", func() bool { return c.last(commit).State == "success" })
	if states := c.states(commit); states != "[success]" {
		t.Errorf("the statuses are %s", states)
	}
}

// TestDockerGone: Docker goes away while a release is gated, and comes back.
func TestDockerGone(t *testing.T) {
	t.Parallel()
	docker := newFront(t)
	s, forge := newService(t, docker.option()), newForge(t, forgetest.Options{Kind: forgetest.GitHub})
	c, web := newClone(t, forge, "acme/site"), unique("web")
	s.apply(forge, manifestOf(web, "dockerfile", "{deploy_strategy: blue-green, healthcheck: {path: /up}}"))
	c.ends(c.release("one"), "success")
	s.serves(web, "one")
	visitors := newLoad(t, s.site, web+".test")

	second := c.release("two", "UNHEALTHY=1")
	s.reaches(web, second, db.PhaseGating)
	docker.cut()
	c.ends(second, "failure", "Docker is not reachable", "is it running?")
	if code, body := s.get(s.control+"/readyz", ""); code != http.StatusOK || !strings.Contains(body, `"docker":"does not answer"`) {
		t.Errorf("/readyz answers %d %s", code, body)
	}
	third := c.release("three")
	c.ends(third, "failure", "Docker is not reachable", "is it running?")

	docker.restore()
	s.serves(web, "one") // and nothing is left of the second
	fourth := c.release("four")
	c.ends(fourth, "success")
	s.serves(web, "four")
	visitors.stop()
}

// TestBadDelivery: what is not signed by the forge, or is no push that concerns us, does nothing.
func TestBadDelivery(t *testing.T) {
	t.Parallel()
	for kind, options := range map[string]forgetest.Options{
		"GitHub": {Kind: forgetest.GitHub}, "Gitea": {Kind: forgetest.Gitea}, "GitLab": {Kind: forgetest.GitLab, Signing: true},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s, forge := newService(t), newForge(t, options)
			c, web := newClone(t, forge, "acme/site"), unique("web")
			s.apply(forge, manifestOf(web, "dockerfile", blueGreen))
			c.ends(c.release("one"), "success")
			all, err := forge.Settle(t.Context())
			s.must(err)
			push := all[slices.IndexFunc(all, func(d forgetest.Delivery) bool { return d.Event == "push" })]

			unsigned := push.Header.Clone()
			for name := range unsigned {
				if strings.Contains(name, "Signature") {
					unsigned.Del(name)
				}
			}
			changed := bytes.Replace(push.Body, []byte(`"ref"`), []byte(`"ref" `), 1)
			large := bytes.Repeat([]byte(" "), 25<<20+1)
			elsewhere := bytes.ReplaceAll(push.Body, []byte("acme/site"), []byte("acme/none"))
			for name, d := range map[string]struct {
				header http.Header
				body   []byte
				url    string
				code   int
				words  string
			}{
				"unsigned":              {unsigned, push.Body, s.hook(), 401, "the signature does not verify"},
				"another body":          {push.Header, changed, s.hook(), 401, "the signature does not verify"},
				"replayed":              {push.Header, push.Body, s.hook(), 200, "received before"},
				"too large":             {forge.Sign("push", large), large, s.hook(), 413, "larger than 25 MB"},
				"unknown forge":         {push.Header, push.Body, s.control + "/webhooks/other", 404, "unknown forge"},
				"truncated":             {forge.Sign("push", push.Body[:200]), push.Body[:200], s.hook(), 200, "malformed delivery"},
				"no JSON":               {forge.Sign("push", []byte("ref=main")), []byte("ref=main"), s.hook(), 200, "malformed delivery"},
				"another event":         {forge.Sign("issues", []byte("{}")), []byte("{}"), s.hook(), 200, ""},
				"sent otherwise":        {forge.Sign("push", changed), changed, s.hook(), 200, "already delivered"},
				"a name is no identity": {forge.Sign("push", elsewhere), elsewhere, s.hook(), 200, "already delivered"},
			} {
				if code, answer := deliver(t, d.url, d.header, d.body); code != d.code || !strings.Contains(answer, d.words) {
					t.Errorf("%s: answered %d %s, want %d %s", name, code, answer, d.code, d.words)
				}
			}

			s.apply(forge, manifestOf(web, "dockerfile", blueGreen, "enabled: false"))
			c.release("two")
			c.answered("workload " + web + " is disabled")
			unknown := newClone(t, forge, "acme/unknown")
			if options.Kind != forgetest.GitHub {
				secrets := forge.Row("").Credentials
				_, err := forge.AddHook("acme/unknown", forgetest.Hook{
					URL: s.hook(), Secret: secrets.WebhookSecret, SigningToken: secrets.SigningToken, Events: []string{"push"},
				})
				s.must(err)
			}
			unknown.release("one")
			unknown.answered("no workload uses acme/unknown")
			if all := s.deployments(web); len(all) != 1 {
				t.Errorf("there are %d deployments", len(all))
			}
			s.serves(web, "one")
		})
	}
}

func deliver(t *testing.T, url string, header http.Header, body []byte) (code int, answer string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header.Clone()
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(response.Body); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, text.String()
}
