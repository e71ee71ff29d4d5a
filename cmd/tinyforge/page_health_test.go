package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tinyforge/deploy/docker"
)

func TestHealth(t *testing.T) {
	engine, err := docker.New(docker.Config{Instance: "test", Network: "tinyforge-test", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = engine.Close() }()
	h := &health{config: config{Data: t.TempDir(), Router: "builtin"}, engine: engine, started: time.Now()}
	if bytes, err := h.Memory(); err != nil || bytes < 1<<20 {
		t.Errorf("memory: %d, %v", bytes, err)
	}
	if version, err := h.Docker(t.Context()); err != nil || version == "" {
		t.Errorf("docker: %q, %v", version, err)
	}
	if free, err := h.Free(t.Context()); err != nil || free <= 0 {
		t.Errorf("free: %d, %v", free, err)
	}
}

// TestDatabaseSize: what is written last counts too, and no file of another database does.
func TestDatabaseSize(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.db")
	for name, size := range map[string]int{path: 100, path + "-wal": 20} {
		if err := os.WriteFile(name, make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for database, want := range map[string]int64{"sqlite://" + path: 120, "sqlite://" + path + "x": 0, "postgres://host" + path: 0} {
		if got := databaseSize(config{Database: database}); got != want {
			t.Errorf("%s: %d, want %d", database, got, want)
		}
	}
}
