package settings

import (
	"net/http"
	"time"

	"tinyforge/templates"
)

const flashLife = 5 * time.Minute

// leaveFlash keeps a text for the next page that this browser loads.
func (v *visit) leaveFlash(m templates.Message) error {
	sealed, err := v.DB.SealDraft("flash", m, flashLife)
	if err != nil {
		return err
	}
	http.SetCookie(v.w, &http.Cookie{Name: "flash", Value: sealed, Path: "/", HttpOnly: true, Secure: v.secure(), SameSite: http.SameSiteLaxMode, MaxAge: int(flashLife / time.Second)})
	return nil
}

// takeFlash returns what was left, and forgets it.
func (v *visit) takeFlash() *templates.Message {
	cookie, err := v.r.Cookie("flash")
	if err != nil {
		return nil
	}
	http.SetCookie(v.w, &http.Cookie{Name: "flash", Path: "/", HttpOnly: true, Secure: v.secure(), SameSite: http.SameSiteLaxMode, MaxAge: -1})
	var m templates.Message
	if v.DB.OpenDraft("flash", cookie.Value, &m) != nil {
		return nil
	}
	if _, err := v.Say(m); err != nil { // of another version
		return nil
	}
	return &m
}
