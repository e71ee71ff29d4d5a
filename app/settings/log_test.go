package settings_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tinyforge/db"
)

func TestLog(t *testing.T) {
	s := newShop(newWorld(t))
	b := s.owner()
	s.push("A", "First")
	dep := s.claim()
	b.get(s.path(dep.ID)).is(t, http.StatusOK, "Nothing was written yet.")
	var texts []string
	for i := range 5000 {
		texts = append(texts, fmt.Sprintf("step %d", i+1))
	}
	texts[4998] = "\x1b[31mred <script>alert(1)</script>\x1b[0m 1%\r\x1b[2J\x1b]0;title\x07\x1b[1;32mgreen\x1b[m & done"
	texts[4997] = "step \u202e\u20664998\u2069 \u05d0"
	s.log(dep, texts...)
	p := b.get(s.path(dep.ID))
	p.is(t, http.StatusOK, `id="L4001"`, `id="L5000"`, `<span class="g">green</span> &amp; done`, "Show earlier lines")
	if strings.ContainsAny(p.body, "\u202e\u2066\u2069") || !strings.Contains(p.body, "step 4998 \u05d0</p>") {
		t.Error("a line may be turned round")
	}
	if strings.Contains(p.body, `id="L4000"`) || strings.Contains(p.body, "\x1b") || strings.Contains(p.body, "<script>alert") {
		t.Error("there is more on the page than should be")
	}
	b.get(s.path(dep.ID)+"?before=3001").is(t, http.StatusOK, `id="L2001"`, `id="L3000"`, "Show later lines")
	b.get(s.path(dep.ID)+"?from=312").is(t, http.StatusOK, `id="L262"`, `id="L312"`)
	b.get(s.path(dep.ID)+"?from=-4&before=x").is(t, http.StatusOK, `id="L1"`)
	b.get(s.path(dep.ID)+"?q=STEP+12%25").is(t, http.StatusOK, "0 matches")
	b.get(s.path(dep.ID)+"?q=STEP+123").is(t, http.StatusOK, "11 matches", "<mark>step 123</mark>", `href="#L123"`)
	text := b.get(s.path(dep.ID) + "/log.txt")
	if want := strings.Join(texts[:4998], "\n") + "\ngreen & done\nstep 5000\n"; text.body != want {
		t.Errorf("the text has %d bytes, want %d", len(text.body), len(want))
	}
	if h := b.get(s.path(dep.ID) + "/log.txt?download=1").Header; h.Get("Content-Disposition") != `attachment; filename="shop-1.txt"` || !strings.HasPrefix(h.Get("Content-Type"), "text/plain") {
		t.Errorf("header %v", h)
	}
}

// TestEvents: the log comes as it grows, goes on where a browser was, and ends with the deployment.
func TestEvents(t *testing.T) {
	s := newShop(newWorld(t))
	b := s.owner()
	s.push("A", "First")
	dep := s.claim()
	s.log(dep, "one", "two")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.server.URL+s.path(dep.ID)+"/events", nil)
	must(t, err)
	req.Header.Set("Last-Event-ID", "1")
	res, err := b.client.Do(req)
	must(t, err)
	defer func() { _ = res.Body.Close() }()
	if kind := res.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Fatalf("it is %q", kind)
	}
	var all strings.Builder
	scanner := bufio.NewScanner(res.Body)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		line := scanner.Text()
		all.WriteString(line + "\n")
		switch line {
		case "id: 2":
			s.log(dep, "three")
		case "id: 3":
			s.finish(dep)
		}
	}
	for _, want := range []string{`id="L2"`, "three", `"done":true`, "event: change", "✓ #1 shop"} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("the stream has no %q:\n%s", want, all.String())
		}
	}
	if strings.Contains(all.String(), `id="L1"`) || strings.Count(all.String(), `id="L3"`) != 1 {
		t.Errorf("lines come twice:\n%s", all.String())
	}
}

func TestEventsOfLists(t *testing.T) {
	s := newShop(newWorld(t))
	b := s.owner()
	for _, path := range []string{"/events?q=shop", "/workloads/shop/events"} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.server.URL+path, nil)
		must(t, err)
		res, err := b.client.Do(req)
		must(t, err)
		scanner := bufio.NewScanner(res.Body)
		scanner.Buffer(nil, 1<<20)
		pushed := false
		for scanner.Scan() {
			if line := scanner.Text(); strings.HasPrefix(line, "data: ") && !pushed {
				pushed = true
				s.push(path, "From the stream of "+path)
			} else if strings.HasPrefix(line, "data: ") && strings.Contains(line, "badge queued") {
				break
			}
		}
		if scanner.Err() != nil {
			t.Errorf("%s: %v", path, scanner.Err())
		}
		_ = res.Body.Close()
		cancel()
		s.through(s.claim(), db.PhaseFailed)
	}
	if p := s.browser().get("/events"); p.StatusCode != http.StatusSeeOther {
		t.Errorf("a stream for nobody: %d", p.StatusCode)
	}
}

// TestEventsAndTheServer: a stream outlasts what the server allows an answer, and ends when the server is to end.
func TestEventsAndTheServer(t *testing.T) {
	s := newShop(newWorld(t))
	b := s.owner()
	s.push("A", "First")
	dep := s.claim()
	server := httptest.NewUnstartedServer(s.server.Config.Handler)
	server.Config.ReadTimeout, server.Config.WriteTimeout = 300*time.Millisecond, 300*time.Millisecond
	server.Start()
	defer server.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+s.path(dep.ID)+"/events", nil)
	must(t, err)
	res, err := b.client.Do(req)
	must(t, err)
	defer func() { _ = res.Body.Close() }()
	scanner := bufio.NewScanner(res.Body)
	scanner.Buffer(nil, 1<<20)
	late := time.AfterFunc(time.Second, func() { s.log(dep, "late") })
	defer late.Stop()
	came := false
	for scanner.Scan() {
		if strings.Contains(scanner.Text(), ">late<") || strings.Contains(scanner.Text(), "late</p>") {
			came = true
			s.pages.EndStreams()
			s.pages.EndStreams()
		}
	}
	if !came || scanner.Err() != nil {
		t.Errorf("the late line came: %v, %v", came, scanner.Err())
	}
}
