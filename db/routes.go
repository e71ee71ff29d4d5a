package db

import "time"

// Route is a host on the reverse proxy, and how it is served. Hosts are in lower case, without a port.
type Route struct {
	WorkloadID int64
	Host       string
	RedirectTo string // the host to which requests are sent on; "" means that they go to the upstream
	RouteOptions
}

// RouteOptions are what a workload's hosts have in common. Not every router can do each.
type RouteOptions struct {
	Paths       []string      `json:"paths,omitempty"`        // prefixes that are served, such as "/app"; others are answered 404. None means all
	StripPrefix bool          `json:"strip_prefix,omitempty"` // the prefix is taken off before the upstream sees it
	BasicAuth   []BasicAuth   `json:"basic_auth,omitempty"`   // who may see it; none means everybody
	MaxBody     int64         `json:"max_body,omitempty"`     // bytes of a request's body; 0 means any
	Timeout     time.Duration `json:"timeout,omitempty"`      // until an answer begins; 0 means any
}

// BasicAuth is somebody who may see a site.
type BasicAuth struct {
	Username string `json:"username"`
	Hash     string `json:"hash"` // bcrypt, of the password
}

// Routing is what a workload says of its routes beside its Host.
type Routing struct {
	Aliases   []string `json:"aliases,omitempty"`   // more hosts that are served as Host is
	Redirects []string `json:"redirects,omitempty"` // hosts that are redirected to Host
	RouteOptions
}

// Hosts are those of Routes: all hosts that the workload claims, Host first.
func (w Workload) Hosts() (hosts []string) {
	for _, rt := range w.Routes() {
		hosts = append(hosts, rt.Host)
	}
	return hosts
}

// Routes are the workload's routes: none when it has no Host, or is deleted.
func (w Workload) Routes() (routes []Route) {
	if w.Host == "" || w.DeletedAt != nil {
		return nil
	}
	for _, host := range append([]string{w.Host}, w.Routing.Aliases...) {
		routes = append(routes, Route{WorkloadID: w.ID, Host: host, RouteOptions: w.Routing.RouteOptions})
	}
	for _, host := range w.Routing.Redirects {
		routes = append(routes, Route{WorkloadID: w.ID, Host: host, RedirectTo: w.Host})
	}
	return routes
}
