package registry

import (
	"net/http"
	"regexp"
	"sync"
	"time"
)

// digestText finds the digests that a request names, in its path or its query.
var digestText = regexp.MustCompile(`(sha256|sha512)(?::|%3A|%3a)([0-9a-f]{64,128})`)

// touched are the digests that somebody asked for or sent, and when: a push sends its blobs, or hears that they are there, before
// the manifest that needs them. It is safe for concurrent use.
type touched struct {
	mu   sync.Mutex
	last map[string]time.Time // by "sha256/0123..."
	now  func() time.Time
}

func newTouched() *touched { return &touched{last: map[string]time.Time{}, now: time.Now} }

// note remembers what a request names, before it is served.
func (t *touched) note(r *http.Request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, text := range []string{r.URL.Path, r.URL.RawQuery} {
		for _, parts := range digestText.FindAllStringSubmatch(text, -1) {
			t.last[parts[1]+"/"+parts[2]] = t.now()
		}
	}
}

// unless does something, unless the digest was touched since a time. Requests that name one wait for its end: they find what it
// is about either whole or gone.
func (t *touched) unless(digest string, since time.Time, do func() error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if at, known := t.last[digest]; known && !at.Before(since) {
		return nil
	}
	return do()
}

// forget drops what was touched before a time.
func (t *touched) forget(before time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for digest, at := range t.last {
		if at.Before(before) {
			delete(t.last, digest)
		}
	}
}
