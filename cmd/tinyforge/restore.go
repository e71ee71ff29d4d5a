package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"tinyforge/db"
)

// restoreMark is a file in the data folder for as long as a restore is not finished. Nobody serves from there until it is.
const restoreMark = "restore.unfinished"

// errUnfinished is returned to who would use what a restore has not finished.
var errUnfinished = errors.New("a restore was not finished: run tinyforge restore again, with the same file")

// restore is the command of that name.
func restore(ctx context.Context, c config, args []string, in invocation) error {
	if len(args) != 1 {
		return errors.New("restore takes one file, or - for standard input: tinyforge restore FILE")
	}
	file := args[0]
	if file == dash {
		spool, err := fromStandardInput(os.Stdin)
		if err != nil {
			return err
		}
		defer spool.Close()
		file = fmt.Sprintf("%s%d", openFiles, spool.Fd())
	}
	head, err := checkBackup(file)
	if err != nil {
		return err
	}
	r := restorer{config: c, file: file, head: head, point: func(string) error { return nil }}
	if err := r.run(ctx); err != nil {
		return err
	}
	fmt.Fprintf(in.out, "Restored what was at %s into %s.\n"+
		"Before you start tinyforge serve, stop the old one for good, where it still is: systemctl disable --now tinyforge, or\n"+
		"docker compose down. On one Docker the two would take away each other's containers\n", timeOf(head), c.Data)
	return nil
}

// restorer puts a backup that is whole where nothing is. Killed anywhere, it can be run again: until then nobody can serve
// what is only half there.
type restorer struct {
	config
	file  string
	head  backupHead
	keys  *db.Keyring
	point func(name string) error // where it can be killed; an error ends it
}

func (r *restorer) run(ctx context.Context) error {
	if err := os.MkdirAll(r.Data, 0o700); err != nil {
		return fmt.Errorf("make data folder: %w; choose another with --data", err)
	}
	unlock, err := lockKey(ctx, r.config, true)
	if errors.Is(err, errKeyInUse) {
		return fmt.Errorf("something uses %s: restore into another folder, with --data", r.Data)
	} else if err != nil {
		return err
	}
	defer unlock()
	begun, err := r.begun()
	if err == nil {
		err = r.clear()
	}
	if err != nil {
		return err
	}
	if r.keys, err = r.key(); err != nil {
		return err
	}
	if path, sqlite := strings.CutPrefix(r.Database, "sqlite://"); sqlite { // there is none yet, or begun says so
		if err := errors.Join(r.leaveMark(), makePrivate(path)); err != nil {
			return err
		}
	}
	store, err := db.Open(ctx, r.Database, r.keys)
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	if err := r.at("database made"); err != nil {
		return err
	}
	loaded, err := r.loaded(ctx, store, begun)
	if err != nil {
		return err
	}
	return r.fill(ctx, store, loaded)
}

// begun tells whether another restore was killed here. A folder with anything else in it is refused.
func (r *restorer) begun() (bool, error) {
	if _, err := os.Stat(r.mark()); err == nil {
		return true, nil
	}
	entries, err := os.ReadDir(r.Data)
	if err != nil {
		return false, fmt.Errorf("read data folder: %w", err)
	}
	for _, e := range entries {
		if name := e.Name(); !strings.HasPrefix(name, restoreMark+"-") && name != "key" && name != "key.lock" && name != "lock" {
			return false, fmt.Errorf("%s is not empty, there is %s: a backup is restored into an empty folder only. Choose another with --data", r.Data, name)
		}
	}
	if path, sqlite := strings.CutPrefix(r.Database, "sqlite://"); sqlite {
		if info, err := os.Stat(path); err == nil && info.Size() > 0 {
			return false, fmt.Errorf("there is a database already, %s: a backup is restored where there is none", path)
		}
	}
	return false, nil
}

// clear removes files that another restore was writing when it was killed.
func (r *restorer) clear() error {
	entries, err := os.ReadDir(r.Data)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), restoreMark+"-") {
			err = errors.Join(err, os.Remove(filepath.Join(r.Data, e.Name())))
		}
	}
	if err != nil {
		return fmt.Errorf("clear data folder: %w", err)
	}
	return nil
}

// loaded tells whether the database was restored already. It refuses one that has anything else in it, and leaves the mark
// where the restore may begin.
func (r *restorer) loaded(ctx context.Context, store *db.DB, begun bool) (bool, error) {
	err := store.Empty(ctx)
	if err == nil {
		return false, r.leaveMark()
	}
	if !errors.Is(err, db.ErrNotEmpty) {
		return false, err
	}
	if begun {
		if instance, err := store.Setting(ctx, "instance"); err == nil && instance == r.head.Instance {
			return true, nil
		}
	}
	return false, errors.New("the database is not empty: a backup is restored into an empty one only. Name another in TINYFORGE_DATABASE")
}

func (r *restorer) fill(ctx context.Context, store *db.DB, loaded bool) error {
	if err := r.at("begun"); err != nil {
		return err
	}
	if !loaded {
		if err := r.load(ctx, store); err != nil {
			return err
		}
	}
	if err := r.at("database loaded"); err != nil {
		return err
	}
	if err := r.extract(); err != nil {
		return err
	}
	if err := store.CheckKey(ctx); err != nil {
		return err
	}
	if err := auditOnce(ctx, store, db.AuditEntry{Action: "settings.restored", Detail: timeOf(r.head)}); err != nil {
		return err
	}
	if path := filepath.Join(r.Data, "key"); r.Key == "" {
		if err := writeKey(path, r.keys); err != nil {
			return err
		}
	}
	if err := r.at("all there"); err != nil {
		return err
	}
	return errors.Join(os.Remove(r.mark()), syncFolder(r.Data))
}

// auditOnce writes an entry down, unless it is the newest already.
func auditOnce(ctx context.Context, store *db.DB, entry db.AuditEntry) error {
	newest, err := store.AuditEntries(ctx, "", 0, 1)
	if err != nil || len(newest) == 1 && newest[0].Action == entry.Action && newest[0].Detail == entry.Detail {
		return err
	}
	return store.Audit(ctx, entry)
}

// timeOf is when a backup was made.
func timeOf(head backupHead) string { return head.At.Format("2006-01-02 15:04:05 MST") }

// load reads the backup beside the database's transaction, which cannot be repeated.
func (r *restorer) load(ctx context.Context, store *db.DB) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	records, read := make(chan db.Record), make(chan error, 1)
	go func() {
		defer close(records)
		read <- readBackup(r.file, new(backupHead), func(line backupLine) error {
			if line.File != "" {
				return nil
			}
			select {
			case records <- line.Record:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	err := store.Load(ctx, r.head.Migrations, func() (db.Record, error) {
		if record, ok := <-records; ok {
			return record, nil
		}
		if err := <-read; err != nil {
			return db.Record{}, err
		}
		return db.Record{}, io.EOF
	})
	if errors.Is(err, db.ErrNewer) {
		return fmt.Errorf("the backup cannot be restored with this version of Tinyforge: %w", err)
	}
	return err
}

// extract writes the files.
func (r *restorer) extract() error {
	return readBackup(r.file, new(backupHead), func(line backupLine) error {
		if line.File == "" {
			return nil
		}
		name := filepath.FromSlash(line.File)
		if !fs.ValidPath(line.File) || !filepath.IsLocal(name) || r.notBackedUp(name) { // the same file by another name, too
			return fmt.Errorf("the backup has a file that does not belong there: %q", line.File)
		}
		content, err := r.keys.OpenFile(line.File, line.Content)
		if err != nil {
			return err
		}
		path := filepath.Join(r.Data, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return fmt.Errorf("make folder: %w", err)
		}
		return replaceFileBy(r.mark(), path, func(w io.Writer) error {
			_, err := w.Write(content)
			return err
		})
	})
}

// key is the key that opens the backup: the one that is configured, that lies in the folder, or that came with it.
func (r *restorer) key() (*db.Keyring, error) {
	text := r.Key
	if content, err := os.ReadFile(filepath.Join(r.Data, "key")); err == nil && text == "" {
		text = string(content)
	}
	if text == "" {
		text = r.head.Key
	}
	if text == "" {
		return nil, fmt.Errorf("the backup was made without its key: put the file key of that time into %s, or set TINYFORGE_KEY", r.Data)
	}
	keys, err := db.ParseKeyring(text)
	if err != nil {
		return nil, err
	}
	if !keys.Opens(r.head.Check) {
		return nil, fmt.Errorf("the key does not open this backup: give the one that was in use when it was made, as the file key in %s or in TINYFORGE_KEY", r.Data)
	}
	return keys, nil
}

func (r *restorer) at(point string) error { return r.point(point) }

func (r *restorer) leaveMark() error {
	return replaceFile(r.mark(), func(io.Writer) error { return nil })
}

func (r *restorer) mark() string { return filepath.Join(r.Data, restoreMark) }
