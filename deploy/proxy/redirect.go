package proxy

import (
	"net"
	"net/http"
	"strconv"
	"strings"
)

// secure sends a request to the same address on HTTPS.
func (p *Proxy) secure(w http.ResponseWriter, r *http.Request, host string) error {
	return redirect(w, p.origin(host)+pathAndQuery(r), http.StatusPermanentRedirect)
}

// sendOn sends a request to the same address on another host, for good. For what is only read that is the answer that
// every client and search engine knows; for anything else it is the one that keeps method and body. Nobody remembers it
// for longer than an hour, since hosts change places.
func (p *Proxy) sendOn(w http.ResponseWriter, r *http.Request, host string) error {
	status := http.StatusPermanentRedirect
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		status = http.StatusMovedPermanently
	}
	w.Header().Set("Cache-Control", "max-age=3600")
	return redirect(w, p.origin(host)+pathAndQuery(r), status)
}

// redirect always returns nil.
func redirect(w http.ResponseWriter, location string, status int) error {
	w.Header().Set("Location", location)
	w.WriteHeader(status)
	return nil
}

// origin is where a host is reached: "https://www.example.com", with the port of our listener unless it is the usual one.
func (p *Proxy) origin(host string) string {
	scheme, ln, usual := schemeHTTPS, p.https, 443
	if !p.secures(host) && p.http != nil {
		scheme, ln, usual = schemeHTTP, p.http, 80
	}
	if port := portOf(ln); port != usual {
		host = net.JoinHostPort(host, strconv.Itoa(port))
	}
	return scheme + "://" + host
}

// pathAndQuery is the path and the query of a request. What has no path, such as "x:.example.com", must not become part of
// the host.
func pathAndQuery(r *http.Request) string {
	if s := r.URL.RequestURI(); strings.HasPrefix(s, "/") {
		return s
	}
	return "/"
}
