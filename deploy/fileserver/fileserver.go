// Package fileserver serves one static site out of its image: net/http.ServeContent and Caddy's compression, inside a server of our
// own that ends without cutting a request.
package fileserver

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"tinyforge/deploy/site"
)

// readTimeout is how long a header may take, and then a body.
const readTimeout = 15 * time.Second

// grace is how long requests may go on when the server is asked to end. Docker kills it after ten seconds.
const grace = 8 * time.Second

// Run serves the site in dir, which it only reads, on the port of its config. When ctx is done it takes no new connection,
// lets requests end for at most the grace, and returns nil.
func Run(ctx context.Context, dir string, log *slog.Logger) error {
	config, err := ReadConfig(dir)
	if err != nil {
		return err
	}
	handler, err := New(config, filepath.Join(dir, site.FilesFolder), log)
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", ":"+strconv.Itoa(config.Port))
	if err != nil {
		return fmt.Errorf("serve site: %w", err)
	}
	return Serve(ctx, listener, handler, log)
}

// ReadConfig reads the config of the site in dir.
func ReadConfig(dir string) (c site.Config, err error) {
	text, err := os.ReadFile(filepath.Join(dir, site.ConfigFile))
	if err != nil {
		return c, fmt.Errorf("read site: %w", err)
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return c, fmt.Errorf("read site: %w", err)
	}
	return c, nil
}

// Serve answers on listener until ctx is done, as Run does.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler, log *slog.Logger) error {
	server := &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { boundBody(w, r); handler.ServeHTTP(w, r) }),
		ReadHeaderTimeout: readTimeout,
		IdleTimeout:       3 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve site: %w", err)
	case <-ctx.Done():
	}
	wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := server.Shutdown(wait); err != nil {
		log.WarnContext(ctx, "requests outlast the grace and are ended", slog.Duration("grace", grace))
		return server.Close()
	}
	return nil
}

// boundBody gives a body, which nobody reads but the server before it answers, as long as a header. ReadTimeout would also
// bound the downloads of requests without one.
func boundBody(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(readTimeout))
	}
}
