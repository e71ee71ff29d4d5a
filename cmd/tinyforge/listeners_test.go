package main

import (
	"bufio"
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

// TestListenersEndSlowRequests: whoever sends a header or a body too slowly, or never asks again, is cut off; a header without
// end is refused. It happens in a time of its own, between the two ends of a pipe.
func TestListenersEndSlowRequests(t *testing.T) {
	for name, tt := range map[string]struct {
		send string
		slow string        // sent once a second afterwards
		ends time.Duration // at the latest
		says string        // in the last answer; "" is nothing
	}{
		"silence":        {"", "", 11 * time.Second, ""},
		"slow header":    {"GET / HTTP/1.1\r\nHost: x\r\n", "X-A: b\r\n", 11 * time.Second, ""},
		"endless header": {"GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X-A: b\r\n", 8<<10), "", time.Second, "431"},
		"slow body":      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n", "b", 62 * time.Second, "cut"},
		"idle":           {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "", 121 * time.Second, "200"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pipes := make(pipeListener, 1)
				ctx, stop := context.WithCancel(t.Context())
				log := slog.New(slog.DiscardHandler)
				c := &control{log: log, parts: controlParts{pages: settings.New(settings.Config{Log: log})}}
				served := make(chan error, 1)
				go func() { served <- c.serve(ctx, pipes, http.HandlerFunc(readAll)) }()
				ours, theirs := net.Pipe()
				pipes <- theirs
				begun := time.Now()
				go func() {
					for text := tt.send; ; text = tt.slow {
						if _, err := io.WriteString(ours, text); err != nil || tt.slow == "" {
							return
						}
						time.Sleep(time.Second)
					}
				}()
				answer, _ := io.ReadAll(bufio.NewReader(ours))
				if took := time.Since(begun); took > tt.ends || !strings.Contains(string(answer), tt.says) {
					t.Errorf("after %v: %q", took, answer)
				}
				_ = ours.Close()
				stop()
				<-served
			})
		})
	}
}

// readAll says how the body ended.
func readAll(w http.ResponseWriter, r *http.Request) {
	if _, err := io.ReadAll(r.Body); err != nil {
		fmt.Fprint(w, "cut")
	}
}

// pipeListener accepts what is put into it.
type pipeListener chan net.Conn

func (l pipeListener) Accept() (net.Conn, error) {
	if c, ok := <-l; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (l pipeListener) Close() error { close(l); return nil }

func (pipeListener) Addr() net.Addr { return &net.TCPAddr{} }
