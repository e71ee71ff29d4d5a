package docker

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/registry"
	ggcrname "github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"tinyforge/deploy"
	"tinyforge/deploy/deploytest"
)

var account = deploy.RegistryAuth{Username: "deployer", Password: "open sesame"}

func TestPull(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	host := testRegistry(t, nil)
	ref := publish(t, e, sampleImage(t, e), host+"/team/web:1", nil)
	pinned := mustPull(t, e, ref)
	if !strings.HasPrefix(pinned, host+"/team/web@sha256:") {
		t.Errorf("pinned to %q", pinned)
	}
	r := release(e, pinned)
	if in := start(t, e, r); in.State != deploy.Running {
		t.Errorf("it is %+v", in)
	}
	if err := e.Remove(t.Context(), r.ID); err != nil {
		t.Error(err)
	}
	if again := mustPull(t, e, ref); again != pinned {
		t.Errorf("the same again is pinned to %q", again)
	}
}

func TestPullLogIsShort(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	ref := testRegistry(t, nil) + "/big:1"
	big, err := random.Image(4<<20, 5)
	if err != nil {
		t.Fatal(err)
	}
	name, err := ggcrname.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(name, big); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.RemoveImage(context.WithoutCancel(t.Context()), ref); err != nil {
			t.Error(err)
		}
	})
	var log bytes.Buffer
	pinned, err := e.Pull(t.Context(), deploy.PullSpec{Ref: ref}, &log)
	if err != nil {
		t.Fatal(err)
	}
	digest, err := big.Digest()
	if err != nil || !strings.HasSuffix(pinned, "/big@"+digest.String()) {
		t.Errorf("pinned to %q, want %s, %v", pinned, digest, err)
	}
	if text := log.String(); strings.Count(text, ": Pull complete\n") != 5 || strings.Count(text, "\n") > 8 {
		t.Errorf("log is %q", text)
	}
}

// A moved tag is followed; what was pinned before stays what it was, and needs no registry any more.
func TestPullMovedTag(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	host, die := mortalRegistry(t)
	ref := publish(t, e, sampleImage(t, e), host+"/web:latest", nil)
	first := mustPull(t, e, ref)
	publish(t, e, mustBuild(t, e, deploy.BuildSpec{
		Dir: deploytest.SampleCheckout(t), Context: ".", Dockerfile: "Dockerfile", Tag: e.tag("two"), Labels: map[string]string{"two": "2"},
	}), ref, nil)
	second := mustPull(t, e, strings.TrimSuffix(ref, ":latest"))
	if first == second {
		t.Errorf("both are %s", first)
	}
	die()
	for _, pinned := range []string{first, second} {
		if got := mustPull(t, e, pinned); got != pinned {
			t.Errorf("%s is pinned to %s", pinned, got)
		}
	}
	_, err := e.Pull(t.Context(), deploy.PullSpec{Ref: ref}, io.Discard)
	if text := failure(t, err); !strings.Contains(text, "does not answer") {
		t.Errorf("failure is %q", text)
	}
}

func TestPullWithAnAccount(t *testing.T) {
	e := testEngine(t)
	host := testRegistry(t, &account)
	ref := publish(t, e, sampleImage(t, e), host+"/web:1", &account)
	var log bytes.Buffer
	pinned, err := e.Pull(t.Context(), deploy.PullSpec{Ref: ref, Auth: &account}, &log)
	if err != nil || !strings.HasPrefix(pinned, host+"/web@sha256:") {
		t.Fatalf("pinned to %q, %v", pinned, err)
	}
	// The account of somebody who logged in on this machine must not help.
	dir := t.TempDir()
	login := base64.StdEncoding.EncodeToString([]byte(account.Username + ":" + account.Password))
	write(t, dir, "config.json", fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, host, login))
	t.Setenv("DOCKER_CONFIG", dir)
	for name, auth := range map[string]*deploy.RegistryAuth{"wrong": {Username: "deployer", Password: "wrong sesame"}, "none": nil} {
		_, err := e.Pull(t.Context(), deploy.PullSpec{Ref: ref, Auth: auth}, &log)
		text := failure(t, err)
		if want := "Image " + ref + ": the registry refuses us: it needs a username and password that may read the image"; text != want {
			t.Errorf("%s account: failure is %q", name, text)
		}
		if !errors.Is(err, deploy.ErrNoAccess) {
			t.Errorf("%s account: nobody can tell that another could do", name)
		}
		if all := err.Error() + log.String(); strings.Contains(all, "sesame") || strings.Contains(all, login) {
			t.Errorf("%s account: the password is in %s", name, all)
		}
	}
	if err := e.RemoveImage(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	write(t, dir, "Dockerfile", "FROM "+ref+"\n")
	_, err = e.Build(t.Context(), deploy.BuildSpec{Dir: dir, Context: ".", Dockerfile: "Dockerfile", Tag: e.tag("based")}, &log)
	if text := failure(t, err); text != "Build failed: base image "+ref+": its registry wants an account, and builds have none" {
		t.Errorf("failure of a build is %q", text)
	}
}

// A hostile registry may say back what it was told: none of its words reach the user, the log or the error.
func TestS12_PullTellsNoWordOfTheRegistry(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	for name, test := range map[string]struct {
		status int
		code   string
		want   string
	}{
		"weird":        {http.StatusBadRequest, "WEIRD", "could not be pulled"},
		"broken":       {http.StatusInternalServerError, "UNKNOWN", ""},
		"teapot":       {http.StatusTeapot, "", ""},
		"too many":     {http.StatusTooManyRequests, "TOOMANYREQUESTS", "too many requests"},
		"unauthorized": {http.StatusUnauthorized, "UNAUTHORIZED", "refuses us"},
		"denied":       {http.StatusForbidden, "DENIED", "has no such image"},
		"unknown":      {http.StatusNotFound, "MANIFEST_UNKNOWN", "has no such image"},
		"full disk":    {http.StatusBadRequest, "no space left on device", "is full"},
	} {
		t.Run(name, func(t *testing.T) {
			host := parrot(t, test.status, test.code)
			var log bytes.Buffer
			_, err := e.Pull(t.Context(), deploy.PullSpec{Ref: host + "/web:1", Auth: &account}, &log)
			if text := failure(t, err); !strings.Contains(text, test.want) {
				t.Errorf("failure is %q, want %q in it", text, test.want)
			}
			all := err.Error() + log.String()
			for _, word := range []string{"sesame", "parrot", base64.StdEncoding.EncodeToString([]byte("deployer:open sesame"))} {
				if strings.Contains(all, word) {
					t.Errorf("the registry's %q is in %s", word, all)
				}
			}
		})
	}
}

// parrot is a registry that knows the account, and answers each request for an image with what it was told.
func parrot(t *testing.T, status int, code string) (host string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, known := r.BasicAuth()
		if !known {
			w.Header().Set("WWW-Authenticate", `Basic realm="parrot"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if r.URL.Path == "/v2/" {
			return
		}
		said := fmt.Sprintf("parrot: %s %s %s %s", code, user, password, r.Header.Get("Authorization"))
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"errors": []any{map[string]string{"code": code, "message": said, "detail": said}}})
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func TestPullFailures(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	host := testRegistry(t, nil)
	publish(t, e, sampleImage(t, e), host+"/web:1", nil)
	digest := "sha256:" + strings.Repeat("0", 64)
	for ref, want := range map[string]string{
		host + "/web:2":         "has no such image",
		host + "/nothing:1":     "has no such image",
		host + "/web@" + digest: "has no such image",
		"127.0.0.1:1/web:1":     "does not answer",
		"registry.invalid/web":  "does not answer",
		"Not A Name":            "is not the name of an image",
	} {
		_, err := e.Pull(t.Context(), deploy.PullSpec{Ref: ref}, io.Discard)
		if text := failure(t, err); !strings.Contains(text, want) {
			t.Errorf("%s: failure is %q, want %q in it: %v", ref, text, want, err)
		}
	}
}

// An image that was made here and was never in a registry is used when its registry does not know it, and only then.
func TestPullOfAnImageThatIsOnlyHere(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	host := testRegistry(t, nil)
	id := sampleImage(t, e)
	for ref, usable := range map[string]bool{host + "/local:1": true, "127.0.0.1:1/local:1": false} {
		if err := e.docker.ImageTag(t.Context(), id, ref); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		pinned, err := e.Pull(t.Context(), deploy.PullSpec{Ref: ref}, &log)
		if usable {
			if err != nil || pinned != id || !strings.Contains(log.String(), "made on this machine") {
				t.Errorf("%s: pinned to %q, %v: %s", ref, pinned, err, log.String())
			}
		} else if text := failure(t, err); !strings.Contains(text, "does not answer") {
			t.Errorf("%s: failure is %q", ref, text)
		}
	}
	// One that was in a registry, and is not any more, is stale.
	gone := publish(t, e, id, testRegistry(t, nil)+"/gone:1", nil)
	mustPull(t, e, gone)
	stale := host + "/local:1"
	if err := e.docker.ImageTag(t.Context(), gone, stale); err != nil {
		t.Fatal(err)
	}
	_, err := e.Pull(t.Context(), deploy.PullSpec{Ref: stale}, io.Discard)
	if text := failure(t, err); !strings.Contains(text, "has no such image") {
		t.Errorf("failure is %q", text)
	}
}

func TestPullCancelled(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	ctx, cancel := context.WithCancel(t.Context())
	asked, done := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, _ *http.Request) {
		select {
		case asked <- struct{}{}:
		case <-done:
		}
		<-done
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(done) })
	go func() {
		<-asked
		cancel()
	}()
	_, err := e.Pull(ctx, deploy.PullSpec{Ref: strings.TrimPrefix(server.URL, "http://") + "/web:1"}, io.Discard)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
}

// testRegistry is a registry on loopback, for one account or for all, and returns its host.
func testRegistry(t *testing.T, auth *deploy.RegistryAuth) string {
	t.Helper()
	inner := ggcr.New(ggcr.Logger(stdlog.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); auth != nil && (user != auth.Username || password != auth.Password) {
			w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// mortalRegistry is a registry that can be closed early.
func mortalRegistry(t *testing.T) (host string, die func()) {
	t.Helper()
	server := httptest.NewServer(ggcr.New(ggcr.Logger(stdlog.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://"), func() {
		server.CloseClientConnections()
		server.Close()
	}
}

// publish pushes an image and forgets it here, names and all, so that a pull has something to do.
func publish(t *testing.T, e *Engine, id, ref string, auth *deploy.RegistryAuth) string {
	t.Helper()
	ctx := t.Context()
	if err := e.docker.ImageTag(ctx, id, ref); err != nil {
		t.Fatal(err)
	}
	opt := image.PushOptions{RegistryAuth: "e30="}
	if auth != nil {
		opt.RegistryAuth = must(registry.EncodeAuthConfig(registry.AuthConfig{Username: auth.Username, Password: auth.Password}))
	}
	answer, err := e.docker.ImagePush(ctx, ref, opt)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Close()
	if _, err := readPull(ctx, answer, &lines{w: io.Discard, blot: blotter(nil)}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.docker.ImageRemove(ctx, id, image.RemoveOptions{Force: true, PruneChildren: true}); err != nil {
		t.Fatal(err)
	}
	return ref
}

func mustPull(t *testing.T, e *Engine, ref string) string {
	t.Helper()
	var log bytes.Buffer
	pinned, err := e.Pull(t.Context(), deploy.PullSpec{Ref: ref}, &log)
	if err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	return pinned
}
