package proxy

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

const (
	accessBuffer = 64 << 10 // bytes
	accessEvery  = time.Second
)

// accessLog writes a line of JSON for each request that is over, at the latest a second later. What cannot be written is dropped:
// requests do not wait for a disk. A nil one writes nothing. It is safe for concurrent use.
type accessLog struct {
	lines *slog.Logger

	mu  sync.Mutex
	to  io.Writer
	out *bufio.Writer
}

func newAccessLog(to io.Writer) *accessLog {
	if to == nil {
		return nil
	}
	a := &accessLog{to: to, out: bufio.NewWriterSize(to, accessBuffer)}
	a.lines = slog.New(slog.NewJSONHandler(a, nil))
	return a
}

// Write implements io.Writer, for whole lines.
func (a *accessLog) Write(line []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, err := a.out.Write(line); err != nil {
		a.out.Reset(a.to)
	}
	return len(line), nil
}

// run writes what is kept back every second, and at the end.
func (a *accessLog) run(ctx context.Context) {
	tick := time.NewTicker(accessEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
		a.flush()
	}
}

func (a *accessLog) flush() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.out.Flush() != nil {
		a.out.Reset(a.to)
	}
}

// begin returns what the answer is to be written to, and what is called at its end.
func (a *accessLog) begin(w http.ResponseWriter, r *http.Request) (http.ResponseWriter, func()) {
	if a == nil {
		return w, func() {}
	}
	rec := &recorder{ResponseWriterWrapper: caddyhttp.ResponseWriterWrapper{ResponseWriter: w}, status: http.StatusOK}
	begun, path := time.Now(), r.URL.Path // without the query, which may hold secrets
	return rec, func() { a.note(r, rec, path, time.Since(begun)) }
}

func (a *accessLog) note(r *http.Request, rec *recorder, path string, took time.Duration) {
	client, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	if client == "" {
		client, _, _ = net.SplitHostPort(r.RemoteAddr)
	}
	a.lines.LogAttrs(context.Background(), slog.LevelInfo, "request", slog.String("host", r.Host), slog.String("client", client),
		slog.String("method", r.Method), slog.String("path", path), slog.String("protocol", r.Proto), slog.Int("status", rec.status),
		slog.Int64("bytes", rec.size), slog.Float64("seconds", took.Seconds()), slog.String("agent", r.UserAgent()))
}

// recorder is a response of which is known what it was. All else that a ResponseWriter can do is left as it is.
type recorder struct {
	caddyhttp.ResponseWriterWrapper
	status int
	size   int64
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	if status >= http.StatusOK {
		r.status = status
	}
	r.ResponseWriterWrapper.WriteHeader(status)
}

// Hijack implements http.Hijacker.
func (r *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(r.ResponseWriter).Hijack()
	if err == nil {
		r.status = http.StatusSwitchingProtocols
	}
	return conn, buffered, err
}

// Write implements http.ResponseWriter.
func (r *recorder) Write(p []byte) (int, error) {
	n, err := r.ResponseWriterWrapper.Write(p)
	r.size += int64(n)
	return n, err
}

// ReadFrom implements io.ReaderFrom.
func (r *recorder) ReadFrom(from io.Reader) (int64, error) {
	n, err := r.ResponseWriterWrapper.ReadFrom(from)
	r.size += n
	return n, err
}
