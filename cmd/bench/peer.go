package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"time"

	"github.com/caddyserver/caddy/v2"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp" // what its configuration names
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/encode"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/encode/gzip"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/fileserver"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	_ "github.com/caddyserver/caddy/v2/modules/caddytls"
	_ "github.com/caddyserver/caddy/v2/modules/logging"
)

// peer is this program as one of those that are measured, or as the program behind them. It ends when it is killed.
func peer(ctx context.Context, args []string) error {
	switch {
	case len(args) == 2 && args[0] == "backend":
		if _, err := startBackend(ctx, args[1], 1, nil); err != nil {
			return err
		}
	case len(args) == 5 && args[0] == "backend":
		b, err := startBackend(ctx, args[1], 1, nil)
		if err == nil {
			err = b.serveTLS(ctx, args[2], args[3], args[4])
		}
		if err != nil {
			return err
		}
	case len(args) == 2 && args[0] == "caddy":
		config, err := os.ReadFile(args[1])
		if err != nil {
			return err
		}
		if err := caddy.Load(config, true); err != nil {
			return err
		}
	case len(args) == 6 && args[0] == "httputil":
		if err := serveHTTPUtil(ctx, args[1], args[2], args[3], args[4], args[5]); err != nil {
			return err
		}
	case len(args) == 3 && args[0] == "verify":
		if err := serveVerifier(ctx, args[1], args[2], ""); err != nil {
			return err
		}
	case len(args) == 4 && args[0] == "verify":
		if err := serveVerifier(ctx, args[1], args[2], args[3]); err != nil {
			return err
		}
	default:
		return fmt.Errorf("no such peer: %q", args)
	}
	<-ctx.Done()
	return nil
}

// serveHTTPUtil is the standard library's reverse proxy, with connections to the upstream kept as by the others.
func serveHTTPUtil(ctx context.Context, upstream, plain, secure, cert, key string) error {
	to := &url.URL{Scheme: "http", Host: upstream}
	handler := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.SetXForwarded()
			r.Out.Host = r.In.Host
		},
		Transport: &http.Transport{MaxIdleConnsPerHost: 256, IdleConnTimeout: time.Minute, DisableCompression: true},
	}
	for address, serve := range map[string]func(*http.Server, net.Listener) error{
		plain:  (*http.Server).Serve,
		secure: func(s *http.Server, l net.Listener) error { return s.ServeTLS(l, cert, key) },
	} {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
		if err != nil {
			return err
		}
		go func() { _ = serve(&http.Server{Handler: handler, ReadHeaderTimeout: answerPatience}, l) }()
	}
	return nil
}
