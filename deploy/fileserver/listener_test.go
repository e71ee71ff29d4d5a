package fileserver

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"tinyforge/deploy/deploytest"
	"tinyforge/deploy/site"
)

// TestSlowVisitorsAreCutOff: whoever sends a header or a body too slowly, or never asks again, is cut off; a header without end is
// refused. Time here is the test's own, between the two ends of a pipe.
func TestSlowVisitorsAreCutOff(t *testing.T) {
	const request = "GET /none HTTP/1.1\r\nHost: x\r\n"
	for name, visitor := range map[string]deploytest.SlowVisitor{
		"silence":        {After: 15 * time.Second},
		"slow header":    {Send: request, Slow: "X-A: b\r\n", After: 15 * time.Second},
		"endless header": {Send: request + strings.Repeat("X-A: b\r\n", 8<<10), Says: "431"},
		"stalled body":   {Send: request + "Content-Length: 1000\r\n\r\n", After: 15 * time.Second, Says: "404"},
		"slow chunks":    {Send: request + "Transfer-Encoding: chunked\r\n\r\n", Slow: "1\r\nb\r\n", After: 15 * time.Second, Says: "404"},
		"idle":           {Send: request + "\r\n", After: 3 * time.Minute, Says: "404"},
	} {
		t.Run(name, func(t *testing.T) { visitor.Visit(t, serveNothing(t.TempDir())) })
	}
}

// serveNothing serves a site of no files.
func serveNothing(dir string) func(context.Context, net.Listener) error {
	log := slog.New(slog.DiscardHandler)
	return func(ctx context.Context, listener net.Listener) error {
		handler, err := New(site.Config{}, dir, log)
		if err != nil {
			return err
		}
		return Serve(ctx, listener, handler, log)
	}
}
