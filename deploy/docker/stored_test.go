package docker

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	ggcrname "github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"tinyforge/db"
	"tinyforge/deploy"
)

// shelf is a registry with images that nobody had to build.
type shelf struct {
	*testing.T
	*Engine
}

func (s shelf) account() remote.Option {
	return remote.WithAuth(&authn.Basic{Username: account.Username, Password: account.Password})
}

func (s shelf) ref(name string) ggcrname.Reference {
	s.Helper()
	ref, err := ggcrname.ParseReference(s.cfg.Registry.Host + "/" + name)
	if err != nil {
		s.Fatal(err)
	}
	return ref
}

// put stores a new image under names, and returns its digest.
func (s shelf) put(names ...string) string {
	s.Helper()
	image, err := random.Image(100, 1)
	if err != nil {
		s.Fatal(err)
	}
	for _, name := range names {
		if err := remote.Write(s.ref(name), image, s.account()); err != nil {
			s.Fatal(err)
		}
	}
	digest, err := image.Digest()
	if err != nil {
		s.Fatal(err)
	}
	return digest.String()
}

func (s shelf) has(name string) bool {
	s.Helper()
	_, err := remote.Head(s.ref(name), s.account())
	if err != nil && !isStatus(err, http.StatusNotFound) {
		s.Fatal(err)
	}
	return err == nil
}

// names gives the images of deployments of a workload, which this Tinyforge pushed.
func (s shelf) names(workload string, deployments ...int64) (all []string) {
	for _, n := range deployments {
		all = append(all, s.cfg.Registry.Prefix+"/"+workload+":"+s.pushedTag(db.Release{DeploymentID: n}))
	}
	return all
}

func (s shelf) wants(want map[string]bool) {
	s.Helper()
	for name, want := range want {
		if s.has(name) != want {
			s.Errorf("%s is there: %v, want %v", name, !want, want)
		}
	}
}

// TestPruneStored: what nobody can go back to goes, and nothing else.
func TestPruneStored(t *testing.T) {
	t.Parallel()
	s := shelf{t, testEngine(t)}
	ownRegistry(t, s.Engine)
	web, busy := s.names("web", 1, 2, 3, 4, 5, 6, 7), s.names("busy", 1, 2)
	for i := range 3 { // pushed by a Tinyforge of old
		web[i] = shown(web[i])
	}
	for _, name := range slices.Concat(web[:3], busy, s.names("web-2", 9)) {
		s.put(name)
	}
	pinned := s.put(web[3])
	s.put(web[4], web[5])                  // one image, of which a kept deployment has the other name
	s.put(web[6], "team/apps/web:by-hand") // somebody else wants it too
	others := []string{"team/web:1.x", "team/apps/web:latest", "team/apps/web:3.another", "team/apps/deep/web" + strings.TrimPrefix(web[0], "team/apps/web"), "team/apps2/web" + strings.TrimPrefix(web[0], "team/apps/web")}
	for _, name := range others {
		s.put(name)
	}
	removed := prune(t, s.Engine, deploy.Kept{
		Images:   []string{s.cfg.Registry.repository("web") + "@" + pinned},
		Releases: []db.ReleaseID{"tf-web-3", "tf-web-6", "tf-busy-2"}, Begun: []db.ReleaseID{"tf-busy-2"},
	})
	want := map[string]bool{web[0]: false, web[1]: false, web[2]: true, web[3]: true, web[4]: true, web[5]: true, web[6]: true, busy[0]: true, busy[1]: true, s.names("web-2", 9)[0]: false}
	for _, name := range others {
		want[name] = true
	}
	s.wants(want)
	if len(removed) != 3 || !strings.HasPrefix(removed[0], s.cfg.Registry.Host+"/team/apps/web") {
		t.Errorf("removed %q", removed)
	}
	if removed := prune(t, s.Engine, deploy.Kept{}); len(removed) != 5 {
		t.Errorf("with nothing kept it removed %q", removed)
	}
	if s.has(web[2]) || s.has(busy[1]) || !s.has(web[6]) {
		t.Error("with nothing kept, what is ours alone is there, or what is another's is not")
	}
}

// TestPruneStoredWithoutAList: where a registry does not tell of its repositories, those of known workloads are looked at; and
// where it deletes nothing, that is said once.
func TestPruneStoredWithoutAList(t *testing.T) {
	t.Parallel()
	s := shelf{t, testEngine(t)}
	inner := ownRegistry(t, s.Engine)
	var log bytes.Buffer
	s.cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	deletes := false
	s.pushTo(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/_catalog" || r.Method == http.MethodDelete && !deletes {
			http.Error(w, "open sesame", http.StatusMethodNotAllowed)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	names := s.names("web", 1, 2, 3)
	for _, name := range names {
		s.put(name)
	}
	kept := deploy.Kept{Releases: []db.ReleaseID{"tf-web-3"}}
	for range 2 {
		if removed := prune(t, s.Engine, kept); len(removed) != 0 {
			t.Errorf("removed %q", removed)
		}
	}
	if text := log.String(); strings.Count(text, "remove old ones there") != 1 || strings.Contains(text, "sesame") {
		t.Errorf("the log says\n%s", text)
	}
	deletes = true
	if removed := prune(t, s.Engine, kept); len(removed) != 2 {
		t.Errorf("removed %q", removed)
	}
	s.wants(map[string]bool{names[0]: false, names[1]: false, names[2]: true})
}

// TestPruneStoredNeverByHTTP: where the engine would speak HTTPS alone, so does who tidies up, also to an address of this network.
func TestPruneStoredNeverByHTTP(t *testing.T) {
	t.Parallel()
	real := testEngine(t)
	e := newFront(t, real, func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/info") {
			return false
		}
		info, err := real.docker.Info(r.Context())
		if err != nil {
			return false
		}
		info.RegistryConfig.InsecureRegistryCIDRs = nil
		return json.NewEncoder(w).Encode(info) == nil
	}).engine(real)
	e.pushTo(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("it is asked for %s", r.URL) }))
	_, err := e.pruneStored(t.Context(), func(context.Context) (deploy.Kept, error) { return deploy.Kept{}, nil })
	if err == nil || !strings.Contains(err.Error(), "would get the account by plain HTTP") {
		t.Error(err)
	}
}

// TestPruneStoredAway: that the registry is away is an error, after all else was done, and tells no password.
func TestPruneStoredAway(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	id := buildFor(t, e, "tf-web-1")
	e.cfg.Registry = &Registry{Host: "127.0.0.1:1", Prefix: "x", User: "deployer", Password: "open sesame"}
	removed, err := e.PruneImages(t.Context(), func(context.Context) (deploy.Kept, error) { return deploy.Kept{}, nil })
	if err == nil || strings.Contains(fmt.Sprint(err), "sesame") || !slices.Contains(removed, e.tag("tf-web-1")) {
		t.Errorf("removed %q of %s, %v", removed, id, err)
	}
}
