package settings

import (
	"context"
	"net/http"
	"time"

	"tinyforge/app"
	"tinyforge/templates"
)

// Server tells how the machine is on which all runs.
type Server interface {
	// Docker returns the version of the engine.
	Docker(ctx context.Context) (version string, err error)

	// Memory returns the bytes of memory that the machine has.
	Memory() (int64, error)

	// Disk returns how many bytes are free, and how many have to be for a build to begin.
	Disk(ctx context.Context) (free, needed int64, err error)
}

// serverCheck is one thing that was looked at.
type serverCheck struct {
	Key    string // its text is check.KEY
	Badge  string // "ok", "warn" or "failed"; "none" where it was not looked at
	Found  templates.Message
	Detail string // in English
}

// leastMemory is what a small site and its build get along with.
const leastMemory = 1 << 30

// serverChecks look at the machine. None of them keeps anybody from going on.
func (v *visit) serverChecks() []serverCheck {
	var list []serverCheck
	if v.Server != nil {
		list = append(list, v.checkDocker(), v.checkMemory(), v.checkDisk())
	}
	return append(list, v.checkAddress())
}

func (v *visit) checkDocker() serverCheck {
	ctx, cancel := context.WithTimeout(v.r.Context(), 3*time.Second)
	defer cancel()
	version, err := v.Server.Docker(ctx)
	if err != nil {
		return serverCheck{Key: "docker", Badge: "failed", Found: templates.Message{Key: "check.docker_away"}, Detail: app.FirstLine(err.Error())}
	}
	return serverCheck{Key: "docker", Badge: "ok", Found: templates.Message{Text: version}}
}

func (v *visit) checkMemory() serverCheck {
	bytes, err := v.Server.Memory()
	if err != nil {
		return serverCheck{Key: "memory", Badge: "none", Found: templates.Message{Key: "check.unknown"}}
	}
	c := serverCheck{Key: "memory", Badge: "ok", Found: templates.Message{Text: v.Size(bytes)}}
	if bytes < leastMemory {
		c.Badge = "warn"
	}
	return c
}

func (v *visit) checkDisk() serverCheck {
	ctx, cancel := context.WithTimeout(v.r.Context(), 3*time.Second)
	defer cancel()
	free, needed, err := v.Server.Disk(ctx)
	switch {
	case err != nil:
		return serverCheck{Key: "disk", Badge: "none", Found: templates.Message{Key: "check.unknown"}}
	case free < needed:
		return serverCheck{Key: "disk", Badge: "failed", Found: templates.Message{Key: "check.disk_low", Values: []any{"free", v.Size(free), "needed", v.Size(needed)}}}
	}
	return serverCheck{Key: "disk", Badge: "ok", Found: templates.Message{Key: "check.disk_free", Values: []any{"free", v.Size(free)}}}
}

// checkAddress says what is known of the address and, where the visitor asks for it, calls it.
func (v *visit) checkAddress() serverCheck {
	c := serverCheck{Key: "address", Badge: "none", Found: templates.Message{Text: v.publicURL()}}
	if privateHost(v.publicHost()) {
		c.Badge, c.Found = "warn", templates.Message{Key: "text.private_address", Values: []any{"host", v.publicHost()}}
	}
	if v.r.URL.Query().Get("check") != "address" {
		return c
	}
	client, err := app.NewClient([]string{"loopback", "private"})
	if err != nil {
		return c
	}
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(v.r.Context(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.publicURL()+"/healthz", nil)
	if err != nil {
		return c
	}
	resp, err := client.Do(req)
	if err == nil {
		_ = resp.Body.Close()
	}
	switch {
	case err != nil:
		c.Badge, c.Found, c.Detail = "failed", templates.Message{Key: "check.address_silent", Values: []any{"url", v.publicURL()}}, detailOf(app.CallError(ctx, "call", err))
	case resp.StatusCode != http.StatusOK:
		c.Badge, c.Found, c.Detail = "failed", templates.Message{Key: "check.address_other", Values: []any{"url", v.publicURL()}}, resp.Status
	case c.Badge == "none":
		c.Badge, c.Found = "ok", templates.Message{Key: "check.address_ok", Values: []any{"url", v.publicURL()}}
	}
	return c
}
