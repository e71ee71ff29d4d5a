package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tinyforge/app/settings"
)

// TestSlowVisitorsAreCutOff: whoever sends a header or a body too slowly, or never reads the answer, or never asks again, is cut
// off; a header without end is refused. Time here is the test's own, between the two ends of a pipe.
func TestSlowVisitorsAreCutOff(t *testing.T) {
	const request = "POST / HTTP/1.1\r\nHost: x\r\n"
	for name, tt := range map[string]struct {
		send, slow string        // what is sent at once, and then once a second
		after      time.Duration // it is cut off, in whole seconds
		says       string        // the answer's status, and what ended the body
		deaf       bool          // nothing is read
	}{
		"silence":        {"", "", 10 * time.Second, "", false},
		"slow header":    {request, "X-A: b\r\n", 10 * time.Second, "", false},
		"endless header": {request + strings.Repeat("X-A: b\r\n", 8<<10), "", 0, "431", false},
		"stalled body":   {request + "Content-Length: 1000\r\n\r\n", "", time.Minute, "200 i/o timeout", false},
		"slow body":      {request + "Content-Length: 1000\r\n\r\n", "b", time.Minute, "200 i/o timeout", false},
		"idle":           {request + "\r\n", "", 2 * time.Minute, "200 <nil>", false},
		"unread answer":  {request + "\r\n", "b", 2 * time.Minute, "", true},
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
				if tt.deaf {
					<-sent
				}
				answer, _ := io.ReadAll(conn)
				if took := time.Since(begun).Truncate(time.Second); took != tt.after {
					t.Errorf("cut off after %v, want %v", took, tt.after)
				}
				for _, word := range strings.Fields(tt.says) {
					if !strings.Contains(string(answer), word) {
						t.Errorf("answered %q, want %s", answer, tt.says)
					}
				}
				if tt.says == "" && len(answer) > 0 {
					t.Errorf("answered %q", answer)
				}
				_ = conn.Close()
				<-sent
			})
		})
	}
}

// visit connects to a listener of the control plane, whose handler reads the body and says how that ended.
func visit(t *testing.T) net.Conn {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	c := &control{log: log, parts: controlParts{pages: settings.New(settings.Config{Log: log})}}
	ctx, stop := context.WithCancel(t.Context())
	pipes, served := make(pipeListener, 1), make(chan error, 1)
	go func() {
		served <- c.serve(ctx, pipes, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, err := io.Copy(io.Discard, r.Body)
			_, _ = fmt.Fprint(w, err)
		}))
	}()
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
