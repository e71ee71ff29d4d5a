package forgetest

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"tinyforge/app"
	"tinyforge/db"
)

// calls are the calls to the forge that go over the network.
func (e *exercise) calls(commit string) map[string]func(context.Context, *testing.T) error {
	row := e.row()
	calls := map[string]func(context.Context, *testing.T) error{
		"SetStatus": func(ctx context.Context, _ *testing.T) error {
			return e.forge.SetStatus(ctx, row, app.Status{Commit: commit, State: db.StatusSuccess})
		},
		"Fetch": func(ctx context.Context, t *testing.T) error {
			_, err := e.forge.Fetch(ctx, row, commit, t.TempDir())
			return err
		},
		"Heads": func(ctx context.Context, _ *testing.T) error {
			_, err := e.forge.Heads(ctx, row)
			return err
		},
		"Repositories": func(ctx context.Context, _ *testing.T) error {
			for _, err := range e.forge.Repositories(ctx) {
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
	if h, ok := e.forge.(app.Hooker); ok {
		calls["EnsureHook"] = func(ctx context.Context, _ *testing.T) error {
			_, err := EnsureHook(ctx, h, row, e.receiver)
			return err
		}
		calls["RenewHook"] = func(ctx context.Context, _ *testing.T) error {
			_, err := h.RenewHook(ctx, row, e.receiver)
			return err
		}
		calls["RemoveHook"] = func(ctx context.Context, _ *testing.T) error { return h.RemoveHook(ctx, row, e.receiver) }
	}
	return calls
}

// faults checks that the code of a wrong answer reaches the caller.
func (e *exercise) faults() {
	commit := e.first()
	for name, call := range e.calls(commit) {
		for _, code := range []int{400, 401, 403, 404, 409, 500, 502, 503} {
			e.Run(fmt.Sprintf("%s/%d", name, code), func(t *testing.T) {
				e.s.Fault(func(*http.Request) *Fault { return &Fault{Status: code} })
				defer e.s.Fault(nil)
				err := call(e.ctx, t)
				status, ok := errors.AsType[*app.StatusError](err)
				if !ok || status.Code != code {
					t.Fatalf("error is %v, want a StatusError with %d", err, code)
				}
				if status.Permanent() != (code < 500 && code != http.StatusConflict) {
					t.Errorf("permanent is %t", status.Permanent())
				}
			})
		}
	}
	e.Run("SetStatus/later", func(t *testing.T) {
		e.s.Fault(func(*http.Request) *Fault {
			return &Fault{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"7"}}}
		})
		defer e.s.Fault(nil)
		err := e.calls(commit)["SetStatus"](e.ctx, t)
		status, ok := errors.AsType[*app.StatusError](err)
		if !ok || status.Code != http.StatusTooManyRequests || status.RetryAfter != 7*time.Second || status.Permanent() {
			t.Errorf("error is %#v, want 429 with 7 s", err)
		}
	})
	// What went wrong is over: everything works.
	for name, call := range e.calls(commit) {
		e.Run(name+"/afterwards", func(t *testing.T) {
			if err := call(e.ctx, t); err != nil {
				t.Error(err)
			}
		})
	}
}

// reflections checks S12: what a forge answers reaches no error, and credentials reach no other server.
func (e *exercise) reflections() {
	commit := e.first()
	const mark = "body-of-the-answer"
	var mu sync.Mutex
	var seen []string
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if len(secretsOf(r)) > 0 {
			e.Errorf("credentials were sent to another server: %s %s", r.Method, r.URL.Path)
		}
	}))
	defer elsewhere.Close()
	for name, call := range e.calls(commit) {
		for _, code := range []int{302, 307, 401, 403, 422, 500} {
			e.Run(fmt.Sprintf("%s/%d", name, code), func(t *testing.T) {
				e.s.Fault(func(r *http.Request) *Fault {
					mu.Lock()
					defer mu.Unlock()
					seen = append(seen, secretsOf(r)...)
					f := &Fault{Status: code, Body: mark, Reflect: true, Header: http.Header{"Content-Type": {"text/plain"}}}
					if code < 400 {
						f.Location = elsewhere.URL + r.URL.Path
					}
					return f
				})
				defer e.s.Fault(nil)
				err := call(e.ctx, t)
				if err == nil {
					t.Fatalf("no error")
				}
				mu.Lock()
				defer mu.Unlock()
				for _, secret := range append(seen, mark) {
					if strings.Contains(err.Error(), secret) || strings.Contains(fmt.Sprintf("%+v %#v", err, err), secret) {
						t.Errorf("the error holds what the forge answered: %v", err)
					}
				}
			})
		}
	}
	if len(seen) == 0 {
		e.Error("no call sent credentials: nothing was tested")
	}
}

// secretsOf returns the credentials of a request, as sent and decoded.
func secretsOf(r *http.Request) []string {
	_, value, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if token := r.Header.Get("Private-Token"); token != "" {
		return []string{token}
	}
	if value == "" {
		return nil
	}
	secrets := []string{value}
	if raw, err := base64.StdEncoding.DecodeString(value); err == nil {
		for part := range strings.SplitSeq(string(raw), ":") {
			if len(part) >= 20 {
				secrets = append(secrets, part)
			}
		}
	}
	return secrets
}

// silence checks that a forge that says nothing holds nobody longer than the context.
func (e *exercise) silence() {
	commit := e.first()
	for name, call := range e.calls(commit) {
		e.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(e.ctx)
			defer cancel()
			e.s.Fault(func(*http.Request) *Fault {
				cancel()
				return &Fault{Silent: true}
			})
			defer e.s.Fault(nil)
			ended := make(chan error, 1)
			go func() { ended <- call(ctx, t) }()
			select {
			case err := <-ended:
				if !errors.Is(err, context.Canceled) {
					t.Errorf("error is %v, want context.Canceled", err)
				}
			case <-time.After(patience):
				t.Fatal("the call goes on without an answer")
			}
		})
	}
}
