package settings

import (
	"net/netip"
	"sync"
	"time"
)

const (
	triesAllowed = 10
	triesWindow  = 15 * time.Minute
	triesKnown   = 10_000 // addresses that are remembered
)

// tries counts failed sign-ins by address, of IPv6 by its /64. Nobody else is kept out by them, above all not the owner.
type tries struct {
	mu     sync.Mutex
	failed map[netip.Prefix][]time.Time
}

func newTries() *tries { return &tries{failed: map[netip.Prefix][]time.Time{}} }

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
	recent := t.recent(prefixOf(address), now)
	if len(recent) < triesAllowed {
		return 0
	}
	return recent[len(recent)-triesAllowed].Add(triesWindow).Sub(now)
}

// fail counts a failure.
func (t *tries) fail(address string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := prefixOf(address)
	if _, known := t.failed[at]; !known && len(t.failed) >= triesKnown {
		for p := range t.failed {
			t.recent(p, now)
		}
		if len(t.failed) >= triesKnown {
			clear(t.failed)
		}
	}
	t.failed[at] = append(t.recent(at, now), now)
}

// succeed forgets the failures of an address.
func (t *tries) succeed(address string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.failed, prefixOf(address))
}

// recent are the failures that still count.
func (t *tries) recent(at netip.Prefix, now time.Time) []time.Time {
	list := t.failed[at]
	for len(list) > 0 && now.Sub(list[0]) >= triesWindow {
		list = list[1:]
	}
	if len(list) == 0 {
		delete(t.failed, at)
		return nil
	}
	return list
}
