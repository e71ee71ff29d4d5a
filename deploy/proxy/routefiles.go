package proxy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sync/errgroup"

	"tinyforge/db"
	"tinyforge/deploy"
)

// routeFiles keep routes in a folder, a file for each host, so that a change costs the same however many there are. A
// process that is killed at any point of a change leaves the route as it was before or as it is after. A nil one keeps
// nothing. It is not safe for concurrent use.
type routeFiles struct {
	dir   *os.File          // open for its lock, and to be synced
	known map[string][]byte // by host: what its file surely holds
}

// record is a route as it is kept.
type record struct {
	Host       string          `json:"host"`
	Upstream   deploy.Upstream `json:"upstream"`
	Held       bool            `json:"held,omitempty"`
	Reserved   bool            `json:"reserved,omitempty"`
	RedirectTo string          `json:"redirect_to,omitempty"`
	db.RouteOptions
}

// newName is what a file is called until it is whole: no name of a host's.
const newName = "#new"

// openRouteFiles makes the folder when it is absent, and holds it until it is closed or the process ends: nobody else may
// open it meanwhile.
func openRouteFiles(path string) (*routeFiles, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("make folder of routes: %w", err)
	}
	if err := syncFolder(filepath.Dir(path)); err != nil {
		return nil, err
	}
	dir, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open folder of routes: %w", err)
	}
	if err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = dir.Close()
		return nil, fmt.Errorf("another proxy keeps its routes in %s: stop it, or give this one another folder", path)
	}
	return &routeFiles{dir: dir, known: map[string][]byte{}}, nil
}

// load returns what is kept. A file that cannot be used is told in the log, left as it is, and keeps no other from it.
func (f *routeFiles) load(log *slog.Logger) ([]record, error) {
	if f == nil {
		return nil, nil
	}
	entries, err := os.ReadDir(f.dir.Name())
	if err != nil {
		return nil, fmt.Errorf("read folder of routes: %w", err)
	}
	entries = slices.DeleteFunc(entries, func(e os.DirEntry) bool { return e.Name() == newName })
	kept := make([]keptRecord, len(entries))
	var group errgroup.Group
	group.SetLimit(readAtOnce)
	for n, e := range entries {
		group.Go(func() error {
			kept[n] = readRecord(filepath.Join(f.dir.Name(), e.Name()))
			return nil
		})
	}
	_ = group.Wait()
	all := make([]record, 0, len(kept))
	for n, k := range kept {
		if k.err != nil {
			path := filepath.Join(f.dir.Name(), entries[n].Name())
			log.Error("a route is left out: its file cannot be used", slog.String("file", path), slog.Any("error", k.err))
			continue
		}
		f.known[k.Host] = k.text
		all = append(all, k.record)
	}
	return all, nil
}

const readAtOnce = 8

// keptRecord is what a file holds, or why it cannot be used.
type keptRecord struct {
	record
	text []byte
	err  error
}

func readRecord(path string) (k keptRecord) {
	if k.text, k.err = os.ReadFile(path); k.err != nil {
		return k
	}
	if k.err = json.Unmarshal(k.text, &k.record); k.err != nil {
		return k
	}
	if fileName(k.Host) != filepath.Base(path) || hostKey(k.Host) != k.Host {
		k.err = fmt.Errorf("it is about %q", k.Host)
		return k
	}
	k.err = errors.Join(check(k.Host, k.Upstream), deploy.CheckRoute(k.route()))
	return k
}

// save makes a route durable. After an error it is kept as it was or as it was to be.
func (f *routeFiles) save(rec record) error {
	if f == nil {
		return nil
	}
	text, err := json.Marshal(rec)
	if err != nil || bytes.Equal(text, f.known[rec.Host]) {
		return err
	}
	delete(f.known, rec.Host)
	path, fresh := filepath.Join(f.dir.Name(), fileName(rec.Host)), filepath.Join(f.dir.Name(), newName)
	if err := writeSynced(fresh, text); err != nil {
		return fmt.Errorf("keep route: %w", err)
	}
	defer keepOpen(path)()
	if err := os.Rename(fresh, path); err != nil {
		return fmt.Errorf("keep route: %w", err)
	}
	if err := f.dir.Sync(); err != nil {
		return fmt.Errorf("keep route: %w", err)
	}
	f.known[rec.Host] = text
	return nil
}

// remove makes it durable that a host has no route. That it has none already is not an error.
func (f *routeFiles) remove(host string) error {
	if f == nil {
		return nil
	}
	delete(f.known, host)
	err := os.Remove(filepath.Join(f.dir.Name(), fileName(host)))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget route: %w", err)
	}
	if err := f.dir.Sync(); err != nil {
		return fmt.Errorf("forget route: %w", err)
	}
	return nil
}

// close lets others open the folder.
func (f *routeFiles) close() {
	if f != nil {
		_ = f.dir.Close()
	}
}

// fileName is a host as a name of one file: every host has another one, and none begins with a dot.
func fileName(host string) string {
	name := url.PathEscape(host)
	if rest, dot := strings.CutPrefix(name, "."); dot {
		return "%2E" + rest
	}
	return name
}

// writeSynced writes a file that its owner alone may read: it holds the hashes of passwords.
func writeSynced(path string, text []byte) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// keepOpen opens a file that is about to be replaced, and returns what closes it behind the caller's back: the system frees the
// space of a replaced file when nobody has it open any more, and until then whoever replaced it waits, with some disks for
// longer than for all else of a change. It does nothing for a file that is not there.
func keepOpen(path string) (let func()) {
	file, err := os.Open(path)
	if err != nil {
		return func() {}
	}
	return func() { go func() { _ = file.Close() }() }
}

func syncFolder(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	err = dir.Sync()
	return errors.Join(err, dir.Close())
}

// route is what of it the one who asked for it has said.
func (rec record) route() db.Route {
	return db.Route{Host: rec.Host, RedirectTo: rec.RedirectTo, RouteOptions: rec.RouteOptions}
}

// recordOf is what is kept of a route that a workload has.
func recordOf(host string, o *options, up deploy.Upstream) record {
	rec := record{Host: host, Upstream: up}
	if o != nil {
		rec.RedirectTo, rec.RouteOptions = o.redirectTo, o.RouteOptions
	}
	return rec
}

// record is what is kept of a route as it is. The caller holds the table's mu.
func (r *route) record() record {
	t := r.target.Load()
	rec := recordOf(r.host, r.options.Load(), t.up)
	rec.Held = t.held()
	return rec
}

// restore is the other way round.
func (rec record) restore() *route {
	t := newTarget(rec.Upstream)
	if rec.Held {
		t = newGate(rec.Upstream)
	}
	return newRoute(rec.Host, newOptions(rec.route()), t)
}
