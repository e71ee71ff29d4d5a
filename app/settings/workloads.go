package settings

import "net/http"

func (v *visit) workloads() error {
	return v.render(http.StatusOK, "workloads/list", frame{Title: v.say("nav.workloads"), Section: "workloads"}, nil)
}
