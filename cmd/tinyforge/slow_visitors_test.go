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
	"tinyforge/deploy/deploytest"
	"tinyforge/deploy/registry"
)

// TestSlowVisitorsAreCutOff: whoever sends a header or a body too slowly, or never reads the answer, or never asks again, is cut
// off; a header without end is refused. Time here is the test's own, between the two ends of a pipe.
func TestSlowVisitorsAreCutOff(t *testing.T) {
	const request = "POST / HTTP/1.1\r\nHost: x\r\n"
	for name, visitor := range map[string]deploytest.SlowVisitor{
		"silence":        {After: 10 * time.Second},
		"slow header":    {Send: request, Slow: "X-A: b\r\n", After: 10 * time.Second},
		"endless header": {Send: request + strings.Repeat("X-A: b\r\n", 8<<10), Says: "431"},
		"stalled body":   {Send: request + "Content-Length: 1000\r\n\r\n", After: time.Minute, Says: "200 i/o timeout"},
		"slow body":      {Send: request + "Content-Length: 1000\r\n\r\n", Slow: "b", After: time.Minute, Says: "200 i/o timeout"},
		"idle":           {Send: request + "\r\n", After: 2 * time.Minute, Says: "200 <nil>"},
		"unread answer":  {Send: request + "\r\n", Slow: "b", After: 2 * time.Minute, Deaf: true},
	} {
		t.Run(name, func(t *testing.T) { visitor.Visit(t, serveSlowly) })
	}
	const push = "PATCH /v2/web/blobs/uploads/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
	images, err := registry.New(t.Context(), registry.Config{Dir: t.TempDir(), User: "ann", Password: "sesame", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for name, visitor := range map[string]deploytest.SlowVisitor{
		"silence":                     {After: 10 * time.Second},
		"slow header":                 {Send: request, Slow: "X-A: b\r\n", After: 10 * time.Second},
		"endless header":              {Send: request + strings.Repeat("X-A: b\r\n", 8<<10), Says: "431"},
		"stalled body, no account":    {Send: push + "\r\n", After: time.Minute, Says: "401"},
		"slow body, no account":       {Send: push + "\r\n", Slow: "b", After: time.Minute, Says: "401"},
		"endless chunks, no account":  {Send: request + "Transfer-Encoding: chunked\r\n\r\n", Slow: "1\r\nb\r\n", After: time.Minute, Says: "401"},
		"stalled body, to be read":    {Send: push + "X-Read: 1\r\n\r\nb", After: time.Minute, Says: "200 i/o timeout"},
		"a body that comes in pieces": {Send: push + "X-Read: 1\r\n\r\n", Slow: "b", After: (1000 + 4 + 10) * time.Second, Says: "200 <nil>"}, // and a header after it
		"idle":                        {Send: request + "X-Read: 1\r\n\r\n", After: 2 * time.Minute, Says: "200 <nil>"},
		"no account":                  {Send: request + "\r\n", Says: "401"},
		"unread answer":               {Send: request + "\r\n", Slow: "b", After: 2 * time.Minute, Deaf: true},
	} {
		t.Run("registry, "+name, func(t *testing.T) { visitor.Visit(t, imagesSlowly(images)) })
	}
}

// serveSlowly serves as the control plane does, with a handler that reads the body and says how that ended.
func serveSlowly(ctx context.Context, listener net.Listener) error {
	log := slog.New(slog.DiscardHandler)
	c := &control{log: log, parts: controlParts{pages: settings.New(settings.Config{Log: log})}}
	return c.serve(ctx, listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprint(w, err)
	}))
}

// imagesSlowly serves as the registry does, which reads no body, beside a handler that does and says how that ended.
func imagesSlowly(images http.Handler) func(context.Context, net.Listener) error {
	return func(ctx context.Context, listener net.Listener) error {
		return imageServer{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Read") == "" {
				images.ServeHTTP(w, r)
				return
			}
			_, err := io.Copy(io.Discard, r.Body)
			_, _ = fmt.Fprint(w, err)
		}), listener, nil, slog.New(slog.DiscardHandler)}.run(ctx)
	}
}

// TestConnectionsToTheRegistryAreLimited: one more waits until another one ends.
func TestConnectionsToTheRegistryAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		come, served := make(pipes), make(chan error, 1)
		go func() { served <- imagesSlowly(http.NotFoundHandler())(ctx, come) }()
		var visitors []net.Conn
		visit := func() bool {
			synctest.Wait()
			visitor, server := net.Pipe()
			visitors = append(visitors, visitor)
			select {
			case come <- server:
				return true
			default:
				return false
			}
		}
		for n := range mostConnections {
			if !visit() {
				t.Fatalf("no more than %d are served", n)
			}
		}
		if visit() {
			t.Error("one more is served")
		}
		_ = visitors[0].Close()
		if !visit() {
			t.Error("nobody follows who has gone")
		}
		for _, v := range visitors {
			_ = v.Close()
		}
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

// pipes accepts what is sent to it.
type pipes chan net.Conn

// Accept implements net.Listener.
func (p pipes) Accept() (net.Conn, error) {
	if c, ok := <-p; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

// Close implements net.Listener.
func (p pipes) Close() error { close(p); return nil }

// Addr implements net.Listener.
func (pipes) Addr() net.Addr { return &net.TCPAddr{} }
