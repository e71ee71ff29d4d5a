package settings

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tinyforge/db"
	"tinyforge/templates"
)

// frame is what every page has around it. Its zero value is a page without anything of its own.
type frame struct {
	Title   string // of the browser's tab
	Heading string // of the page; Title when empty
	Section string // of the navigation: "workloads"
	Icon    string // of the tab; "icon-neutral.svg" when empty
	Crumbs  []crumb
	Tabs    []tab
	Notices []templates.Message // what somebody should know on this page
	Form    *templates.Form     // whose errors are listed at the top
	Refresh int                 // seconds after which a browser without script loads the page again; 0 is never
	Path    string              // where the page is found again; empty where that is the address that was asked for

	Flash   *templates.Message
	Nav     []tab
	User    *db.User
	Version string
}

// crumb is a step on the way to a page. The last has no Href.
type crumb struct{ Text, Href string }

// tab is a link of a navigation. Key is of its text.
type tab struct {
	Key, Href string
	Current   bool
}

// sections are what the navigation leads to.
var sections = []tab{{Key: "nav.workloads", Href: "/workloads"}, {Key: "nav.forges", Href: "/forges"}, {Key: "nav.settings", Href: "/settings"}}

// render answers with a page. Page is what the template finds under .Page.
func (v *visit) render(status int, name string, f frame, page any) error {
	f.User, f.Version = nil, v.Version
	if f.Path == "" || v.r.Method != http.MethodPost {
		f.Path = v.r.URL.RequestURI()
	}
	if v.user.ID != 0 {
		f.User = &v.user
	}
	for _, t := range sections {
		t.Current = t.Key == "nav."+f.Section
		f.Nav = append(f.Nav, t)
	}
	if v.resumed {
		f.Flash = &templates.Message{Key: "flash.not_saved_signed_in"}
	}
	if f.Flash == nil {
		f.Flash = v.takeFlash()
	}
	if f.Heading == "" {
		f.Heading = f.Title
	}
	if f.Icon == "" {
		f.Icon = "icon-neutral.svg"
	}
	body, err := v.Templates.Render(v.Printer, name, struct {
		Frame frame
		Page  any
	}{f, page})
	if err != nil {
		return err
	}
	h := v.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", v.Language())
	h.Add("Vary", "Accept-Language, Cookie")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	v.w.WriteHeader(status)
	_, err = v.w.Write(body)
	if err != nil {
		return nil // who asked has gone
	}
	return nil
}

// invalid shows a form again with what is wrong with it.
func (v *visit) invalid(name string, f frame, form *templates.Form, page any) error {
	if form.Resumed { // nobody has said that it is all
		form.Errors = nil
		return v.render(http.StatusOK, name, f, page)
	}
	f.Form = form
	return v.render(http.StatusUnprocessableEntity, name, f, page)
}

// redirect sends the browser to a page of ours, after a change; with a text when said has a key.
func (v *visit) redirect(to string, said templates.Message) error {
	if said.Key != "" {
		if err := v.leaveFlash(said); err != nil {
			return err
		}
	}
	http.Redirect(v.w, v.r, to, http.StatusSeeOther)
	return nil
}

// answer is an error that has a page of its own.
type answer struct {
	code    int
	message templates.Message
	similar []string // workloads that may have been meant
}

// errorPage is what a page that is only a text has below it.
type errorPage struct {
	More    []templates.Message
	Similar []string // names of workloads
}

func (a *answer) Error() string { return fmt.Sprintf("answer %d: %s", a.code, a.message.Key) }

// refuse is the error of a request that cannot be fulfilled, with the text that says why.
func refuse(code int, key string, values ...any) error {
	return &answer{code: code, message: templates.Message{Key: key, Values: values}}
}

// fail shows what went wrong. It is the one place in which errors become pages: those that are not meant for people are
// logged under a number, and the page says the number.
func (v *visit) fail(err error) {
	var a *answer
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &a):
		v.showError(a.code, a.message, errorPage{Similar: a.similar})
	case errors.Is(err, errCrowded):
		v.retryAfter(busyFor)
		v.show(http.StatusServiceUnavailable, templates.Message{Key: "http.503"})
	case errors.Is(err, db.ErrAway):
		v.Log.DebugContext(v.r.Context(), "page", "path", v.r.URL.Path, "error", err)
		v.retryAfter(busyFor)
		v.show(http.StatusServiceUnavailable, templates.Message{Key: "http.503_database"}, templates.Message{Key: "http.503_database_todo"})
	case errors.As(err, &tooLarge):
		v.show(http.StatusRequestEntityTooLarge, templates.Message{Key: "http.413", Values: []any{"limit", v.Size(tooLarge.Limit)}}, templates.Message{Key: "http.413_back"})
	case errors.Is(err, db.ErrNotFound):
		v.show(http.StatusNotFound, templates.Message{Key: "http.404"})
	case v.r.Context().Err() != nil: // who asked has gone
	default:
		id := rand.Text()[:10]
		v.Log.ErrorContext(v.r.Context(), "page", "request", id, "path", v.r.URL.Path, "error", err)
		v.show(http.StatusInternalServerError, templates.Message{Key: "http.500", Values: []any{"id", id}})
	}
}

// busyFor is when to come again where too many people are signing in, or the database is away.
const busyFor = 10 * time.Second

// retryAfter says in the answer when to come again.
func (v *visit) retryAfter(wait time.Duration) {
	v.w.Header().Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
}

// show answers with a page that is only a text, and more below it.
func (v *visit) show(code int, m templates.Message, more ...templates.Message) {
	v.showError(code, m, errorPage{More: more})
}

func (v *visit) showError(code int, m templates.Message, page errorPage) {
	title, err := v.Say(m)
	if err != nil {
		title = http.StatusText(code)
	}
	err = v.render(code, "other/error", frame{Title: title, Path: "/"}, page)
	if err != nil {
		v.Log.ErrorContext(v.r.Context(), "render error page", "error", err)
		http.Error(v.w, http.StatusText(code), code)
	}
}

// methods are those that lead anywhere.
var methods = [...]string{http.MethodGet, http.MethodPost}

// nothing answers for addresses that lead nowhere, and for those that lead somewhere by another method.
func (v *visit) nothing(mux *http.ServeMux) error {
	path := v.r.URL.Path
	if to := strings.TrimRight(path, "/"); to != path && localPath(to) && v.r.Method == http.MethodGet {
		http.Redirect(v.w, v.r, (&url.URL{Path: to}).EscapedPath(), http.StatusPermanentRedirect)
		return nil
	}
	for _, method := range methods {
		if _, pattern := mux.Handler(&http.Request{Method: method, URL: v.r.URL, Host: v.r.Host}); pattern != method+" /" {
			v.w.Header().Set("Allow", method)
			return refuse(http.StatusMethodNotAllowed, "http.405")
		}
	}
	return refuse(http.StatusNotFound, "http.404")
}
