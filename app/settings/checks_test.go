package settings_test

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// TestTheAddressIsCalled: only the one that is set, and only where forges may be.
func TestTheAddressIsCalled(t *testing.T) {
	var calls atomic.Int32
	answer := http.StatusOK
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		w.WriteHeader(answer)
	}))
	defer site.Close()
	w := newWorld(t)
	b := w.ownerAt(site.URL)
	called := func(want int32, says string) {
		t.Helper()
		calls.Store(0)
		b.get("/start?check=address").is(t, http.StatusOK, says)
		if got := calls.Load(); got != want {
			t.Errorf("%s: called %d times", says, got)
		}
	}
	called(0, "so it was not called")
	b.post("/settings/networks", "networks", "loopback").leads(t, "/settings/networks")
	called(1, "name for itself")
	answer = http.StatusTeapot
	called(1, "not as Tinyforge does")

	must(t, w.db.SetSettings(t.Context(), map[string]string{"public_url": ""}))
	calls.Store(0)
	host, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, w.server.URL+"/start?check=address", nil)
	for _, cookie := range b.client.Jar.Cookies(host.URL) {
		host.AddCookie(cookie)
	}
	host.Host = site.Listener.Addr().String() // as somebody may write it
	res, err := http.DefaultClient.Do(host)
	must(t, err)
	must(t, res.Body.Close())
	if res.StatusCode != http.StatusOK || calls.Load() != 0 {
		t.Errorf("answered %d, and what the request names was called %d times", res.StatusCode, calls.Load())
	}
}
