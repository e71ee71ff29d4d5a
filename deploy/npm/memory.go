package npm

import (
	"sync"
	"time"

	"tinyforge/deploy"
)

// believedFor bounds how long what was seen once is trusted with a single probe in its support.
const believedFor = 10 * time.Minute

// memory is what this process has seen nginx do. It only saves questions: all of it may be forgotten at any time.
type memory struct {
	born time.Time

	mu    sync.Mutex
	known map[string]belief               // by host
	left  map[string]map[string]time.Time // by host and release: when its route went elsewhere
}

// belief is what nginx was seen to forward a host to.
type belief struct {
	up     deploy.Upstream
	target target // as spelled
	at     time.Time

	unconnected bool // nginx could not connect
}

func newMemory() *memory {
	return &memory{born: time.Now(), known: map[string]belief{}, left: map[string]map[string]time.Time{}}
}

// believe notes what settled, and that the release before it was left.
func (m *memory) believe(host string, b belief, before string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known[host] = b
	if before == "" || before == b.up.Name {
		return
	}
	if m.left[host] == nil {
		m.left[host] = map[string]time.Time{}
	}
	m.left[host][before] = time.Now()
	for name, at := range m.left[host] {
		if time.Since(at) > time.Hour {
			delete(m.left[host], name)
		}
	}
}

func (m *memory) recall(host string) (belief, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.known[host]
	return b, ok
}

func (m *memory) forget(host string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.known, host)
}

// gone returns when a release last was what a host led to, as far as is known: no later than that.
func (m *memory) gone(host, release string) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	if at, ok := m.left[host][release]; ok {
		return at
	}
	return m.born
}
