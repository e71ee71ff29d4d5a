package dbtest

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Template is what databases begin as. It is filled once in each dialect, when it is first asked for, and copied from then
// on: a copy takes milliseconds. It is safe for concurrent use.
type Template struct {
	fill func(address string) error

	sqlite   func() ([]byte, error)
	postgres func() (string, error)
}

// NewTemplate makes a template of what fill puts into the empty database at an address. When fill returns, it must have
// closed its connections.
func NewTemplate(fill func(address string) error) *Template {
	t := &Template{fill: fill}
	t.sqlite, t.postgres = sync.OnceValues(t.fillSQLite), sync.OnceValues(t.fillPostgres)
	return t
}

// Databases yields what the function Databases does, with copies of the template.
func (m *Template) Databases(t testing.TB) iter.Seq2[string, string] {
	return func(yield func(dialect, url string) bool) {
		_ = yield("sqlite", m.SQLite(t)) && yield("postgres", m.Postgres(t))
	}
}

// SQLite returns the address of a file that is a copy of the template.
func (m *Template) SQLite(t testing.TB) string {
	t.Helper()
	content, err := m.sqlite()
	if err != nil {
		t.Fatalf("fill template: %v", err)
	}
	address := SQLite(t)
	if err := os.WriteFile(strings.TrimPrefix(address, "sqlite://"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	return address
}

// Postgres returns the address of a database that is a copy of the template.
func (m *Template) Postgres(t testing.TB) string {
	t.Helper()
	name, err := m.postgres()
	if err != nil {
		t.Fatalf("fill template: %v", err)
	}
	return postgres(t, " TEMPLATE "+name)
}

func (m *Template) fillSQLite() ([]byte, error) {
	dir, err := os.MkdirTemp("", "tinyforge-template-")
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "tinyforge.db")
	content, err := []byte(nil), m.fill("sqlite://"+filepath.ToSlash(file))
	if err == nil {
		content, err = os.ReadFile(file)
	}
	return content, errors.Join(err, os.RemoveAll(dir))
}

// fillPostgres returns the name of the database, which ends with the server.
func (m *Template) fillPostgres() (string, error) {
	c, err := shared()
	if err != nil {
		return "", err
	}
	name := fmt.Sprintf("template_%d", databases.Add(1))
	if err := c.admin("CREATE DATABASE " + name); err != nil {
		return "", err
	}
	return name, m.fill(c.url(name))
}
