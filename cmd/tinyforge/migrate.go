package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/url"
	"strings"

	"tinyforge/db"
)

// migrate is the command of that name.
func migrate(ctx context.Context, c config, _ []string, in invocation) error {
	if c.To != "" {
		return (&mover{config: c, out: in.out}).run(ctx)
	}
	store, err := openStore(ctx, c)
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	names, err := store.Migrate(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		fmt.Fprintln(in.out, "applied", name)
	}
	if len(names) == 0 {
		fmt.Fprintln(in.out, "the database is up to date")
	}
	return nil
}

// mover copies a database into another one, of either kind, which is empty. The copy is there whole or not at all, however the mover
// ends, and what it copies stays as it is.
type mover struct {
	config
	out  io.Writer
	rows int
}

func (m *mover) run(ctx context.Context) error {
	if err := hasStore(m.config); err != nil {
		return err
	}
	unlock, err := lockKey(ctx, m.config, true)
	if errors.Is(err, errKeyInUse) {
		return fmt.Errorf("stop tinyforge serve, and what else of it works with %s: what it does meanwhile would be lost. Start it again, with the other database, when this is done", m.Data)
	} else if err != nil {
		return err
	}
	defer unlock()
	keys, err := sealingKey(m.config)
	if err != nil {
		return err
	}
	from, err := openAlone(ctx, m.config, keys)
	if errors.Is(err, errShared) {
		return fmt.Errorf("%w: stop it, since what it does meanwhile would be lost", err)
	} else if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	if path, sqlite := strings.CutPrefix(m.To, "sqlite://"); sqlite {
		if err := makePrivate(path); err != nil {
			return err
		}
	}
	to, err := db.Open(ctx, m.To, keys)
	if err != nil {
		return fmt.Errorf("--to: %w", err)
	}
	defer func() { _ = to.Close() }()
	return m.move(ctx, from, to)
}

func (m *mover) move(ctx context.Context, from, to *db.DB) error {
	instance, err := from.InstanceID(ctx) // made by the first call
	if err != nil {
		return err
	}
	s, err := from.Snapshot(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	next, stop := iter.Pull2(m.records(ctx, s))
	defer stop()
	err = to.Load(ctx, s.Migrations, func() (db.Record, error) {
		r, err, more := next()
		if !more {
			return r, io.EOF
		}
		return r, err
	})
	if errors.Is(err, db.ErrNotEmpty) {
		return m.refused(ctx, to, instance)
	}
	if err == nil {
		err = to.CheckKey(ctx)
	}
	if err == nil {
		err = to.Audit(ctx, db.AuditEntry{Action: "settings.moved"})
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(m.out, "%s are in %s. Start tinyforge serve with it from now on, in TINYFORGE_DATABASE.\n"+
		"The database that was copied is as it was: remove it when all is well, and start nothing with it any more\n",
		countOf(m.rows, "row"), withoutPassword(m.To))
	return nil
}

// records are those of a snapshot, or the error that ends them.
func (m *mover) records(ctx context.Context, s *db.Snapshot) iter.Seq2[db.Record, error] {
	return func(yield func(db.Record, error) bool) {
		errStopped := errors.New("nobody wants more")
		err := s.Records(ctx, func(r db.Record) error {
			if r.Row != nil {
				m.rows++
			}
			if !yield(r, nil) {
				return errStopped
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStopped) {
			yield(db.Record{}, err)
		}
	}
}

// refused says why nothing was copied.
func (m *mover) refused(ctx context.Context, to *db.DB, instance string) error {
	if there, err := to.Setting(ctx, "instance"); err == nil && there == instance {
		return fmt.Errorf("this Tinyforge was copied to %s before: start tinyforge serve with it, in TINYFORGE_DATABASE, or name an empty database", withoutPassword(m.To))
	}
	return fmt.Errorf("%s is not empty: name an empty database", withoutPassword(m.To))
}

// withoutPassword is an address of a database that may be shown.
func withoutPassword(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "the other database"
	}
	return u.Redacted()
}
