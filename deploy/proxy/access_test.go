package proxy

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"tinyforge/deploy"
)

// TestAccessLog has what was asked for and answered, whoever answered it, and no query.
func TestAccessLog(t *testing.T) {
	log := &lockedBuffer{}
	p := serve(t, Config{AccessLog: log})
	upsert(t, p, "a.test", upstream(t, "blue", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.Copy(w, r.Body)
	}))
	upsert(t, p, "empty.test", deploy.Upstream{})
	for _, url := range []string{"http://a.test/tea?token=secret", "http://empty.test/", "http://unknown.test/\u2028\n"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, strings.ReplaceAll(url, "\n", "%0A"), strings.NewReader("hello"))
		must(t, err)
		request.Header.Set("User-Agent", `a "quoted" one`)
		response, err := p.client.Do(request)
		must(t, err)
		_, _ = io.Copy(io.Discard, response.Body)
		must(t, response.Body.Close())
	}
	p.cancel()
	must(t, p.wait(t))
	type line struct {
		Host, Client, Method, Path, Protocol, Agent string
		Status                                      int
		Bytes                                       int64
		Seconds                                     float64
	}
	var got []line
	for d := json.NewDecoder(strings.NewReader(log.String())); ; {
		var l line
		if err := d.Decode(&l); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if l.Client != "127.0.0.1" || l.Seconds <= 0 || l.Protocol != "HTTP/1.1" || l.Agent != `a "quoted" one` || l.Method != "POST" {
			t.Errorf("%+v", l)
		}
		got = append(got, line{Host: l.Host, Path: l.Path, Status: l.Status})
		if l.Host == "a.test" && l.Bytes != 5 {
			t.Errorf("%d bytes", l.Bytes)
		}
	}
	want := []line{{Host: "a.test", Path: "/tea", Status: 418}, {Host: "empty.test", Path: "/", Status: 503}, {Host: "unknown.test", Path: "/\u2028\n", Status: 404}}
	if len(got) != len(want) {
		t.Fatalf("%+v, want %+v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%+v, want %+v", got[i], want[i])
		}
	}
}
