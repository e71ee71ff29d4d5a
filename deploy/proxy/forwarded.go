package proxy

import (
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// setForwarded replaces what the client claims about the way of the request, unless a trusted proxy claims it. Caddy
// itself sets X-Forwarded-For, -Proto and -Host by the same rule.
func setForwarded(r *http.Request) {
	if trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool); !trusted {
		for name := range r.Header {
			if tellsTheWay(name) {
				delete(r.Header, name)
			}
		}
	}
	keepFromConnection(r.Header)
	if ip, ok := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string); ok {
		ip, _, _ = strings.Cut(ip, "%")
		r.Header["X-Real-Ip"] = []string{ip}
	}
}

// keepFromConnection takes the fields that tell the way out of the Connection field: what a client names there is removed
// by Caddy after we have set it.
func keepFromConnection(h http.Header) {
	var kept []string
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			if name = strings.TrimSpace(name); name != "" && !tellsTheWay(name) {
				kept = append(kept, name)
			}
		}
	}
	if len(kept) == 0 {
		delete(h, "Connection")
		return
	}
	h["Connection"] = []string{strings.Join(kept, ", ")}
}

// tellsTheWay tells whether servers behind a proxy believe a field: where a request comes from, and what it asked for. Its
// forms with "_", which CGI takes for "-", are dropped by Caddy.
func tellsTheWay(name string) bool {
	name = http.CanonicalHeaderKey(name)
	return name == "X-Forwarded" || strings.HasPrefix(name, "X-Forwarded-") || spoofable[name]
}

// spoofable are the fields beside X-Forwarded-*.
var spoofable = map[string]bool{
	"Forwarded": true, "X-Real-Ip": true, "X-Client-Ip": true, "X-Cluster-Client-Ip": true, "True-Client-Ip": true,
	"Cf-Connecting-Ip": true, "Fastly-Client-Ip": true,
	"X-Original-Url": true, "X-Rewrite-Url": true, "Front-End-Https": true,
}
