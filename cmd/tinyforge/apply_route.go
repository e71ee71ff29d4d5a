package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/docker/go-units"

	"tinyforge/app"
	"tinyforge/db"
	"tinyforge/deploy"
)

// manifestHost is a host that a workload claims.
type manifestHost struct {
	at   *manifestNode
	host string
}

// manifestUser is somebody who may see a site. The row holds no password but a hash, which is another one each time it is
// made: whether it has to be made is seen when the row is there to compare with.
type manifestUser struct{ name, password string }

// route reads what the workload at n says of its routes beside its host.
func (r *manifestReader) route(n *manifestNode, w *manifestWorkload) {
	at := n.get("route")
	if at == nil || !r.object(at, "hosts", "redirects", "prefixes", "strip_prefix", "basic_auth", "max_body", "timeout") {
		return
	}
	w.row.Routing = db.Routing{
		Aliases:   r.texts(at.get("hosts"), checkOtherHost),
		Redirects: r.texts(at.get("redirects"), checkOtherHost),
		RouteOptions: db.RouteOptions{
			Paths:       r.texts(at.get("prefixes"), deploy.CheckPrefix),
			StripPrefix: r.flag(at.get("strip_prefix")),
			MaxBody:     r.size(at.get("max_body")),
			Timeout:     r.duration(at.get("timeout")),
		},
	}
	r.unique(r.list(at.get("prefixes")), "prefix", "")
	w.users = r.users(at.get("basic_auth"))
	r.fitRoute(at, w.row)
}

// fitRoute demands what the keys of a route need of each other.
func (r *manifestReader) fitRoute(at *manifestNode, w db.Workload) {
	if w.Host == "" {
		r.add(at.fault("needs a host: write host beside it, the name under which people know the site"))
	}
	for _, item := range r.list(at.get("redirects")) {
		if item.value == w.Host && w.Host != "" {
			r.add(item.fault("is the host itself, which cannot be redirected to itself: leave it out, or make another one the host"))
		}
	}
	if w.Routing.StripPrefix && at.get("prefixes") == nil {
		r.add(at.get("strip_prefix").fault("takes off one of the prefixes: name them under prefixes, or leave it out"))
	}
}

// claimed are the hosts of the workload at n, in the order of db.Workload.Routes.
func (r *manifestReader) claimed(n *manifestNode) (hosts []manifestHost) {
	nodes := []*manifestNode{n.get("host")}
	if at := n.get("route"); at != nil {
		for _, key := range []string{"hosts", "redirects"} {
			items, _ := at.get(key).orEmpty().value.([]*manifestNode)
			nodes = append(nodes, items...)
		}
	}
	for _, at := range nodes {
		if host, _ := at.orEmpty().value.(string); host != "" {
			hosts = append(hosts, manifestHost{at, host})
		}
	}
	return hosts
}

func (r *manifestReader) users(n *manifestNode) (users []manifestUser) {
	var names []*manifestNode
	for _, item := range r.list(n) {
		if !r.object(item, "username", "password") {
			continue
		}
		r.required(item, "username", "password")
		names = append(names, item.get("username"))
		users = append(users, manifestUser{
			name:     r.checked(item.get("username"), deploy.CheckUsername),
			password: r.credential(item.get("password"), checkPassword),
		})
	}
	r.unique(names, "user name", "")
	return users
}

// size is a number of bytes, written as people do.
func (r *manifestReader) size(n *manifestNode) (bytes int64) {
	r.measured(n, func(s string) string {
		var err error
		if bytes, err = units.RAMInBytes(s); err != nil || bytes <= 0 {
			return `must be a size such as "100MB" or "1GB"; left out, any size is taken`
		}
		return ""
	})
	return bytes
}

func (r *manifestReader) duration(n *manifestNode) (d time.Duration) {
	r.measured(n, func(s string) string {
		var err error
		if d, err = time.ParseDuration(s); err != nil || d <= 0 {
			return `must be a duration such as "60s" or "2m"; left out, any time is waited`
		}
		return ""
	})
	return d
}

// measured reports what check finds wrong with a number that has a unit; without one it is no string either.
func (r *manifestReader) measured(n *manifestNode, check func(string) string) {
	if n == nil {
		return
	}
	text, _ := n.value.(string)
	if problem := check(text); problem != "" {
		r.add(n.fault("%s", problem))
	}
}

func checkOtherHost(s string) string {
	if s == "" {
		return "is empty: leave it out"
	}
	return app.CheckHost(s)
}

func checkPassword(s string) string {
	if len(s) > deploy.MostPassword {
		return fmt.Sprintf("is longer than %d bytes, and what comes after those would not count: choose a shorter one", deploy.MostPassword)
	}
	return checkSecret(s)
}

// routeFaults are what the router cannot do of a workload's routes, at the places that ask for it.
func (w *manifestWorkload) routeFaults(row db.Workload, check func(db.Route) error) (faults manifestFaults) {
	for i, rt := range row.Routes() {
		err := check(rt)
		if err == nil {
			continue
		}
		at := w.hosts[i].at
		if route := w.at.get("route"); route != nil && rt.RedirectTo == "" {
			at = route // its options are those of all hosts
		}
		faults = append(faults, at.fault("%v", err))
	}
	return faults
}

// hostAt is where the workload claims a host.
func (w *manifestWorkload) hostAt(host string) *manifestNode {
	if i := slices.IndexFunc(w.hosts, func(h manifestHost) bool { return h.host == host }); i >= 0 {
		return w.hosts[i].at
	}
	return w.at
}
