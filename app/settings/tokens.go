package settings

import (
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"tinyforge/db"
	"tinyforge/templates"
)

// tokensPage shows one's tokens for scripts.
type tokensPage struct {
	Form   *templates.Form
	Tokens []db.APIToken
	Lives  []string
	Once   *secretOnce
	Ask    bool // for the password
}

const longestTokenName = 60

// tokenLives are for how many days a token may be made.
func tokenLives() []string { return []string{"30", "90", "365", "never"} }

func (v *visit) tokensPage(form *templates.Form) (tokensPage, error) {
	list, err := v.DB.APITokens(v.r.Context(), v.user.ID)
	return tokensPage{Form: form, Tokens: list, Lives: tokenLives(), Ask: v.user.Password != ""}, err
}

func (v *visit) tokens() error {
	page, err := v.tokensPage(filled("token_life", "90"))
	if err != nil {
		return err
	}
	page.Once = v.takeOnce("token")
	return v.render(http.StatusOK, "settings/tokens", v.settingsFrame("people.tokens"), page)
}

func (v *visit) makeToken() error {
	form, err := v.form()
	if err != nil {
		return err
	}
	token := db.APIToken{UserID: v.user.ID, Name: strings.TrimSpace(form.Get("token_name"))}
	switch {
	case token.Name == "":
		form.Fail("token_name", "err.required")
	case utf8.RuneCountInString(token.Name) > longestTokenName:
		form.Fail("token_name", "err.too_long", "max", longestTokenName)
	case strings.ContainsFunc(token.Name, isControl):
		form.Fail("token_name", "err.one_line")
	}
	life := form.Get("token_life")
	if days, err := strconv.Atoi(life); err == nil && days > 0 && days <= 365 {
		token.ExpiresAt = time.Now().UTC().Add(time.Duration(days) * 24 * time.Hour)
	} else if life != "never" {
		form.Fail("token_life", "err.choose")
	}
	if form.Valid() && v.user.Password != "" { // a session that somebody else has got hold of makes nothing that stays
		if err := v.checkPassword(form, "password_now"); err != nil {
			return err
		}
	}
	if !form.Valid() {
		page, err := v.tokensPage(form)
		if err != nil {
			return err
		}
		return v.invalid("settings/tokens", v.settingsFrame("people.tokens"), form, page)
	}
	secret, err := v.DB.NewAPIToken(v.r.Context(), &token)
	if err != nil {
		return err
	}
	if err := v.audit("token.made", token.Name, ""); err != nil {
		return err
	}
	if err := v.leaveOnce(secretOnce{Kind: "token", Name: token.Name, Value: secret}); err != nil {
		return err
	}
	return v.redirect("/settings/tokens", templates.Message{})
}

func (v *visit) endToken() error {
	id, err := v.id("id")
	if err != nil {
		return err
	}
	if err := v.DB.DeleteAPIToken(v.r.Context(), v.user.ID, id); err != nil {
		return err
	}
	if err := v.audit("token.ended", strconv.FormatInt(id, 10), ""); err != nil {
		return err
	}
	return v.redirect("/settings/tokens", templates.Message{Key: "flash.token_ended"})
}
