package settings

import (
	"net/http"
	"strings"
	"time"
)

// secretOnce is something that somebody is shown once: a link, a token. Only their own browser has it, sealed.
type secretOnce struct {
	Kind  string // "link", "token"
	Name  string // whose, or for what
	Value string
}

// leaveOnce keeps a secret for the next page that this browser loads.
func (v *visit) leaveOnce(s secretOnce) error {
	sealed, err := v.DB.SealDraft("once", s, flashLife)
	if err != nil {
		return err
	}
	v.setOnce(sealed, int(flashLife/time.Second))
	return nil
}

// takeOnce returns the secret of a kind that was left, and forgets it; nil when there is none.
func (v *visit) takeOnce(kind string) *secretOnce {
	cookie, err := v.r.Cookie("once")
	if err != nil {
		return nil
	}
	v.setOnce("", -1)
	var s secretOnce
	if v.DB.OpenDraft("once", cookie.Value, &s) != nil || s.Kind != kind {
		return nil
	}
	return &s
}

func (v *visit) setOnce(value string, maxAge int) {
	http.SetCookie(v.w, &http.Cookie{Name: "once", Value: value, Path: "/settings", HttpOnly: true, Secure: v.secure(),
		SameSite: http.SameSiteStrictMode, MaxAge: maxAge})
}

// setupLink is the whole address behind which somebody sets a password.
func (v *visit) setupLink(token string) string {
	return strings.TrimRight(v.reached(), "/") + SetupPath + token
}

// reached is where people reach this Tinyforge: its address or, while nobody has said it, the one that this browser uses.
func (v *visit) reached() string {
	if v.PublicURL != "" {
		return v.PublicURL
	}
	return v.origin()
}
