package webhooks_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"

	"tinyforge/db/migratedtest"
	"tinyforge/webhooks"
)

// endless is a body without end that counts what is read of it.
type endless struct{ read int64 }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	e.read += int64(len(p))
	return len(p), nil
}

func TestOversizedBody(t *testing.T) { // alone: what it allocates is counted
	w := newWorld(t, migratedtest.SQLite(t))
	forge, _ := w.site("github")

	t.Run("streamed without a length", func(t *testing.T) {
		w := w.with(t)
		w.want(w.post(forge.Name, http.Header{}, io.LimitReader(new(endless), webhooks.MaxBody+1)), http.StatusRequestEntityTooLarge, "25 MB")
	})
	t.Run("without end", func(t *testing.T) {
		w := w.with(t)
		body := new(endless)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		w.want(w.direct(forge.Name, body), http.StatusRequestEntityTooLarge, "25 MB")
		runtime.ReadMemStats(&after)
		if over := body.read - webhooks.MaxBody; over > 1<<20 {
			t.Errorf("%d bytes were read beyond the limit", over)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 10*webhooks.MaxBody {
			t.Errorf("%d MB were allocated", took>>20)
		}
	})
	t.Run("announced", func(t *testing.T) {
		w := w.with(t)
		r := w.raw(fmt.Sprintf("POST /webhooks/%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", forge.Name, webhooks.MaxBody+1))
		w.want(r, http.StatusRequestEntityTooLarge, "25 MB") // before a byte of it was sent
	})
	t.Run("the largest", func(t *testing.T) {
		w := w.with(t)
		body := bytes.Repeat([]byte(" "), webhooks.MaxBody)
		copy(body, "{}")
		w.want(w.deliver(forge, "ping", "large", body), http.StatusOK, "the webhook works")
	})
}

// direct calls the handler without a network in between.
func (w *world) direct(forge string, body io.Reader) reply {
	w.t.Helper()
	req := httptest.NewRequestWithContext(w.t.Context(), http.MethodPost, "/webhooks/"+forge, body)
	req.ContentLength = -1
	return w.serve(req, forge)
}

func (w *world) serve(req *http.Request, forge string) reply {
	w.t.Helper()
	req.SetPathValue("forge", forge)
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, req)
	r, err := readReply(rec.Result())
	must(w.t, err)
	return r
}

// raw sends bytes and reads the answer.
func (w *world) raw(request string) reply {
	w.t.Helper()
	conn := w.dial()
	_, err := io.WriteString(conn, request)
	must(w.t, err)
	return w.answer(conn)
}

func (w *world) dial() *net.TCPConn {
	w.t.Helper()
	u, err := url.Parse(w.url)
	must(w.t, err)
	conn, err := net.Dial("tcp", u.Host)
	must(w.t, err)
	w.t.Cleanup(func() { _ = conn.Close() })
	return conn.(*net.TCPConn)
}

func (w *world) answer(conn net.Conn) reply {
	w.t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	must(w.t, err)
	defer resp.Body.Close()
	r, err := readReply(resp)
	must(w.t, err)
	return r
}

func TestBrokenBody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, migratedtest.SQLite(t))
	for _, kind := range kinds {
		forge, workload := w.site(kind)
		body := push("refs/heads/main", hash("1"), hash("2")).body()
		half := body[:len(body)/2]

		t.Run(kind+" cut off on the way", func(t *testing.T) {
			w := w.with(t)
			conn := w.dial()
			_, err := fmt.Fprintf(conn, "POST /webhooks/%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", forge.Name, len(body), half)
			must(t, err)
			must(t, conn.CloseWrite())
			w.want(w.answer(conn), http.StatusBadRequest, "the body broke off")
		})
		t.Run(kind+" truncated after it was signed", func(t *testing.T) {
			w := w.with(t)
			code, text := http.StatusUnauthorized, "does not verify"
			if kind == "gitlab" { // its secret does not depend on the body
				code, text = http.StatusOK, "malformed delivery"
			}
			w.want(w.post(forge.Name, signed(kind, "push", "1", body), bytes.NewReader(half)), code, text)
		})
		for name, text := range map[string][]byte{
			"truncated before it was signed": half,
			"empty":                          nil,
			"not JSON":                       []byte("ref=refs/heads/main"),
			"another JSON":                   []byte(`["push"]`),
			"no repository":                  []byte(`{"ref":"refs/heads/main"}`),
			"no hashes":                      []byte(`{"ref":"refs/heads/main","repository":{"id":4711,"full_name":"acme/site"}}`),
		} {
			t.Run(kind+" "+name, func(t *testing.T) {
				w := w.with(t)
				w.want(w.deliver(forge, "push", "broken", text), http.StatusOK, "malformed delivery")
			})
		}
		t.Run(kind+" without an id", func(t *testing.T) {
			w := w.with(t)
			w.want(w.deliver(forge, "push", "", body), http.StatusOK, "malformed delivery")
		})
		if n := w.queued(workload); n != 0 {
			t.Errorf("%s: %d deployments", kind, n)
		}
	}
}

// A forge disables a hook that is answered 4xx some times. What it sent is not lost: the reason is kept, and the delivery is
// deployed when it comes again and can be read.
func TestWhatCannotBeReadIsRecorded(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		for _, kind := range kinds {
			forge, workload := w.site(kind)
			const reason = "malformed delivery: the push event is not the JSON that it should be"
			for range 6 {
				w.want(w.deliver(forge, "push", "1", []byte("{"+forge.Name)), http.StatusOK, reason)
			}
			w.want(w.deliver(forge, "push", "2", []byte("{"+forge.Name)), http.StatusOK, "received before: "+reason)
			if log := w.log.String(); !strings.Contains(log, "level=WARN msg=delivery forge="+forge.Name+` code=200 decision="`+reason+`"`) {
				t.Errorf("the log is\n%s", log)
			}
			body := push("refs/heads/main", hash("1"), hash("2")).body()
			w.want(w.deliver(forge, "push", "1", body), http.StatusAccepted, "queued")
			if n := w.queued(workload); n != 1 {
				t.Errorf("%s: %d deployments", kind, n)
			}
		}
	})
}

// A forge waits some seconds and never sends again by itself: what it sent whole is recorded, even when it has hung up.
func TestAForgeThatHangsUp(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		forge, workload := w.site("gitea")
		body := push("refs/heads/main", hash("1"), hash("2")).body()
		ctx, hangUp := context.WithCancel(t.Context())
		req := httptest.NewRequestWithContext(ctx, http.MethodPost, "/webhooks/gitea", &hangingUp{bytes.NewReader(body), hangUp})
		req.Header = signed("gitea", "push", "1", body)
		w.want(w.serve(req, forge.Name), http.StatusAccepted, "queued")
		if n := w.queued(workload); n != 1 || ctx.Err() == nil {
			t.Errorf("%d deployments, %v", n, ctx.Err())
		}
	})
}

// hangingUp is a body after whose last byte the caller goes.
type hangingUp struct {
	io.Reader
	hangUp func()
}

func (b *hangingUp) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		b.hangUp()
	}
	return n, err
}

func TestASlowBodyKeepsNobodyWaiting(t *testing.T) {
	t.Parallel()
	w := newWorld(t, migratedtest.SQLite(t))
	forge, workload := w.site("gitea")
	slow := push("refs/heads/main", hash("2"), hash("3")).body()
	conns := make([]*net.TCPConn, 20)
	for i := range conns {
		conns[i] = w.dial()
		_, err := fmt.Fprintf(conns[i], "POST /webhooks/gitea HTTP/1.1\r\nHost: x\r\nX-Gitea-Event: push\r\nX-Gitea-Delivery: slow\r\n"+
			"X-Gitea-Signature: %s\r\nContent-Length: %d\r\n\r\n%s", hexMAC(secret, slow), len(slow), slow[:10])
		must(t, err)
	}
	fast := push("refs/heads/main", hash("1"), hash("2")).body()
	w.want(w.deliver(forge, "push", "fast", fast), http.StatusAccepted, "queued")
	if n := w.queued(workload); n != 1 {
		t.Errorf("%d deployments before the slow bodies are there", n)
	}
	_, err := conns[0].Write(slow[10:])
	must(t, err)
	w.want(w.answer(conns[0]), http.StatusAccepted, "queued")
}
