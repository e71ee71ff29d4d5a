package settings

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"tinyforge/db"
	"tinyforge/templates"
)

// userPage changes a user, or adds one.
type userPage struct {
	Form     *templates.Form
	ID       int64  // 0 is a new one
	Name     string // as it is stored
	Action   string
	Roles    []db.Role
	Forges   []string // names, "" first; empty when no forge can sign people in
	Sessions int
	Once     *secretOnce

	rows    []forgeRow
	account string // as it is stored
}

const (
	longestLogin = 100
	numberWithin = 5 * time.Second // a forge tells the number of an account
)

func (v *visit) userPage(form *templates.Form, user db.User) (userPage, error) {
	page := userPage{Form: form, ID: user.ID, Name: user.Name, account: user.Account, Action: "/settings/users", Roles: []db.Role{db.Viewer, db.Deployer, db.Administrator}}
	if user.ID != 0 {
		page.Action = userPath(user.ID)
		sessions, err := v.DB.Sessions(v.r.Context(), user.ID)
		if err != nil {
			return page, err
		}
		page.Sessions = len(sessions)
	}
	var err error
	page.rows, err = v.signInForges()
	if len(page.rows) > 0 {
		page.Forges = append(page.Forges, "")
	}
	for _, f := range page.rows {
		page.Forges = append(page.Forges, f.Name)
	}
	return page, err
}

func (v *visit) userFrame(user db.User) frame {
	if user.ID == 0 {
		return v.settingsFrame("people.users", crumb{Text: v.say("people.new_user")})
	}
	return v.settingsFrame("people.users", crumb{Text: user.Name})
}

// fill checks the form and makes the user what it says.
func (p *userPage) fill(user *db.User) {
	checkUserName(p.Form, "username")
	user.Name = strings.TrimSpace(p.Form.Get("username"))
	user.Role = db.Role(p.Form.Get("role"))
	if !user.Role.May(db.Viewer) {
		p.Form.Fail("role", "err.choose")
	}
	if len(p.Forges) == 0 {
		return
	}
	name, login := p.Form.Get("account_forge"), strings.TrimSpace(p.Form.Get("account_login"))
	user.Account = ""
	for _, f := range p.rows {
		if f.Name == name {
			user.Account = db.AccountOf(f.ID, login)
		}
	}
	switch {
	case name != "" && user.Account == "":
		p.Form.Fail("account_forge", "err.choose")
	case name != "" && login == "":
		p.Form.Fail("account_login", "err.required")
	case name == "" && login != "":
		p.Form.Fail("account_forge", "err.choose")
	case len(login) > longestLogin || strings.ContainsAny(login, "/@ ") || strings.ContainsFunc(login, isControl):
		p.Form.Fail("account_login", "err.login")
	}
}

// askNumber looks the number of a user's account up, so that nobody who takes the login later is taken for them. Where the forge
// does not say it, whoever signs in by the login first is, and the page says so.
func (v *visit) askNumber(page userPage, user *db.User) error {
	if user.Account == page.account && user.AccountID != "" {
		return nil
	}
	user.AccountID = ""
	forge, login := accountOf(*user, page.rows)
	if login == "" {
		return nil
	}
	row, err := v.DB.Forge(v.r.Context(), forge.ID)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(v.r.Context(), numberWithin)
	defer cancel()
	account, err := v.Forges.Account(ctx, row, login)
	if err != nil {
		v.Log.WarnContext(ctx, "read the number of an account", "forge", forge.Name, "login", login, "error", err)
	}
	user.AccountID = account.ID
	return nil
}

// trySave saves the user unless the form is wrong, and notes what the rows say against it.
func (v *visit) trySave(page userPage, user *db.User) error {
	form := page.Form
	if !form.Valid() {
		return nil
	}
	if err := v.askNumber(page, user); err != nil {
		return err
	}
	switch err := v.DB.SaveUser(v.r.Context(), user); {
	case errors.Is(err, db.ErrNameTaken):
		form.Fail("username", "err.user_taken")
	case errors.Is(err, db.ErrLastAdministrator):
		form.Fail("role", "err.last_administrator")
	default:
		return err
	}
	return nil
}

// named reads the user in the address.
func (v *visit) named() (db.User, error) {
	id, err := v.id("id")
	if err != nil {
		return db.User{}, err
	}
	return v.DB.User(v.r.Context(), id)
}

func (v *visit) userForm() error {
	user, err := v.named()
	if err != nil {
		return err
	}
	form := filled("username", user.Name, "role", string(user.Role))
	page, err := v.userPage(form, user)
	if err != nil {
		return err
	}
	forge, login := accountOf(user, page.rows)
	form.Values.Set("account_forge", forge.Name)
	form.Values.Set("account_login", login)
	page.Once = v.takeOnce("link")
	f := v.userFrame(user)
	if login != "" && user.AccountID == "" {
		f.Notices = []templates.Message{{Key: "people.account_unsure", Values: []any{"forge", forge.Name, "login", login, "name", user.Name}}}
	}
	return v.render(http.StatusOK, "settings/user", f, page)
}

func (v *visit) saveUser() error {
	user, err := v.named()
	if err != nil {
		return err
	}
	form, err := v.form()
	if err != nil {
		return err
	}
	page, err := v.userPage(form, user)
	if err != nil {
		return err
	}
	before := user
	page.fill(&user)
	if err := v.trySave(page, &user); err != nil {
		return err
	}
	if !form.Valid() {
		return v.invalid("settings/user", v.userFrame(before), form, page)
	}
	if err := v.audit("user.saved", user.Name, changesOf(before, user)); err != nil {
		return err
	}
	return v.redirect(userPath(user.ID), templates.Message{Key: "flash.saved"})
}

// changesOf names what differs between two states of a user.
func changesOf(before, after db.User) string {
	var names []string
	if before.Name != after.Name {
		names = append(names, "name, before: "+before.Name)
	}
	if before.Role != after.Role {
		names = append(names, string(before.Role)+" → "+string(after.Role))
	}
	if before.Account != after.Account {
		names = append(names, "account")
	}
	return strings.Join(names, ", ")
}

// giveLink makes a link with which a user sets a password, and shows it on the next page.
func (v *visit) giveLink(user db.User) error {
	token, err := v.DB.NewSignInLink(v.r.Context(), user.ID)
	if err != nil {
		return err
	}
	return v.leaveOnce(secretOnce{Kind: "link", Name: user.Name, Value: v.setupLink(token)})
}

func (v *visit) makeLink() error {
	user, err := v.named()
	if err != nil {
		return err
	}
	if err := v.giveLink(user); err != nil {
		return err
	}
	if err := v.audit("user.link_made", user.Name, ""); err != nil {
		return err
	}
	return v.redirect(userPath(user.ID), templates.Message{})
}

func (v *visit) endUsersSessions() error {
	user, err := v.named()
	if err != nil {
		return err
	}
	n, err := v.DB.EndOtherSessions(v.r.Context(), user.ID, 0)
	if err != nil {
		return err
	}
	if err := v.audit("user.sessions_ended", user.Name, ""); err != nil {
		return err
	}
	return v.redirect(userPath(user.ID), templates.Message{Key: "flash.sessions_ended", Plural: true, Count: n})
}

func (v *visit) removeUser() error {
	user, err := v.named()
	if err != nil {
		return err
	}
	switch err := v.DB.DeleteUser(v.r.Context(), user.ID); {
	case errors.Is(err, db.ErrLastAdministrator):
		return refuse(http.StatusConflict, "err.last_administrator")
	case err != nil:
		return err
	}
	if err := v.audit("user.removed", user.Name, ""); err != nil {
		return err
	}
	return v.redirect("/settings/users", templates.Message{Key: "flash.user_removed", Values: []any{"name", user.Name}})
}
