package npm_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"tinyforge/deploy"
	"tinyforge/deploy/deploytest"
	"tinyforge/deploy/npm"
)

// oddity is what an NPM does to one call, in place of next or around it.
type oddity struct {
	do      func(w *world, rw http.ResponseWriter, r *http.Request, next http.Handler)
	lasting bool // what serves may be gone until after mends it
	after   func(w *world)
}

// says answers in NPM's manner, without an effect.
func says(status int, message string) oddity {
	return oddity{do: func(_ *world, rw http.ResponseWriter, _ *http.Request, _ http.Handler) { refuse(rw, status, message) }}
}

func refuse(rw http.ResponseWriter, status int, message string) {
	rw.Header().Set("Content-Type", "application/json; charset=utf-8")
	rw.WriteHeader(status)
	fmt.Fprintf(rw, `{"error":{"code":%d,"message":%q}}`, status, message)
}

// raw answers with something that NPM does not say.
func raw(status int, body string) oddity {
	return oddity{do: func(_ *world, rw http.ResponseWriter, _ *http.Request, _ http.Handler) {
		rw.Header().Set("Location", "/elsewhere")
		rw.WriteHeader(status)
		_, _ = io.WriteString(rw, body)
	}}
}

// around does something before the call and something after it.
func around(before, after func(w *world)) oddity {
	return oddity{do: func(w *world, rw http.ResponseWriter, r *http.Request, next http.Handler) {
		before(w)
		next.ServeHTTP(rw, r)
		after(w)
	}}
}

func nothing(*world) {}

const brokenElsewhere = "server { nonsense_directive on; }"

// oddities are those that were recorded, and the ways of any server to fail.
func oddities() map[string]oddity {
	effect := func(then func(rw http.ResponseWriter)) oddity {
		return oddity{do: func(_ *world, rw http.ResponseWriter, r *http.Request, next http.Handler) {
			next.ServeHTTP(httptest.NewRecorder(), r)
			then(rw)
		}}
	}
	return map[string]oddity{
		"expired":                says(400, "Token has expired"),
		"expired truly":          around(func(w *world) { w.npm.ExpireTokens() }, nothing),
		"unverifiable":           around(func(w *world) { w.npm.ForgetTokens() }, nothing),
		"401":                    says(401, "Unauthorized"),
		"403":                    says(403, "Permission Denied"),
		"404 with the path":      says(404, "Not Found - /nginx/proxy-hosts"),
		"404 with the id":        says(404, "Not Found - 1"),
		"500 without an effect":  says(500, "Internal Error"),
		"500 after the effect":   effect(func(rw http.ResponseWriter) { refuse(rw, 500, "Internal Error") }),
		"schema":                 says(400, "data/locations must be array"),
		"in use":                 says(400, host+" is already in use"),
		"web page":               raw(502, "<html>Bad Gateway</html>"),
		"redirect":               raw(302, ""),
		"nothing":                raw(200, ""),
		"null":                   raw(200, "null"),
		"a web page of success":  raw(200, "<html>Welcome</html>"),
		"cut":                    {do: func(*world, http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) }},
		"cut after the effect":   effect(func(http.ResponseWriter) { panic(http.ErrAbortHandler) }),
		"broken elsewhere":       around(func(w *world) { w.npm.Break(brokenElsewhere) }, func(w *world) { w.npm.Break("") }),
		"broken elsewhere, long": {do: around(func(w *world) { w.npm.Break(brokenElsewhere) }, nothing).do, after: func(w *world) { w.npm.Break("") }},
		"another write":          around(func(w *world) { w.npm.DamageNext() }, nothing),
		"nginx stops": {do: around(func(w *world) { w.nginx.Stop() }, nothing).do, lasting: true, after: func(w *world) {
			w.nginx.Start()
		}},
		"disabled meanwhile": {do: around(func(w *world) { _ = w.npm.Switch(host, false) }, nothing).do, lasting: true, after: func(w *world) {
			_ = w.npm.Switch(host, true)
		}},
		"deleted meanwhile": {do: around(func(w *world) { _ = w.npm.Drop(host) }, nothing).do, lasting: true, after: nothing},
		"second factor": {do: around(func(w *world) { w.npm.ExpireTokens(); w.npm.WantSecondFactor(true) }, nothing).do, after: func(w *world) {
			w.npm.WantSecondFactor(false)
		}},
	}
}

// at does the oddity to the n-th call.
func (o oddity) at(w *world, n int) {
	w.npm.Wrap(func(call int, next http.Handler) http.Handler {
		if call != n {
			return next
		}
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { o.do(w, rw, r, next) })
	})
}

// TestS15_EveryOddityAtEveryCall: each Upsert ends in what was asked for or in a clear text, and with a text, what served
// before serves on. When the trouble is over, the same Upsert works.
func TestS15_EveryOddityAtEveryCall(t *testing.T) {
	t.Parallel()
	const calls = 6 // a clean run has fewer; the repetitions and the way back are met too
	slots := make(chan struct{}, 48)
	var group sync.WaitGroup
	for name, o := range oddities() {
		for _, stage := range []string{"create", "repoint", "roll back"} {
			for n := 1; n <= calls; n++ {
				group.Go(func() {
					slots <- struct{}{}
					defer func() { <-slots }()
					odd(t, fmt.Sprintf("%s, %s, call %d", name, stage, n), stage, o, n)
				})
			}
		}
	}
	group.Wait()
}

// odd is one run. It reports with its name, since runs are many at a time.
func odd(t *testing.T, name, stage string, o oddity, n int) {
	fault := func(format string, args ...any) { t.Errorf(name+": "+format, args...) }
	w := &world{t: t, nginx: deploytest.NewFakeNginx(t)}
	w.npm = deploytest.NewNPM(t, w.nginx)
	var log lines
	again := func() *npm.Router { // with the default time, since some oddities are waited for in vain
		return w.again(func(c *npm.Config) { c.Settle = 0 }, slog.New(slog.NewTextHandler(&log, nil)))
	}
	w.Router = again()
	blue, green := newApp(t, "tf-web-1", http.StatusOK), newApp(t, "tf-web-2", http.StatusOK)
	before := http.StatusOK
	if stage == "create" {
		before = 0 // there is none
	} else if err := w.Upsert(t.Context(), web, blue); err != nil {
		fault("blue: %v", err)
	}
	router := again()         // a fresh one logs in, and looks
	if stage != "roll back" { // there, nginx cannot find green
		w.nginx.Name(green.Name, green.Addr)
	}
	o.at(w, n)
	err := router.Upsert(t.Context(), web, green)
	w.npm.Wrap(nil)
	status, body := w.get(host, "/")
	switch {
	case err == nil && stage == "roll back":
		fault("green cannot be reached, and there is no error")
	case err == nil && (status != http.StatusOK || body != green.Name) && !o.lasting:
		fault("success, but the host answers %d %q", status, body)
	case err != nil && before != 0 && (status != before || body != blue.Name) && !o.lasting && !strings.Contains(err.Error(), "did not work"):
		fault("failed with %v, and the host answers %d %q", err, status, body)
	}
	if err != nil && !errors.As(err, new(*deploy.Failure)) {
		fault("the error has no text for users: %v", err)
	}
	if o.after != nil {
		o.after(w)
		w.nginx.Quiet()
	}
	w.nginx.Name(green.Name, green.Addr)
	if err := again().Upsert(t.Context(), web, green); err != nil {
		fault("after the trouble: %v", err)
	} else if status, body := w.get(host, "/"); status != http.StatusOK || body != green.Name {
		fault("after the trouble the host answers %d %q", status, body)
	}
	if text := log.String() + fmt.Sprint(err); strings.Contains(text, w.npm.Password) || strings.Contains(text, "token-") {
		fault("a secret is told: %s", text)
	}
}

// lines is a log that many write to.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}
func (l *lines) String() string { l.mu.Lock(); defer l.mu.Unlock(); return l.text.String() }
