package webhooks_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"tinyforge/db/migratedtest"
	"tinyforge/webhooks"
)

const mb = 1 << 20

// Requests that nobody has signed announce as much as is allowed, send a part of it and stall.
func TestStalledBodiesLeaveRoom(t *testing.T) {
	w := newWorld(t, migratedtest.SQLite(t))
	forge, workload := w.site("gitea")
	before := w.heap()
	part := bytes.Repeat([]byte(" "), 4*mb-1) // fills a buffer of 4 MB
	stalled := make([]*net.TCPConn, webhooks.MaxHeldLarge/(4*mb))
	for i := range stalled {
		stalled[i] = w.announce(forge.Name, webhooks.MaxBody)
		_, err := stalled[i].Write(part)
		must(t, err)
	}
	w.until("large bodies have no room left", func() bool { return !w.handler.Free(1, true) })
	more := make([]*net.TCPConn, 8)
	for i := range more {
		more[i] = w.announce(forge.Name, webhooks.MaxBody)
	}

	body := push("refs/heads/main", hash("1"), hash("2")).body()
	w.want(w.deliver(forge, "push", "small", body), http.StatusAccepted, "queued")
	if n := w.queued(workload); n != 1 {
		t.Errorf("%d deployments", n)
	}
	if held := w.heap() - before; held > webhooks.MaxHeld+8*mb {
		t.Errorf("%d MB are held", held/mb)
	}
	for _, conn := range more {
		w.want(w.answer(conn), http.StatusServiceUnavailable, "send it again in some seconds")
	}

	for _, conn := range stalled {
		must(t, conn.Close())
	}
	w.until("everything is given back", func() bool {
		return w.handler.Free(webhooks.MaxHeld, false) && w.handler.Free(webhooks.MaxHeldLarge, true)
	})
	if held := w.heap() - before; held > 8*mb {
		t.Errorf("%d MB are held when all is over", held/mb)
	}
	large := bytes.Repeat([]byte(" "), webhooks.MaxBody)
	copy(large, "{}")
	w.want(w.deliver(forge, "star", "large", large), http.StatusOK, "moves nothing")
}

// Everything that a body holds is given back, whatever the answer is.
func TestEveryAnswerGivesBack(t *testing.T) {
	w := newWorld(t, migratedtest.SQLite(t))
	forge, _ := w.site("github")
	w.forge("strange", "subversion")
	body := push("refs/heads/main", hash("1"), hash("2")).body()
	w.want(w.deliver(forge, "push", "1", body), http.StatusAccepted, "queued")
	w.want(w.deliver(forge, "push", "1", body), http.StatusOK, "received before")
	w.want(w.deliver(forge, "push", "2", []byte("{")), http.StatusOK, "malformed")
	w.want(w.post(forge.Name, http.Header{}, bytes.NewReader(body)), http.StatusUnauthorized, "does not verify")
	w.want(w.post("strange", http.Header{}, bytes.NewReader(body)), http.StatusServiceUnavailable, "not recorded")
	w.want(w.direct(forge.Name, new(endless)), http.StatusRequestEntityTooLarge, "25 MB")
	w.until("everything is given back", func() bool {
		return w.handler.Free(webhooks.MaxHeld, false) && w.handler.Free(webhooks.MaxHeldLarge, true)
	})
}

func TestWhoIsTurnedAwayIsToldWhenToComeBack(t *testing.T) {
	w := newWorld(t, migratedtest.SQLite(t))
	forge, _ := w.site("gitea")
	must(t, w.db.Close())
	resp, err := http.Post(w.url+"/webhooks/"+forge.Name, "application/json", strings.NewReader("{}"))
	must(t, err)
	resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") != "5" {
		t.Errorf("answered %d, Retry-After %q", resp.StatusCode, resp.Header.Get("Retry-After"))
	}
}

// announce begins a request without a signature whose body has the length.
func (w *world) announce(forge string, length int) *net.TCPConn {
	w.t.Helper()
	conn := w.dial()
	_, err := fmt.Fprintf(conn, "POST /webhooks/%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", forge, length)
	must(w.t, err)
	return conn
}

// heap is what is reachable, in bytes.
func (w *world) heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// until polls a condition of the server, which gives no signal.
func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	limit := time.After(20 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			w.t.Fatalf("not in 20 s: %s", what)
		}
	}
}

// Anybody can send anything: that fills neither the log nor does it keep the database busy.
func TestAFloodIsAWarningASecond(t *testing.T) {
	w := newWorld(t, migratedtest.SQLite(t))
	forge, _ := w.site("github")
	begun := time.Now()
	const each = 100
	for range each {
		w.want(w.post(forge.Name, http.Header{}, strings.NewReader("{}")), http.StatusUnauthorized, "does not verify")
		w.want(w.post("nobody", http.Header{}, strings.NewReader("{}")), http.StatusNotFound, "unknown forge")
		w.want(w.post(strings.Repeat("x", 30<<10), http.Header{}, strings.NewReader("{}")), http.StatusNotFound, "unknown forge")
	}
	most := 1 + int(time.Since(begun).Seconds())
	log := w.log.String()
	if n := strings.Count(log, "level=WARN"); n < 1 || n > most {
		t.Errorf("%d warnings, want 1 to %d", n, most)
	}
	if n := strings.Count(log, "\n"); n > most || len(log) > most*300 {
		t.Errorf("%d bytes in %d lines were logged", len(log), n)
	}

	w.until("a warning says what was left out", func() bool {
		w.want(w.post("nobody", http.Header{}, strings.NewReader("{}")), http.StatusNotFound, "unknown forge")
		return strings.Contains(w.log.String()[len(log):], "left_out=")
	})
	// What is authentic is told always.
	w.want(w.deliver(forge, "ping", "1", []byte("{}")), http.StatusOK, "the webhook works")
	w.want(w.deliver(forge, "push", "2", []byte("{")), http.StatusOK, "malformed")
	if last := w.log.String(); !strings.Contains(last, "level=INFO msg=delivery forge=github code=200") ||
		!strings.Contains(last, "level=WARN msg=delivery forge=github code=200 decision=\"malformed delivery: ") {
		t.Errorf("log:\n%s", last)
	}
}

// What can be no forge's name is answered without the database.
func TestWhatIsNoNameIsNotLookedUp(t *testing.T) {
	w := newWorld(t, migratedtest.SQLite(t))
	must(t, w.db.Close())
	for _, name := range []string{
		strings.Repeat("x", 41), strings.Repeat("x", 30<<10), "a.b", "%27%20OR%201=1", "github%00", "github%FF", "..%2Fgithub", "gh%C3%BCb", "%20",
	} {
		w.want(w.post(name, http.Header{}, strings.NewReader("{}")), http.StatusNotFound, "unknown forge")
	}
	for _, name := range []string{strings.Repeat("x", 40), "git-hub_2", "GitHub"} {
		w.want(w.post(name, http.Header{}, io.LimitReader(new(endless), 10)), http.StatusServiceUnavailable, "not recorded")
	}
	if log := w.log.String(); !strings.Contains(log, "level=ERROR") {
		t.Errorf("log:\n%s", log)
	}
}
