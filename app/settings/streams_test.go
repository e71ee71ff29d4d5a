package settings_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"tinyforge/db"
)

// events begins a stream.
func (b *browser) events(path string) *http.Response {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 20*time.Second)
	b.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.server.URL+path, nil)
	must(b.t, err)
	res, err := b.client.Do(req)
	must(b.t, err)
	b.t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

// TestHeadOfAStream: there is nothing to wait for.
func TestHeadOfAStream(t *testing.T) {
	s := newShop(newWorld(t))
	b := s.owner()
	dep := s.push("A", "First")
	for _, path := range []string{"/events", "/workloads/shop/events", s.path(dep.ID) + "/events"} {
		p := b.do(http.MethodHead, path, nil)
		p.is(t, http.StatusOK)
		if got := p.Header.Get("Content-Type"); got != "text/event-stream" {
			t.Errorf("%s is %q", path, got)
		}
	}
}

// TestStreamsEndWithTheRight: what happens after somebody may not see it any more is not sent.
func TestStreamsEndWithTheRight(t *testing.T) {
	s := newShop(newWorld(t))
	s.pages.CheckStreams()
	s.owner()
	for name, end := range map[string]func(b *browser, user db.User){
		"signed out": func(b *browser, _ db.User) { b.post("/sign-out").leads(t, "/sign-in") },
		"removed":    func(_ *browser, user db.User) { must(t, s.db.DeleteUser(t.Context(), user.ID)) },
		"no role": func(_ *browser, user db.User) {
			user.Role = "none"
			must(t, s.db.SaveUser(t.Context(), &user))
		},
	} {
		b := s.user(name, db.Viewer)
		user, err := s.db.UserByName(t.Context(), name)
		must(t, err)
		res := b.events("/events")
		scanner := bufio.NewScanner(res.Body)
		scanner.Buffer(nil, 1<<20)
		for scanner.Scan() && !strings.HasPrefix(scanner.Text(), "data: ") {
		}
		end(b, user)
		s.push(name, "Secret of "+name)
		rest, err := io.ReadAll(res.Body) // it ends
		if strings.Contains(string(rest), "Secret") || err != nil {
			t.Errorf("%s: %v, the stream goes on: %s", name, err, rest)
		}
	}
}

// TestStreamsAreBounded: what one user has open takes nothing from others.
func TestStreamsAreBounded(t *testing.T) {
	w := newWorld(t)
	b := w.owner()
	for range 20 {
		if res := b.events("/events"); res.StatusCode != http.StatusOK {
			t.Fatalf("a stream is answered %d", res.StatusCode)
		}
	}
	if res := b.events("/events"); res.StatusCode != http.StatusTooManyRequests {
		t.Errorf("one too many is answered %d", res.StatusCode)
	}
	if res := w.user("bob", db.Viewer).events("/events"); res.StatusCode != http.StatusOK {
		t.Errorf("somebody else's is answered %d", res.StatusCode)
	}
}
