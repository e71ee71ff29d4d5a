package deploytest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// visitNginx is one request on its way through a configuration.
type visitNginx struct {
	w      http.ResponseWriter
	r      *http.Request
	from   *generation
	vars   map[string]string
	uri    string
	inside bool // led on by a rewrite
	done   bool
}

func (n *FakeNginx) serve(w http.ResponseWriter, r *http.Request) {
	if n.isDown() {
		panic(http.ErrAbortHandler)
	}
	g := r.Context().Value(generationKey{}).(*generation)
	if g.isOver() {
		w.Header().Set("Connection", "close")
	}
	host, _, _ := strings.Cut(strings.ToLower(r.Host), ":")
	v := &visitNginx{w: w, r: r, from: g, uri: r.URL.Path, vars: map[string]string{
		"host": host, "scheme": "http", "request_uri": r.URL.RequestURI(), "upstream_connect_time": "",
	}}
	for _, server := range g.config {
		if server.names(host) {
			v.server(server)
			return
		}
	}
	fmt.Fprintln(w, "Congratulations! The default page.") // with 200, as an NPM's
}

// names tells whether a server block has the host among its names.
func (d nginxDirective) names(host string) bool {
	return slices.ContainsFunc(d.block, func(d nginxDirective) bool {
		return d.name == "server_name" && slices.ContainsFunc(d.args, func(n string) bool { return strings.EqualFold(n, host) })
	})
}

func (v *visitNginx) server(server nginxDirective) {
	if v.rewrite(server.block, server.block); v.done {
		return
	}
	location := v.locate(server.block)
	if location == nil {
		v.end(http.StatusNotFound, "", server.block)
		return
	}
	headers := location.block
	if !slices.ContainsFunc(headers, func(d nginxDirective) bool { return d.name == "add_header" }) {
		headers = append(slices.Clone(headers), server.block...)
	}
	for _, d := range location.block {
		if d.name == "internal" && !v.inside {
			v.end(http.StatusNotFound, "", headers)
			return
		}
	}
	if v.rewrite(location.block, headers); v.done {
		return
	}
	to := ""
	for _, d := range location.block {
		switch d.name {
		case "deny":
			v.end(http.StatusForbidden, "", headers)
			return
		case "proxy_pass":
			to = v.expand(d.args[0])
		}
	}
	v.forward(to, location.block, headers)
}

// locate follows nginx's rules for exact and prefix locations.
func (v *visitNginx) locate(block []nginxDirective) (best *nginxDirective) {
	longest := -1
	for i, d := range block {
		if d.name != "location" {
			continue
		}
		prefix := d.args[len(d.args)-1]
		if d.args[0] == "=" && prefix == v.uri {
			return &block[i]
		}
		if d.args[0] != "=" && strings.HasPrefix(v.uri, prefix) && len(prefix) > longest {
			best, longest = &block[i], len(prefix)
		}
	}
	return best
}

// rewrite does what is done before a location is chosen, and again in it.
func (v *visitNginx) rewrite(block, headers []nginxDirective) (last bool) {
	for _, d := range block {
		switch d.name {
		case "set":
			v.vars[strings.TrimPrefix(d.args[0], "$")] = v.expand(d.args[1])
		case "if":
			if v.holds(d.args) && v.rewrite(d.block, headers) {
				return true
			}
		case "rewrite":
			if regexp.MustCompile(d.args[0]).MatchString(v.uri) {
				v.uri, v.inside = v.expand(d.args[1]), true
				return true
			}
		case "return":
			status, _ := strconv.Atoi(d.args[0])
			v.end(status, v.expand(strings.Join(d.args[1:], " ")), headers)
		}
		if v.done {
			return true
		}
	}
	return false
}

// holds decides a condition: ($name = "value"), !=, ~ or ($name).
func (v *visitNginx) holds(args []string) bool {
	args = slices.Clone(args)
	args[0] = strings.TrimPrefix(args[0], "(")
	args = slices.DeleteFunc(args, func(a string) bool { return a == ")" })
	args[len(args)-1] = strings.TrimSuffix(args[len(args)-1], ")")
	value := v.expand(args[0])
	if len(args) < 3 {
		return value != "" && value != "0"
	}
	switch args[1] {
	case "=":
		return value == v.expand(args[2])
	case "!=":
		return value != v.expand(args[2])
	}
	return regexp.MustCompile(args[2]).MatchString(value)
}

var nginxVariable = regexp.MustCompile(`\$(?:\{(\w+)\}|(\w+))`)

func (v *visitNginx) expand(text string) string {
	return nginxVariable.ReplaceAllStringFunc(text, func(name string) string {
		name = strings.Trim(name, "${}")
		if header, ok := strings.CutPrefix(name, "http_"); ok {
			return v.r.Header.Get(strings.ReplaceAll(header, "_", "-"))
		}
		if name == "uri" {
			return v.uri
		}
		return v.vars[name]
	})
}

// end answers without an upstream.
func (v *visitNginx) end(status int, text string, headers []nginxDirective) {
	v.done = true
	if status >= 300 && status < 400 {
		v.w.Header().Set("Location", text)
		text = ""
	}
	v.head(status, headers)
	if text == "" {
		text = http.StatusText(status)
	}
	_, _ = io.WriteString(v.w, text)
}

// head sends status and added headers. Those without "always" are for some statuses only, and empty ones are not sent.
func (v *visitNginx) head(status int, headers []nginxDirective) {
	usual := []int{200, 201, 204, 206, 301, 302, 303, 304, 307, 308}
	for _, d := range headers {
		if d.name != "add_header" || len(d.args) < 3 && !slices.Contains(usual, status) {
			continue
		}
		if value := v.expand(d.args[1]); value != "" {
			v.w.Header().Add(d.args[0], value)
		}
	}
	v.w.WriteHeader(status)
}

// forward sends the request to where a proxy_pass leads.
func (v *visitNginx) forward(to string, block, headers []nginxDirective) {
	u, err := url.Parse(to)
	if err != nil {
		v.end(http.StatusInternalServerError, "", headers)
		return
	}
	address, ok := v.from.lookup(u.Hostname())
	if !ok {
		v.end(http.StatusBadGateway, "", headers)
		return
	}
	if _, _, err := net.SplitHostPort(address); err != nil { // it is an address and no name
		address = u.Host
	}
	v.vars["upstream_connect_time"] = "-"
	ctx := httptrace.WithClientTrace(v.r.Context(), &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { v.vars["upstream_connect_time"] = "0.000" }})
	if limit := limitOf(block); limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	out := v.r.Clone(ctx)
	out.URL, out.RequestURI, out.Close = u, "", true
	out.URL.Host = address
	for _, d := range block {
		switch {
		case d.name != "proxy_set_header":
		case d.args[0] == "Host":
			out.Host = v.expand(d.args[1])
		case d.args[1] == "":
			out.Header.Del(d.args[0])
		}
	}
	res, err := http.DefaultTransport.RoundTrip(out)
	if err != nil {
		v.end(gatewayStatus(err), "", headers)
		return
	}
	defer res.Body.Close()
	for name, values := range res.Header {
		if !slices.ContainsFunc(block, func(d nginxDirective) bool {
			return d.name == "proxy_hide_header" && strings.EqualFold(d.args[0], name)
		}) && name != "Connection" {
			v.w.Header()[name] = values
		}
	}
	v.head(res.StatusCode, headers)
	if _, err := io.Copy(v.w, res.Body); err != nil {
		panic(http.ErrAbortHandler) // the visitor must not take it for the whole
	}
}

func gatewayStatus(err error) int {
	if errors.Is(err, context.DeadlineExceeded) {
		return http.StatusGatewayTimeout
	}
	return http.StatusBadGateway
}

// limitOf is how long a location waits for an answer to begin.
func limitOf(block []nginxDirective) time.Duration {
	for _, d := range block {
		if d.name == "proxy_read_timeout" {
			limit, _ := time.ParseDuration(d.args[0])
			return limit
		}
	}
	return 0
}
