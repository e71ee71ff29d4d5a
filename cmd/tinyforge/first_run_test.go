package main

import (
	"bytes"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"tinyforge/db"
	"tinyforge/db/dbtest"
)

// TestFirstRunNeedsNoOption: the printed link makes the administrator and asks for the address; from then on Tinyforge is
// reached by it through the proxy, and what is private is not.
func TestFirstRunNeedsNoOption(t *testing.T) {
	t.Parallel()
	s := newService(t, "TINYFORGE_PUBLIC_URL=")
	token := s.link(s.process.log.String())
	code, page := s.get(s.control+"/setup?token="+token, "")
	if code != http.StatusOK || !strings.Contains(page, `name="base_url"`) {
		t.Fatalf("the link shows %d %s", code, page)
	}
	host := unique("deploy") + ".example.com"
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.PostForm(s.control+"/setup", url.Values{"token": {token}, "username": {"ann"}, "password": {"correct horse battery staple"},
		"language": {"en"}, "base_url": {"https://" + host}})
	s.must(err)
	_ = response.Body.Close()
	if response.StatusCode != http.StatusSeeOther || len(response.Cookies()) == 0 {
		t.Fatalf("it answers %s", response.Status)
	}
	s.await("the proxy leads to the pages", func() bool {
		code, page := s.get(s.site+"/sign-in", host)
		return code == http.StatusOK && strings.Contains(page, "Sign in")
	})
	for path, want := range map[string]int{"/healthz": 200, "/metrics": 404, "/readyz": 404, "/workloads": 303, "/api/v1/workloads": 401} {
		if code, _ := s.get(s.site+path, host); code != want {
			t.Errorf("%s answers everybody %d, want %d", path, code, want)
		}
	}
	if code, _ := s.get(s.control+"/metrics", ""); code != http.StatusOK {
		t.Errorf("metrics answer the operator %d", code)
	}

	s.process.terminate(stopMost)
	s.start()
	if log := s.process.log.String(); strings.Contains(log, "/setup?token=") {
		t.Errorf("a link is printed although there is somebody:\n%s", log)
	}
	if code, _ := s.get(s.site+"/sign-in", host); code != http.StatusOK {
		t.Errorf("after a restart it answers %d", code)
	}
	var out bytes.Buffer
	s.must(run(t.Context(), []string{"sign-in-link"}, s.env, &out, &out))
	if !strings.Contains(out.String(), "https://"+host+"/setup?token=") || strings.Contains(out.String(), "this command too") {
		t.Errorf("it prints %s", out.String())
	}
	if id, err := s.store.SignInLink(t.Context(), s.link(out.String())); err != nil || id != 1 {
		t.Errorf("the link is for %d, %v", id, err)
	}
}

// link finds the token of a printed link.
func (s *service) link(text string) string {
	s.Helper()
	found := regexp.MustCompile(`http://127\.0\.0\.1:\d+/setup\?token=(\w+)`).FindStringSubmatch(text)
	if found == nil {
		s.Fatalf("no link is printed:\n%s", text)
	}
	return found[1]
}

// TestSignInLinkSaysWhatItAssumed: what serve was given and the command was not may be another.
func TestSignInLinkSaysWhatItAssumed(t *testing.T) {
	t.Parallel()
	_, env := keyWorld(t, dbtest.SQLite(t))
	listen, public := "127.0.0.1:4040 is assumed", "No public URL is known here"
	for _, test := range []struct {
		args           []string
		listen, public bool
	}{{nil, true, true}, {[]string{"--listen", "127.0.0.1:5050"}, false, true}, {[]string{"--public-url", "https://deploy.example.com"}, true, false}} {
		out, err := runWith(t, env, append([]string{"sign-in-link"}, test.args...)...)
		if err != nil || strings.Contains(out, listen) != test.listen || strings.Contains(out, public) != test.public {
			t.Errorf("%q: %v, %s", test.args, err, out)
		}
	}
}

func TestLinkedUser(t *testing.T) {
	ann, bob := db.User{ID: 1, Name: "ann"}, db.User{ID: 2, Name: "bob"}
	for _, test := range []struct {
		users []db.User
		args  []string
		id    int64
		says  string
	}{
		{nil, nil, 0, ""}, {nil, []string{"ann"}, 0, ""}, {[]db.User{ann}, nil, 1, ""}, {[]db.User{ann, bob}, []string{"bob"}, 2, ""},
		{[]db.User{ann, bob}, nil, 0, "tinyforge sign-in-link NAME, with one of ann, bob"}, {[]db.User{ann}, []string{"eve"}, 0, `no user "eve": use one of ann`},
	} {
		id, err := linkedUser(test.users, test.args)
		if id.ID != test.id || (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%v %v: %d, %v", test.users, test.args, id.ID, err)
		}
	}
}
