package settings

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"tinyforge/db"
	"tinyforge/templates"
)

// signInPage is what the page of signing in shows.
type signInPage struct {
	Form    *templates.Form
	Resume  string // sealed: what was posted without a session
	Command string // that prints a new link
	Forges  []forgeRow
}

const resetCommand = "tinyforge sign-in-link"

func (v *visit) home() error {
	if v.user.ID != 0 {
		return v.redirect("/workloads", templates.Message{})
	}
	return v.redirect("/sign-in", templates.Message{})
}

func (v *visit) signInFrame() frame { return frame{Title: v.say("title.sign_in")} }

func (v *visit) signInForm() error {
	if v.user.ID != 0 {
		return v.redirect("/workloads", templates.Message{})
	}
	page, err := v.signInPage(filled("next", v.r.URL.Query().Get("next")), "")
	if err != nil {
		return err
	}
	return v.render(http.StatusOK, "people/sign-in", v.signInFrame(), page)
}

func (v *visit) signIn() error {
	form, err := v.form()
	if err != nil {
		return err
	}
	page, err := v.signInPage(form, form.Get("resume"))
	if err != nil {
		return err
	}
	if wait := v.tries.wait(v.address(), time.Now()); wait > 0 {
		form.Fail("password", "err.too_many_tries", "when", v.Ago(time.Now().Add(wait)))
		v.w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
		f := v.signInFrame()
		f.Form = form
		return v.render(http.StatusTooManyRequests, "people/sign-in", f, page)
	}
	user, err := v.DB.UserByName(v.r.Context(), form.Get("username"))
	if err != nil && !errors.Is(err, db.ErrNotFound) {
		return err
	}
	if !v.hash.fits(form.Get("password"), user.Password) {
		v.tries.fail(v.address(), time.Now())
		form.Fail("password", "err.credentials")
		return v.invalid("people/sign-in", v.signInFrame(), form, page)
	}
	v.tries.succeed(v.address())
	if err := v.startSession(user); err != nil {
		return err
	}
	if err := v.audit("session.started", user.Name, ""); err != nil {
		return err
	}
	if page.Resume != "" {
		return v.resume(page.Resume)
	}
	next := form.Get("next")
	if !localPath(next) {
		next = "/workloads"
	}
	return v.redirect(next, templates.Message{})
}

func (v *visit) signInPage(form *templates.Form, resume string) (signInPage, error) {
	forges, err := v.signInForges()
	page := signInPage{Form: form, Resume: resume, Command: resetCommand}
	for _, f := range forges {
		if f.On {
			page.Forges = append(page.Forges, f)
		}
	}
	return page, err
}

// startSession signs a user in with this browser.
func (v *visit) startSession(user db.User) error {
	token, err := v.DB.StartSession(v.r.Context(), user.ID, v.address(), v.r.UserAgent())
	if err != nil {
		return err
	}
	v.user = user
	v.setSession(token, int(db.SessionLife/time.Second))
	return nil
}

// setSession gives the browser its cookie. It is Lax, since the way back from a forge begins elsewhere.
func (v *visit) setSession(token string, maxAge int) {
	http.SetCookie(v.w, &http.Cookie{Name: v.cookieName(), Value: token, Path: "/", HttpOnly: true, Secure: v.secure(),
		SameSite: http.SameSiteLaxMode, MaxAge: maxAge})
}

func (v *visit) signOut() error {
	if v.user.ID != 0 {
		if err := v.DB.EndSession(v.r.Context(), v.user.ID, v.session.ID); err != nil && !errors.Is(err, db.ErrNotFound) {
			return err
		}
		v.setSession("", -1)
	}
	return v.redirect("/sign-in", templates.Message{Key: "flash.signed_out"})
}

// askToSignIn answers a request of nobody. What was typed into a form is kept for after, sealed.
func (v *visit) askToSignIn() error {
	if v.r.Method == http.MethodGet || v.r.Method == http.MethodHead {
		return v.redirect("/sign-in?next="+url.QueryEscape(v.r.URL.RequestURI()), templates.Message{})
	}
	form, err := v.form()
	if err != nil {
		return err
	}
	resume, err := v.DB.SealDraft("resume", interrupted{v.r.URL.RequestURI(), form.Values}, resumeLife)
	if err != nil {
		return err
	}
	if len(resume) > resumeLimit {
		resume = ""
	}
	f := v.signInFrame()
	f.Path, f.Notices = "/sign-in", []templates.Message{{Key: "note.session_over"}}
	page, err := v.signInPage(filled(), resume)
	if err != nil {
		return err
	}
	return v.render(http.StatusUnauthorized, "people/sign-in", f, page)
}

const (
	resumeLife  = 15 * time.Minute
	resumeLimit = 512 << 10
)

// interrupted is a form that was sent without a session.
type interrupted struct {
	Path   string
	Values url.Values
}

// resume shows the form that was interrupted, filled in as it was; it is not sent by itself.
func (v *visit) resume(sealed string) error {
	var was interrupted
	if err := v.DB.OpenDraft("resume", sealed, &was); err != nil || !localPath(was.Path) {
		return v.redirect("/workloads", templates.Message{})
	}
	return v.render(http.StatusOK, "people/resume", frame{Title: v.say("title.resume"), Flash: &templates.Message{Key: "flash.not_saved_signed_in"}}, was)
}
