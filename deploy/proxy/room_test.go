package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"tinyforge/db"
)

func TestHoldIsBoundedInBytesOverAllRoutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tb := newTable(time.Minute, 10)
		tb.room.most = 100
		for _, host := range []string{"a.test", "b.test", "c.test"} {
			must(t, tb.Upsert(t.Context(), db.Route{Host: host}, up("blue")))
			must(t, tb.Hold(t.Context(), db.Route{Host: host}))
		}
		served := make(chan error, 2)
		for _, host := range []string{"a.test", "b.test"} {
			go func() {
				x, err := tb.begin(t.Context(), tb.lookup(host), guest{size: 50})
				if err == nil {
					x.close()
				}
				served <- err
			}()
		}
		synctest.Wait()
		if _, err := tb.begin(t.Context(), tb.lookup("c.test"), guest{size: 1}); !errors.Is(err, errNoRoom) {
			t.Errorf("there is no room: %v", err)
		}
		must(t, tb.Upsert(t.Context(), db.Route{Host: "a.test"}, up("green")))
		must(t, <-served)
		late := make(chan error)
		go func() { _, err := tb.begin(t.Context(), tb.lookup("c.test"), guest{size: 50}); late <- err }()
		synctest.Wait()
		if n := tb.room.taken.Load(); n != 100 {
			t.Errorf("%d bytes are taken, want 100", n)
		}
		must(t, tb.Upsert(t.Context(), db.Route{Host: "b.test"}, up("green")))
		must(t, <-served)
		if err := <-late; !errors.Is(err, errImpatient) {
			t.Errorf("waited for ever: %v", err)
		}
		if n := tb.room.taken.Load(); n != 0 {
			t.Errorf("%d bytes are taken by nobody", n)
		}
	})
}

// TestAThousandUploadsWait: what they hold is no more than is counted, though each has sent much more; then all are served.
func TestAThousandUploadsWait(t *testing.T) { // alone: what it allocates is counted
	const uploads, size = 1000, 256 << 10
	p := serve(t, Config{})
	rt := db.Route{WorkloadID: 1, Host: "a.test"}
	must(t, p.Upsert(t.Context(), rt, echoName(t, "blue")))
	must(t, p.Hold(t.Context(), rt))
	body, before := make([]byte, size), held()

	answers := make(chan string, uploads)
	var conns sync.WaitGroup
	for range uploads {
		conns.Go(func() { answers <- upload1(p.HTTPAddr().String(), body) })
	}
	waitFor(t, func() bool { return p.Stats()[0].Waiting == uploads })
	counted := p.room.taken.Load()
	t.Logf("%d uploads hold %d KiB each, counted as %d", uploads, (held()-before)/uploads>>10, counted/uploads>>10)
	if now := held() - before; now > counted || counted != uploads*waitingSize {
		t.Errorf("%d bytes are held, counted as %d", now, counted)
	}
	must(t, p.Upsert(t.Context(), rt, upstream(t, "green", func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprint(w, "green ", n, err)
	})))
	for range uploads {
		if got, want := <-answers, fmt.Sprint("200 green ", size, nil); got != want {
			t.Fatalf("answered %q, want %q", got, want)
		}
	}
	conns.Wait()
	if n := p.room.taken.Load(); n != 0 {
		t.Errorf("%d bytes are taken by nobody", n)
	}
}

// upload1 posts a body by HTTP/1.1, and returns the answer or an error.
func upload1(addr string, body []byte) string {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	if _, err := fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: %d\r\n\r\n", len(body)); err != nil {
		return err.Error()
	}
	if _, err := c.Write(body); err != nil {
		return err.Error()
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(res.StatusCode, " ", string(text))
}

// TestUploadsByHTTP2Wait: each connection takes in a megabyte that nobody reads. It is counted, and who finds no room is told to
// come again.
func TestUploadsByHTTP2Wait(t *testing.T) { // alone: what it allocates is counted
	const uploads = 32
	p := serve(t, Config{HTTPS: "127.0.0.1:0", InternalCA: true})
	p.room.most = uploads * (waitingSize + framesSize + windowSize)
	rt := db.Route{WorkloadID: 1, Host: "a.test"}
	must(t, p.Upsert(t.Context(), rt, echoName(t, "blue")))
	p.getTLS(t, "a.test", "/") // there is a certificate
	must(t, p.Hold(t.Context(), rt))
	before := held()
	var all []*upload2
	for range uploads {
		all = append(all, newUpload2(t, p))
	}
	waitFor(t, func() bool { return p.Stats()[0].Waiting == uploads })
	counted := p.room.taken.Load()
	if counted != p.room.most {
		t.Errorf("%d bytes are counted, want %d", counted, p.room.most)
	}
	waitFor(t, func() bool { return held()-before > uploads*windowSize*9/10 }) // it is really there
	if now := held() - before; now > counted {
		t.Errorf("%d bytes are held, counted as %d", now, counted)
	}
	if status := newUpload2(t, p).answer(t); status != "503" {
		t.Errorf("without room: %s", status)
	}
	must(t, p.Upsert(t.Context(), rt, upstream(t, "green", func(w http.ResponseWriter, r *http.Request) {
		if n, err := io.Copy(io.Discard, r.Body); n != windowSize || err != nil {
			w.WriteHeader(http.StatusBadRequest)
		}
	})))
	for _, u := range all {
		if status := u.answer(t); status != "200" {
			t.Errorf("answered %s", status)
		}
	}
}

// upload2 is a connection by HTTP/2 on which a body of windowSize was posted, without its length.
type upload2 struct{ *http2.Framer }

func newUpload2(t *testing.T, p *testProxy) *upload2 {
	t.Helper()
	trust := p.tlsClient(t).Transport.(*http.Transport).TLSClientConfig.Clone()
	trust.NextProtos, trust.ServerName = []string{"h2"}, "a.test"
	c, err := (&tls.Dialer{Config: trust}).DialContext(t.Context(), "tcp", p.HTTPSAddr().String())
	must(t, err)
	t.Cleanup(func() { _ = c.Close() })
	_, err = io.WriteString(c, http2.ClientPreface)
	must(t, err)
	u := &upload2{http2.NewFramer(c, c)}
	must(t, u.WriteSettings())
	var fields bytes.Buffer
	encoder := hpack.NewEncoder(&fields)
	for name, value := range map[string]string{":method": "POST", ":scheme": "https", ":path": "/", ":authority": "a.test"} {
		must(t, encoder.WriteField(hpack.HeaderField{Name: name, Value: value}))
	}
	must(t, u.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: fields.Bytes(), EndHeaders: true}))
	piece := make([]byte, 16<<10)
	for sent := len(piece); sent <= windowSize; sent += len(piece) {
		must(t, u.WriteData(1, sent == windowSize, piece))
	}
	return u
}

// answer returns the status.
func (u *upload2) answer(t *testing.T) (status string) {
	t.Helper()
	u.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	for {
		f, err := u.ReadFrame()
		must(t, err)
		if h, ok := f.(*http2.MetaHeadersFrame); ok {
			return h.PseudoValue("status")
		}
	}
}

// TestWebsocketsWait: one that is opened while its route is held is opened at green.
func TestWebsocketsWait(t *testing.T) {
	p := serve(t, Config{})
	rt := db.Route{WorkloadID: 1, Host: "a.test"}
	must(t, p.Upsert(t.Context(), rt, streamer(t, "blue")))
	must(t, p.Hold(t.Context(), rt))
	opened := make(chan func())
	go func() {
		ws := dialWebsocket(t, p)
		opened <- func() { wantEcho(t, ws, "green") }
	}()
	waitFor(t, func() bool { return p.Stats()[0].Waiting == 1 })
	must(t, p.Upsert(t.Context(), rt, streamer(t, "green")))
	(<-opened)()
}

// TestAnUndoServesWhoWaited: green never came; blue answers.
func TestAnUndoServesWhoWaited(t *testing.T) {
	p := serve(t, Config{})
	rt := db.Route{WorkloadID: 1, Host: "a.test"}
	blue := echoName(t, "blue")
	must(t, p.Upsert(t.Context(), rt, blue))
	must(t, p.Hold(t.Context(), rt))
	answers := make(chan string, 1)
	go func() { _, body := p.get("a.test", "/"); answers <- body }()
	gone, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		req, _ := http.NewRequestWithContext(gone, http.MethodPost, "http://a.test/", strings.NewReader("text"))
		_, err := p.client.Do(req) //nolint:bodyclose // there is none
		left <- err
	}()
	waitFor(t, func() bool { return p.Stats()[0].Waiting == 2 })
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("who went away: %v", err)
	}
	waitFor(t, func() bool { return p.Stats()[0].Waiting == 1 })
	must(t, p.Upsert(t.Context(), rt, blue))
	if got := <-answers; got != "blue" {
		t.Errorf("answered %q", got)
	}
}

// held is what the process holds in memory.
func held() int64 {
	for range 3 { // what tests before have pooled goes too
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
