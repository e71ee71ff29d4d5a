package forgetest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"tinyforge/app"
	"tinyforge/db"
)

// patience bounds every wait of the suite. Nothing waits that long unless it fails.
const patience = 20 * time.Second

// Exercise is the suite that every implementation of app.Forge passes, against the forge whose manners it speaks.
//
// open opens the row s.Row(...). Where it needs a lookup of installations, the id in Repository.Row is the forge's own:
// answer with db.Installation{ID: id, ExternalID: id}.
func Exercise(t *testing.T, open func(t *testing.T, s *Server) app.Forge, kind Kind) {
	for name, part := range map[string]func(*exercise){
		"Push":          (*exercise).pushes,
		"Signature":     (*exercise).signatures,
		"Installations": (*exercise).installations,
		"Status":        (*exercise).statuses,
		"Renamed":       (*exercise).renamed,
		"Fetch":         (*exercise).fetches,
		"Repositories":  (*exercise).repositories,
		"Heads":         (*exercise).heads,
		"Faults":        (*exercise).faults,
		"S12_NoSecrets": (*exercise).reflections,
		"Silence":       (*exercise).silence,
		"Hostile":       (*exercise).hostilities,
		"Hook":          (*exercise).hook,
		"Disabled":      (*exercise).disabled,
		"Nested":        (*exercise).nested,
		"Registry":      (*exercise).registry,
		"Redelivery":    (*exercise).redelivery,
	} {
		t.Run(name, func(t *testing.T) { part(newExercise(t, open, Options{Kind: kind})) })
	}
	if kind == Gitea {
		t.Run("Forgejo", func(t *testing.T) {
			(*exercise).pushes(newExercise(t, open, Options{Kind: kind, Forgejo: true}))
		})
	}
	if kind == GitLab {
		for name, part := range map[string]func(*exercise){
			"Push": (*exercise).pushes, "Signature": (*exercise).signatures, "Hook": (*exercise).hook,
		} {
			t.Run("Signing/"+name, func(t *testing.T) { part(newExercise(t, open, Options{Kind: kind, Signing: true})) })
		}
	}
}

// exercise is one part of the suite: a forge with one private repository, a developer's clone of it, and a receiver of
// webhooks that answers 202.
type exercise struct {
	*testing.T
	ctx      context.Context
	options  Options
	s        *Server
	forge    app.Forge
	receiver string
	full     string
	work     *Worktree
}

func newExercise(t *testing.T, open func(t *testing.T, s *Server) app.Forge, o Options) *exercise {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	t.Cleanup(cancel)
	s, err := Start(o)
	if err != nil {
		t.Fatalf("start forge: %v", err)
	}
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close forge: %v", err)
		}
		receiver.Close()
	})
	e := &exercise{T: t, ctx: ctx, options: o, s: s, receiver: receiver.URL + "/webhooks/forge", full: "acme/site"}
	if _, err := s.CreateRepository(e.full, true); err != nil {
		t.Fatalf("create repository: %v", err)
	}
	if e.work, err = s.Clone(ctx, e.full, filepath.Join(t.TempDir(), "work")); err != nil {
		t.Fatalf("clone: %v", err)
	}
	e.forge = open(t, s)
	return e
}

// row is the repository as it is called now.
func (e *exercise) row() db.Repository {
	e.Helper()
	r, err := e.s.Repository(e.full)
	e.must(err)
	return r.Row()
}

// listen has the forge deliver webhooks to the receiver, by the implementation's own means where it has them.
func (e *exercise) listen() {
	e.Helper()
	h, ok := e.forge.(app.Hooker)
	if !ok {
		e.s.SetAppWebhook(e.receiver)
		return
	}
	_, err := EnsureHook(e.ctx, h, e.row(), e.receiver)
	e.must(err)
}

func (e *exercise) must(err error) {
	e.Helper()
	if err != nil {
		e.Fatal(err)
	}
}

func (e *exercise) write(path, content string) {
	e.Helper()
	e.must(e.work.Write(path, content, 0))
}

func (e *exercise) commit(message string) string {
	e.Helper()
	sha, err := e.work.Commit(e.ctx, message)
	e.must(err)
	return sha
}

func (e *exercise) git(args ...string) string {
	e.Helper()
	out, err := e.work.Git(e.ctx, args...)
	e.must(err)
	return out
}

// caused returns the deliveries that do makes the forge send.
func (e *exercise) caused(do func()) []Delivery {
	e.Helper()
	before := len(e.s.Deliveries())
	do()
	all, err := e.s.Settle(e.ctx)
	e.must(err)
	for _, d := range all[before:] {
		if d.Code != http.StatusAccepted {
			e.Fatalf("delivery %s %s was answered %d: %v", d.Event, d.ID, d.Code, d.Err)
		}
	}
	return all[before:]
}

// pushed pushes and returns the deliveries.
func (e *exercise) pushed(args ...string) []Delivery {
	e.Helper()
	return e.caused(func() { e.must(e.work.Push(e.ctx, args...)) })
}

// first makes and pushes one commit on main.
func (e *exercise) first() string {
	e.Helper()
	e.write("index.html", "<h1>one</h1>\n")
	sha := e.commit("Add site")
	e.must(e.work.Push(e.ctx, "main"))
	return sha
}
