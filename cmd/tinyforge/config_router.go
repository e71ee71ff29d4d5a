package main

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// routerChecks find contradictions, by the router that is chosen.
func routerChecks() map[string]func(*config) []error {
	return map[string]func(*config) []error{"builtin": (*config).checkBuiltin, "npm": (*config).checkNPM, "proxy": (*config).checkApart}
}

func (c *config) declareRouter(f *flag.FlagSet) {
	f.StringVar(&c.Router, "router", "builtin", "`name` of what serves the sites: builtin, the proxy in this process; proxy, the same in a process of its own (tinyforge proxy); or npm, your Nginx Proxy Manager")
	f.StringVar(&c.ProxySocket, "proxy-socket", "", "`file` of the socket on which tinyforge proxy takes orders; proxy.sock in the data folder when empty")
	f.StringVar(&c.AccessLog, "access-log", "", "`file` to which the proxy appends a line of JSON for each request, - for standard output; none when empty")
	f.StringVar(&c.NPMURL, "npm-url", "", "`URL` of Nginx Proxy Manager's administration, such as http://127.0.0.1:81")
	f.StringVar(&c.NPMProxy, "npm-proxy", "", "`address` of the HTTP that Nginx Proxy Manager serves, as seen from here, such as 127.0.0.1:80")
	f.StringVar(&c.NPMIdentity, "npm-identity", "", "`address` of a user of Nginx Proxy Manager that may manage proxy hosts, without two-factor login")
	f.StringVar(&c.NPMForward, "npm-forward", "name", "`name` or address: what Nginx Proxy Manager forwards to; for names it has to be on the Docker network")
	f.StringVar(&c.NPMAdopt, "npm-adopt", "", "`hosts`, separated by commas, whose proxy hosts somebody else made and Tinyforge may take over")
	f.DurationVar(&c.NPMGrace, "npm-grace", defaultGrace, "`time` for which requests may end after Nginx Proxy Manager moved on: it does not tell of them")
}

const defaultGrace = 5 * time.Second

func (c *config) checkRouter() []error {
	check, err := c.routerCheck()
	if err != nil {
		return []error{err}
	}
	return check(c)
}

func (c *config) routerCheck() (func(*config) []error, error) {
	checks := routerChecks()
	check, ok := checks[c.Router]
	if !ok {
		return nil, fmt.Errorf("--router %q: use %s", c.Router, oneOf(slices.Sorted(maps.Keys(checks))))
	}
	return check, nil
}

// oneOf writes names as a choice.
func oneOf(names []string) string {
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// proxySocket is where tinyforge proxy takes orders.
func (c *config) proxySocket() string {
	return cmp.Or(c.ProxySocket, filepath.Join(c.Data, "proxy.sock"))
}

func (c *config) checkBuiltin() (faults []error) {
	fault := faultsTo(&faults)
	faults = append(faults, c.checkSites()...)
	fault(c.ProxyHTTP != "" && c.ProxyHTTP == c.Listen || c.ProxyHTTPS != "" && c.ProxyHTTPS == c.Listen,
		"--listen, --proxy-http and --proxy-https need three different addresses")
	fault(c.ProxySocket != "", "--proxy-socket is about tinyforge proxy: choose it with --router proxy")
	return append(faults, c.checkNoNPM()...)
}

// checkProxy is about the command proxy.
func (c *config) checkProxy() []error { return append(c.checkShared(), c.checkSites()...) }

// checkApart is about serve while tinyforge proxy serves the sites.
func (c *config) checkApart() (faults []error) {
	fault := faultsTo(&faults)
	fault(c.ACMEEmail != "" || c.ACMECA != "" || c.InternalCA,
		"--acme-email, --acme-ca and --internal-ca are about certificates: with --router proxy, give them to tinyforge proxy, which gets them")
	fault(c.AccessLog != "", "--access-log is of requests: with --router proxy, give it to tinyforge proxy, which serves them")
	fault(c.ProxyHTTP != defaultHTTP && c.ProxyHTTP != "" || c.ProxyHTTPS != defaultHTTPS && c.ProxyHTTPS != "",
		"--proxy-http and --proxy-https are where sites are served: with --router proxy, give them to tinyforge proxy, which does it")
	return append(faults, c.checkNoNPM()...)
}

// checkSites is about a proxy that runs in this process.
func (c *config) checkSites() (faults []error) {
	fault := faultsTo(&faults)
	fault(c.ProxyHTTP == "" && c.ProxyHTTPS == "", "--proxy-http and --proxy-https are both off: nothing would serve the sites")
	fault(c.ProxyHTTPS == "" && (c.ACMEEmail != "" || c.ACMECA != "" || c.InternalCA),
		"--acme-email, --acme-ca and --internal-ca are about HTTPS, but --proxy-https is off")
	fault(c.InternalCA && (c.ACMEEmail != "" || c.ACMECA != ""),
		"--internal-ca signs certificates locally, --acme-email and --acme-ca ask an authority: choose one")
	fault(c.ProxyHTTP != "" && c.ProxyHTTP == c.ProxyHTTPS, "--proxy-http and --proxy-https need two different addresses")
	return faults
}

func (c *config) checkNoNPM() (faults []error) {
	fault := faultsTo(&faults)
	fault(c.NPMURL != "" || c.NPMProxy != "" || c.NPMIdentity != "" || c.NPMPassword != "" || c.NPMAdopt != "" || c.NPMForward != "name" || c.NPMGrace != defaultGrace,
		"the options that begin with --npm, and TINYFORGE_NPM_PASSWORD, are about Nginx Proxy Manager: choose it with --router npm")
	return faults
}

func (c *config) checkNPM() (faults []error) {
	fault := faultsTo(&faults)
	u, err := url.Parse(c.NPMURL)
	fault(err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "",
		"--npm-url: give the URL of Nginx Proxy Manager's administration, scheme and host only, such as http://127.0.0.1:81")
	_, port, err := net.SplitHostPort(c.NPMProxy)
	fault(err != nil || port == "", "--npm-proxy %q: give the address of the HTTP that Nginx Proxy Manager serves, such as 127.0.0.1:80", c.NPMProxy)
	fault(c.NPMIdentity == "", "--npm-identity is missing: make a user in Nginx Proxy Manager and give its e-mail address")
	fault(c.NPMPassword == "", "TINYFORGE_NPM_PASSWORD is missing: set it, or TINYFORGE_NPM_PASSWORD_FILE, to the password of --npm-identity")
	fault(c.NPMForward != "name" && c.NPMForward != "address", "--npm-forward %q: use name or address", c.NPMForward)
	fault(c.NPMGrace <= 0, "--npm-grace %s: give a time above zero, such as 5s", c.NPMGrace)
	for _, host := range c.adopted() {
		fault(strings.ContainsAny(host, "/:*"), "--npm-adopt %q: give hosts, such as www.example.com", host)
	}
	fault(c.ACMEEmail != "" || c.ACMECA != "" || c.InternalCA,
		"--acme-email, --acme-ca and --internal-ca are about the built-in proxy; with --router npm, certificates are Nginx Proxy Manager's")
	fault(c.ProxySocket != "", "--proxy-socket is about tinyforge proxy: choose it with --router proxy")
	fault(c.AccessLog != "", "--access-log is about the built-in proxy; Nginx Proxy Manager has logs of its own")
	fault(c.ProxyHTTP != defaultHTTP && c.ProxyHTTP != "" || c.ProxyHTTPS != defaultHTTPS && c.ProxyHTTPS != "",
		"--proxy-http and --proxy-https are about the built-in proxy, which does not run with --router npm")
	return faults
}

// faultsTo returns what adds a fault where something is wrong.
func faultsTo(faults *[]error) func(wrong bool, format string, args ...any) {
	return func(wrong bool, format string, args ...any) {
		if wrong {
			*faults = append(*faults, fmt.Errorf(format, args...))
		}
	}
}
