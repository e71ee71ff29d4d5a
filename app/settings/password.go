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
	return v.render(http.StatusOK, "settings/password", v.settingsFrame("people.password"), passwordPage{filled(), v.user.Password != ""})
}

func (v *visit) savePassword() error {
	form, err := v.form()
	if err != nil {
		return err
	}
	f, page := v.settingsFrame("people.password"), passwordPage{form, v.user.Password != ""}
	if page.Has {
		v.checkPassword(form, "password_now")
	}
	checkNewPassword(form, "password_new", v.user.Name, "tinyforge")
	if !form.Valid() {
		return v.invalid("settings/password", f, form, page)
	}
	hash, err := v.hash.make(form.Get("password_new"))
	if err != nil {
		return err
	}
	if err := v.DB.SetPassword(v.r.Context(), v.user.ID, hash); err != nil {
		return err
	}
	if _, err := v.DB.EndOtherSessions(v.r.Context(), v.user.ID, v.session.ID); err != nil {
		return err
	}
	if err := v.audit("user.password", v.user.Name, ""); err != nil {
		return err
	}
	return v.redirect("/settings/password", templates.Message{Key: "flash.password_changed"})
}

// checkPassword notes when it is not the visitor's password. Tries are counted as those of signing in are.
func (v *visit) checkPassword(form *templates.Form, field string) {
	wait := v.tries.wait(v.address(), time.Now())
	switch {
	case form.Get(field) == "":
		form.Fail(field, "err.required")
	case wait > 0:
		form.Fail(field, "err.too_many_tries", "when", v.Ago(time.Now().Add(wait)))
	case !v.hash.fits(form.Get(field), v.user.Password):
		v.tries.fail(v.address(), time.Now())
		form.Fail(field, "err.password_wrong")
	}
}
