package registry

import (
	"context"
	"log/slog"

	"github.com/sirupsen/logrus"
)

// hook hands what the library logs to a log of ours.
type hook struct{ log *slog.Logger }

func hooksTo(log *slog.Logger) logrus.LevelHooks {
	hooks := logrus.LevelHooks{}
	hooks.Add(hook{log})
	return hooks
}

// Levels implements logrus.Hook.
func (hook) Levels() []logrus.Level { return logrus.AllLevels }

// shown are the fields that say more than that there was a request.
var shown = []string{"err.code", "err.message", "err.detail", "error", "http.request.method", "http.request.uri", "http.response.status"}

// Fire implements logrus.Hook. An error with a code other than "unknown" is an answer to a client, as that it has to send a blob.
func (h hook) Fire(e *logrus.Entry) error {
	level := slog.LevelDebug
	if code, answer := e.Data["err.code"]; e.Level <= logrus.ErrorLevel && (!answer || code == "unknown") {
		level = slog.LevelWarn
	}
	attrs := []slog.Attr{}
	for _, name := range shown {
		if value, has := e.Data[name]; has {
			attrs = append(attrs, slog.Any(name, value))
		}
	}
	ctx := e.Context
	if ctx == nil {
		ctx = context.Background()
	}
	h.log.LogAttrs(ctx, level, e.Message, attrs...)
	return nil
}
