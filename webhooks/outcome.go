package webhooks

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"tinyforge/db"
)

// outcome is what came of a request.
type outcome struct {
	Answer
	code      int
	authentic bool  // its signature verified
	unread    bool  // it is authentic, and cannot be read
	doubtful  bool  // the forge may have changed since its row was read
	err       error // what went wrong on our side, for the log
}

func refused(code int, decision string) outcome {
	return outcome{code: code, Answer: Answer{Decision: decision}}
}

// unknown is the outcome of a delivery of no forge, or of one whose row could not be read.
func unknown(err error) outcome {
	if errors.Is(err, db.ErrNotFound) {
		return refused(http.StatusNotFound, "unknown forge: check the webhook's address")
	}
	return unrecorded(err)
}

// unrecorded makes the forge show the delivery as failed, so that somebody can send it again.
func unrecorded(err error) outcome {
	out := refused(http.StatusServiceUnavailable, "not recorded: send it again")
	out.err = err
	return out
}

// tell logs an outcome. What anybody can cause is a warning, or an error, once a second at most: with left_out, the number
// of those that were kept back since the last one, which are logged at debug level.
func (h *Handler) tell(ctx context.Context, name string, out outcome) {
	level, gate := slog.LevelInfo, &h.refusals
	if out.code >= http.StatusBadRequest || out.unread {
		level = slog.LevelWarn
	}
	if out.err != nil {
		level, gate = slog.LevelError, &h.failures
	}
	attrs := []slog.Attr{
		slog.String("forge", name), slog.Int("code", out.code), slog.String("decision", out.Decision),
	}
	if len(out.Deployments) > 0 {
		attrs = append(attrs, slog.Any("deployments", out.Deployments))
	}
	if out.err != nil {
		attrs = append(attrs, slog.Any("error", out.err))
	}
	if !out.authentic {
		left, ok := gate.pass(time.Now())
		if !ok {
			level = slog.LevelDebug
		}
		if left > 0 {
			attrs = append(attrs, slog.Int("left_out", left))
		}
	}
	h.log.LogAttrs(ctx, level, "delivery", attrs...)
}
