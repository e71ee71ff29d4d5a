package npm

import (
	"errors"
	"fmt"
	"strings"

	"tinyforge/db"
)

// Check implements deploy.Router: a proxy host forwards all that it gets, and the rest is set in Nginx Proxy Manager, where
// Tinyforge leaves it as it is.
func (r *Router) Check(rt db.Route) error {
	var faults []string
	fault := func(wrong bool, format string, args ...any) {
		if wrong {
			faults = append(faults, fmt.Sprintf(format, args...))
		}
	}
	fault(rt.RedirectTo != "", "redirects: Nginx Proxy Manager redirects %s where you make a Redirection Host to %s there; take it out of redirects",
		rt.Host, rt.RedirectTo)
	fault(len(rt.Paths) > 0 || rt.StripPrefix, "paths and strip_prefix: add a Custom Location to the proxy host of %s in Nginx Proxy Manager instead", rt.Host)
	fault(len(rt.BasicAuth) > 0, "basic_auth: give the proxy host of %s an Access List in Nginx Proxy Manager instead", rt.Host)
	fault(rt.MaxBody != 0, "max_body: write client_max_body_size under Advanced of the proxy host of %s in Nginx Proxy Manager instead", rt.Host)
	fault(rt.Timeout != 0, "timeout: write proxy_read_timeout under Advanced of the proxy host of %s in Nginx Proxy Manager instead", rt.Host)
	if len(faults) == 0 {
		return nil
	}
	return errors.New(strings.Join(faults, "; ")) // of which senseless options are a part, see deploy.CheckRoute
}
