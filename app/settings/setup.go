package settings

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"tinyforge/db"
	"tinyforge/templates"
)

// setupPage is what the page behind a one-time link shows.
type setupPage struct {
	Form  *templates.Form
	Token string
	First bool // it makes the first administrator; otherwise it sets Name's password
	Name  string

	AskAddress bool                // nobody has said yet where this Tinyforge is reached
	Notes      []templates.Message // of the address
}

// SetupPath is where a one-time link leads: its token follows.
const SetupPath = "/setup?token="

// linked finds out what the link is for. One that is not good has a page of its own.
func (v *visit) linked(token string) (setupPage, error) {
	id, err := v.DB.SignInLink(v.r.Context(), token)
	if errors.Is(err, db.ErrNotFound) {
		return setupPage{}, refuse(http.StatusGone, "err.setup_token", "command", v.LinkCommand)
	}
	if err != nil || id == 0 {
		return setupPage{Token: token, First: true, Name: "admin"}, err
	}
	user, err := v.DB.User(v.r.Context(), id)
	return setupPage{Token: token, Name: user.Name}, err
}

func (v *visit) setupFrame() frame { return frame{Title: v.say("title.setup")} }

// setupForm does not use the link up: previews of messengers follow it too.
func (v *visit) setupForm() error {
	page, err := v.linked(v.r.URL.Query().Get("token"))
	if err != nil {
		return err
	}
	page.Form = filled("username", page.Name, "language", v.Language(), "base_url", v.origin())
	v.askAddress(&page)
	return v.render(http.StatusOK, "people/setup", v.setupFrame(), page)
}

func (v *visit) setup() error {
	form, err := v.form()
	if err != nil {
		return err
	}
	page, err := v.linked(form.Get("token"))
	if err != nil {
		return err
	}
	page.Form = form
	v.askAddress(&page)
	user := db.User{Name: page.Name}
	if page.First {
		user.Name = strings.TrimSpace(form.Get("username"))
		checkUserName(form, "username")
	} else if user, err = v.DB.UserByName(v.r.Context(), page.Name); err != nil {
		return err
	}
	checkNewPassword(form, "password", user.Name, "tinyforge")
	if user.Language = form.Get("language"); !isLanguage(user.Language) {
		form.Fail("language", "err.choose")
	}
	choices := map[string]string{}
	if page.AskAddress {
		if choices[OptionPublicURL], err = v.checkPublicURL(form, "base_url"); err != nil {
			return err
		}
	}
	if !form.Valid() {
		return v.invalid("people/setup", v.setupFrame(), form, page)
	}
	if user.Password, err = v.hash.make(v.r.Context(), form.Get("password")); err != nil {
		return err
	}
	return v.stay(setUpPatience, func() error { return v.setUp(page, user, choices) })
}

// setUpPatience is how long it may take to store what somebody was set up with.
const setUpPatience = 30 * time.Second

// setUp uses the link up, and stores all that was chosen behind it.
func (v *visit) setUp(page setupPage, user db.User, choices map[string]string) error {
	if err := v.DB.UseSignInLink(v.r.Context(), page.Token, &user); errors.Is(err, db.ErrNotFound) {
		return refuse(http.StatusGone, "err.setup_token", "command", v.LinkCommand)
	} else if err != nil {
		return err
	}
	if err := v.startSession(user); err != nil {
		return err
	}
	if err := v.audit("user.set_up", user.Name, ""); err != nil {
		return err
	}
	if err := v.saveChoices(choices); err != nil {
		return err
	}
	if page.First {
		return v.redirect("/start", templates.Message{})
	}
	return v.redirect("/workloads", templates.Message{Key: "flash.password_changed"})
}

// askAddress has the page ask where this Tinyforge is reached, unless that is known.
func (v *visit) askAddress(page *setupPage) {
	if page.AskAddress = page.First && v.PublicURL == ""; page.AskAddress {
		page.Notes = addressNotes(page.Form.Get("base_url"))
	}
}

const longestName = 40

// checkUserName notes what is wrong with the name of a user.
func checkUserName(form *templates.Form, field string) {
	switch name := strings.TrimSpace(form.Get(field)); {
	case name == "":
		form.Fail(field, "err.required")
	case len([]rune(name)) > longestName:
		form.Fail(field, "err.too_long", "max", longestName)
	case strings.ContainsFunc(name, isControl):
		form.Fail(field, "err.one_line")
	}
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }
