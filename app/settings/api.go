package settings

import (
	"cmp"
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"runtime/debug"
	"strings"
	"time"

	"tinyforge/db"
)

// openAPI describes the API. A test holds it against apiRoutes and against real answers.
//
//go:embed openapi.yaml
var openAPI []byte

// apiCall is one request of a script.
type apiCall struct {
	*Settings
	w     http.ResponseWriter
	r     *http.Request
	user  db.User
	token db.APIToken
}

// apiRoute is an address of the API, what role it needs, and what it does: it returns what is answered as JSON, and nil where
// it has answered itself.
type apiRoute struct {
	pattern string
	needs   db.Role
	do      func(*apiCall) (any, error)
}

func apiRoutes() []apiRoute {
	return []apiRoute{
		{"GET /api/v1/workloads", db.Viewer, (*apiCall).workloads},
		{"GET /api/v1/workloads/{name}", db.Viewer, (*apiCall).workload},
		{"GET /api/v1/workloads/{name}/deployments", db.Viewer, (*apiCall).deployments},
		{"POST /api/v1/workloads/{name}/deployments", db.Deployer, (*apiCall).deploy},
		{"POST /api/v1/workloads/{name}/rollback", db.Deployer, (*apiCall).rollback},
		{"POST /api/v1/workloads/{name}/scale", db.Deployer, (*apiCall).scale},
		{"GET /api/v1/deployments/{id}", db.Viewer, (*apiCall).deployment},
		{"GET /api/v1/deployments/{id}/log", db.Viewer, (*apiCall).log},
		{"POST /api/v1/deployments/{id}/cancel", db.Deployer, (*apiCall).cancel},
		{"POST /api/v1/deployments/{id}/redeploy", db.Deployer, (*apiCall).redeploy},
	}
}

// APIRoutes are the addresses of the API that need a token, as "GET /api/v1/workloads".
func APIRoutes() (patterns []string) {
	for _, rt := range apiRoutes() {
		patterns = append(patterns, rt.pattern)
	}
	return patterns
}

func (s *Settings) mountAPI(mux *http.ServeMux) {
	for _, rt := range apiRoutes() {
		mux.Handle(rt.pattern, s.api(rt))
	}
	mux.HandleFunc("GET /api/v1/openapi.yaml", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/yaml")
		_, _ = w.Write(openAPI)
	})
	nothing := s.api(apiRoute{do: func(*apiCall) (any, error) {
		return nil, apiRefuse(http.StatusNotFound, "there is no such address or method; GET /api/v1/openapi.yaml describes what there is")
	}})
	mux.Handle("GET /api/", nothing)
	mux.Handle("POST /api/", nothing)
}

// apiError is an answer that says what is wrong and what to do.
type apiError struct {
	code int
	text string
}

func (e *apiError) Error() string { return e.text }

func apiRefuse(code int, format string, args ...any) error {
	return &apiError{code, fmt.Sprintf(format, args...)}
}

// api is a route as a handler. There are no cookies here, so no other site can act for somebody.
func (s *Settings) api(rt apiRoute) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
		c := &apiCall{Settings: s, w: w, r: r}
		defer func() {
			if p := recover(); p != nil {
				c.fail(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
			}
		}()
		answer, err := c.answer(rt)
		if err != nil {
			c.fail(err)
			return
		}
		if answer != nil {
			c.send(http.StatusOK, answer)
		}
	})
}

// answer lets those in who may. Wrong tokens of others do not keep a right one out.
func (c *apiCall) answer(rt apiRoute) (any, error) {
	v := &visit{Settings: c.Settings, w: c.w, r: c.r}
	scheme, token, _ := strings.Cut(c.r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || strings.TrimSpace(token) == "" {
		return nil, c.unknown("send a token with the header Authorization: Bearer TOKEN; tokens are made in the settings, under Tokens")
	}
	known, user, err := c.DB.APITokenUser(c.r.Context(), strings.TrimSpace(token))
	if errors.Is(err, db.ErrNotFound) {
		if wait := c.tokenTries.begin(v.address(), time.Now()); wait > 0 {
			v.retryAfter(wait)
			return nil, apiRefuse(http.StatusTooManyRequests, "too many requests with a wrong token: try again after %s", wait.Round(time.Second))
		}
		return nil, c.unknown("this token is not known, or it has ended: make another one in the settings, under Tokens")
	} else if err != nil {
		return nil, err
	}
	if c.user, c.token = user, known; rt.needs != "" && !user.Role.May(rt.needs) {
		return nil, apiRefuse(http.StatusForbidden, "this needs the role %s, and %s is a %s: ask an administrator", rt.needs, user.Name, user.Role)
	}
	return rt.do(c)
}

func (c *apiCall) unknown(text string) error {
	c.w.Header().Set("WWW-Authenticate", `Bearer realm="tinyforge"`)
	return apiRefuse(http.StatusUnauthorized, "%s", text)
}

func (c *apiCall) send(code int, answer any) {
	c.w.Header().Set("Content-Type", "application/json")
	c.w.WriteHeader(code)
	_ = json.NewEncoder(c.w).Encode(answer)
}

// fail is the one place in which errors of the API become answers.
func (c *apiCall) fail(err error) {
	var refused *apiError
	var tooLarge *http.MaxBytesError
	code, text := 0, ""
	switch {
	case errors.As(err, &refused):
		code, text = refused.code, refused.text
	case errors.As(err, &tooLarge):
		code, text = http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d bytes", tooLarge.Limit)
	case errors.Is(err, db.ErrNotFound):
		code, text = http.StatusNotFound, "there is no such thing, or not any more"
	case errors.Is(err, db.ErrAway):
		code, text = http.StatusServiceUnavailable, db.ErrAway.Error()+": try again soon"
	case c.r.Context().Err() != nil:
		return
	default:
		id := rand.Text()[:10]
		c.Log.ErrorContext(c.r.Context(), "api", "request", id, "path", c.r.URL.Path, "error", err)
		code, text = http.StatusInternalServerError, "something broke; the log has more under the number "+id
	}
	c.send(code, map[string]string{"error": text})
}

// read decodes the body, which may be absent. An unknown key is an error: it is a slip of somebody who expects an effect.
func (c *apiCall) read(into any) error {
	d := json.NewDecoder(c.r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(into)
	var tooLarge *http.MaxBytesError
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case errors.As(err, &tooLarge):
		return err
	case errors.As(err, &wrong):
		return apiRefuse(http.StatusBadRequest, "%s: %s is wanted", cmp.Or(wrong.Field, "the body"), jsonKind(wrong.Type))
	case err != nil:
		return apiRefuse(http.StatusBadRequest, "the body is not the JSON that is expected: %s", err)
	case d.More():
		return apiRefuse(http.StatusBadRequest, "the body has more than one JSON value")
	}
	return nil
}

// jsonKind says what a Go type is in JSON.
func jsonKind(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.String:
		return "a text"
	}
	return "an object"
}

// audit writes down what a script did, by which token of whom.
func (c *apiCall) audit(action, subject, detail string) error {
	v := &visit{Settings: c.Settings, w: c.w, r: c.r, user: c.user}
	v.user.Name = fmt.Sprintf("%s (%s)", c.user.Name, c.token.Name)
	return v.audit(action, subject, detail)
}
