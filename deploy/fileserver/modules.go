package fileserver

import (
	"encoding/json"
	"fmt"
	"io/fs"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	// the modules that our config names
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/encode"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/encode/brotli"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/encode/gzip"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/encode/zstd"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/fileserver"
)

type object = map[string]any

// modules makes Caddy's handlers by themselves, without Caddy's servers, admin endpoint and storage: nothing is listened
// on, and nothing is written. They serve the files under the names that they have in f.
func modules(f fs.FS) (files, compress caddyhttp.MiddlewareHandler, err error) {
	// The log's writer is the one that Caddy starts with, since it would announce a change.
	ctx, err := caddy.ProvisionContext(&caddy.Config{
		Admin:   &caddy.AdminConfig{Disabled: true},
		Logging: &caddy.Logging{Logs: map[string]*caddy.CustomLog{"default": {BaseLog: caddy.BaseLog{WriterRaw: []byte(`{"output":"stderr"}`), Level: "FATAL"}}}},
	})
	if err != nil {
		return nil, nil, err
	}
	ctx.FileSystems().Register("site", f)
	files, err = module(ctx, "file_server", object{
		"fs":             "site",
		"root":           ".",
		"index_names":    []string{},
		"canonical_uris": false,
		"precompressed":  object{"br": object{}, "zstd": object{}, "gzip": object{}},
		// strongest first, as the compression below does
		"precompressed_order":  []string{"br", "zstd", "gzip"},
		"etag_file_extensions": []string{tagSuffix},
	})
	if err != nil {
		return nil, nil, err
	}
	compress, err = module(ctx, "encode", object{
		"encodings": object{"zstd": object{}, "gzip": object{}},
		"prefer":    []string{"zstd", "gzip"},
	})
	return files, compress, err
}

func module(ctx caddy.Context, name string, config object) (caddyhttp.MiddlewareHandler, error) {
	text, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	made, err := ctx.LoadModuleByID("http.handlers."+name, text)
	if err != nil {
		return nil, fmt.Errorf("make %s: %w", name, err)
	}
	return made.(caddyhttp.MiddlewareHandler), nil
}
