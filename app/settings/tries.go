package settings

import (
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	triesAllowed = 10
	triesWindow  = 15 * time.Minute
	triesKnown   = 10_000 // addresses that are remembered
)

// tries counts sign-ins that failed or are under way by address, of IPv6 by its /64. Nobody else is kept out by them, above all
// not the owner.
type tries struct {
	mu   sync.Mutex
	made map[netip.Prefix][]time.Time
}

func newTries() *tries { return &tries{made: map[netip.Prefix][]time.Time{}} }

func prefixOf(address string) netip.Prefix {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Prefix{}
	}
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, err := a.WithZone("").Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// wait tells how long an address has to wait before it may try again; 0 is not at all.
func (t *tries) wait(address string, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return waitOf(t.recent(prefixOf(address), now), now)
}

// begin counts a try before it is known how it ends, so that many at once are no more than as many in a row. It returns how long
// the address has to wait instead, and counts nothing then; 0 is not at all.
func (t *tries) begin(address string, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := prefixOf(address)
	recent := t.recent(at, now)
	if wait := waitOf(recent, now); wait > 0 {
		return wait
	}
	if recent == nil && len(t.made) >= triesKnown {
		for p := range t.made {
			t.recent(p, now)
		}
		if len(t.made) >= triesKnown {
			clear(t.made)
		}
	}
	t.made[at] = append(recent, now)
	return 0
}

// takeBack forgets the one try that was begun then: it did not fail.
func (t *tries) takeBack(address string, begun time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := prefixOf(address)
	list := t.made[at]
	if i := slices.IndexFunc(list, begun.Equal); i >= 0 {
		list = slices.Delete(list, i, i+1)
	}
	if t.made[at] = list; len(list) == 0 {
		delete(t.made, at)
	}
}

func waitOf(recent []time.Time, now time.Time) time.Duration {
	if len(recent) < triesAllowed {
		return 0
	}
	return recent[len(recent)-triesAllowed].Add(triesWindow).Sub(now)
}

// recent are the tries that still count.
func (t *tries) recent(at netip.Prefix, now time.Time) []time.Time {
	list := t.made[at]
	for len(list) > 0 && now.Sub(list[0]) >= triesWindow {
		list = list[1:]
	}
	if len(list) == 0 {
		delete(t.made, at)
		return nil
	}
	return list
}
