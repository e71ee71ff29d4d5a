package main

import (
	"log/slog"
	"testing"

	"tinyforge/deploy/docker"
)

func TestMachine(t *testing.T) {
	engine, err := docker.New(docker.Config{Instance: "test", Network: "tinyforge-test", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = engine.Close() }()
	m := machine{engine: engine, folder: t.TempDir(), minFree: 7}
	if bytes, err := m.Memory(); err != nil || bytes < 1<<20 {
		t.Errorf("memory: %d, %v", bytes, err)
	}
	if version, err := m.Docker(t.Context()); err != nil || version == "" {
		t.Errorf("docker: %q, %v", version, err)
	}
	if free, needed, err := m.Disk(t.Context()); err != nil || free <= 0 || needed != 7 {
		t.Errorf("disk: %d, %d, %v", free, needed, err)
	}
}
