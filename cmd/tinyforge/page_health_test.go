package main

import (
	"log/slog"
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
