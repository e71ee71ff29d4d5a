package settings

import (
	"errors"
	"net/http"
	"time"

	"tinyforge/db"
	"tinyforge/templates"
)

// signInPage is what the page of signing in shows.
type signInPage struct {
	Form    *templates.Form
	Resume  string // sealed: what was sent without a session
	Nobody  bool   // there is nobody yet who could sign in
	Command string // that prints a new link
	Forges  []forgeRow
}

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
	user, err := v.DB.UserByName(v.r.Context(), form.Get("username"))
	if err != nil && !errors.Is(err, db.ErrNotFound) {
		return err
	}
	ok, wait, err := v.tryPassword(form.Get("password"), user.Password)
	switch {
	case err != nil:
		return err
	case wait > 0:
		form.Fail("password", "err.too_many_tries", "when", v.Ago(time.Now().Add(wait)))
		v.retryAfter(wait)
		f := v.signInFrame()
		f.Form = form
		return v.render(http.StatusTooManyRequests, "people/sign-in", f, page)
	case !ok:
		form.Fail("password", "err.credentials")
		return v.invalid("people/sign-in", v.signInFrame(), form, page)
	}
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
	if err != nil {
		return signInPage{}, err
	}
	has, err := v.DB.HasUsers(v.r.Context())
	page := signInPage{Form: form, Resume: resume, Command: v.LinkCommand, Nobody: err == nil && !has}
	if has {
		page.Command += " NAME"
	}
	for _, f := range forges {
		if f.On {
			page.Forges = append(page.Forges, f)
		}
	}
	return page, err
}

// startSession signs a user in with this browser, in place of whoever was.
func (v *visit) startSession(user db.User) error {
	if v.session.ID != 0 {
		if err := v.DB.EndSession(v.r.Context(), v.session.UserID, v.session.ID); err != nil && !errors.Is(err, db.ErrNotFound) {
			return err
		}
		v.session = db.Session{}
	}
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
	http.SetCookie(v.w, &http.Cookie{Name: v.hostCookie("session"), Value: token, Path: "/", HttpOnly: true, Secure: v.secure(),
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
