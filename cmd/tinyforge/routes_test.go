package main

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"tinyforge/app/forgetest"
)

// TestRoutes: hosts, redirects and passwords of a workload on a real process; other ones need no deploy.
func TestRoutes(t *testing.T) {
	t.Parallel()
	s, forge := newService(t), newForge(t, forgetest.Options{Kind: forgetest.Gitea})
	c, web := newClone(t, forge, "acme/site"), unique("web")
	s.secrets = append(s.secrets, "correct horse", "battery staple")
	route := func(password, hosts, redirects string) {
		t.Helper()
		s.write("ann", password)
		s.apply(forge, manifestOf(web, "dockerfile", blueGreen,
			"route: {hosts: ["+hosts+"], redirects: ["+redirects+"], max_body: 1kB, timeout: 30s, basic_auth: [{username: ann, password: file:ann}]}"))
	}
	answers := func(host, password string, status int, body string) {
		t.Helper()
		s.await(host+" answers "+http.StatusText(status), func() bool {
			code, text := s.signIn(host, password)
			return code == status && (body == "" || text == body)
		})
	}
	main, shop, apex := web+".test", "shop-"+web+".test", "apex-"+web+".test"
	route("correct horse", shop, apex)
	answers(apex, "", http.StatusMovedPermanently, "http://"+main+strings.TrimPrefix(s.site, "http://127.0.0.1")+"/")
	answers(main, "", http.StatusUnauthorized, "")
	answers(main, "correct horse", http.StatusServiceUnavailable, "") // nothing is deployed
	c.ends(c.release("one"), "success")
	answers(main, "correct horse", http.StatusOK, "one")
	answers(shop, "correct horse", http.StatusOK, "one")
	answers(shop, "battery staple", http.StatusUnauthorized, "")

	route("battery staple", apex, shop)
	answers(main, "battery staple", http.StatusOK, "one")
	answers(apex, "battery staple", http.StatusOK, "one")
	answers(main, "correct horse", http.StatusUnauthorized, "")
	answers(shop, "", http.StatusMovedPermanently, "")
	if n := len(s.deployments(web)); n != 1 {
		t.Errorf("%d deployments, want the 1 that was pushed", n)
	}
	if _, page := s.get(s.control+"/metrics", ""); !strings.Contains(page, `tinyforge_proxy_requests_total{host="`+shop+`"}`) {
		t.Error("the metrics do not tell of each host")
	}

	other := manifestOf(web, "dockerfile", blueGreen) + manifestOf(unique("api"), "dockerfile", blueGreen, "route: {hosts: ["+main+"]}")
	file := s.write("other.yml", "forges: []\nworkloads:\n"+other)
	var out bytes.Buffer
	err := run(s.Context(), []string{"apply", file}, s.env, &out, &out)
	if err == nil || !strings.Contains(err.Error(), "workloads[1].route.hosts[0] (line") || !strings.Contains(err.Error(), "is the same host as workloads[0].host (line") {
		t.Errorf("apply: %v\n%s", err, out.String())
	}
}

// signIn asks for the root of a host as ann. The body of a redirect is where it leads.
func (s *service) signIn(host, password string) (code int, body string) {
	s.Helper()
	request, err := http.NewRequestWithContext(s.Context(), http.MethodGet, s.site+"/", nil)
	s.must(err)
	request.Host = host
	if password != "" {
		request.SetBasicAuth("ann", password)
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	if to := response.Header.Get("Location"); to != "" {
		return response.StatusCode, to
	}
	var text bytes.Buffer
	if _, err := text.ReadFrom(response.Body); err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, strings.TrimSpace(text.String())
}
