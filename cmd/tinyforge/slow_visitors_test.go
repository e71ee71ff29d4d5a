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
	"time"

	"tinyforge/app/settings"
	"tinyforge/deploy/deploytest"
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
