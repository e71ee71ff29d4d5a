package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"tinyforge/db"
)

// openStore opens the database with the sealing key, and makes the data folder and both of them when they are absent.
func openStore(ctx context.Context, c config) (*db.DB, error) {
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return nil, fmt.Errorf("make data folder: %w; choose another with --data", err)
	}
	unlock, err := lockKey(ctx, c, false)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(c.Data, restoreMark)); err == nil {
		unlock()
		return nil, errUnfinished
	}
	store, err := openLocked(ctx, c)
	if err != nil {
		unlock()
		return nil, err
	}
	store.AtClose(unlock)
	return store, nil
}

func openLocked(ctx context.Context, c config) (*db.DB, error) {
	keys, err := sealingKey(ctx, c)
	if err != nil {
		return nil, err
	}
	if path, sqlite := strings.CutPrefix(c.Database, "sqlite://"); sqlite {
		if err := makePrivate(path); err != nil {
			return nil, err
		}
	}
	return openConfigured(ctx, c, keys)
}

// openConfigured opens the database that the configuration names.
func openConfigured(ctx context.Context, c config, keys *db.Keyring) (*db.DB, error) {
	d, err := db.Open(ctx, c.Database, keys)
	if err != nil && !isSQLite(c) {
		return nil, fmt.Errorf("TINYFORGE_DATABASE: %w", err)
	}
	return d, err
}

// errShared is returned by openAlone for a database that others use.
var errShared = errors.New("another tinyforge uses this database")

// openAlone opens the database, brings it up to date and checks the key, where nobody else uses it. It waits a little for connections
// that are about to end.
func openAlone(ctx context.Context, c config, keys *db.Keyring) (*db.DB, error) {
	d, err := openConfigured(ctx, c, keys)
	if err != nil {
		return nil, err
	}
	err = alone(ctx, d) // first of all: later it has connections of its own
	if err == nil {
		_, err = d.Migrate(ctx)
	}
	if err == nil {
		err = usable(ctx, d)
	}
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func alone(ctx context.Context, d *db.DB) error {
	deadline := time.After(3 * time.Second)
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		n, err := d.Others(ctx)
		if err != nil || n == 0 {
			return err
		}
		select {
		case <-again.C:
		case <-deadline:
			return errShared
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// makePrivate makes the database's file, so that nobody else can read it: SQLite would make it for everybody. An empty one that is there
// is as good as new.
func makePrivate(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("make database: %w", err)
	}
	info, err := file.Stat()
	if err == nil && info.Size() == 0 {
		err = file.Chmod(0o600)
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("make database: %w", err)
	}
	return nil
}

// readyStore is openStore with the schema brought up to date. It refuses what is not usable.
func readyStore(ctx context.Context, c config) (*db.DB, error) {
	store, err := openStore(ctx, c)
	if err != nil {
		return nil, err
	}
	if _, err = store.Migrate(ctx); err == nil {
		err = usable(ctx, store)
	}
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return store, nil
}

// usable refuses a database that was copied to another one, and a key that did not seal it.
func usable(ctx context.Context, store *db.DB) error {
	if err := refuseCopied(ctx, store); err != nil {
		return err
	}
	return store.CheckKey(ctx)
}

// existingStore is readyStore for commands about what is there: they make no database.
func existingStore(ctx context.Context, c config) (*db.DB, error) {
	if err := hasStore(c); err != nil {
		return nil, err
	}
	return readyStore(ctx, c)
}

// hasStore refuses a SQLite database that does not exist.
func hasStore(c config) error {
	if path, sqlite := strings.CutPrefix(c.Database, "sqlite://"); sqlite {
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("there is no Tinyforge in %s: give the --data of your tinyforge serve, or set TINYFORGE_DATA to it", c.Data)
		}
	}
	return nil
}

// sealingKey returns the configured key or the one in the data folder, which is made at the first start.
func sealingKey(ctx context.Context, c config) (*db.Keyring, error) {
	if c.Key != "" {
		return db.ParseKeyring(c.Key)
	}
	path := filepath.Join(c.Data, "key")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := refuseSealed(ctx, c, path); err != nil {
			return nil, err
		}
		return newSealingKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read sealing key: %w", err)
	}
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s can be read by other users: chmod 600 %s", path, path)
	}
	keys, err := db.ParseKeyring(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return keys, nil
}

// refuseSealed refuses to make a key beside a database that has one.
func refuseSealed(ctx context.Context, c config, key string) error {
	if file, sqlite := strings.CutPrefix(c.Database, "sqlite://"); sqlite {
		if info, err := os.Stat(file); err == nil && info.Size() > 0 {
			return fmt.Errorf("%s is missing, and the database opens with it alone: put it back, or set TINYFORGE_KEY", key)
		}
		return nil
	}
	none, err := db.NewKeyring()
	if err != nil {
		return err
	}
	d, err := openConfigured(ctx, c, none)
	if err != nil {
		return err
	}
	sealed, err := d.Sealed(ctx)
	if err == nil && sealed {
		err = fmt.Errorf("%s is missing, and the database has a key already: put it back. Where another Tinyforge uses this database too, give this one "+
			"a copy of its key, as that file or named by TINYFORGE_KEY_FILE", key)
	}
	return errors.Join(err, d.Close())
}

// newSealingKey writes a key so that it is either there whole or not at all, and never replaces one.
func newSealingKey(path string) (*db.Keyring, error) {
	keys, err := db.NewKeyring()
	if err != nil {
		return nil, err
	}
	file, err := os.CreateTemp(filepath.Dir(path), "key-*") // mode 0600
	if err != nil {
		return nil, fmt.Errorf("write sealing key: %w", err)
	}
	defer func() { _ = os.Remove(file.Name()) }()
	_, err = file.WriteString(keys.Text() + "\n")
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return nil, fmt.Errorf("write sealing key: %w", err)
	}
	if err := os.Link(file.Name(), path); errors.Is(err, fs.ErrExist) {
		text, err := os.ReadFile(path) // another process was faster
		if err != nil {
			return nil, fmt.Errorf("read sealing key: %w", err)
		}
		return db.ParseKeyring(string(text))
	} else if err != nil {
		return nil, fmt.Errorf("write sealing key: %w", err)
	}
	return keys, syncFolder(filepath.Dir(path)) // before anything is sealed with it, perhaps on another machine
}

func isSQLite(c config) bool { return strings.HasPrefix(c.Database, "sqlite://") }

// lockData makes sure that one process alone serves from a data folder. The lock ends with the process, however it ends.
func lockData(c config) (unlock func(), err error) {
	file, err := os.OpenFile(filepath.Join(c.Data, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data folder: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("another tinyforge serves from %s: stop it, or give this one a folder of its own with --data", c.Data)
	}
	return func() { _ = file.Close() }, nil
}

// lockBoth is lockData and lockDatabase.
func lockBoth(c config) (unlock func(), err error) {
	data, err := lockData(c)
	if err != nil {
		return nil, err
	}
	database, err := lockDatabase(c)
	if err != nil {
		data()
		return nil, err
	}
	return func() { database(); data() }, nil
}

// lockDatabase makes sure that one process alone serves from a SQLite database, whatever its data folder: it breaks the leases that it
// finds. The lock is on a file beside it, since closing the database's own in this process would give up SQLite's locks.
func lockDatabase(c config) (unlock func(), err error) {
	path, sqlite := strings.CutPrefix(c.Database, "sqlite://")
	if !sqlite {
		return func() {}, nil
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return nil, fmt.Errorf("lock database: %w", err)
	}
	file, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock database: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		return nil, errors.New("another tinyforge serves from this database: stop it, or keep the rows in PostgreSQL, which several may share (tinyforge migrate --to)")
	}
	return func() { _ = file.Close() }, nil
}
