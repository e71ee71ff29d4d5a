package registry

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestWhatIsNamedTakesNoMemory: a request is remembered for the digests that it is about, and one to pull only when they are there.
func TestWhatIsNamedTakesNoMemory(t *testing.T) {
	w := newWorld(t)
	pushed := w.push("web:1", 1000)
	sum, err := pushed.Digest()
	w.must(err)
	digest := func(n int) string { return fmt.Sprintf("sha256:%064x", n) }
	get := func(user, password, path string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+w.host+path, nil)
		w.must(err)
		r.SetBasicAuth(user, password)
		answer, err := http.DefaultClient.Do(r)
		w.must(err)
		w.must(answer.Body.Close())
	}
	clear(w.touched.last)
	many := make([]string, 100)
	for i := range many {
		many[i] = digest(i)
	}
	for _, path := range []string{"/v2/web/blobs/" + digest(1), "/v2/web/manifests/latest?digest=" + digest(2), "/v2/web/manifests/1?" + strings.Join(many, "&"), "/v2/" + strings.Join(many, "/") + "/tags/list"} {
		get("node", "sesame too", path)
	}
	if len(w.touched.last) != 0 {
		t.Errorf("of what is not there, pulls left %v", w.touched.last)
	}
	if get("node", "sesame too", "/v2/web/manifests/"+sum.String()); len(w.touched.last) != 1 {
		t.Errorf("a pull left %v", w.touched.last)
	}
	if get("tinyforge", "open sesame", "/v2/"+strings.Join(many, "/")+"/blobs/"+digest(1)+"?digest="+digest(2)+"&mount="+digest(3)+"&x="+strings.Join(many, ",")); len(w.touched.last) != 4 {
		t.Errorf("a request to push left %d", len(w.touched.last))
	}
}

// TestTooManyAreTouched: nothing is deleted then that could have been touched.
func TestTooManyAreTouched(t *testing.T) {
	t.Parallel()
	now := time.Now()
	touched := newTouched()
	touched.now = func() time.Time { return now }
	for i := range mostTouched + 1 {
		touched.touch(fmt.Sprintf("sha256:%064x", i))
	}
	if n := len(touched.last); n > mostTouched {
		t.Errorf("%d are remembered", n)
	}
	for since, want := range map[time.Time]bool{now: false, now.Add(time.Second): true} {
		done := false
		if err := touched.unless(fmt.Sprintf("sha256/%064x", 7), since, func() error { done = true; return nil }); err != nil || done != want {
			t.Errorf("since %s: done %v, %v", since.Sub(now), done, err)
		}
	}
}
