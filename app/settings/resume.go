package settings

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"tinyforge/db"
	"tinyforge/templates"
)

const (
	resumeLife  = 15 * time.Minute
	resumeLimit = 512 << 10
)

// interrupted is what was sent without a session.
type interrupted struct {
	UserID int64      // whose session had ended; 0 where that is not known
	Path   string     // where it was sent
	Back   string     // the page it was sent from
	Values url.Values // what was typed; nil where it cannot be shown again
}

// resumePage leads back to the form.
type resumePage struct {
	Path   string
	Sealed string
}

// askToSignIn answers a request of nobody. What was typed into a form is kept for after, sealed.
func (v *visit) askToSignIn(rt route) error {
	if v.r.Method == http.MethodGet || v.r.Method == http.MethodHead {
		return v.redirect("/sign-in?next="+url.QueryEscape(v.r.URL.RequestURI()), templates.Message{})
	}
	was, err := v.interrupted(rt)
	if err != nil {
		return err
	}
	sealed, err := v.DB.SealDraft("resume", was, resumeLife)
	if err == nil && len(sealed) > resumeLimit {
		was.Values = nil
		sealed, err = v.DB.SealDraft("resume", was, resumeLife)
	}
	if err != nil {
		return err
	}
	f := v.signInFrame()
	f.Path, f.Notices = "/sign-in", []templates.Message{{Key: "note.session_over"}}
	if was.Values == nil {
		f.Notices[0].Key = "note.session_over_lost"
	}
	page, err := v.signInPage(filled(), sealed)
	if err != nil {
		return err
	}
	return v.render(http.StatusUnauthorized, "people/sign-in", f, page)
}

// interrupted is what this request sends, without passwords.
func (v *visit) interrupted(rt route) (was interrupted, err error) {
	was = interrupted{Path: v.r.URL.RequestURI(), Back: v.cameFrom()}
	if cookie, err := v.r.Cookie(v.hostCookie("session")); err == nil {
		was.UserID, err = v.DB.SessionOwner(v.r.Context(), cookie.Value)
		if err != nil && !errors.Is(err, db.ErrNotFound) {
			return was, err
		}
	}
	values, err := v.posted()
	if err != nil || !rt.typed() {
		return was, err
	}
	if sealed := values.Get("resumed"); sealed != "" { // the next session has ended too
		var before interrupted
		if v.DB.OpenDraft("resumed", sealed, &before) != nil || before.Path != was.Path {
			return was, nil
		}
		return before, nil
	}
	for _, name := range []string{"password", "password_now", "password_new", "client_secret"} {
		values.Del(name)
	}
	was.Values = values
	return was, nil
}

// cameFrom is the page of ours from which the browser comes.
func (v *visit) cameFrom() string {
	u, err := url.Parse(v.r.Referer())
	if err != nil || u.Host != v.r.Host || !localPath(u.RequestURI()) || u.Path == "/sign-in" {
		return "/workloads"
	}
	return u.RequestURI()
}

// resume goes on with what was interrupted, now that somebody is signed in: it leads to the form, filled in as it was. What
// cannot be shown again, or is somebody else's, is said not to have happened.
func (v *visit) resume(sealed string) error {
	var was interrupted
	lost := templates.Message{Key: "flash.not_carried_out"}
	switch err := v.DB.OpenDraft("resume", sealed, &was); {
	case err != nil, !localPath(was.Path), !localPath(was.Back), was.UserID != 0 && was.UserID != v.user.ID:
		return v.redirect("/workloads", lost)
	case was.Values == nil:
		return v.redirect(was.Back, lost)
	}
	was.UserID = v.user.ID
	sealed, err := v.DB.SealDraft("resumed", was, resumeLife)
	if err != nil {
		return err
	}
	return v.render(http.StatusOK, "people/resume", frame{Title: v.say("title.resume"), Flash: &templates.Message{Key: "flash.not_saved_signed_in"}},
		resumePage{was.Path, sealed})
}

// openResumed opens what resume sealed, for the same user and the same address.
func (v *visit) openResumed(sealed string) (was interrupted, err error) {
	err = v.DB.OpenDraft("resumed", sealed, &was)
	if err != nil || was.UserID != v.user.ID || was.Path != v.r.URL.RequestURI() {
		return was, refuse(http.StatusGone, "err.resume_gone")
	}
	return was, nil
}
