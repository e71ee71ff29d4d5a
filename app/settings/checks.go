package settings

import (
	"context"
	"errors"
	"net/http"
	"time"

	"tinyforge/app"
	"tinyforge/templates"
)

// check is one thing of the server that was looked at.
type check struct {
	Key    string // its text is check.KEY
	State  string // "ok", "warn" or "failed"; "none" where it was not looked at
	Found  templates.Message
	Detail string // in English
	Todo   string // key of what to do
}

// leastMemory is what a small site and its build get along with.
const leastMemory = 1 << 30

// checks look at the server. The address is called only where that is asked for.
func (v *visit) checks(call bool) []check {
	var list []check
	if v.Health != nil {
		list = append(list, v.checkDatabase(), v.checkDocker(), v.checkProxy(), v.checkMemory(), v.checkDisk())
	}
	return append(list, v.checkAddress(call))
}

func (v *visit) checkDatabase() check {
	return checked("database", v.Health.Database(v.r.Context()), templates.Message{})
}

func (v *visit) checkDocker() check {
	version, err := v.Health.Docker(v.r.Context())
	return checked("docker", err, templates.Message{Text: version})
}

func (v *visit) checkProxy() check {
	if p := v.Health.Proxy(v.r.Context()); !p.OK {
		return check{Key: "proxy", State: "failed", Found: templates.Message{Key: "check.proxy_" + p.Kind}, Todo: "check.proxy_" + p.Kind + "_todo"}
	}
	return check{Key: "proxy", State: "ok"}
}

// checked is what was found, or the first line of why it was not.
func checked(key string, err error, found templates.Message) check {
	if err != nil {
		return check{Key: key, State: "failed", Detail: app.FirstLine(err.Error()), Todo: "check." + key + "_todo"}
	}
	return check{Key: key, State: "ok", Found: found}
}

func (v *visit) checkMemory() check {
	bytes, err := v.Health.Memory()
	switch {
	case err != nil:
		return check{Key: "memory", State: "none"}
	case bytes < leastMemory:
		return check{Key: "memory", State: "warn", Found: templates.Message{Text: v.Size(bytes)}}
	}
	return check{Key: "memory", State: "ok", Found: templates.Message{Text: v.Size(bytes)}}
}

func (v *visit) checkDisk() check {
	free, err := v.Health.Free(v.r.Context())
	switch {
	case err != nil:
		return check{Key: "disk", State: "none"}
	case free < v.MinFree:
		return check{Key: "disk", State: "failed", Todo: "check.disk_todo",
			Found: templates.Message{Key: "check.disk_low", Values: []any{"free", v.Size(free), "needed", v.Size(v.MinFree)}}}
	}
	return check{Key: "disk", State: "ok", Found: templates.Message{Key: "check.disk_free", Values: []any{"free", v.Size(free)}}}
}

// checkAddress says what is known of the address and, where it is called, who answers. An address that nobody has set is what
// the request says, and is not called.
func (v *visit) checkAddress(call bool) check {
	c := check{Key: "address", State: "none", Found: templates.Message{Text: v.publicURL()}}
	switch {
	case v.PublicURL == "":
		c.State, c.Todo = "warn", "check.address_todo"
	case privateHost(v.publicHost()):
		c.State, c.Found = "warn", unreached(v.publicHost())
	}
	if !call || v.PublicURL == "" {
		return c
	}
	found := func(key string) templates.Message {
		return templates.Message{Key: key, Values: []any{"url", v.PublicURL}}
	}
	status, err := v.callAddress()
	_, refused := errors.AsType[*app.RefusedError](err)
	switch {
	case refused:
		c.State, c.Found = "warn", found("check.address_refused")
	case err != nil:
		c.State, c.Found, c.Detail = "failed", found("check.address_silent"), detailOf(err)
	case status != http.StatusOK:
		c.State, c.Found, c.Detail = "failed", found("check.address_other"), http.StatusText(status)
	case c.State == "none":
		c.State, c.Found = "ok", found("check.address_ok")
	}
	return c
}

// callAddress returns what /healthz answers there, or an *app.RefusedError where that is in no network that forges may be in.
func (v *visit) callAddress() (status int, err error) {
	client, err := app.NewClient(v.Networks)
	if err != nil {
		return 0, err
	}
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(v.r.Context(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.PublicURL+"/healthz", nil)
	if err != nil {
		return 0, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, app.CallError(ctx, "call", err)
	}
	return resp.StatusCode, resp.Body.Close()
}
