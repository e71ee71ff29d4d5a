package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"tinyforge/db"
	"tinyforge/deploy"
)

const (
	soon       = 50 * time.Millisecond // a time-out that is reached
	eventually = 20 * time.Second      // one that is not
)

func timed(limit time.Duration) db.Route {
	return db.Route{WorkloadID: 1, Host: "a.test", RouteOptions: db.RouteOptions{Timeout: limit}}
}

func TestTimeout(t *testing.T) {
	p := serve(t, Config{})
	ended := make(chan struct{})
	must(t, p.Upsert(t.Context(), timed(soon), upstream(t, "a", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hinted" {
			w.WriteHeader(http.StatusEarlyHints) // is not an answer
		}
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		ended <- struct{}{}
	})))
	for _, path := range []string{"/", "/hinted"} {
		res, err := p.client.Post("http://a.test"+path, "text/plain", strings.NewReader("body"))
		must(t, err)
		body, err := io.ReadAll(res.Body)
		must(t, err)
		if res.StatusCode != http.StatusGatewayTimeout || !strings.Contains(string(body), "No answer in time") {
			t.Errorf("%s: got %d %q", path, res.StatusCode, body)
		}
		<-ended
	}
	waitFor(t, func() bool { return p.Stats()[0].InFlight == 0 })
	if s := p.Stats()[0]; s.Failed != 2 || s.Requests != 2 {
		t.Errorf("stats %+v", s)
	}
	if out := p.logged.String(); !strings.Contains(out, "took too long to begin its answer") {
		t.Errorf("log %q", out)
	}
}

// What has begun in time goes on for as long as it likes.
func TestTimeoutDoesNotCutStreams(t *testing.T) {
	p := serve(t, Config{})
	must(t, p.Upsert(t.Context(), timed(eventually), streamer(t, "blue")))
	ws := dialWebsocket(t, p)
	wantEcho(t, ws, "blue")
	must(t, p.Upsert(t.Context(), timed(time.Second), streamer(t, "green")))
	later, events := dialWebsocket(t, p), openEvents(t, p)
	for begin := time.Now(); time.Since(begin) < 1200*time.Millisecond; { // of events that come all the time
		wantEvent(t, events, "green")
	}
	wantEcho(t, later, "green")
	wantEcho(t, ws, "blue")
	must(t, later.Close(websocket.StatusNormalClosure, ""))
}

// The time in which a request waits on a held route is the deploy's, not the upstream's.
func TestTimeoutDoesNotCountTheHold(t *testing.T) {
	p := serve(t, Config{})
	rt := timed(soon)
	must(t, p.Upsert(t.Context(), rt, echoName(t, "blue")))
	must(t, p.Hold(t.Context(), rt))
	got := make(chan int, 1)
	go func() { status, _ := p.get("a.test", "/"); got <- status }()
	waitFor(t, func() bool { return p.Stats()[0].Waiting == 1 })
	waited := time.NewTimer(2 * soon)
	select {
	case status := <-got:
		t.Fatalf("the waiting request got %d", status)
	case <-waited.C:
	}
	must(t, p.Upsert(t.Context(), timed(eventually), echoName(t, "green")))
	if status := <-got; status != http.StatusOK {
		t.Errorf("the request that waited got %d", status)
	}
}

func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gaveUp := make(chan time.Duration, 1)
		begin := time.Now()
		p := newPatience(time.Second, func() { gaveUp <- time.Since(begin) })
		client, body := io.Pipe()
		u := &upload{ReadCloser: client, patience: p}
		go func() { // a client that takes its time
			for range 3 {
				time.Sleep(time.Hour)
				_, _ = body.Write([]byte("x"))
			}
			_ = body.Close()
		}()
		if text, err := io.ReadAll(u); err != nil || string(text) != "xxx" || len(gaveUp) > 0 {
			t.Errorf("read %q, %v; given up %d times", text, err, len(gaveUp))
		}
		if got, want := <-gaveUp, 3*time.Hour+time.Second; got != want {
			t.Errorf("given up after %v, want %v", got, want)
		}

		ended := newPatience(time.Second, func() { t.Error("given up after the answer has begun") })
		ended.end()
		ended.resume() // a body that is read after it
		time.Sleep(time.Hour)
		var endless *patience
		endless.pause()
		endless.resume()
		endless.end()
	})
}

// An exchange that follows the route to a held one does not lose its patience there.
func TestPatienceWaitsWithTheRoute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tb := newTable(time.Hour, 10)
		rt := timed(time.Second)
		must(t, tb.Upsert(t.Context(), rt, up("blue")))
		x, err := tb.begin(t.Context(), tb.lookup("a.test"), guest{size: 1})
		must(t, err)
		defer x.close()
		x.bound(newOptions(rt), nil, nil)
		_, err = x.next()
		must(t, err)
		must(t, tb.Hold(t.Context(), rt))
		go func() {
			time.Sleep(time.Minute)
			_ = tb.Upsert(context.Background(), rt, up("green"))
		}()
		_, err = x.next()
		if err != nil || x.target.up != up("green") || x.ctx.Err() != nil {
			t.Errorf("got %+v, %v (%v)", x.target.up, err, context.Cause(x.ctx))
		}
		<-x.ctx.Done()
		if err := context.Cause(x.ctx); !errors.Is(err, errSlow) {
			t.Errorf("ended by %v, want errSlow", err)
		}
	})
}

// Uploads that are refused leave the upstream, and its count, as they were.
func TestTooLargeIsRefusedAtOnce(t *testing.T) {
	p := serve(t, Config{})
	rt := db.Route{WorkloadID: 1, Host: "a.test", RouteOptions: db.RouteOptions{MaxBody: 10}}
	must(t, p.Upsert(t.Context(), rt, upstream(t, "a", func(http.ResponseWriter, *http.Request) { t.Error("the upstream got it") })))
	req, err := http.NewRequest(http.MethodPut, "http://a.test/", &io.LimitedReader{R: zeros{}, N: 11})
	must(t, err)
	req.ContentLength = 11
	req.Header.Set("Expect", "100-continue")
	res, err := p.client.Do(req)
	must(t, err)
	body, err := io.ReadAll(res.Body)
	must(t, err)
	if res.StatusCode != http.StatusRequestEntityTooLarge || !strings.Contains(string(body), "Too large") {
		t.Errorf("got %d %q", res.StatusCode, body)
	}
	must(t, p.Upsert(t.Context(), rt, deploy.Upstream{}))
	if s := p.Stats()[0]; s.Failed != 0 || s.Requests != 1 || p.logged.String() != "" {
		t.Errorf("stats %+v, log %q", s, p.logged)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }
