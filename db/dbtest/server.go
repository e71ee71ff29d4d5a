package dbtest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// Server is a PostgreSQL server of a test's own, which can be disturbed.
type Server struct {
	*testing.T
	cluster *cluster
}

// NewServer starts one. It ends with the test.
func NewServer(t *testing.T) *Server {
	t.Helper()
	c, err := startCluster()
	if err != nil {
		t.Fatalf("this test needs PostgreSQL: %v", err)
	}
	t.Cleanup(func() { _ = c.alive.Close() })
	return &Server{t, c}
}

// URL is the address of a new, empty database.
func (s *Server) URL() string {
	s.Helper()
	name := fmt.Sprintf("test_%d", databases.Add(1))
	if err := s.cluster.admin("CREATE DATABASE " + name); err != nil {
		s.Fatal(err)
	}
	return s.cluster.url(name)
}

// Cut ends every connection but that which does it.
func (s *Server) Cut() {
	s.Helper()
	if err := s.cluster.admin("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"); err != nil {
		s.Fatal(err)
	}
}

// Restart ends the server at once, as a crash does, and returns when the next one answers.
func (s *Server) Restart() {
	s.Helper()
	first := s.pid()
	if err := os.WriteFile(filepath.Join(s.cluster.dir, "restart"), nil, 0o644); err != nil {
		s.Fatal(err)
	}
	if err := syscall.Kill(first, syscall.SIGQUIT); err != nil {
		s.Fatal(err)
	}
	for now := first; now == first || now == 0; now = s.pid() {
		time.Sleep(10 * time.Millisecond)
	}
	if err := s.cluster.wait(nil); err != nil {
		s.Fatal(err)
	}
}

// pid is the server's; 0 when there is none at the moment.
func (s *Server) pid() int {
	text, err := os.ReadFile(filepath.Join(s.cluster.dir, "data", "postmaster.pid"))
	if err != nil {
		return 0
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	pid, _ := strconv.Atoi(string(line)) // half written: not yet
	return pid
}
