package proxy

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"runtime"
	"sync"

	"golang.org/x/crypto/bcrypt"

	"tinyforge/db"
	"tinyforge/deploy"
)

const (
	mostSigningIn = 100  // requests that wait at one route for a comparison
	mostKnown     = 1000 // passwords that are remembered
)

var (
	errUnauthorized = errors.New("no user name and password of this route")
	errBusy         = errors.New("too many requests wait for a comparison of their passwords")
)

// passwords compares passwords with bcrypt hashes. What has matched is remembered, so that the next requests cost nothing;
// not as it is, but as a MAC of it and of the hash, so that it is not known any more when the hash changes. Comparisons
// take at most half of the processors, and one at a time for each route: a flood of wrong passwords slows down who signs in
// at its own route; at another one nobody waits for more than a comparison of each route before his own.
type passwords struct {
	compare func(hash, password []byte) error
	key     [sha256.Size]byte // of the MACs; this process's own
	turns   chan struct{}     // has a value for every comparison under way

	mu    sync.RWMutex
	known map[mac]struct{}
}

type mac [sha256.Size]byte

func newPasswords() *passwords {
	p := &passwords{
		compare: bcrypt.CompareHashAndPassword,
		turns:   make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)),
		known:   map[mac]struct{}{},
	}
	_, _ = rand.Read(p.key[:]) // never fails
	return p
}

// signIn returns nil for a request with a user name and the password of the route, errUnauthorized for any other,
// errBusy, or the error of the request's context. It takes as long for a name that does not exist as for a wrong password.
func (p *passwords) signIn(r *http.Request, o *options) error {
	name, password, ok := r.BasicAuth()
	if !ok {
		return errUnauthorized
	}
	user, exists := find(o.BasicAuth, name)
	m := p.mac(user.Hash, password)
	if exists && p.knows(m) {
		return nil
	}
	defer o.signingIn.Add(-1)
	if o.signingIn.Add(1) > mostSigningIn {
		return errBusy
	}
	if err := take(r.Context(), o.turn); err != nil {
		return err
	}
	defer func() { <-o.turn }()
	if exists && p.knows(m) { // others of the same browser have waited with us
		return nil
	}
	if err := take(r.Context(), p.turns); err != nil {
		return err
	}
	defer func() { <-p.turns }()
	matches := p.compare([]byte(user.Hash), []byte(password)) == nil
	if !matches || !exists || len(password) > deploy.MostPassword {
		return errUnauthorized
	}
	p.remember(m)
	return nil
}

// take waits for a turn, first come, first served.
func take(ctx context.Context, turns chan struct{}) error {
	select {
	case turns <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// find returns the user with the name or, so that there is something to compare with, another one.
func find(users []db.BasicAuth, name string) (user db.BasicAuth, exists bool) {
	user = users[0]
	for _, u := range users {
		if subtle.ConstantTimeCompare([]byte(u.Username), []byte(name)) == 1 {
			user, exists = u, true
		}
	}
	return user, exists
}

// mac tells hash and password apart because no hash has a zero byte.
func (p *passwords) mac(hash, password string) (m mac) {
	h := hmac.New(sha256.New, p.key[:])
	h.Write([]byte(hash + "\x00" + password))
	h.Sum(m[:0])
	return m
}

func (p *passwords) knows(m mac) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	_, ok := p.known[m]
	return ok
}

// remember forgets any other when there are too many.
func (p *passwords) remember(m mac) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for other := range p.known {
		if len(p.known) < mostKnown {
			break
		}
		delete(p.known, other)
	}
	p.known[m] = struct{}{}
}
