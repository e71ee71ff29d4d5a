package deploytest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// npmFault is an answer that is not a success; the zero value is none.
type npmFault struct {
	status  int
	message string
	i18n    any
}

var npmInternal = npmFault{status: http.StatusInternalServerError, message: "Internal Error"}

func (f npmFault) err() error {
	if f.status == 0 {
		return nil
	}
	return fmt.Errorf("answered %d: %s", f.status, f.message)
}

func (f npmFault) body() any {
	said := map[string]any{"code": f.status, "message": f.message}
	if f.i18n != nil {
		said["message_i18n"] = f.i18n
	}
	return map[string]any{"error": said}
}

func npmBad(format string, args ...any) npmFault {
	return npmFault{status: http.StatusBadRequest, message: fmt.Sprintf(format, args...)}
}

func npmMissing(what string) npmFault {
	return npmFault{status: http.StatusNotFound, message: "Not Found - " + what}
}

func (n *NPM) serve(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	n.calls = append(n.calls, r.Method+" "+r.URL.Path)
	wrap, call := n.wrap, len(n.calls)
	n.mu.Unlock()
	var handler http.Handler = http.HandlerFunc(n.answer)
	if wrap != nil {
		handler = wrap(call, handler)
	}
	handler.ServeHTTP(w, r)
}

func (n *NPM) answer(w http.ResponseWriter, r *http.Request) {
	path, ok := strings.CutPrefix(r.URL.Path, "/api/")
	if !ok {
		http.Redirect(w, r, "/api/", http.StatusFound)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	n.mu.Lock()
	status, answer, fault := n.route(r, path, body)
	n.mu.Unlock()
	if fault.status != 0 {
		status, answer = fault.status, fault.body()
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}

// route answers one call. The caller holds mu, which a change gives up while nginx works.
func (n *NPM) route(r *http.Request, path string, text []byte) (status int, answer any, fault npmFault) {
	if path == "" {
		return http.StatusOK, map[string]any{"status": "OK", "setup": true, "version": map[string]int{"major": 2, "minor": 15, "revision": 1}}, fault
	}
	body := map[string]any{}
	if len(text) > 0 && json.Unmarshal(text, &body) != nil {
		return 0, nil, npmBad("Internal Error")
	}
	if path == "tokens" && r.Method == http.MethodPost {
		answer, fault = n.login(body)
		return http.StatusOK, answer, fault
	}
	user, fault := n.authenticate(r, path)
	if fault.status != 0 {
		return 0, nil, fault
	}
	if path == "tokens" {
		answer, fault = n.refresh(user, r.URL.Query().Get("expiry"))
		return http.StatusOK, answer, fault
	}
	rest, ok := strings.CutPrefix(path, "nginx/proxy-hosts")
	if !ok {
		return 0, nil, npmMissing("/" + path)
	}
	if rest == "" && r.Method == http.MethodPost {
		answer, fault = n.create(user, body)
		return http.StatusCreated, answer, fault
	}
	expand, fault := npmExpand(r)
	if fault.status != 0 {
		return 0, nil, fault
	}
	if rest == "" && r.Method == http.MethodGet {
		return http.StatusOK, n.list(user, r.URL.Query().Get("query"), expand), fault
	}
	answer, fault = n.single(r, user, strings.Split(strings.TrimPrefix(rest, "/"), "/"), body, expand)
	return http.StatusOK, answer, fault
}

func (n *NPM) single(r *http.Request, user *npmUser, parts []string, body map[string]any, expand []string) (answer any, fault npmFault) {
	id, err := strconv.Atoi(parts[0])
	if err != nil {
		return nil, npmMissing(strings.TrimPrefix(r.URL.Path, "/api"))
	}
	switch method := r.Method + " " + strings.Join(parts[1:], "/"); method {
	case "GET ":
		h := n.visible(user, id)
		if h == nil {
			return nil, npmMissing(parts[0])
		}
		return h.shown(expand...), fault
	case "PUT ":
		return n.update(user, id, body)
	case "DELETE ":
		return true, n.remove(user, id)
	case "POST enable", "POST disable":
		return true, n.enable(user, id, method == "POST enable")
	}
	return nil, npmMissing(strings.TrimPrefix(r.URL.Path, "/api"))
}

func npmExpand(r *http.Request) ([]string, npmFault) {
	text := r.URL.Query().Get("expand")
	if text == "" {
		return nil, npmFault{}
	}
	parts := strings.Split(text, ",")
	for _, p := range parts {
		if !slices.Contains([]string{"owner", "certificate", "access_list"}, p) {
			return nil, npmInternal
		}
	}
	return parts, npmFault{}
}

func (n *NPM) login(body map[string]any) (any, npmFault) {
	if fault := npmLogin.check(body, true); fault.status != 0 {
		return nil, fault
	}
	identity, _ := body["identity"].(string)
	user := n.users[identity]
	wrong := npmBad("Invalid email or password")
	if user == nil {
		return nil, wrong
	}
	if user.password != body["secret"] {
		wrong.i18n = "error.invalid-auth"
		return nil, wrong
	}
	if n.factor {
		return map[string]any{"requires_2fa": true, "challenge_token": "challenge"}, npmFault{}
	}
	return n.newToken(user, 24*time.Hour), npmFault{}
}

func (n *NPM) newToken(user *npmUser, life time.Duration) map[string]any {
	n.logins++
	text, expires := fmt.Sprintf("token-%d", n.logins), time.Now().Add(life)
	n.tokens[text] = npmToken{user, expires}
	return map[string]any{"token": text, "expires": expires.UTC().Format("2006-01-02T15:04:05.000Z")}
}

func (n *NPM) refresh(user *npmUser, expiry string) (any, npmFault) {
	life := 24 * time.Hour
	if expiry != "" {
		unit := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}[expiry[len(expiry)-1]]
		count, err := strconv.Atoi(expiry[:len(expiry)-1])
		if unit == 0 || err != nil {
			return nil, npmBad("Invalid expiry time: %s", expiry)
		}
		life = time.Duration(count) * unit
	}
	return n.newToken(user, life), npmFault{}
}

func (n *NPM) authenticate(r *http.Request, path string) (*npmUser, npmFault) {
	text, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return nil, npmMissing("/" + path)
	}
	token, ok := n.tokens[text]
	switch {
	case !ok:
		return nil, npmInternal
	case time.Now().After(token.expires):
		return nil, npmFault{http.StatusBadRequest, "Token has expired", map[string]string{"name": "TokenExpiredError", "message": "jwt expired"}}
	}
	return token.user, npmFault{}
}
