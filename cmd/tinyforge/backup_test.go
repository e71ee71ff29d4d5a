package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tinyforge/db/dbtest"
)

// backedUp is the backup of a Tinyforge with a secret and a certificate.
func backedUp(t *testing.T, address string, args ...string) (c config, file string) {
	t.Helper()
	c, env := keyWorld(t, address)
	certificate := filepath.Join(c.Data, "certificates", "a", "www.example.com.key")
	if err := errors.Join(os.MkdirAll(filepath.Dir(certificate), 0o700), os.WriteFile(certificate, []byte("private certificate"), 0o600)); err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "backup.gz")
	if out, err := runWith(t, env, append([]string{"backup", file}, args...)...); err != nil || !strings.Contains(out, " and 1 file are in "+file) {
		t.Fatalf("%q, %v", out, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("anybody may read it: %v, %v", info.Mode(), err)
	}
	return c, file
}

func runWith(t *testing.T, env []string, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := run(t.Context(), args, env, &out, &out)
	return out.String(), err
}

// emptyPlace is where a backup can be restored into a database.
func emptyPlace(t *testing.T, address string) (config, []string) {
	t.Helper()
	env := []string{"TINYFORGE_DATA=" + filepath.Join(t.TempDir(), "new"), "TINYFORGE_DATABASE=" + address}
	c, _, err := readConfig("restore", nil, env, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return c, env
}

// restored demands that all is there again.
func restored(t *testing.T, c config, was config) {
	t.Helper()
	opens(t, c)
	text, err := os.ReadFile(filepath.Join(c.Data, "certificates", "a", "www.example.com.key"))
	if err != nil || string(text) != "private certificate" {
		t.Errorf("the certificate is %q, %v", text, err)
	}
	if textOf(t, c) != textOf(t, was) {
		t.Error("the key is another")
	}
}

// TestBackupAndRestore: from either database into either, killed at each point, and again.
func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	for from, address := range dbtest.Databases(t) {
		was, file := backedUp(t, address, "--with-key")
		for to, empty := range dbtest.Databases(t) {
			t.Run(from+" to "+to, func(t *testing.T) {
				c, env := emptyPlace(t, empty)
				for _, point := range []string{"begun", "database loaded", "all there"} {
					head, err := checkBackup(file)
					if err != nil {
						t.Fatal(err)
					}
					r := restorer{config: c, file: file, head: head, point: func(name string) error {
						if name == point {
							return errKilled
						}
						return nil
					}}
					if err := r.run(t.Context()); !errors.Is(err, errKilled) {
						t.Fatalf("%s: %v", point, err)
					}
					if _, err := readyStore(t.Context(), c); !errors.Is(err, errUnfinished) {
						t.Errorf("%s: what is half there can be used: %v", point, err)
					}
				}
				if out, err := runWith(t, env, "restore", file); err != nil || !strings.HasPrefix(out, "Restored what was at 20") {
					t.Fatalf("%q, %v", out, err)
				}
				restored(t, c, was)
				if log := auditOf(t, c); len(log) != 1 || log[0].Action != "settings.restored" || !strings.HasPrefix(log[0].Detail, "20") {
					t.Errorf("the audit has %+v", log)
				}
				if _, err := runWith(t, env, "restore", file); err == nil || !strings.Contains(err.Error(), "is not empty") {
					t.Errorf("a second time: %v", err)
				}
				elsewhere := append([]string{"TINYFORGE_DATA=" + t.TempDir()}, env[1:]...)
				if _, err := runWith(t, elsewhere, "restore", file); err == nil || !strings.Contains(err.Error(), "a backup is restored ") {
					t.Errorf("into a database that is not empty: %v", err)
				}
				restored(t, c, was)
			})
		}
	}
}

// TestBackupHoldsNoSecretInClear: without its key nothing of it can be read, and it is refused without or with another one.
func TestBackupHoldsNoSecretInClear(t *testing.T) {
	t.Parallel()
	was, file := backedUp(t, dbtest.SQLite(t))
	text := unpacked(t, file)
	for _, secret := range []string{"s3cret", "private certificate", "cHJpdmF0ZSBjZXJ0aWZpY2F0ZQ", textOf(t, was)[20:60]} {
		if strings.Contains(text, secret) {
			t.Errorf("%q is in it", secret)
		}
	}
	c, env := emptyPlace(t, dbtest.SQLite(t))
	if _, err := runWith(t, env, "restore", file); err == nil || !strings.Contains(err.Error(), "made without its key") {
		t.Errorf("without the key: %v", err)
	}
	other, _ := keyWorld(t, dbtest.SQLite(t))
	if _, err := runWith(t, append(env, "TINYFORGE_KEY="+textOf(t, other)), "restore", file); err == nil || !strings.Contains(err.Error(), "does not open this backup") {
		t.Errorf("with another key: %v", err)
	}
	if _, err := runWith(t, append(env, "TINYFORGE_KEY="+textOf(t, was)), "restore", file); err != nil {
		t.Fatalf("with the key: %v", err)
	}
	if _, err := os.Stat(filepath.Join(c.Data, "key")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a key from the environment was written down: %v", err)
	}
	c.Key = textOf(t, was)
	restored(t, c, was)
}

func unpacked(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	packed, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(packed)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestDamagedBackups: what is not whole is refused before anything is done.
func TestDamagedBackups(t *testing.T) {
	t.Parallel()
	_, file := backedUp(t, dbtest.SQLite(t), "--with-key")
	text := unpacked(t, file)
	last := strings.LastIndex(strings.TrimSpace(text), "\n") + 1
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"empty": {}, "text": []byte("hello"), "cut": whole[:len(whole)/2], "no end": pack(t, text[:last]), "a row less": pack(t, text[:last/2]+text[last/2+2:]),
		"another value": pack(t, strings.Replace(text, `"forge"`, `"forgE"`, 1)), "more behind": pack(t, text+"x"), "another format": pack(t, strings.Replace(text, "backup 1", "backup 2", 1)),
	} {
		c, env := emptyPlace(t, dbtest.SQLite(t))
		bad := filepath.Join(t.TempDir(), "bad.gz")
		if err := os.WriteFile(bad, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := runWith(t, env, "restore", bad); err == nil || !strings.Contains(err.Error(), "backup") || !strings.Contains(err.Error(), bad) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(c.Data); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: something was done: %v", name, err)
		}
	}
}

// TestHostileBackups: one that was made to harm, whole and with a key of its own, writes to no file that it should not, and is
// given up before it fills memory.
func TestHostileBackups(t *testing.T) {
	t.Parallel()
	was, file := backedUp(t, dbtest.SQLite(t), "--with-key")
	keys, err := sealingKey(t.Context(), was)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(unpacked(t, file), "\n")
	body := strings.Join(lines[:len(lines)-2], "") // without the sum
	with := func(line string) []byte {
		text := body + line
		return pack(t, text+fmt.Sprintf("{\"sha256\":%q}\n", fmt.Sprintf("%x", sha256.Sum256([]byte(text)))))
	}
	for _, name := range []string{
		"../outside", "/etc/outside", "a/../../outside", "a/../key", "./key", "a/../tinyforge.db", "a/../restore.unfinished", "key", "x.lock", "a//b", ".", "",
	} {
		sealed, err := keys.SealFile(name, []byte("hostile"))
		if err != nil {
			t.Fatal(err)
		}
		line, err := json.Marshal(map[string]any{"file": name, "content": sealed})
		if err != nil {
			t.Fatal(err)
		}
		bad := filepath.Join(t.TempDir(), "bad.gz")
		if err := os.WriteFile(bad, with(string(line)+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, env := emptyPlace(t, dbtest.SQLite(t))
		if _, err := runWith(t, env, "restore", bad); err == nil {
			t.Errorf("a file called %q is taken", name)
		}
	}
	bomb := filepath.Join(t.TempDir(), "bomb.gz")
	if err := os.WriteFile(bomb, with(strings.Repeat("a", mostLine+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := checkBackup(bomb); !errors.Is(err, errLine) {
		t.Errorf("a line without an end: %v", err)
	}
}

func pack(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := io.WriteString(w, text)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestBackupFaults: what it says to a person who asks for what cannot be.
func TestBackupFaults(t *testing.T) {
	t.Parallel()
	c, env := keyWorld(t, dbtest.SQLite(t))
	for want, args := range map[string][]string{
		"backup takes one file":               {"backup"},
		"restore takes one file":              {"restore", "a", "b"},
		"is in the data folder":               {"backup", filepath.Join(c.Data, "backup.gz")},
		"no such file or directory":           {"restore", filepath.Join(c.Data, "absent")},
		"write " + c.Data + "x/absent/b.gz: ": {"backup", c.Data + "x/absent/b.gz"},
	} {
		if _, err := runWith(t, env, args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", args, err, want)
		}
	}
	if _, err := runWith(t, []string{"TINYFORGE_DATA=" + t.TempDir()}, "backup", "x.gz"); err == nil || !strings.Contains(err.Error(), "there is no Tinyforge in") {
		t.Errorf("of nothing: %v", err)
	}
}

// TestADatabaseOfAnyNameIsNoFile: one in the data folder is in the backup as rows alone. Its file, which changes while it is
// read, must not take the place of what was restored.
func TestADatabaseOfAnyNameIsNoFile(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	env := []string{"TINYFORGE_DATA=" + dir, "TINYFORGE_DATABASE=sqlite://" + filepath.Join(dir, "own.sqlite")}
	was, _, err := readConfig("rotate-key", nil, env, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	store, err := readyStore(t.Context(), was) // open meanwhile, so that there are the files beside it
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := os.WriteFile(filepath.Join(dir, "own.sqlite.txt"), []byte("not its own"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "backup.gz")
	if out, err := runWith(t, env, "backup", file, "--with-key"); err != nil || !strings.Contains(out, " and 1 file are in ") {
		t.Fatalf("%q, %v", out, err)
	}
	if text := unpacked(t, file); strings.Contains(text, `"file":"own.sqlite"`) || !strings.Contains(text, `"file":"own.sqlite.txt"`) {
		t.Error("the database's file is in it, or what is not the database's is not")
	}
}

// TestARestoreIsKilledAtItsBegin: what its first moments leave keeps nobody from restoring there.
func TestARestoreIsKilledAtItsBegin(t *testing.T) {
	t.Parallel()
	was, file := backedUp(t, dbtest.SQLite(t), "--with-key")
	dir := filepath.Join(t.TempDir(), "new")
	c, env := emptyPlace(t, "sqlite://"+filepath.Join(dir, "tinyforge.db"))
	c.Data, env[0] = dir, "TINYFORGE_DATA="+dir
	if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, restoreMark+"-123"), nil, 0o600)); err != nil {
		t.Fatal(err) // the mark, half written
	}
	head, err := checkBackup(file)
	if err != nil {
		t.Fatal(err)
	}
	r := restorer{config: c, file: file, head: head, point: func(name string) error {
		if name == "database made" { // while it writes a file
			return errors.Join(errKilled, os.WriteFile(filepath.Join(dir, restoreMark+"-456"), nil, 0o600))
		}
		return nil
	}}
	if err := r.run(t.Context()); !errors.Is(err, errKilled) {
		t.Fatal(err)
	}
	if _, err := runWith(t, env, "restore", file); err != nil {
		t.Fatal(err)
	}
	restored(t, c, was)
	if left, err := filepath.Glob(filepath.Join(dir, restoreMark+"*")); err != nil || len(left) > 0 {
		t.Errorf("left are %q, %v", left, err)
	}
}
