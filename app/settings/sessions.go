package settings

import (
	"net/http"

	"tinyforge/db"
	"tinyforge/templates"
)

// sessionsPage shows where one is signed in.
type sessionsPage struct{ Sessions []sessionRow }

type sessionRow struct {
	db.Session
	Agent   templates.Message
	Current bool
}

func (v *visit) sessions() error {
	list, err := v.DB.Sessions(v.r.Context(), v.user.ID)
	if err != nil {
		return err
	}
	var page sessionsPage
	for _, s := range list {
		page.Sessions = append(page.Sessions, sessionRow{s, agentOf(s.Agent), s.ID == v.session.ID})
	}
	return v.render(http.StatusOK, "settings/sessions", v.settingsFrame("people.sessions"), page)
}

func (v *visit) endSession() error {
	id, err := v.id("id")
	if err != nil {
		return err
	}
	if err := v.DB.EndSession(v.r.Context(), v.user.ID, id); err != nil {
		return err
	}
	if err := v.audit("session.ended", v.user.Name, ""); err != nil {
		return err
	}
	return v.redirect("/settings/sessions", templates.Message{Key: "flash.session_ended"})
}

func (v *visit) endOtherSessions() error {
	n, err := v.DB.EndOtherSessions(v.r.Context(), v.user.ID, v.session.ID)
	if err != nil {
		return err
	}
	if err := v.audit("session.ended_others", v.user.Name, ""); err != nil {
		return err
	}
	return v.redirect("/settings/sessions", templates.Message{Key: "flash.sessions_ended", Plural: true, Count: n})
}
