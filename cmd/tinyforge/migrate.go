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
	if c.UseCopied {
		if err := useCopied(ctx, c); err != nil {
			return err
		}
	}
	if c.To != "" {
		return (&mover{config: c, out: in.out, point: func(string) error { return nil }}).run(ctx)
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
	if err := refuseCopied(ctx, store); err != nil {
		return err
	}
	if len(names) == 0 {
		fmt.Fprintln(in.out, "the database is up to date")
	}
	return nil
}

// mover copies a database into another one, of either kind, which is empty, and then marks the one that it copied, from which nobody
// serves any more. The copy is there whole or not at all, however the mover ends; ended between the two, it marks when it is run again.
type mover struct {
	config
	out   io.Writer
	point func(name string) error // where it can be killed; an error ends it
	rows  int
	state stateSum // of the records so far
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
	keys, err := sealingKey(ctx, m.config)
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
		return fmt.Errorf("--to, or TINYFORGE_TO: %w", err)
	}
	defer func() { _ = to.Close() }()
	return m.move(ctx, from, to)
}

func (m *mover) move(ctx context.Context, from, to *db.DB) error {
	if err := m.refuseSame(ctx, from, to); err != nil {
		return err
	}
	if _, err := from.InstanceID(ctx); err != nil { // made by the first call
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
		stop()
		err = m.known(ctx, s, to, err)
	}
	if err == nil {
		err = m.point("copied")
	}
	if err == nil {
		err = to.CheckKey(ctx)
	}
	if err == nil {
		err = auditOnce(ctx, to, db.AuditEntry{Action: "settings.moved"})
	}
	if err == nil {
		err = markCopied(ctx, from, withoutPassword(m.To))
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(m.out, "%s are in %s. Start tinyforge serve with it from now on, in TINYFORGE_DATABASE.\n"+
		"The database that was copied holds what it held, and starts no more: remove it when all is well\n",
		countOf(m.rows, "row"), withoutPassword(m.To))
	return nil
}

// refuseSame refuses to copy a database to itself, by whatever addresses.
func (m *mover) refuseSame(ctx context.Context, from, to *db.DB) error {
	here, err := from.Place(ctx)
	if err != nil {
		return err
	}
	if there, err := to.Place(ctx); err != nil || here != there {
		return err
	}
	return fmt.Errorf("%s is the database that you copy from: name another one, which is empty", withoutPassword(m.To))
}

// records are those of a snapshot without the marks of earlier copies, and then the state that they were; or the error that ends them.
func (m *mover) records(ctx context.Context, s *db.Snapshot) iter.Seq2[db.Record, error] {
	return func(yield func(db.Record, error) bool) {
		m.rows, m.state = 0, stateSum{}
		errStopped := errors.New("nobody wants more")
		err := s.Records(ctx, func(r db.Record) error {
			if m.state.table == "settings" && isMark(r) {
				return nil
			}
			if r.Row != nil {
				m.rows++
			}
			if err := m.state.add(r); err != nil {
				return err
			}
			if !yield(r, nil) {
				return errStopped
			}
			return nil
		})
		switch {
		case errors.Is(err, errStopped):
		case err != nil:
			yield(db.Record{}, err)
		case yield(db.Record{Table: "settings", Columns: []string{"name", "value"}}, nil):
			yield(db.Record{Row: []any{copiedFrom, m.state.text()}}, nil)
		}
	}
}

// known returns nil when a database that is not empty is a copy of what is there now, from an earlier call, and else says what to do.
func (m *mover) known(ctx context.Context, s *db.Snapshot, to *db.DB, notEmpty error) error {
	for _, err := range m.records(ctx, s) {
		if err != nil {
			return err
		}
	}
	all, err := to.Settings(ctx)
	switch {
	case err == nil && all["instance"] == s.Instance && all[copiedTo] == "" && all[copiedFrom] == m.state.text():
		return nil
	case err == nil && all["instance"] == s.Instance:
		return fmt.Errorf("%s has another state of this Tinyforge, such as it was before: do not start that. Nothing was copied: move it aside, or name an empty database", withoutPassword(m.To))
	}
	return fmt.Errorf("%s: %w: name an empty database", withoutPassword(m.To), notEmpty)
}

// withoutPassword is an address of a database that may be shown.
func withoutPassword(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "the other database"
	}
	return u.Redacted()
}
