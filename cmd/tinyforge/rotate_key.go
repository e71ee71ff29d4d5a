package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"tinyforge/db"
)

// rotateKey is the command rotate-key.
func rotateKey(ctx context.Context, c config, _ []string, in invocation) error {
	return (&rotation{config: c, out: in.out, point: func(string) error { return nil }}).run(ctx)
}

// rotation replaces the sealing key. At every point at which it could be killed, everything in the database opens with the
// keyring that stands in the file, and the same command goes on:
//
//	the keyring has   the file becomes            then
//	one key           old and new, new seals      every value is sealed with the new key
//	more than one                                 every value is sealed with the newest key
//	                  the newest alone
//
// A keyring that comes from the environment cannot be changed from here: it is printed, and the operator does it.
type rotation struct {
	config
	out   io.Writer
	point func(name string) error // where it can be killed; an error ends it
}

func (r *rotation) run(ctx context.Context) error {
	if err := hasStore(r.config); err != nil {
		return err
	}
	unlock, err := lockKey(ctx, r.config, true)
	if errors.Is(err, errKeyInUse) {
		return fmt.Errorf("stop tinyforge serve, and what else of it works with %s: it would go on with the old key. Start it again when this is done", r.Data)
	} else if err != nil {
		return err
	}
	defer unlock()
	keys, err := sealingKey(ctx, r.config)
	if err != nil {
		return err
	}
	if keys.Keys() == 1 {
		next, err := r.begin(ctx, keys)
		if err != nil || next == nil {
			return err
		}
		keys = next
	}
	return r.finish(ctx, keys)
}

// begin adds a key. It returns nil when the operator has to go on.
func (r *rotation) begin(ctx context.Context, keys *db.Keyring) (*db.Keyring, error) {
	if err := r.with(ctx, keys, func(d *db.DB) error { return d.KeepDerived(ctx) }); err != nil {
		return nil, err
	}
	next, err := keys.Rotated()
	if err != nil {
		return nil, err
	}
	if r.Key != "" {
		fmt.Fprintf(r.out, "The key comes from the environment. Set TINYFORGE_KEY to this, wherever it is set, then run tinyforge rotate-key again:\n\n%s\n", next.Text())
		return nil, nil
	}
	if err := r.at("before the new key is kept"); err != nil {
		return nil, err
	}
	if err := writeKey(r.keyFile(), next); err != nil {
		return nil, err
	}
	return next, r.at("new key kept")
}

// finish seals everything with the newest key, and drops the others.
func (r *rotation) finish(ctx context.Context, keys *db.Keyring) error {
	err := r.with(ctx, keys, func(d *db.DB) error { return d.ResealCheck(ctx) })
	if err == nil {
		err = r.at("old key shut out")
	}
	if err == nil { // who has come before that is seen now
		err = r.with(ctx, keys, func(d *db.DB) error {
			if err := d.Reseal(ctx); err != nil {
				return err
			}
			return d.Audit(ctx, db.AuditEntry{Action: "settings.key_rotated"})
		})
	}
	if err == nil {
		err = r.at("all sealed anew")
	}
	if err != nil {
		return fmt.Errorf("%w; everything opens as before: run tinyforge rotate-key again", err)
	}
	newest, err := keys.Newest()
	if err != nil {
		return err
	}
	if r.Key != "" {
		fmt.Fprintf(r.out, "All is sealed with the new key, and the old one is not needed any more. Set TINYFORGE_KEY to this, and keep a copy of it:\n\n%s\n", newest.Text())
		return nil
	}
	if err := writeKey(r.keyFile(), newest); err != nil {
		return err
	}
	fmt.Fprintf(r.out, "All is sealed with a new key, and the old one is dropped: keep a copy of %s, and the one before for older backups\n", r.keyFile())
	return r.at("old key dropped")
}

// with opens the database, which nobody else may use, with a keyring.
func (r *rotation) with(ctx context.Context, keys *db.Keyring, do func(*db.DB) error) error {
	d, err := openAlone(ctx, r.config, keys)
	if errors.Is(err, errShared) {
		return fmt.Errorf("%w: stop it, since it would go on with the old key. Give it the new one before you start it again", err)
	} else if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	return do(d)
}

func (r *rotation) at(point string) error { return r.point(point) }

func (r *rotation) keyFile() string { return filepath.Join(r.Data, "key") }

// writeKey replaces the file of the key in one step, for good when it returns.
func writeKey(path string, keys *db.Keyring) error {
	return replaceFile(path, func(w io.Writer) error {
		_, err := io.WriteString(w, keys.Text()+"\n")
		return err
	})
}

// replaceFile writes a file of mode 0600 under another name, and gives it its own when all of it is on the disk. What was there
// before stays as it was until then.
func replaceFile(path string, write func(io.Writer) error) error {
	return replaceFileBy(path, path, write)
}

// replaceFileBy is replaceFile with the other name given: what it begins with. Killed, it leaves a file of that name.
func replaceFileBy(other, path string, write func(io.Writer) error) error {
	file, err := os.CreateTemp(filepath.Dir(other), filepath.Base(other)+"-*") // mode 0600
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() { _ = os.Remove(file.Name()) }()
	err = write(file)
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder makes it last which files are in a folder.
func syncFolder(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	return errors.Join(dir.Sync(), dir.Close())
}
