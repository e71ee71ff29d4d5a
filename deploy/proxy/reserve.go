package proxy

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"tinyforge/deploy"
)

// Reserve makes a host lead to up, which is Tinyforge itself, and to nothing else from then on: what a workload had there
// is replaced, and can be drained. Reserving a host again moves it. It is served, gets its certificate and is counted like
// any other host.
func (tb *Table) Reserve(host string, up deploy.Upstream) error {
	key := reservedKey(host)
	err := check(key, up)
	if err == nil && up.Addr == "" {
		err = fmt.Errorf("upstream %s has no address", up.Name)
	}
	if err != nil {
		return fmt.Errorf("reserve host %q: %w", host, err)
	}
	tb.mu.Lock()
	defer tb.mu.Unlock()
	rec := recordOf(key, nil, up)
	rec.Reserved = true
	if err := tb.files.save(rec); err != nil {
		return fmt.Errorf("reserve host %q: %w", host, err)
	}
	r := tb.lookup(key)
	if r == nil {
		r = newRoute(key, nil, newTarget(up))
		tb.routes.Store(key, r)
	} else if t := r.target.Load(); t.held() || t.up != up {
		tb.swap(r, newTarget(up))
	}
	r.options.Store(nil)
	tb.reserved[key] = true
	return nil
}

// Release lets workloads have a host that was reserved. It leads where it led until one takes it, or the process ends.
func (tb *Table) Release(host string) error {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	key := reservedKey(host)
	if !tb.reserved[key] {
		return nil
	}
	if err := tb.files.remove(key); err != nil {
		return fmt.Errorf("release host %q: %w", host, err)
	}
	delete(tb.reserved, key)
	return nil
}

// Reserved returns the hosts that are reserved, as they were named but in the form of the table's keys.
func (tb *Table) Reserved() ([]string, error) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	return slices.Sorted(maps.Keys(tb.reserved)), nil
}

// reservedKey is hostKey for what may be the host of a URL, in which an IPv6 address has lost its brackets.
func reservedKey(host string) string {
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is6() {
		return "[" + ip.String() + "]"
	}
	return hostKey(host)
}

func reservedFailure(host string) error {
	return &deploy.Failure{Text: host + " is Tinyforge's own host (--public-url): give the workload another one", Err: deploy.ErrReserved}
}
