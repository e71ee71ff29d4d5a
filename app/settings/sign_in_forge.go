package settings

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"tinyforge/app"
	"tinyforge/db"
	"tinyforge/templates"
)

// asked is what this browser keeps, sealed, while somebody signs in at a forge.
type asked struct {
	ForgeID         int64
	State, Verifier string
	Callback, Next  string
}

const askedLife = 15 * time.Minute

// callback is where forges send people back to.
func (v *visit) callback() string { return v.publicURL() + "/sign-in/callback" }

// askForge sends the browser to a forge to sign in there. It is a link and no form, since the pages' policy lets forms lead
// to here only; all it leaves is a cookie.
func (v *visit) askForge() error {
	if wait := v.tries.wait(v.address(), time.Now()); wait > 0 {
		v.retryAfter(wait)
		return refuse(http.StatusTooManyRequests, "http.429")
	}
	row, err := v.signInForge("forge")
	if err != nil {
		return err
	}
	a := asked{ForgeID: row.ID, State: rand.Text(), Verifier: oauth2.GenerateVerifier(), Callback: v.callback(), Next: v.r.URL.Query().Get("next")}
	to, err := v.Forges.SignInURL(row, a.Callback, a.State, a.Verifier)
	if errors.Is(err, app.ErrNoSignIn) {
		return refuse(http.StatusNotFound, "http.404")
	} else if err != nil {
		return err
	}
	sealed, err := v.DB.SealDraft("asked", a, askedLife)
	if err != nil {
		return err
	}
	v.setAsked(sealed, int(askedLife/time.Second))
	http.Redirect(v.w, v.r, to, http.StatusSeeOther)
	return nil
}

func (v *visit) setAsked(value string, maxAge int) {
	http.SetCookie(v.w, &http.Cookie{Name: v.hostCookie("asked"), Value: value, Path: "/", HttpOnly: true, Secure: v.secure(), SameSite: http.SameSiteLaxMode, MaxAge: maxAge})
}

// signInForge reads the forge in the address.
func (v *visit) signInForge(name string) (db.Forge, error) {
	id, err := v.id(name)
	if err != nil {
		return db.Forge{}, err
	}
	row, err := v.DB.Forge(v.r.Context(), id)
	if err == nil && !v.Forges.MayIdentify(row) {
		err = refuse(http.StatusNotFound, "http.404")
	}
	return row, err
}

// forgeAnswered takes people back from a forge.
func (v *visit) forgeAnswered() error {
	q := v.r.URL.Query()
	var a asked
	cookie, err := v.r.Cookie(v.hostCookie("asked"))
	if err == nil {
		err = v.DB.OpenDraft("asked", cookie.Value, &a)
	}
	v.setAsked("", -1)
	if err != nil || subtle.ConstantTimeCompare([]byte(a.State), []byte(q.Get("state"))) != 1 {
		return v.notSignedIn(http.StatusForbidden, templates.Message{Key: "err.sign_in_state"}, "")
	}
	row, err := v.DB.Forge(v.r.Context(), a.ForgeID)
	if err != nil {
		return err
	}
	if q.Get("code") == "" {
		return v.notSignedIn(http.StatusForbidden, templates.Message{Key: "err.sign_in_declined", Values: []any{"forge", row.Name}}, a.Next)
	}
	address, begun := v.address(), time.Now()
	if wait := v.tries.begin(address, begun); wait > 0 {
		v.retryAfter(wait)
		return refuse(http.StatusTooManyRequests, "http.429")
	}
	account, err := v.Forges.Identify(v.r.Context(), row, a.Callback, q.Get("code"), a.Verifier)
	if err != nil {
		v.Log.WarnContext(v.r.Context(), "sign in by a forge", "forge", row.Name, "error", err)
		return v.notSignedIn(http.StatusBadGateway, templates.Message{Key: "err.sign_in_forge", Values: []any{"forge", row.Name}}, a.Next)
	}
	user, err := v.signsIn(row, account)
	if errors.Is(err, db.ErrNotFound) {
		if err := v.audit("session.refused", account.Login, row.Name); err != nil {
			return err
		}
		return v.notSignedIn(http.StatusForbidden, templates.Message{Key: "err.sign_in_unknown", Values: []any{"login", account.Login, "forge", row.Name}}, a.Next)
	} else if err != nil {
		return err
	}
	v.tries.takeBack(address, begun)
	if err := v.startSession(user); err != nil {
		return err
	}
	if err := v.audit("session.started", user.Name, row.Name); err != nil {
		return err
	}
	if !localPath(a.Next) {
		a.Next = "/workloads"
	}
	return v.redirect(a.Next, templates.Message{})
}

// signsIn returns the user whom an account signs in, or ErrNotFound: the login is on their row, and the account is the one that
// had this login when it was first used.
func (v *visit) signsIn(row db.Forge, account app.Account) (db.User, error) {
	user, err := v.DB.UserByAccount(v.r.Context(), db.AccountOf(row.ID, account.Login))
	if err != nil {
		return db.User{}, err
	}
	switch user.AccountID {
	case account.ID:
		return user, nil
	case "":
		return user, v.DB.SetAccountID(v.r.Context(), user.ID, account.ID)
	}
	return db.User{}, db.ErrNotFound
}

// notSignedIn shows the page of signing in with what went wrong.
func (v *visit) notSignedIn(code int, why templates.Message, next string) error {
	page, err := v.signInPage(filled("next", next), "")
	if err != nil {
		return err
	}
	f := v.signInFrame()
	f.Notices = []templates.Message{why}
	return v.render(code, "people/sign-in", f, page)
}

// signInForgePage takes the OAuth2 application of a forge.
type signInForgePage struct {
	Form     *templates.Form
	ID       int64
	Name     string
	Callback string
	On       bool
	Hint     *templates.Message
}

func (v *visit) signInForgePage(row db.Forge, form *templates.Form) (signInForgePage, frame) {
	page := signInForgePage{Form: form, ID: row.ID, Name: row.Name, Callback: v.callback(), On: row.Credentials.ClientSecret != ""}
	if page.On {
		page.Hint = &templates.Message{Key: "text.unchanged"}
	}
	return page, v.settingsFrame("people.users", crumb{Text: v.say("people.by_forge", "forge", row.Name)})
}

func (v *visit) signInForgeForm() error {
	row, err := v.signInForge("id")
	if err != nil {
		return err
	}
	page, f := v.signInForgePage(row, filled("client_id", row.Credentials.ClientID))
	return v.render(http.StatusOK, "settings/forge", f, page)
}

func (v *visit) saveSignInForge() error {
	row, err := v.signInForge("id")
	if err != nil {
		return err
	}
	form, err := v.form()
	if err != nil {
		return err
	}
	id, secret := strings.TrimSpace(form.Get("client_id")), strings.TrimSpace(form.Get("client_secret"))
	if form.Get("op") == "off" {
		row.Credentials.ClientID, row.Credentials.ClientSecret = "", ""
	} else {
		if len(id) > 300 || strings.ContainsFunc(id, isControl) {
			form.Fail("client_id", "err.one_line")
		}
		if len(secret) > 300 || strings.ContainsFunc(secret, isControl) {
			form.Fail("client_secret", "err.one_line")
		}
		if id == "" {
			form.Fail("client_id", "err.required")
		}
		if secret == "" && row.Credentials.ClientSecret == "" {
			form.Fail("client_secret", "err.required")
		}
		row.Credentials.ClientID = id
		if secret != "" {
			row.Credentials.ClientSecret = secret
		}
	}
	if !form.Valid() {
		page, f := v.signInForgePage(row, form)
		return v.invalid("settings/forge", f, form, page)
	}
	err = v.DB.ChangeForge(v.r.Context(), &row)
	if errors.Is(err, db.ErrForgeChanged) {
		return refuse(http.StatusConflict, "err.forge_changed", "forge", row.Name)
	} else if err != nil {
		return err
	}
	if err := v.audit("forge.sign_in_saved", row.Name, ""); err != nil {
		return err
	}
	return v.redirect("/settings/users", templates.Message{Key: "flash.saved"})
}
