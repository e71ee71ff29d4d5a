package fileserver

import (
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tinyforge/deploy/site"
)

// TestSlowVisitorsAreCutOff: whoever sends a header or a body too slowly, or never asks again, is cut off; a header without end is
// refused. Time here is the test's own, between the two ends of a pipe.
func TestSlowVisitorsAreCutOff(t *testing.T) {
	const request = "GET /none HTTP/1.1\r\nHost: x\r\n"
	for name, tt := range map[string]struct {
		send, slow string        // what is sent at once, and then once a second
		after      time.Duration // it is cut off, in whole seconds
		status     string        // "" is no answer
	}{
		"silence":        {"", "", 15 * time.Second, ""},
		"slow header":    {request, "X-A: b\r\n", 15 * time.Second, ""},
		"endless header": {request + strings.Repeat("X-A: b\r\n", 8<<10), "", 0, "431 "},
		"stalled body":   {request + "Content-Length: 1000\r\n\r\n", "", 15 * time.Second, "404 "},
		"slow chunks":    {request + "Transfer-Encoding: chunked\r\n\r\n", "1\r\nb\r\n", 15 * time.Second, "404 "},
		"idle":           {request + "\r\n", "", 3 * time.Minute, "404 "},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn := visit(t)
				begun, sent := time.Now(), make(chan struct{})
				go func() {
					defer close(sent)
					for text := tt.send; ; text = tt.slow {
						if _, err := io.WriteString(conn, text); err != nil || tt.slow == "" {
							return
						}
						time.Sleep(time.Second)
					}
				}()
				answer, _ := io.ReadAll(conn)
				if took := time.Since(begun).Truncate(time.Second); took != tt.after {
					t.Errorf("cut off after %v, want %v", took, tt.after)
				}
				if want := "HTTP/1.1 " + tt.status; tt.status != "" && !strings.HasPrefix(string(answer), want) {
					t.Errorf("answered %q, want %s", answer, tt.status)
				}
				if tt.status == "" && len(answer) > 0 {
					t.Errorf("answered %q", answer)
				}
				_ = conn.Close()
				<-sent
			})
		})
	}
}

// visit connects to a site of no files.
func visit(t *testing.T) net.Conn {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	handler, err := New(site.Config{}, t.TempDir(), log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	pipes, served := make(pipeListener, 1), make(chan error, 1)
	go func() { served <- Serve(ctx, pipes, handler, log) }()
	ours, theirs := net.Pipe()
	pipes <- theirs
	t.Cleanup(func() {
		_ = ours.Close()
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return ours
}

// pipeListener accepts what is put into it.
type pipeListener chan net.Conn

// Accept implements net.Listener.
func (l pipeListener) Accept() (net.Conn, error) {
	if c, ok := <-l; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

// Close implements net.Listener.
func (l pipeListener) Close() error { close(l); return nil }

// Addr implements net.Listener.
func (pipeListener) Addr() net.Addr { return &net.TCPAddr{} }
