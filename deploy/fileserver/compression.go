package fileserver

import (
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	// the modules that our config names
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/encode"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/encode/gzip"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/encode/zstd"
)

// compression makes Caddy's handler by itself, without Caddy's servers, admin endpoint and storage: nothing is listened
// on, and nothing is written.
func compression() (caddyhttp.MiddlewareHandler, error) {
	// The log's writer is the one that Caddy starts with, since it would announce a change.
	ctx, err := caddy.ProvisionContext(&caddy.Config{
		Admin:   &caddy.AdminConfig{Disabled: true},
		Logging: &caddy.Logging{Logs: map[string]*caddy.CustomLog{"default": {BaseLog: caddy.BaseLog{WriterRaw: []byte(`{"output":"stderr"}`), Level: "FATAL"}}}},
	})
	if err != nil {
		return nil, err
	}
	made, err := ctx.LoadModuleByID("http.handlers.encode", []byte(`{"encodings":{"zstd":{},"gzip":{}},"prefer":["zstd","gzip"]}`))
	if err != nil {
		return nil, fmt.Errorf("make compression: %w", err)
	}
	return made.(caddyhttp.MiddlewareHandler), nil
}
