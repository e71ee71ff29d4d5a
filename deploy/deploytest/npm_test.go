package deploytest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

// exchange is one request to an NPM, and what it answered.
type exchange struct {
	name    string
	method  string
	path    string
	as      string // whose token: "" for none, "admin", "bot", "guest", "expired" or "forged"
	body    any
	status  int
	answer  any // the fields that are compared, or all of a text
	prepare func(n *NPM, nginx *FakeNginx)
}

func (n *NPM) next(id int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lastHost = id - 1
}

func minimal(domain string) map[string]any {
	return map[string]any{"domain_names": []any{domain}, "forward_scheme": "http", "forward_host": "127.0.0.1", "forward_port": 8191.0}
}

func message(text string) any { return map[string]any{"error": map[string]any{"message": text}} }

func online(is bool) any { return map[string]any{"meta": map[string]any{"nginx_online": is}} }

// exchanges are the facts about NPM that this fake has to have, in an order in which each has what it needs.
func exchanges() []exchange {
	const hosts = "/api/nginx/proxy-hosts"
	breaks := func(n *NPM, _ *FakeNginx) { n.Break("server { nonsense_directive on; }") }
	mends := func(n *NPM, _ *FakeNginx) { n.Break("") }
	login := func(identity, secret string) map[string]any {
		return map[string]any{"identity": identity, "secret": secret}
	}
	extra := login("admin@example.com", "a password of NPM")
	extra["expiry"] = "30d"
	unknown := minimal("x.example.test")
	unknown["foo"] = 1
	port := map[string]any{"forward_port": 8192.0}
	return []exchange{
		{name: "health", method: "GET", path: "/api/", status: 200, answer: map[string]any{"status": "OK"}},
		{name: "wrong password", method: "POST", path: "/api/tokens", body: login("admin@example.com", "nope"), status: 400, answer: message("Invalid email or password")},
		{name: "unknown user", method: "POST", path: "/api/tokens", body: login("who@example.com", "nope"), status: 400, answer: message("Invalid email or password")},
		{name: "closed login", method: "POST", path: "/api/tokens", body: extra, status: 400, answer: message("data must NOT have additional properties")},
		{name: "no secret", method: "POST", path: "/api/tokens", body: map[string]any{"identity": "a"}, status: 400, answer: message("data must have required property 'secret'")},
		{name: "no JSON", method: "POST", path: "/api/tokens", body: "{", status: 400, answer: message("Internal Error")},
		{name: "no token", method: "GET", path: hosts, status: 404, answer: message("Not Found - /nginx/proxy-hosts")},
		{name: "forged token", method: "GET", path: hosts, as: "forged", status: 500, answer: message("Internal Error")},
		{name: "expired token", method: "GET", path: hosts, as: "expired", status: 400, answer: message("Token has expired")},
		{name: "refresh", method: "GET", path: "/api/tokens?expiry=2s", as: "admin", status: 200},
		{name: "bad expiry", method: "GET", path: "/api/tokens?expiry=forever", as: "admin", status: 400, answer: message("Invalid expiry time: forever")},
		{name: "empty list", method: "GET", path: hosts, as: "admin", status: 200, answer: []any{}},
		{name: "unknown path", method: "GET", path: "/api/nginx/nope", as: "admin", status: 404, answer: message("Not Found - /nginx/nope")},
		{name: "unknown expand", method: "GET", path: hosts + "?expand=nope", as: "admin", status: 500, answer: message("Internal Error")},
		{name: "create", method: "POST", path: hosts, as: "admin", body: minimal("App.example.test"), status: 201, answer: map[string]any{"id": 1.0, "meta": map[string]any{}, "enabled": true, "locations": nil}},
		{name: "get", method: "GET", path: hosts + "/1", as: "admin", status: 200, answer: online(true)},
		{name: "duplicate", method: "POST", path: hosts, as: "admin", body: minimal("app.EXAMPLE.test"), status: 400, answer: message("app.EXAMPLE.test is already in use")},
		{name: "unseen duplicate", method: "POST", path: hosts, as: "bot", body: minimal("app.example.test"), status: 400, answer: message("app.example.test is already in use")},
		{name: "own hosts only", method: "GET", path: hosts, as: "bot", status: 200, answer: []any{}},
		{name: "another's host", method: "PUT", path: hosts + "/1", as: "bot", body: port, status: 404, answer: message("Not Found - 1")},
		{name: "view only", method: "POST", path: hosts, as: "guest", body: minimal("guest.example.test"), status: 500, answer: message("Internal Error")},
		{name: "repoint", method: "PUT", path: hosts + "/1", as: "admin", body: port, status: 200, answer: map[string]any{"forward_port": 8192.0, "meta": map[string]any{"nginx_online": true, "nginx_err": nil}}},
		{name: "empty PUT", method: "PUT", path: hosts + "/1", as: "admin", body: map[string]any{}, status: 400, answer: message("data must NOT have fewer than 1 properties")},
		{name: "PUT of what GET shows", method: "PUT", path: hosts + "/1", as: "admin", body: map[string]any{"id": 1, "created_on": "", "locations": nil}, status: 400,
			answer: message("data must NOT have additional properties, data must NOT have additional properties, data/locations must be array")},
		{name: "missing fields", method: "POST", path: hosts, as: "admin", body: map[string]any{"domain_names": []any{"m.example.test"}}, status: 400,
			answer: message("data must have required property 'forward_scheme', data must have required property 'forward_host', data must have required property 'forward_port'")},
		{name: "closed create", method: "POST", path: hosts, as: "admin", body: unknown, status: 400, answer: message("data must NOT have additional properties")},
		{name: "missing host", method: "PUT", path: hosts + "/999", as: "admin", body: port, status: 404, answer: message("Not Found - 999")},
		{name: "disable", method: "POST", path: hosts + "/1/disable", as: "admin", status: 200, answer: true},
		{name: "disable again", method: "POST", path: hosts + "/1/disable", as: "admin", status: 400, answer: message("Host is already disabled")},
		{name: "PUT while disabled", method: "PUT", path: hosts + "/1", as: "admin", body: map[string]any{"forward_port": 8191.0}, status: 200, answer: map[string]any{"enabled": false, "meta": map[string]any{"nginx_online": true}}},
		{name: "enable", method: "POST", path: hosts + "/1/enable", as: "admin", status: 200, answer: true},
		{name: "bad advanced", method: "PUT", path: hosts + "/1", as: "admin", body: map[string]any{"advanced_config": "nonsense_directive on;"}, status: 200, answer: online(false)},
		{name: "repoint while bad", method: "PUT", path: hosts + "/1", as: "admin", body: port, status: 200, answer: online(false)},
		{name: "mended", method: "PUT", path: hosts + "/1", as: "admin", body: map[string]any{"advanced_config": ""}, status: 200, answer: online(true)},
		{name: "broken elsewhere", method: "PUT", path: hosts + "/1", as: "admin", body: map[string]any{"forward_port": 8193.0}, status: 500, answer: message("Internal Error"), prepare: breaks},
		{name: "stored all the same", method: "GET", path: hosts + "/1", as: "admin", status: 200, answer: map[string]any{"forward_port": 8193.0, "meta": map[string]any{"nginx_online": true}}},
		{name: "create while broken", method: "POST", path: hosts, as: "admin", body: minimal("new.example.test"), status: 500, answer: message("Internal Error")},
		{name: "create again", method: "POST", path: hosts, as: "admin", body: minimal("new.example.test"), status: 400, answer: message("new.example.test is already in use")},
		{name: "delete while broken", method: "DELETE", path: hosts + "/2", as: "admin", status: 500, answer: message("Internal Error")},
		{name: "deleted all the same", method: "GET", path: hosts + "/2", as: "admin", status: 404, answer: message("Not Found - 2")},
		{name: "the same again", method: "PUT", path: hosts + "/1", as: "admin", body: map[string]any{"forward_port": 8193.0}, status: 200, answer: online(true), prepare: mends},
		{name: "location that does not resolve", method: "PUT", path: hosts + "/1", as: "admin", status: 200, answer: online(false), body: map[string]any{"locations": []any{
			map[string]any{"path": "/api", "forward_scheme": "http", "forward_host": "no-such-container", "forward_port": 8190.0}}}},
		{name: "no locations", method: "PUT", path: hosts + "/1", as: "admin", body: map[string]any{"locations": []any{}}, status: 200, answer: online(true)},
		{name: "quote", method: "PUT", path: hosts + "/1", as: "admin", body: map[string]any{"forward_host": `a"b`}, status: 200, answer: online(false)},
		{name: "name that does not resolve", method: "PUT", path: hosts + "/1", as: "admin", body: map[string]any{"forward_host": "My_App"}, status: 200, answer: online(true)},
		{name: "own meta", method: "PUT", path: hosts + "/1", as: "admin", body: map[string]any{"meta": map[string]any{"note": "x"}}, status: 200, answer: map[string]any{"meta": map[string]any{"note": "x", "nginx_online": true}}},
		{name: "meta stays", method: "PUT", path: hosts + "/1", as: "admin", body: port, status: 200, answer: map[string]any{"meta": map[string]any{"note": "x"}}},
		{name: "nginx is down", method: "PUT", path: hosts + "/1", as: "admin", body: map[string]any{"forward_port": 8194.0}, status: 500, answer: message("Internal Error"), prepare: func(_ *NPM, nginx *FakeNginx) { nginx.Stop() }},
		{name: "stored while down", method: "GET", path: hosts + "/1", as: "admin", status: 200, answer: map[string]any{"forward_port": 8194.0, "meta": map[string]any{"nginx_online": true}}, prepare: func(_ *NPM, nginx *FakeNginx) { nginx.Start() }},
		{name: "delete", method: "DELETE", path: hosts + "/1", as: "admin", status: 200, answer: true},
		{name: "a new id", method: "POST", path: hosts, as: "admin", body: minimal("app.example.test"), status: 201, answer: map[string]any{"id": 3.0}},
		{name: "second factor", method: "POST", path: "/api/tokens", body: login("admin@example.com", "a password of NPM"), status: 200, answer: map[string]any{"requires_2fa": true},
			prepare: func(n *NPM, _ *FakeNginx) { n.WantSecondFactor(true) }},
	}
}

// TestS15_NPM: the fake answers what a real one was seen to answer.
func TestS15_NPM(t *testing.T) {
	nginx := NewFakeNginx(t)
	n := newTestNPM(t, nginx)
	for _, e := range exchanges() {
		if e.prepare != nil {
			e.prepare(n, nginx)
		}
		status, answer := n.ask(t, e.method, e.path, e.as, e.body)
		if status != e.status {
			t.Errorf("%s: answered %d %v, want %d", e.name, status, answer, e.status)
		}
		if fault := differs(e.answer, answer); fault != "" {
			t.Errorf("%s: %s", e.name, fault)
		}
	}
}

// newTestNPM has a user who sees own hosts, and one who may only look.
func newTestNPM(t *testing.T, nginx Nginx) *NPM {
	n := NewNPM(t, nginx)
	n.AddUser("bot@example.com", "secret of the bot", false)
	n.AddUser("guest@example.com", "secret of the guest", true)
	return n
}

// ask makes a call with a token of the user named.
func (n *NPM) ask(t *testing.T, method, path, as string, body any) (int, any) {
	t.Helper()
	var content io.Reader = http.NoBody
	if text, ok := body.(string); ok {
		content = strings.NewReader(text)
	} else if body != nil {
		encoded, _ := json.Marshal(body)
		content = bytes.NewReader(encoded)
	}
	req, err := http.NewRequest(method, n.URL+path, content)
	if err != nil {
		t.Fatal(err)
	}
	if as != "" {
		req.Header.Set("Authorization", "Bearer "+as)
		n.mu.Lock()
		n.tokens["expired"] = npmToken{n.users[n.Identity], time.Now().Add(-time.Hour)}
		for _, name := range []string{"admin", "bot", "guest"} {
			n.tokens[name] = npmToken{n.users[name+"@example.com"], time.Now().Add(time.Hour)}
		}
		n.mu.Unlock()
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var answer any
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		t.Errorf("%s %s: %v", method, path, err)
	}
	return res.StatusCode, answer
}

// differs says where got lacks something of want.
func differs(want, got any) string {
	fields, ok := want.(map[string]any)
	if !ok {
		if want == nil || reflect.DeepEqual(want, got) {
			return ""
		}
		return fmt.Sprintf("%v, want %v", got, want)
	}
	has, _ := got.(map[string]any)
	for key, value := range fields {
		is, ok := has[key]
		if !ok {
			return "there is no " + key
		}
		if fault := differs(value, is); fault != "" {
			return key + ": " + fault
		}
	}
	return ""
}

// recorded is a file of what a real NPM was asked and answered.
type recorded struct {
	Name    string
	Request struct {
		Method, Path string
		Headers      map[string]string
		Body         any
	}
	Response struct {
		Status int
		Body   any
	}
	Cases []struct {
		Request struct {
			Method, Path string
			Body         any
		}
		Status       int
		Meta, Stored map[string]any
		Error        map[string]any
	}
}

// TestS15_NPMAsRecorded replays what lies beside the repository where it is developed; the facts are also those of exchanges.
func TestS15_NPMAsRecorded(t *testing.T) {
	files, _ := filepath.Glob("../../../shared/npm/exchanges/*.json")
	if len(files) == 0 {
		t.Log("there is nothing recorded here")
		return
	}
	nginx := NewFakeNginx(t)
	n := newTestNPM(t, nginx)
	n.mu.Lock()
	n.users[n.Identity].password = "changeme-please-1"
	n.mu.Unlock()
	prepare := map[string]func(){
		"54": func() { n.Break("server { nonsense_directive on; }") }, "59": func() { n.Break("") },
		"56": func() { n.next(44) }, "71": func() { n.next(48) }, "85": func() { n.next(49) }, "92": nginx.Stop,
	}
	outside := map[string]bool{"01": true, "70": true, "81": true, "90": true} // users, permissions, certificates
	users := map[string]string{"09": "forged", "09b": "forged", "13": "expired", "82": "bot", "83": "bot", "84": "bot", "85": "bot", "86": "bot", "87": "bot", "88": "guest", "89": "guest"}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var r recorded
		if err := json.Unmarshal(text, &r); err != nil {
			t.Fatal(err)
		}
		number, _, _ := strings.Cut(filepath.Base(file), "-")
		if outside[number] {
			continue
		}
		if do := prepare[number]; do != nil {
			do()
		}
		as := users[number]
		if _, ok := r.Request.Headers["Authorization"]; ok && as == "" {
			as = "admin"
		}
		if len(r.Cases) == 0 {
			status, answer := n.ask(t, r.Request.Method, r.Request.Path, as, r.Request.Body)
			if status != r.Response.Status {
				t.Errorf("%s: answered %d %v, want %d", r.Name, status, answer, r.Response.Status)
			}
			if fault := unlike(r.Response.Body, answer); fault != "" {
				t.Errorf("%s: %s", r.Name, fault)
			}
		}
		for i, c := range r.Cases {
			status, answer := n.ask(t, c.Request.Method, c.Request.Path, "admin", c.Request.Body)
			is, _ := answer.(map[string]any)
			fault := ""
			switch {
			case status != c.Status:
				fault = fmt.Sprintf("answered %d, want %d", status, c.Status)
			case c.Error != nil:
				fault = unlike(map[string]any{"error": c.Error}, answer)
			default:
				_, shown := n.ask(t, "GET", c.Request.Path, "admin", nil)
				if fault = unlike(c.Meta, is["meta"]); fault == "" {
					fault = differs(withoutErr(c.Stored), withoutErr(shown))
				}
			}
			if fault != "" {
				t.Errorf("%s, case %d, %v: %s", filepath.Base(file), i, c.Request.Body, fault)
			}
		}
	}
}

func withoutErr(v any) any {
	if m, ok := v.(map[string]any); ok {
		if meta, ok := m["meta"].(map[string]any); ok {
			delete(meta, "nginx_err")
		}
	}
	return v
}

// passing are fields whose values are of their moment, or of what is not faked; that they are there is compared.
var passing = regexp.MustCompile(`^(created_on|modified_on|owner|certificate|access_list|token|expires|setup|message_i18n|locations)$`)

var complaint = regexp.MustCompile(`\[emerg\] [0-9#]+: (.*) in /data/nginx/([a-z_/0-9.]+):`)

// unlike compares shapes, both ways, and the values that last.
func unlike(want, got any) string {
	w, isMap := want.(map[string]any)
	g, alsoMap := got.(map[string]any)
	wl, isList := want.([]any)
	gl, alsoList := got.([]any)
	switch {
	case isMap && alsoMap:
		for key := range g {
			if _, ok := w[key]; !ok {
				return "there is a field " + key
			}
		}
		for key, value := range w {
			is, ok := g[key]
			if !ok {
				return "there is no " + key
			}
			if passing.MatchString(key) {
				continue
			}
			if fault := unlike(value, is); fault != "" {
				return key + ": " + fault
			}
		}
		return ""
	case isList && alsoList && len(wl) == len(gl):
		for i := range wl {
			if fault := unlike(wl[i], gl[i]); fault != "" {
				return fmt.Sprintf("%d: %s", i, fault)
			}
		}
		return ""
	}
	if a, b := complaint.FindStringSubmatch(fmt.Sprint(want)), complaint.FindStringSubmatch(fmt.Sprint(got)); a != nil && b != nil {
		want, got = a[1]+a[2], b[1]+b[2]
	}
	if !reflect.DeepEqual(want, got) {
		return fmt.Sprintf("%v, want %v", got, want)
	}
	return ""
}
