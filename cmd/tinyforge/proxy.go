package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
)

// runProxy is the command proxy: it serves the sites, with the routes of its data folder, and takes orders on a socket.
func runProxy(ctx context.Context, c config, _ []string, in invocation) error {
	log := newLogger(c, &guardedLog{out: in.err}) // it knows no secret
	slog.SetDefault(log)                          // Caddy has taken the standard logger for itself
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return fmt.Errorf("make data folder: %w; choose another with --data", err)
	}
	if err := isOwn(c.Data); err != nil {
		return err
	}
	p, err := newProxy(c, filepath.Join(c.Data, "routes"), nil, log)
	if err != nil {
		return err
	}
	defer p.Close()
	handed, err := inherited()
	if err != nil {
		return err
	}
	p.Inherit(handed["http"], handed["https"])
	if err := listenForSites(ctx, p, c, log); err != nil {
		return err
	}
	admin, err := p.ListenAdmin(ctx, c.proxySocket())
	if err != nil {
		return fmt.Errorf("%w; choose another with --proxy-socket", err)
	}
	log.InfoContext(ctx, "tinyforge proxy starts", "version", version(), "data", c.Data, "proxy_socket", c.proxySocket(), "routes", len(p.Stats()))
	return runStages(ctx, log, stage{"proxy", p.Run}, stage{"administration", admin.Run})
}
