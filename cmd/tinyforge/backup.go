package main

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tinyforge/db"
)

// backupFormat is the first thing in a backup. A backup is JSON values, a line each, compressed with gzip: a backupHead, a
// backupLine for all that the database and the data folder have, and one with the sum of all lines before it.
const backupFormat = "tinyforge backup 1"

// mostLine is the length of a line in bytes: what is read back line by line must not fill memory.
const mostLine = 64 << 20

var errLine = fmt.Errorf("a line is longer than %d bytes", mostLine)

type backupHead struct {
	Format     string    `json:"format"`
	At         time.Time `json:"at"`
	Version    string    `json:"version"`
	Instance   string    `json:"instance"`
	Migrations []string  `json:"migrations"`
	Check      string    `json:"check"`         // see db.Keyring.Opens
	Key        string    `json:"key,omitempty"` // with --with-key
}

type backupLine struct {
	db.Record
	File    string `json:"file,omitempty"`    // below the data folder, with slashes
	Content []byte `json:"content,omitempty"` // of the file, sealed
	SHA256  string `json:"sha256,omitempty"`  // the last line
}

// backup is the command of that name.
func backup(ctx context.Context, c config, args []string, in invocation) error {
	if len(args) != 1 {
		return errors.New("backup takes one file, or - for standard output: tinyforge backup FILE")
	}
	if err := hasStore(c); err != nil {
		return err
	}
	if args[0] != dash && within(c.Data, args[0]) {
		return fmt.Errorf("%s is in the data folder, which the backup is of: choose another place", args[0])
	}
	store, err := openStore(ctx, c)
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	if ok, err := store.Migrated(ctx); err != nil {
		return err
	} else if !ok {
		return errors.New("the database is not the one of this version of Tinyforge: make the backup with the version that serves, or run tinyforge migrate first")
	}
	if err := usable(ctx, store); err != nil {
		return err
	}
	keys, err := sealingKey(ctx, c)
	if err != nil {
		return err
	}
	b := backupWriter{config: c, store: store, keys: keys, sum: sha256.New()}
	write := func(w io.Writer) error { return b.write(ctx, w) }
	where, say := args[0], in.out
	if where == dash {
		where, say = "standard output", in.err
		err = toStandardOutput(in.out, write)
	} else {
		err = replaceFile(where, write)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(say, "%s and %s are in %s\n", countOf(b.rows, "row"), countOf(b.files, "file"), where)
	if c.WithKey {
		fmt.Fprintln(say, "The sealing key is too: keep the backup as you keep the secrets that it opens")
	} else {
		fmt.Fprintln(say, "The sealing key is not: keep a copy of it elsewhere, nothing can be restored without")
	}
	return nil
}

func countOf(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// within tells whether a file would be in a folder or below it.
func within(dir, file string) bool {
	dir, errDir := filepath.Abs(dir)
	file, errFile := filepath.Abs(file)
	name, err := filepath.Rel(dir, file)
	return errors.Join(errDir, errFile, err) == nil && filepath.IsLocal(name)
}

type backupWriter struct {
	config
	store *db.DB
	keys  *db.Keyring
	sum   hash.Hash
	out   *json.Encoder

	rows, files int
}

func (b *backupWriter) write(ctx context.Context, w io.Writer) error {
	if _, err := b.store.InstanceID(ctx); err != nil { // made by the first call
		return err
	}
	s, err := b.store.Snapshot(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	packed := gzip.NewWriter(w)
	b.out = json.NewEncoder(io.MultiWriter(packed, b.sum))
	head := backupHead{Format: backupFormat, At: time.Now().UTC(), Version: version(), Instance: s.Instance, Migrations: s.Migrations, Check: s.Check}
	if b.WithKey {
		head.Key = b.keys.Text()
	}
	if err := b.out.Encode(head); err != nil {
		return err
	}
	err = s.Records(ctx, func(r db.Record) error {
		if r.Row != nil {
			b.rows++
		}
		return b.out.Encode(backupLine{Record: r})
	})
	if err == nil {
		err = b.dataFiles()
	}
	if err == nil {
		err = b.out.Encode(backupLine{SHA256: hex.EncodeToString(b.sum.Sum(nil))})
	}
	return errors.Join(err, packed.Close())
}

// dataFiles adds what is in the data folder besides the database: certificates and routes.
func (b *backupWriter) dataFiles() error {
	return filepath.WalkDir(b.Data, func(path string, entry fs.DirEntry, err error) error {
		name, _ := filepath.Rel(b.Data, path)
		switch {
		case errors.Is(err, fs.ErrNotExist): // gone since
			return nil
		case err != nil:
			return err
		case b.notBackedUp(name):
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		case !entry.Type().IsRegular():
			return nil
		}
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read file of the data folder: %w", err)
		}
		name = filepath.ToSlash(name)
		sealed, err := b.keys.SealFile(name, content)
		if err != nil {
			return err
		}
		if base64.StdEncoding.EncodedLen(len(sealed)) > mostLine-8<<10 {
			return fmt.Errorf("%s is too large for a backup: is it Tinyforge's? Put it elsewhere", path)
		}
		b.files++
		return b.out.Encode(backupLine{File: name, Content: sealed})
	})
}

// notBackedUp tells of what is made anew, or is in a backup in another form: locks, checkouts, the key, the database, and the images
// of tinyforge registry.
func (c *config) notBackedUp(name string) bool {
	top, _, _ := strings.Cut(filepath.ToSlash(name), "/")
	return slices.Contains([]string{"key", "lock", "checkouts", "docker", "registry"}, top) || strings.HasPrefix(top, restoreMark) ||
		strings.HasPrefix(top, "key-") || strings.HasPrefix(top, "tinyforge.db") || strings.HasSuffix(name, ".lock") || c.ofDatabase(name)
}

// ofDatabase tells whether a file below the data folder is the database, or what SQLite has beside it.
func (c *config) ofDatabase(name string) bool {
	path, sqlite := strings.CutPrefix(c.Database, "sqlite://")
	dir, errDir := filepath.Abs(c.Data)
	path, errPath := filepath.Abs(path)
	own, err := filepath.Rel(dir, path)
	if !sqlite || errors.Join(errDir, errPath, err) != nil {
		return false
	}
	rest, begins := strings.CutPrefix(name, own)
	return begins && slices.Contains([]string{"", "-wal", "-shm", "-journal"}, rest)
}
