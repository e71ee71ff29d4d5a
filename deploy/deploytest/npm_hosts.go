package deploytest

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// npmHost is a row, and its file. Its fields are those of the API.
type npmHost struct {
	id     int
	owner  *npmUser
	made   string
	fields map[string]any
}

func newNPMHost(id int, owner *npmUser, fields map[string]any) *npmHost {
	h := &npmHost{id: id, owner: owner, made: time.Now().UTC().Format(time.DateTime), fields: map[string]any{
		"access_list_id": 0, "certificate_id": 0, "ssl_forced": false, "caching_enabled": false, "block_exploits": false, "advanced_config": "",
		"meta": map[string]any{}, "allow_websocket_upgrade": false, "http2_support": false, "enabled": true, "locations": nil,
		"hsts_enabled": false, "hsts_subdomains": false, "trust_forwarded_proto": false,
	}}
	h.take(fields)
	return h
}

// take stores what a request holds, and forces what depends on something else.
func (h *npmHost) take(fields map[string]any) {
	maps.Copy(h.fields, fields)
	if h.fields["certificate_id"] == 0 {
		h.fields["ssl_forced"], h.fields["http2_support"] = false, false
	}
	if h.fields["ssl_forced"] == false {
		h.fields["hsts_enabled"] = false
	}
	if h.fields["hsts_enabled"] == false {
		h.fields["hsts_subdomains"] = false
	}
}

func (h *npmHost) domains() []string { return h.fields["domain_names"].([]string) }

func (h *npmHost) has(domain string) bool {
	return slices.ContainsFunc(h.domains(), func(d string) bool { return strings.EqualFold(d, domain) })
}

// shown is the row as the API answers it.
func (h *npmHost) shown(expand ...string) map[string]any {
	shown := maps.Clone(h.fields)
	shown["meta"] = maps.Clone(h.fields["meta"].(map[string]any))
	shown["id"], shown["owner_user_id"] = h.id, h.owner.id
	shown["created_on"], shown["modified_on"] = h.made, h.made
	for _, e := range expand {
		shown[e] = nil
		if e == "owner" {
			shown[e] = map[string]any{"id": h.owner.id, "email": h.owner.identity}
		}
	}
	return shown
}

func (h *npmHost) note(online bool, complaint any) {
	meta := maps.Clone(h.fields["meta"].(map[string]any))
	meta["nginx_online"], meta["nginx_err"] = online, complaint
	h.fields["meta"] = meta
}

func (h *npmHost) file() string { return fmt.Sprintf("proxy_host/%d.conf", h.id) }

// ownRoot is how NPM finds out that an advanced configuration has a location / that replaces its own.
var ownRoot = regexp.MustCompile(`(?im)^(?:.*;)?\s*?location\s*?/\s*?\{`)

// config is the server block of a host: variables first, forced TLS, the advanced configuration, locations, and then the
// location that forwards.
func (h *npmHost) config(listen string) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	f := h.fields
	line("server {")
	line("  set $forward_scheme %s;\n  set $server \"%s\";\n  set $port %d;", f["forward_scheme"], f["forward_host"], f["forward_port"])
	line("  listen %s;\n  server_name %s;", listen, strings.Join(h.domains(), " "))
	if f["ssl_forced"] == true {
		line("  set $test \"\";\n  if ($scheme = \"http\") { set $test \"H\"; }")
		line("  if ($request_uri = /.well-known/acme-challenge/test-challenge) { set $test \"${test}T\"; }")
		line("  if ($test = H) { return 301 https://$host$request_uri; }")
	}
	line("%s", f["advanced_config"])
	root := ownRoot.MatchString(f["advanced_config"].(string))
	locations, _ := f["locations"].([]any)
	for _, l := range locations {
		l, _ := l.(map[string]any)
		root = root || l["path"] == "/"
		line("  location %v {\n    proxy_pass %v://%v:%v;\n  }", l["path"], l["forward_scheme"], l["forward_host"], l["forward_port"])
	}
	if !root {
		line("  location / {")
		if f["access_list_id"] != 0 {
			line("    deny all;")
		}
		line("    add_header X-Served-By $host;\n    proxy_set_header Host $host;")
		line("    proxy_pass $forward_scheme://$server:$port$request_uri;\n  }")
	}
	line("}")
	return b.String()
}
