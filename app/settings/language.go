package settings

import (
	"net/http"

	"tinyforge/templates"
)

// setLanguage takes a language for this browser and, when somebody is signed in, for them.
func (v *visit) setLanguage() error {
	form, err := v.form()
	if err != nil {
		return err
	}
	lang, back := form.Get("language"), form.Get("back")
	if !isLanguage(lang) {
		return refuse(http.StatusBadRequest, "http.400")
	}
	if !localPath(back) {
		back = "/"
	}
	v.setLanguageCookie(lang)
	if v.user.ID != 0 {
		if err := v.DB.SetLanguage(v.r.Context(), v.user.ID, lang); err != nil {
			return err
		}
	}
	return v.redirect(back, templates.Message{})
}

func (v *visit) setLanguageCookie(lang string) {
	http.SetCookie(v.w, &http.Cookie{Name: "language", Value: lang, Path: "/", HttpOnly: true, Secure: v.secure(), SameSite: http.SameSiteLaxMode, MaxAge: 365 * 24 * 3600})
}
