package deploytest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// NPM is an Nginx Proxy Manager in memory that drives an nginx: its API over HTTP, with the odd answers of the real one.
// A change tests the configuration, takes the host's file away, writes it anew, tests again and reloads; it answers before
// the reload is done. Two changes at once break each other. Where the configuration cannot be tested at all, the row is
// stored and the answer is 500.
type NPM struct {
	URL                string // of the API, without /api
	Identity, Password string // of its administrator

	nginx Nginx

	mu       sync.Mutex
	users    map[string]*npmUser
	tokens   map[string]npmToken
	hosts    map[int]*npmHost
	lastHost int
	logins   int
	wrap     func(call int, next http.Handler) http.Handler
	calls    []string
	writing  int
	overlaps int
	factor   bool
	damaged  bool
	slow     time.Duration
}

type npmUser struct {
	id       int
	identity string
	password string
	own      bool // sees its own hosts only
	viewOnly bool
}

type npmToken struct {
	user    *npmUser
	expires time.Time
}

// Nginx is what an NPM drives.
type Nginx interface {
	// Write and Remove change the files of its configuration, which nginx reads at Test and Reload.
	Write(file, text string)
	Remove(file string)
	// Test returns what "nginx -t" prints against the files, as an error.
	Test() error
	// Reload starts to serve by the files, and returns before it does. It is an error when nginx does not run.
	Reload() error
	// Listen is what a server block has after "listen".
	Listen() string
}

// NewNPM returns one without hosts, ended with the test.
func NewNPM(t testing.TB, nginx Nginx) *NPM {
	n := &NPM{
		Identity: "admin@example.com", Password: "a password of NPM", nginx: nginx,
		users: map[string]*npmUser{}, tokens: map[string]npmToken{}, hosts: map[int]*npmHost{}, slow: 2 * time.Millisecond,
	}
	n.users[n.Identity] = &npmUser{id: 1, identity: n.Identity, password: n.Password}
	server := httptest.NewServer(http.HandlerFunc(n.serve))
	t.Cleanup(server.Close)
	n.URL = server.URL
	return n
}

// AddUser adds a user who sees only own hosts, and may only look at them when viewOnly.
func (n *NPM) AddUser(identity, password string, viewOnly bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.users[identity] = &npmUser{id: len(n.users) + 1, identity: identity, password: password, own: true, viewOnly: viewOnly}
}

// Wrap puts itself around each call of the API from now on, counted from 1; nil for nothing.
func (n *NPM) Wrap(wrap func(call int, next http.Handler) http.Handler) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.wrap, n.calls = wrap, nil
}

// Calls returns the calls since Wrap or the beginning: "PUT /api/nginx/proxy-hosts/1".
func (n *NPM) Calls() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.calls...)
}

// Writes returns how many of the calls changed something.
func (n *NPM) Writes() (writes int) {
	for _, call := range n.Calls() {
		if call[:3] != "GET" && call != "POST /api/tokens" {
			writes++
		}
	}
	return writes
}

// Overlaps returns how many changes met another.
func (n *NPM) Overlaps() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.overlaps
}

// ExpireTokens ends the life of all tokens.
func (n *NPM) ExpireTokens() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for text, token := range n.tokens {
		token.expires = time.Now().Add(-time.Second)
		n.tokens[text] = token
	}
}

// ForgetTokens makes all tokens unverifiable, as a new data volume does.
func (n *NPM) ForgetTokens() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.tokens)
}

// WantSecondFactor makes logins ask for one.
func (n *NPM) WantSecondFactor(want bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.factor = want
}

// DamageNext makes the next change end as if another had met it: the route is gone until the change after it.
func (n *NPM) DamageNext() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.damaged = true
}

// Host returns the host that has the domain, as the API shows it; nil when there is none.
func (n *NPM) Host(domain string) map[string]any {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, h := range n.hosts {
		if h.has(domain) {
			return h.shown()
		}
	}
	return nil
}

// Change does what a person does in the pages: it is a PUT to the host that has the domain, or a POST of a new one.
func (n *NPM) Change(domain string, fields map[string]any) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	admin := n.users[n.Identity]
	for _, h := range n.hosts {
		if h.has(domain) {
			_, fault := n.update(admin, h.id, fields)
			return fault.err()
		}
	}
	_, fault := n.create(admin, fields)
	return fault.err()
}

// Switch enables or disables the host that has the domain.
func (n *NPM) Switch(domain string, enabled bool) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, h := range n.hosts {
		if h.has(domain) {
			return n.enable(n.users[n.Identity], h.id, enabled).err()
		}
	}
	return fmt.Errorf("no host %s", domain)
}

// Drop deletes the host that has the domain.
func (n *NPM) Drop(domain string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, h := range n.hosts {
		if h.has(domain) {
			return n.remove(n.users[n.Identity], h.id).err()
		}
	}
	return fmt.Errorf("no host %s", domain)
}

// Break writes a file that is no host's and that nginx refuses; an empty text takes it away.
func (n *NPM) Break(text string) {
	const file = "custom/http.conf"
	if text == "" {
		n.nginx.Remove(file)
		return
	}
	n.nginx.Write(file, text)
}
