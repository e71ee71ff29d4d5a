package proxy

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"tinyforge/db"
	"tinyforge/deploy"
)

// several is an upstream that answers in so many places, each of which tells its number by h, and who end with the test.
func several(t *testing.T, n int, h func(place int, w http.ResponseWriter, r *http.Request)) (deploy.Upstream, []*httptest.Server) {
	t.Helper()
	var places []*httptest.Server
	var addresses []string
	for i := range n {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h(i, w, r) }))
		_ = s.Listener.Close()
		s.Listener = listenApart(t)
		s.Start()
		t.Cleanup(s.Close)
		places, addresses = append(places, s), append(addresses, s.Listener.Addr().String())
	}
	slices.Sort(addresses)
	return deploy.Upstream{Name: "several", Addr: strings.Join(addresses, ","), Port: 8080}, places
}

// listenApart listens where nobody else does, so that nobody gets the port when that is over.
func listenApart(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.99.99.99:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

// TestRequestsAreSpread: in turn where nobody is busy, and past the one that is.
func TestRequestsAreSpread(t *testing.T) {
	var mu sync.Mutex
	counts := make([]int, 3)
	stuck, begun := make(chan struct{}), make(chan int, 1)
	p := serve(t, Config{})
	up, _ := several(t, 3, func(place int, _ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		counts[place]++
		mu.Unlock()
		if r.URL.Path == "/stuck" {
			begun <- place
			<-stuck
		}
	})
	upsert(t, p, "a.test", up)
	for range 30 {
		wantStatus(t, p, "/", http.StatusOK)
	}
	if !slices.Equal(counts, []int{10, 10, 10}) {
		t.Errorf("they had %v of 30 requests", counts)
	}
	var waiting sync.WaitGroup
	waiting.Go(func() { wantStatus(t, p, "/stuck", http.StatusOK) })
	busy := <-begun
	clear(counts)
	for range 30 {
		wantStatus(t, p, "/", http.StatusOK)
	}
	if counts[busy] != 0 {
		t.Errorf("they had %v of 30 requests, while %d was busy", counts, busy)
	}
	close(stuck)
	waiting.Wait()
}

// TestPlaceThatIsGone: no request fails for it, and none waits for it twice.
func TestPlaceThatIsGone(t *testing.T) {
	p := serve(t, Config{})
	up, places := several(t, 3, func(int, http.ResponseWriter, *http.Request) {})
	upsert(t, p, "a.test", up)
	for range 10 {
		wantStatus(t, p, "/", http.StatusOK)
	}
	places[1].Close()
	for range 30 {
		wantStatus(t, p, "/", http.StatusOK)
	}
	places[0].Close()
	places[2].Close()
	wantStatus(t, p, "/", http.StatusBadGateway)
	upsert(t, p, "a.test", echoName(t, "green"))
	wantStatus(t, p, "/", http.StatusOK)
}

// TestBodyGoesToAnotherPlace: nobody has read of it where nobody could be dialed.
func TestBodyGoesToAnotherPlace(t *testing.T) {
	p := serve(t, Config{})
	up, places := several(t, 3, func(_ int, w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body) // all of it first: HTTP/1 servers drop what is left of a body when an answer begins
		_, _ = w.Write(text)
	})
	upsert(t, p, "a.test", up)
	places[0].Close()
	places[1].Close()
	for _, body := range []string{"short", strings.Repeat("long", 100<<10)} {
		for range 5 {
			response, err := p.client.Post("http://a.test/", "text/plain", strings.NewReader(body))
			must(t, err)
			text, err := io.ReadAll(response.Body)
			_ = response.Body.Close()
			if err != nil || response.StatusCode != http.StatusOK || string(text) != body {
				t.Errorf("a body of %d bytes: %s, %d bytes, %v", len(body), response.Status, len(text), err)
			}
		}
		upsert(t, p, "a.test", deploy.Upstream{}) // nobody rests after that
		upsert(t, p, "a.test", up)
	}
}

func TestAddressesOfAnUpstream(t *testing.T) {
	p := newTestProxy(t, Config{})
	for _, addr := range []string{",", "127.0.0.1:1,", "127.0.0.1:1,a", ",127.0.0.1:1", "127.0.0.1:1,b:"} {
		if err := p.Upsert(t.Context(), db.Route{Host: "a.test"}, deploy.Upstream{Name: "a", Addr: addr}); err == nil {
			t.Errorf("%q is taken", addr)
		}
	}
}

func wantStatus(t *testing.T, p *testProxy, path string, want int) {
	t.Helper()
	response, err := p.client.Get("http://a.test" + path)
	if err != nil {
		t.Error(err)
		return
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	if response.StatusCode != want {
		t.Errorf("%s: %s, want %d", path, response.Status, want)
	}
}
