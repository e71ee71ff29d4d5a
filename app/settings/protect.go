package settings

import (
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"

	"tinyforge/templates"
)

// maxForm bounds what a form may hold.
const maxForm = 4 << 20

// policy lets a page load what comes from here, and nothing else. Forms may be sent to other origins only where a page
// says so.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; frame-ancestors 'none'; form-action 'self'"

// protect is the stack that every page is behind, outermost first: headers, a net for panics, writes from this site only, a
// bound on bodies.
func (s *Settings) protect(next http.Handler) http.Handler {
	origin := http.NewCrossOriginProtection()
	origin.SetDenyHandler(http.HandlerFunc(s.foreign))
	return s.headers(s.catch(origin.Handler(http.MaxBytesHandler(next, maxForm))))
}

func (s *Settings) headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin") // with no-referrer browsers send "Origin: null" with our own forms
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// allowFormTo lets the page's forms be sent to another origin too.
func allowFormTo(h http.Header, target *url.URL) {
	h.Set("Content-Security-Policy", policy+" "+target.Scheme+"://"+target.Host)
}

// catch answers a panic with a page and its number, under which the log has the rest.
func (s *Settings) catch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if err, _ := p.(error); errors.Is(err, http.ErrAbortHandler) {
				panic(p) // the server ends the connection
			}
			id := rand.Text()[:10]
			s.Log.ErrorContext(r.Context(), "page panicked", "request", id, "path", r.URL.Path, "panic", p, "stack", string(debug.Stack()))
			s.visit(w, r).show(http.StatusInternalServerError, templates.Message{Key: "http.500", Values: []any{"id", id}})
		}()
		next.ServeHTTP(w, r)
	})
}

// foreign answers a write from another site. Mostly that is our own page under another name, so both are named.
func (s *Settings) foreign(w http.ResponseWriter, r *http.Request) {
	v := s.visit(w, r)
	from := r.Header.Get("Origin")
	if u, err := url.Parse(from); err != nil || u.Host == "" || strings.EqualFold(u.Host, r.Host) {
		from = "?"
	}
	v.show(http.StatusForbidden, templates.Message{Key: "http.403"},
		templates.Message{Key: "http.403_origins", Values: []any{"from", from, "here", r.Host}})
}
