package settings

import "net/http"

func (v *visit) start() error {
	return v.render(http.StatusOK, "other/start", frame{Title: v.say("title.start")}, nil)
}
