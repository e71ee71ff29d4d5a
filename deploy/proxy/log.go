package proxy

import (
	"context"
	"log/slog"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap/zapcore"
)

// logCore hands Caddy's log, from warnings up, to the Proxy's logger. What it says about single requests is put at debug,
// since a client that goes away in the middle is nothing to be told about, and so are its warnings about our config.
type logCore struct {
	part
	fields []zapcore.Field
}

// CaddyModule implements caddy.Module.
func (c *logCore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "caddy.logging.cores.tinyforge",
		New: func() caddy.Module { return &logCore{part: part{registry: c.registry}} },
	}
}

// Enabled implements zapcore.Core.
func (c *logCore) Enabled(l zapcore.Level) bool { return l >= zapcore.WarnLevel }

// With implements zapcore.Core.
func (c *logCore) With(fields []zapcore.Field) zapcore.Core {
	return &logCore{part: c.part, fields: append(c.fields[:len(c.fields):len(c.fields)], fields...)}
}

// Check implements zapcore.Core.
func (c *logCore) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) && c.proxy.log.Enabled(context.Background(), levelOf(e)) {
		return checked.AddCore(e, c)
	}
	return checked
}

// Write implements zapcore.Core. The request, which holds header fields and a URL, is left out.
func (c *logCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	values := zapcore.NewMapObjectEncoder()
	for _, list := range [][]zapcore.Field{c.fields, fields} {
		for _, f := range list {
			if f.Key != "request" && f.Key != "headers" {
				f.AddTo(values)
			}
		}
	}
	attrs := []slog.Attr{slog.String("logger", e.LoggerName)}
	for k, v := range values.Fields {
		attrs = append(attrs, slog.Any(k, v))
	}
	c.proxy.log.LogAttrs(context.Background(), levelOf(e), e.Message, attrs...)
	return nil
}

// Sync implements zapcore.Core.
func (*logCore) Sync() error { return nil }

func levelOf(e zapcore.Entry) slog.Level {
	switch {
	case strings.HasPrefix(e.LoggerName, "http."):
		return slog.LevelDebug
	case e.Level >= zapcore.ErrorLevel:
		return slog.LevelError
	case e.LoggerName == "http" || e.LoggerName == "admin":
		return slog.LevelDebug
	}
	return slog.LevelWarn
}
