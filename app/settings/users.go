package settings

import (
	"net/http"
	"strconv"
	"strings"

	"tinyforge/db"
	"tinyforge/templates"
)

// usersPage lists who may sign in.
type usersPage struct {
	Users  []userRow
	Forges []forgeRow
}

type userRow struct {
	db.User
	By []string // what signs them in
}

// forgeRow is a forge whose accounts can sign people in.
type forgeRow struct {
	ID   int64
	Name string
	On   bool
}

// signInForges are the forges whose accounts can sign people in, once somebody has made it so.
func (v *visit) signInForges() ([]forgeRow, error) {
	rows, err := v.DB.Forges(v.r.Context())
	if err != nil {
		return nil, err
	}
	var list []forgeRow
	for _, row := range rows {
		if v.Forges.MayIdentify(row) {
			list = append(list, forgeRow{row.ID, row.Name, row.Credentials.ClientID != "" && row.Credentials.ClientSecret != ""})
		}
	}
	return list, nil
}

func (v *visit) users() error {
	users, err := v.DB.Users(v.r.Context())
	if err != nil {
		return err
	}
	var page usersPage
	if page.Forges, err = v.signInForges(); err != nil {
		return err
	}
	for _, u := range users {
		page.Users = append(page.Users, userRow{u, v.signsInBy(u, page.Forges)})
	}
	return v.render(http.StatusOK, "settings/users", v.settingsFrame("people.users"), page)
}

func (v *visit) signsInBy(u db.User, forges []forgeRow) (by []string) {
	if u.Password != "" {
		by = append(by, v.say("people.by_password"))
	}
	if forge, login := accountOf(u, forges); login != "" && forge.On {
		by = append(by, v.say("people.by_account", "login", login, "forge", forge.Name))
	}
	return by
}

// accountOf splits a user's account.
func accountOf(u db.User, forges []forgeRow) (forgeRow, string) {
	id, login, _ := strings.Cut(u.Account, "/")
	for _, f := range forges {
		if strconv.FormatInt(f.ID, 10) == id {
			return f, login
		}
	}
	return forgeRow{}, ""
}

func (v *visit) newUser() error {
	page, err := v.userPage(filled("role", string(db.Deployer)), db.User{})
	if err != nil {
		return err
	}
	return v.render(http.StatusOK, "settings/user", v.userFrame(db.User{}), page)
}

func (v *visit) addUser() error {
	form, err := v.form()
	if err != nil {
		return err
	}
	user := db.User{}
	page, err := v.userPage(form, user)
	if err != nil {
		return err
	}
	page.fill(&user)
	if err := v.trySave(page, &user); err != nil {
		return err
	}
	if !form.Valid() {
		f := v.userFrame(db.User{})
		f.Path = "/settings/users/new"
		return v.invalid("settings/user", f, form, page)
	}
	if err := v.audit("user.added", user.Name, string(user.Role)); err != nil {
		return err
	}
	if err := v.giveLink(user); err != nil {
		return err
	}
	return v.redirect(userPath(user.ID), templates.Message{Key: "flash.user_added", Values: []any{"name", user.Name}})
}

func userPath(id int64) string { return "/settings/users/" + strconv.FormatInt(id, 10) }
