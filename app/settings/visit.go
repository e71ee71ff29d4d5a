package settings

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/language"

	"tinyforge/db"
	"tinyforge/templates"
)

// visit is one request of one person.
type visit struct {
	*Settings
	w       http.ResponseWriter
	r       *http.Request
	user    db.User // zero before sign-in
	session db.Session
	needs   db.Role // of the route
	resumed bool    // the form was typed before the session
	Chosen          // as they were at the beginning of the visit
	*templates.Printer
}

// visit makes a visit of a request without looking who it is.
func (s *Settings) visit(w http.ResponseWriter, r *http.Request) *visit {
	v := &visit{Settings: s, w: w, r: r}
	var err error
	if v.Chosen, err = s.Choices.Read(r.Context()); err != nil && r.Context().Err() == nil {
		s.Log.ErrorContext(r.Context(), "read settings", "error", err)
	}
	v.Printer = s.Templates.Printer(v.language(), v.TimeZone)
	return v
}

// page is a route as a handler: it finds out who it is, lets those in who may, and shows what goes wrong.
func (s *Settings) page(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := s.visit(w, r)
		v.needs = rt.needs
		err := v.recognize()
		switch {
		case err != nil:
		case rt.needs != "" && v.user.ID == 0:
			err = v.askToSignIn(rt)
		case rt.needs != "" && !v.user.Role.May(rt.needs):
			err = refuse(http.StatusForbidden, "http.403_role", "role", v.say("role."+string(rt.needs)))
		default:
			err = rt.do(v)
		}
		if err != nil {
			v.fail(err)
		}
	})
}

// recognize finds out who is signed in. Nobody is not an error.
func (v *visit) recognize() error {
	cookie, err := v.r.Cookie(v.hostCookie("session"))
	if err != nil {
		return nil
	}
	session, user, err := v.DB.SessionUser(v.r.Context(), cookie.Value, v.address())
	switch {
	case errors.Is(err, db.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	if v.session, v.user = session, user; session.Renewed {
		v.setSession(cookie.Value, int(time.Until(session.ExpiresAt)/time.Second))
	}
	v.Printer = v.Templates.Printer(v.language(), v.TimeZone)
	return nil
}

// language is what the user chose, else what this browser chose, else what it asks for.
func (v *visit) language() string {
	if v.user.Language != "" {
		return v.user.Language
	}
	if c, err := v.r.Cookie("language"); err == nil && isLanguage(c.Value) {
		return c.Value
	}
	var known []language.Tag
	for _, l := range templates.Languages {
		known = append(known, language.Make(l))
	}
	_, i := language.MatchStrings(language.NewMatcher(known), v.r.Header.Get("Accept-Language"))
	return templates.Languages[i]
}

func isLanguage(s string) bool {
	for _, l := range templates.Languages {
		if l == s {
			return true
		}
	}
	return false
}

// peer is who the connection is from: a browser, or a reverse proxy.
func (v *visit) peer() netip.Addr {
	peer, err := netip.ParseAddrPort(v.r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return peer.Addr().Unmap().WithZone("")
}

// trusted tells whether a reverse proxy has this address that is believed whom its requests come from.
func (s *Settings) trusted(a netip.Addr) bool {
	return slices.ContainsFunc(s.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(a) })
}

// address is where the request comes from, without a port: the last on its way that is no trusted proxy.
func (v *visit) address() string {
	at := v.peer()
	way := strings.Split(strings.Join(v.r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, before := range slices.Backward(way) {
		if !v.trusted(at) {
			break
		}
		a, err := netip.ParseAddr(strings.TrimSpace(before))
		if err != nil {
			break
		}
		at = a.Unmap().WithZone("")
	}
	if !at.IsValid() {
		return v.r.RemoteAddr
	}
	return at.String()
}

// secure tells whether the browser speaks HTTPS to us. Where it has come to the public address, that says so.
func (v *visit) secure() bool {
	return v.r.TLS != nil || v.trusted(v.peer()) && v.r.Header.Get("X-Forwarded-Proto") == "https" ||
		strings.HasPrefix(v.PublicURL, "https://") && strings.EqualFold(hostAndPort(v.PublicURL), v.r.Host)
}

// hostCookie names a cookie. Over HTTPS the browser takes it from this host alone.
func (v *visit) hostCookie(name string) string {
	if v.secure() {
		return "__Host-" + name
	}
	return name
}

// origin is the address that the browser has of this Tinyforge.
func (v *visit) origin() string {
	scheme := "http"
	if v.secure() {
		scheme = "https"
	}
	return (&url.URL{Scheme: scheme, Host: v.r.Host}).String()
}

// stay does something that goes on for a while when the visitor leaves: half of it is worse than none.
func (v *visit) stay(limit time.Duration, do func() error) error {
	asked := v.r
	ctx, cancel := context.WithTimeout(context.WithoutCancel(asked.Context()), limit)
	defer cancel()
	v.r = asked.WithContext(ctx)
	defer func() { v.r = asked }()
	return do()
}

// id is the number in the address, or the refusal of one that is none.
func (v *visit) id(name string) (int64, error) {
	id, err := strconv.ParseInt(v.r.PathValue(name), 10, 64)
	if err != nil || id <= 0 {
		return 0, refuse(http.StatusNotFound, "http.404")
	}
	return id, nil
}

// say is T for a text that is known to be there.
func (v *visit) say(key string, values ...any) string {
	s, err := v.T(key, values...)
	if err != nil {
		v.Log.ErrorContext(v.r.Context(), "say text", "error", err)
		return key
	}
	return s
}
