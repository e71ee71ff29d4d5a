package settings

import (
	"net/http"
	"time"

	"tinyforge/templates"
)

// passwordPage changes one's own password.
type passwordPage struct {
	Form *templates.Form
	Has  bool // there is one; otherwise an account of a forge signs in
}

func (v *visit) passwordForm() error {
	return v.render(http.StatusOK, "settings/password", v.settingsFrame("people.password"), passwordPage{filled("end_tokens", "on"), v.user.Password != ""})
}

func (v *visit) savePassword() error {
	form, err := v.form()
	if err != nil {
		return err
	}
	f, page := v.settingsFrame("people.password"), passwordPage{form, v.user.Password != ""}
	if page.Has {
		if err := v.checkPassword(form, "password_now"); err != nil {
			return err
		}
	}
	if form.Valid() { // or strangers could have us weigh passwords
		checkNewPassword(form, "password_new", v.user.Name, "tinyforge")
	}
	if !form.Valid() {
		return v.invalid("settings/password", f, form, page)
	}
	hash, err := v.hash.make(v.r.Context(), form.Get("password_new"))
	if err != nil {
		return err
	}
	if err := v.DB.SetPassword(v.r.Context(), v.user.ID, hash); err != nil {
		return err
	}
	if _, err := v.DB.EndOtherSessions(v.r.Context(), v.user.ID, v.session.ID); err != nil {
		return err
	}
	if form.Is("end_tokens", "on") {
		if _, err := v.DB.EndAPITokens(v.r.Context(), v.user.ID); err != nil {
			return err
		}
	}
	action := "user.password"
	if !page.Has {
		action = "user.first_password"
	}
	if err := v.audit(action, v.user.Name, ""); err != nil {
		return err
	}
	return v.redirect("/settings/password", templates.Message{Key: "flash.password_changed"})
}

// checkPassword notes when it is not the visitor's password. Tries are counted as those of signing in are.
func (v *visit) checkPassword(form *templates.Form, field string) error {
	if form.Get(field) == "" {
		form.Fail(field, "err.required")
		return nil
	}
	ok, wait, err := v.tryPassword(form.Get(field), v.user.Password)
	switch {
	case err != nil:
		return err
	case wait > 0:
		form.Fail(field, "err.too_many_tries", "when", v.Ago(time.Now().Add(wait)))
	case !ok:
		form.Fail(field, "err.password_wrong")
	}
	return nil
}

// tryPassword tells whether a password belongs to a hash, or how long this address has to wait before it may ask.
func (v *visit) tryPassword(password, hash string) (ok bool, wait time.Duration, err error) {
	address, begun := v.address(), time.Now()
	if wait := v.tries.begin(address, begun); wait > 0 {
		return false, wait, nil
	}
	ok, err = v.hash.fits(v.r.Context(), password, hash)
	if ok || err != nil {
		v.tries.takeBack(address, begun)
	}
	return ok, 0, err
}
