package registry

import (
	"net/http"
	"path"
	"regexp"
	"strings"
	"sync"
	"time"
)

// digestText is a digest.
var digestText = regexp.MustCompile(`^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$`)

// mostTouched is of how many digests is known when they were touched.
const mostTouched = 100_000

// touched are the digests that somebody asked for or sent, and when: a push sends its blobs, or hears that they are there, before
// the manifest that needs them. It is safe for concurrent use.
type touched struct {
	mu   sync.Mutex
	last map[string]time.Time // by "sha256/0123..."
	all  time.Time            // when it became too many, and counts for each
	now  func() time.Time
}

func newTouched() *touched { return &touched{last: map[string]time.Time{}, now: time.Now} }

// note remembers what a request to push names, before it is served.
func (t *touched) note(r *http.Request) {
	query := r.URL.Query()
	t.touch(path.Base(r.URL.Path), query.Get("digest"), query.Get("mount"))
}

// touch remembers those of the texts that are digests.
func (t *touched) touch(texts ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, text := range texts {
		if !digestText.MatchString(text) {
			continue
		}
		if len(t.last) >= mostTouched {
			clear(t.last)
			t.all = t.now()
		}
		t.last[strings.Replace(text, ":", "/", 1)] = t.now()
	}
}

// unless does something, unless the digest was touched since a time. Requests that name one wait for its end: they find what it
// is about either whole or gone.
func (t *touched) unless(digest string, since time.Time, do func() error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if at := t.last[digest]; !at.Before(since) || !t.all.Before(since) {
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
