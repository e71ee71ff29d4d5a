package settings_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"tinyforge/app/settings"
	"tinyforge/db"
)

// fuzzed is the pages without a network, for an administrator who is signed in and has a token.
type fuzzed struct {
	*shop
	mux            *http.ServeMux
	session, token string
}

func newFuzzed(f *testing.F) *fuzzed {
	f.Helper()
	w := newWorldOf(f, func(c *settings.Config) { c.Health = healthy{} })
	s := &fuzzed{shop: newShop(w), mux: http.NewServeMux()}
	w.pages.Mount(s.mux)
	u := db.User{Name: "ann", Role: db.Administrator}
	must(f, w.db.SaveUser(f.Context(), &u))
	var err error
	s.session, err = w.db.StartSession(f.Context(), u.ID, "127.0.0.1", "")
	must(f, err)
	s.token, err = w.db.NewAPIToken(f.Context(), &db.APIToken{UserID: u.ID, Name: "fuzz"})
	must(f, err)
	return s
}

// answer demands that nothing broke.
func (s *fuzzed) answer(t *testing.T, r *http.Request) *httptest.ResponseRecorder {
	t.Helper()
	out := httptest.NewRecorder()
	s.mux.ServeHTTP(out, r.WithContext(t.Context()))
	if out.Code >= http.StatusInternalServerError {
		t.Errorf("%s %s answers %d: %s", r.Method, r.URL, out.Code, out.Body)
	}
	return out
}

func (s *fuzzed) post(path, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.AddCookie(&http.Cookie{Name: "session", Value: s.session})
	return r
}

// FuzzForms: whatever is sent in place of a form, it is taken or shown again, and no workload is saved that could not be made.
func FuzzForms(f *testing.F) {
	s := newFuzzed(f)
	paths := []string{
		"/workloads", "/workloads/shop/settings", "/forges/new/gitea", "/forges/new/gitlab", "/forges/new/github", "/forges/1/edit", "/settings/users",
		"/settings/networks", "/settings/retention", "/settings/sign-in/1", "/settings",
	}
	f.Add(uint8(0), "repo=1&name=x&source=dockerfile&host=x.example.com&port=8080&env_name=A&env_value=%00&config=%7B")
	f.Add(uint8(1), "mode=json&config=%7B%22port%22%3A1e999%7D&version=9999999999999999999")
	f.Add(uint8(1), "resumed=AAAA&name=%FF&paths=a%0D%0A!b")
	f.Add(uint8(5), "name=hub&networks=%3A%3A%2F0")
	f.Add(uint8(7), "networks=10.0.0.0%2F33%0A%3A%3Affff%3A1.2.3.4%2F96")
	f.Fuzz(func(t *testing.T, at uint8, body string) {
		values, _ := url.ParseQuery(body)
		if strings.HasPrefix(paths[int(at)%len(paths)], "/forges") && values.Has("address") {
			return // it would be called
		}
		s.answer(t, s.post(paths[int(at)%len(paths)], body))
	})
}

// FuzzAPIBody: whatever is sent as JSON, nothing breaks, and what is no JSON is a 4xx in JSON.
func FuzzAPIBody(f *testing.F) {
	s := newFuzzed(f)
	for _, body := range []string{`{"ref":"main"}`, `{"deployment":1e400}`, `{"deployment":-9223372036854775809}`, `{"ref":"\ud800"}`, `{"a":1}`, `{} {}`, `null`, `[`, "\xff"} {
		f.Add(true, body)
		f.Add(false, body)
	}
	f.Fuzz(func(t *testing.T, rollback bool, body string) {
		path := "/api/v1/workloads/none/deployments"
		if rollback {
			path = "/api/v1/workloads/shop/rollback"
		}
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+s.token)
		if out := s.answer(t, r); out.Code < 400 || !strings.HasPrefix(out.Body.String(), `{"error":"`) {
			t.Errorf("it answers %d: %s", out.Code, out.Body)
		}
	})
}

// FuzzWhoItIs: no header makes somebody else of a visitor, and none breaks a page.
func FuzzWhoItIs(f *testing.F) {
	s := newFuzzed(f)
	f.Add("session=A; __Host-session=B; language=xx", "Bearer x", "1.2.3.4, ::ffff:5.6.7.8%eth0", "https", "ru;q=9, *;q=\x00")
	f.Add(`session="`+s.session[:20]+`"`, "bearer  ", ",,,", "", strings.Repeat("a-", 500))
	f.Fuzz(func(t *testing.T, cookie, authorization, forwarded, proto, language string) {
		if strings.Contains(cookie, s.session) || strings.Contains(authorization, s.token) {
			return
		}
		for path, code := range map[string]int{"/settings/users": http.StatusSeeOther, "/api/v1/workloads": http.StatusUnauthorized} {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.RemoteAddr = "127.0.0.1:1" // a trusted proxy
			for name, value := range map[string]string{"Cookie": cookie, "Authorization": authorization, "X-Forwarded-For": forwarded, "X-Forwarded-Proto": proto, "Accept-Language": language} {
				r.Header.Set(name, value)
			}
			if out := s.answer(t, r); out.Code != code && out.Code != http.StatusTooManyRequests {
				t.Errorf("%s answers %d to somebody unknown", path, out.Code)
			}
		}
	})
}
