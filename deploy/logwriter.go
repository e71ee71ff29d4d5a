package deploy

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"tinyforge/db"
	"tinyforge/deploy/redact"
)

const (
	logFlushLines = 64
	logFlushEvery = 250 * time.Millisecond
	maxLogLines   = 20_000  // of one deployment and attempt
	maxLogBytes   = 4 << 20 // likewise
)

// logWriter turns what is written to it into rows of a deployment's log, a line each, in batches and without secrets. Lines
// are for reading along: when the database does not take them, they are dropped. Safe for concurrent use.
type logWriter struct {
	ctx  context.Context // for the inserts: they must work after the deployment's own context ended
	db   *db.DB
	slog *slog.Logger
	id   int64
	stop chan struct{}
	done sync.WaitGroup

	flushing sync.Mutex // one at a time, in order

	mu       sync.Mutex
	redactor *redact.Redactor
	clean    *redact.Writer // in front of split
	phase    db.Phase
	part     []byte // of the line that has no end yet
	lines    []db.LogLine
	count    int
	bytes    int
}

func newLogWriter(ctx context.Context, d *db.DB, log *slog.Logger, dep *db.Deployment, r *redact.Redactor) *logWriter {
	w := &logWriter{ctx: context.WithoutCancel(ctx), db: d, slog: log, id: dep.ID, phase: dep.Phase, redactor: r, stop: make(chan struct{})}
	w.clean = redact.NewWriter(splitter{w}, r)
	w.done.Go(w.flushOften)
	return w
}

// Write never fails.
func (w *logWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clean.Write(p)
}

// splitter is where a logWriter's text goes once it has no secrets any more. It is called with mu held.
type splitter struct{ *logWriter }

// Write never fails.
func (w splitter) Write(p []byte) (int, error) {
	w.part = append(w.part, p...)
	for {
		line, rest, found := bytes.Cut(w.part, []byte{'\n'})
		if !found {
			break
		}
		w.add(string(bytes.TrimSuffix(line, []byte{'\r'})))
		w.part = rest
	}
	if len(w.part) > 64<<10 { // a line without an end
		w.addPart()
	}
	return len(p), nil
}

// Printf adds a line of our own, also when the rest of the log is left out.
func (w *logWriter) Printf(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = w.clean.Settle() // half a secret, of which the rest may follow, comes after this line
	w.addPart()
	w.append(w.redactor.String(fmt.Sprintf(format, args...)))
}

// Close writes what is left.
func (w *logWriter) Close() {
	close(w.stop)
	w.done.Wait()
	w.mu.Lock()
	_ = w.clean.Flush()
	w.addPart()
	w.mu.Unlock()
	w.flush()
}

func (w *logWriter) enter(phase db.Phase) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = w.clean.Flush()
	w.phase = phase
}

// use makes r know the secrets from now on.
func (w *logWriter) use(r *redact.Redactor) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.redactor = r
	w.clean.Use(r)
}

func (w *logWriter) settle() {
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = w.clean.Settle()
}

// addPart, add and append are called with mu held.
func (w *logWriter) addPart() {
	if len(w.part) > 0 {
		w.add(string(w.part))
		w.part = nil
	}
}

func (w *logWriter) add(text string) {
	if w.count > maxLogLines || w.bytes > maxLogBytes {
		return
	}
	w.count++
	w.bytes += len(text)
	if w.count > maxLogLines || w.bytes > maxLogBytes {
		text = "(the log is too long: the rest is left out)"
	}
	w.append(text)
}

func (w *logWriter) append(text string) {
	w.lines = append(w.lines, db.LogLine{DeploymentID: w.id, Phase: w.phase, At: time.Now(), Text: text})
}

func (w *logWriter) flushOften() {
	tick := time.NewTicker(logFlushEvery)
	defer tick.Stop()
	for {
		select {
		case <-w.stop:
			return
		case <-tick.C:
			w.settle()
			w.flush()
		}
	}
}

// flush returns when all that was written before is in rows, or is lost.
func (w *logWriter) flush() {
	w.flushing.Lock()
	defer w.flushing.Unlock()
	w.mu.Lock()
	lines := w.lines
	w.lines = nil
	w.mu.Unlock()
	ctx, cancel := context.WithTimeout(w.ctx, 5*time.Second)
	defer cancel()
	for len(lines) > 0 {
		n := min(len(lines), logFlushLines)
		if err := w.db.AppendLog(ctx, lines[:n]...); err != nil {
			w.slog.WarnContext(ctx, "append log lines; they are lost", "deployment", w.id, "lines", len(lines), "error", err)
			return
		}
		lines = lines[n:]
	}
}
