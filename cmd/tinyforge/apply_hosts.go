package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"

	"golang.org/x/crypto/bcrypt"

	"tinyforge/db"
)

// planHosts demands that no host is Tinyforge's own or that of a workload which stays as it is.
func (a *applier) planHosts(w manifestWorkload) {
	public, err := url.Parse(a.publicURL)
	for _, h := range w.hosts {
		if err == nil && public.Hostname() == h.host {
			a.faults = append(a.faults, h.at.fault("is Tinyforge's own host (--public-url): choose another"))
		}
		if a.prune {
			continue
		}
		for _, other := range a.savedWorkloads {
			if slices.Contains(other.Hosts(), h.host) && !a.manifest.hasWorkload(other.Name) {
				a.faults = append(a.faults, h.at.fault("is the host of the workload %s, which is not in the file; --prune deletes it", other.Name))
			}
		}
	}
}

// basicAuth returns the users with their hashes: the saved one where it is of the same password.
func basicAuth(users []manifestUser, saved *db.Workload) (all []db.BasicAuth, err error) {
	hashes := map[string]string{}
	if saved != nil {
		for _, u := range saved.Routing.BasicAuth {
			hashes[u.Username] = u.Hash
		}
	}
	for _, u := range users {
		hash := []byte(hashes[u.name])
		if bcrypt.CompareHashAndPassword(hash, []byte(u.password)) != nil {
			if hash, err = bcrypt.GenerateFromPassword([]byte(u.password), bcrypt.DefaultCost); err != nil {
				return nil, fmt.Errorf("hash password: %w", err)
			}
		}
		all = append(all, db.BasicAuth{Username: u.name, Hash: string(hash)})
	}
	return all, nil
}

// hostHolders are the workloads of the database by host, as long as they have it.
type hostHolders map[string]*db.Workload

// holders leaves out those that were just deleted. Those that are have no hosts.
func (a *applier) holders() hostHolders {
	held := hostHolders{}
	for _, w := range a.savedWorkloads {
		if !a.prune || a.manifest.hasWorkload(w.Name) {
			held.add(&w)
		}
	}
	return held
}

func (h hostHolders) add(w *db.Workload) {
	for _, host := range w.Hosts() {
		h[host] = w
	}
}

func (h hostHolders) remove(name string) {
	maps.DeleteFunc(h, func(_ string, w *db.Workload) bool { return w.Name == name })
}

// wanted returns a host that w is to have and another workload holds, or "".
func (h hostHolders) wanted(w *plannedWorkload) string {
	for _, host := range w.row.Hosts() {
		if holder := h[host]; holder != nil && holder.Name != w.row.Name {
			return host
		}
	}
	return ""
}

// saveWorkloads saves those that hold a host of another one before that one.
func (a *applier) saveWorkloads(ctx context.Context) error {
	holders := a.holders()
	waiting := slices.Clone(a.workloads)
	for len(waiting) > 0 {
		i := slices.IndexFunc(waiting, func(w *plannedWorkload) bool { return holders.wanted(w) == "" })
		if i < 0 {
			if err := a.releaseHost(ctx, holders, holders.wanted(waiting[0])); err != nil {
				return err
			}
			continue
		}
		w := waiting[i]
		waiting = slices.Delete(waiting, i, i+1)
		if err := a.saveWorkload(ctx, w); err != nil {
			return err
		}
		holders.remove(w.row.Name)
	}
	return nil
}

// releaseHost breaks a ring of workloads that exchange their hosts.
func (a *applier) releaseHost(ctx context.Context, holders hostHolders, host string) error {
	w := *holders[host]
	if w.Host == host {
		w.Host = "" // and the others with it: it is what they go with
	}
	for _, list := range []*[]string{&w.Routing.Aliases, &w.Routing.Redirects} {
		*list = slices.DeleteFunc(slices.Clone(*list), func(h string) bool { return h == host })
	}
	holders.remove(w.Name)
	holders.add(&w)
	return a.store.SaveWorkload(ctx, &w)
}

// taken says where in the file the host is that another workload has taken since it was looked.
func (w *plannedWorkload) taken(err error) error {
	if by, ok := errors.AsType[*db.HostTakenError](err); ok {
		return w.entry.hostAt(by.Host).fault(
			"%s was given to the workload %s in the meantime: choose another host, or take it away from there first", by.Host, by.Workload)
	}
	return w.at.fault("another workload has taken a host of this one in the meantime: run it again")
}
