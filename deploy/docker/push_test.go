package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/image"

	"tinyforge/deploy"
	"tinyforge/deploy/registry"
)

// ownRegistry serves the registry of tinyforge registry, of which e is a client from then on.
func ownRegistry(t *testing.T, e *Engine) *registry.Registry {
	t.Helper()
	r, err := registry.New(t.Context(), registry.Config{Dir: t.TempDir(), User: account.Username, Password: account.Password, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	e.pushTo(t, r)
	return r
}

// pushTo serves a registry, and lets e use it.
func (e *Engine) pushTo(t *testing.T, r http.Handler) {
	t.Helper()
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	e.cfg.Registry = &Registry{Host: strings.TrimPrefix(server.URL, "http://"), Prefix: "team/apps", User: account.Username, Password: account.Password}
}

// pullAsNode pulls what was pushed, which no workload may.
func (e *Engine) pullAsNode(t *testing.T, ref string) error {
	t.Helper()
	named, err := reference.ParseNormalizedNamed(ref)
	if err == nil {
		_, err = e.fetch(t.Context(), named, deploy.PullSpec{Auth: &account}, &lines{w: io.Discard, blot: blotter(nil)})
	}
	return err
}

func (e *Engine) tagsOfImage(t *testing.T, id string) (tags []string) {
	t.Helper()
	found, err := e.docker.ImageInspect(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return append(found.RepoTags, found.RepoDigests...)
}

// unguessable is in names that nobody may read.
var unguessable = regexp.MustCompile(`[-.][0-9a-f]{32}`)

// TestPush: what was built is pushed, named as before, and another engine could run it by what it is pinned to.
func TestPush(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	ownRegistry(t, e)
	id := sampleImage(t, e)
	before := fmt.Sprint(e.tagsOfImage(t, id))
	r := release(e, e.tag("sample"))
	var log bytes.Buffer
	pushed, err := e.Push(t.Context(), r, &log)
	if err != nil {
		t.Fatal(err)
	}
	if want := e.cfg.Registry.Host + "/team/apps/" + r.Workload + "@sha256:"; !strings.HasPrefix(pushed.Image, want) || pushed.ID != r.ID {
		t.Errorf("it is pinned to %s, want %s...", pushed.Image, want)
	}
	if after := fmt.Sprint(e.tagsOfImage(t, id)); after != before {
		t.Errorf("its names are %s, and were %s", after, before)
	}
	if text := log.String(); !strings.Contains(text, ": Pushed\n") || strings.Contains(text, "Preparing") || unguessable.MatchString(text) ||
		!strings.HasSuffix(text, "Pushed to "+e.cfg.Registry.repository(r.Workload)+"\n") || strings.Contains(text, "sha256") {
		t.Errorf("the log is %q", text)
	}
	if tag := e.pushedTag(r); !unguessable.MatchString(tag) || shown(tag) != fmt.Sprintf("%d.%s", r.DeploymentID, e.cfg.Instance) {
		t.Errorf("it is pushed as %s, shown as %s", tag, shown(tag))
	}
	for what, image := range map[string]string{"by its name": r.Image, "by its id": id} {
		again := r
		again.Image = image
		if again, err = e.Push(t.Context(), again, io.Discard); err != nil || again.Image != pushed.Image {
			t.Errorf("pushed again %s it is %s, %v", what, again.Image, err)
		}
	}
	if again, err := e.Push(t.Context(), pushed, io.Discard); err != nil || again.Image != pushed.Image {
		t.Errorf("what is pinned already is %s, %v", again.Image, err)
	}

	if err := e.RemoveImage(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if err := e.pullAsNode(t, pushed.Image); err != nil {
		t.Fatal(err)
	}
	if in := start(t, e, pushed); in.State != deploy.Running {
		t.Errorf("it is %+v", in)
	}
}

// TestPushOfAPulledImage: one that came from another registry, whose names stay what they were.
func TestPushOfAPulledImage(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	ownRegistry(t, e)
	pinned := mustPull(t, e, publish(t, e, sampleImage(t, e), testRegistry(t, nil)+"/team/web:1", nil))
	before := fmt.Sprint(e.tagsOfImage(t, pinned))
	pushed, err := e.Push(t.Context(), release(e, pinned), io.Discard)
	if err != nil || !strings.HasPrefix(pushed.Image, e.cfg.Registry.Host+"/team/apps/") {
		t.Fatalf("it is pinned to %s, %v", pushed.Image, err)
	}
	if after := fmt.Sprint(e.tagsOfImage(t, pinned)); after != before {
		t.Errorf("its names are %s, and were %s", after, before)
	}
}

// TestPushedNamesAreNoObstacle: a process that was killed in the middle of a push leaves a name, which keeps neither what was
// built nor what was pulled.
func TestPushedNamesAreNoObstacle(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	ownRegistry(t, e)
	built := buildFor(t, e, "tf-built-1")
	pulled := mustPull(t, e, publish(t, e, buildFor(t, e, "tf-pulled-1"), testRegistry(t, nil)+"/team/web:1", nil))
	for _, image := range []string{built, pulled} {
		r := release(e, image)
		if err := e.docker.ImageTag(t.Context(), image, e.cfg.Registry.repository(r.Workload)+":"+e.pushedTag(r)); err != nil {
			t.Fatal(err)
		}
	}
	if removed := prune(t, e, deploy.Kept{}); len(removed) != 2 || e.has(t, built) || e.has(t, pulled) {
		t.Errorf("removed %q", removed)
	}
}

// TestPushFailures: each says what to do, and nothing of the account.
func TestPushFailures(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	sampleImage(t, e)
	ownRegistry(t, e)
	own := *e.cfg.Registry
	answering := func(status int, body string) func(*Registry) {
		return func(r *Registry) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet {
					return // the ping
				}
				if r.Method == http.MethodHead {
					w.WriteHeader(http.StatusNotFound)
					return
				}
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(status)
				_, _ = io.WriteString(w, body)
			}))
			t.Cleanup(server.Close)
			r.Host = strings.TrimPrefix(server.URL, "http://")
		}
	}
	for what, tt := range map[string]struct {
		to    func(*Registry)
		image string
		want  string
	}{
		"wrong password": {func(r *Registry) { r.Password = "wrong sesame" }, "", "check TINYFORGE_REGISTRY_USER"},
		"no account":     {func(r *Registry) { r.User, r.Password = "", "" }, "", "check TINYFORGE_REGISTRY_USER"},
		"forbidden":      {answering(http.StatusForbidden, `{"errors":[{"code":"DENIED","message":"open sesame"}]}`), "", "may push there"},
		"nobody there":   {func(r *Registry) { r.Host = "127.0.0.1:1" }, "", "does not answer"},
		"full":           {answering(http.StatusForbidden, `{"errors":[{"code":"DENIED","message":"the disk of the registry is full"}]}`), "", "make room there"},
		"gone":           {func(*Registry) {}, e.tag("gone"), "redeploy"},
		"broken":         {answering(http.StatusBadRequest, `open sesame`), "", "Docker's own log"},
	} {
		t.Run(what, func(t *testing.T) {
			to := own
			tt.to(&to)
			e.cfg.Registry = &to
			r := release(e, e.tag("sample"))
			if tt.image != "" {
				r.Image = tt.image
			}
			var log bytes.Buffer
			got, err := e.Push(t.Context(), r, &log)
			if text := failure(t, err); !strings.Contains(text, tt.want) {
				t.Errorf("failure is %q, want %q", text, tt.want)
			}
			if all := err.Error() + log.String(); strings.Contains(all, "sesame") || got.Image != r.Image {
				t.Errorf("the release has %s, and the texts are %s", got.Image, all)
			}
		})
	}
	e.cfg.Registry = &own
	for said, want := range map[string]string{ // upon which Docker tries for long
		"received unexpected HTTP status: 507 Insufficient Storage":          "make room there",
		"received unexpected HTTP status: 500 Internal Server Error":         "HTTP status 500",
		"Get https://x/v2/: http: server gave HTTP response to HTTPS client": "insecure-registries",
	} {
		if text := failure(t, e.pushFailure(errors.New(said))); !strings.Contains(text, want) {
			t.Errorf("upon %q the failure is %q", said, text)
		}
	}
	if tags := e.tagsOfImage(t, e.tag("sample")); len(tags) != 1 {
		t.Errorf("a failed push leaves %q", tags)
	}
	e.cfg.Registry = nil
	_, err := e.Push(t.Context(), release(e, e.tag("sample")), io.Discard)
	if text := failure(t, err); !strings.Contains(text, "--registry") {
		t.Errorf("without a registry the failure is %q", text)
	}
}

// TestPushWhileTheRegistrySweeps: again and again, as fast as it can.
func TestPushWhileTheRegistrySweeps(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	own := ownRegistry(t, e)
	ctx, stop := context.WithCancel(t.Context())
	swept := make(chan error, 1)
	go func() {
		for ctx.Err() == nil {
			if _, _, err := own.Sweep(context.WithoutCancel(ctx)); err != nil {
				swept <- err
				return
			}
		}
		swept <- nil
	}()
	for n := range 5 {
		version := fmt.Sprintf("v%d", n)
		id := importImage(t, e, version, "/x", []byte(version))
		pushed, err := e.Push(t.Context(), release(e, id), io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.docker.ImageRemove(t.Context(), id, image.RemoveOptions{Force: true}); err != nil {
			t.Fatal(err)
		}
		if err := e.pullAsNode(t, pushed.Image); err != nil {
			t.Error(err)
		}
	}
	stop()
	if err := <-swept; err != nil {
		t.Error(err)
	}
}

func TestParseRegistry(t *testing.T) {
	for text, want := range map[string]string{
		"registry.example.com":        "registry.example.com/tinyforge/web",
		"127.0.0.1:5000":              "127.0.0.1:5000/tinyforge/web",
		"localhost:5000/a/b/":         "localhost:5000/a/b/web",
		"docker.io/acme":              "docker.io/acme/web",
		"docker.io":                   "",
		"docker.io/tinyforge":         "",
		"http://registry.example.com": "",
		"registry":                    "",
		"registry.example.com/Team":   "",
		"registry.example.com/a:1":    "",
		"registry.example.com/":       "registry.example.com/tinyforge/web",
		"/a":                          "",
	} {
		r, err := ParseRegistry(text)
		if got := r.repository("web"); err == nil && got != want || (err == nil) != (want != "") {
			t.Errorf("%q is %q, %v", text, got, err)
		}
	}
}

// TestRegistryIsKnownHoweverItIsWritten: Docker takes the port for a number, and gives none where it is the usual one.
func TestRegistryIsKnownHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	for host, others := range map[string]map[string]bool{
		"reg.lan":      {"reg.lan:443": true, "REG.lan:0443": true, "reg.lan:80": true, "reg.lan:5000": false, "reg.lan2": false},
		"reg.lan:443":  {"reg.lan": true, "reg.lan:00443": true},
		"reg.lan:5000": {"reg.lan:05000": true, "Reg.Lan:5000": true, "reg.lan:50000": false, "reg.lan:500": false, "reg.lan": false},
		"[fd00::80]":   {"[fd00::80]:443": true, "[FD00::80]": true, "[fd00::443]": false},
	} {
		for other, want := range others {
			if _, got := (Registry{Host: host, Prefix: "team"}).find(other + "/team/web:1"); got != want {
				t.Errorf("%s of %s: %v", other, host, got)
			}
		}
	}
}

// TestCheckRegistry: what would be told after a build is found without one.
func TestCheckRegistry(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	mortal, die := mortalRegistry(t)
	die()
	for name, test := range map[string]struct{ host, user, says string }{
		"open":          {testRegistry(t, nil), "", "<nil>"},
		"with account":  {testRegistry(t, &account), account.Username, "<nil>"},
		"without one":   {testRegistry(t, &account), "", "it refuses the account: check TINYFORGE_REGISTRY_USER"},
		"another one":   {testRegistry(t, &account), "somebody", "it refuses the account: check TINYFORGE_REGISTRY_USER"},
		"does not live": {mortal, "", "does not answer: check the name and the network"},
	} {
		e.cfg.Registry = &Registry{Host: test.host, Prefix: "team", User: test.user}
		if test.user != "" {
			e.cfg.Registry.Password = account.Password
		}
		if err := e.CheckRegistry(t.Context()); !strings.Contains(fmt.Sprint(err), test.says) {
			t.Errorf("%s: %v, want %s", name, err, test.says)
		}
	}
}
