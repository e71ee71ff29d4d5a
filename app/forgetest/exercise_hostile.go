package forgetest

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"tinyforge/app"
)

const (
	hostileSends = 3 << 30 // bytes that nobody may take whole
	hostileTakes = 2 << 30 // bytes of them that git may, whose memory is limited, but not by us
	hostileHeap  = 200 << 20
	hostilePages = 5000 // requests for one listing, at most
)

// hostilities checks that a forge that means harm gets an error: no crash, no memory without bound, no call without end, and
// nothing that it sent in the error.
func (e *exercise) hostilities() {
	commit := e.first()
	for name, hostile := range hostileAnswers() {
		for call, do := range e.calls(commit) {
			e.Run(name+"/"+call, func(t *testing.T) {
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				var sent atomic.Int64
				var mu sync.Mutex
				var secrets []string
				e.s.Fault(func(r *http.Request) *Fault {
					mu.Lock()
					defer mu.Unlock()
					secrets = append(secrets, secretsOf(r)...)
					return &Fault{Write: func(w http.ResponseWriter, r *http.Request) { hostile(&counted{ResponseWriter: w, sent: &sent}, r) }}
				})
				defer e.s.Fault(nil)
				err := do(e.ctx, t)
				if err == nil && call == "SetStatus" {
					return // the code says all
				}
				if err == nil {
					t.Fatal("no error")
				}
				if errors.Is(err, e.ctx.Err()) && e.ctx.Err() != nil {
					t.Fatalf("it went on until the test's end: %v", err)
				}
				mu.Lock()
				defer mu.Unlock()
				for _, secret := range append(secrets, hostileMark) {
					if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), secret) {
						t.Errorf("the error holds what the forge answered: %v", err)
					}
				}
				if n := sent.Load(); n >= hostileTakes {
					t.Errorf("%d MB were taken", n>>20)
				}
				if runtime.ReadMemStats(&after); after.HeapSys > before.HeapSys+hostileHeap {
					t.Errorf("the heap grew by %d MB", (after.HeapSys-before.HeapSys)>>20)
				}
			})
		}
	}
	e.Run("pages without end", e.endlessPages)
	if again, ok := e.forge.(app.Redeliverer); ok {
		e.Run("attempts without end", func(t *testing.T) { e.endlessAttempts(t, again) })
	}
	for call, do := range e.calls(commit) {
		e.Run("afterwards/"+call, func(t *testing.T) {
			if err := do(e.ctx, t); err != nil {
				t.Error(err)
			}
		})
	}
}

const hostileMark = "marked-by-the-forge"

// hostileAnswers are whole answers to any request, by what is wrong with them. Each reflects the credentials.
func hostileAnswers() map[string]func(http.ResponseWriter, *http.Request) {
	reflected := func(r *http.Request) string {
		return hostileMark + r.Header.Get("Authorization") + r.Header.Get("Private-Token")
	}
	asJSON := func(text func(r *http.Request) string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(goodCode(r))
			_, _ = io.WriteString(w, text(r))
		}
	}
	return map[string]func(http.ResponseWriter, *http.Request){
		"endless body": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(goodCode(r))
			_, _ = io.WriteString(w, `{"message":"`)
			pour(w, w.(*counted).sent)
		},
		"gzip bomb": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Encoding", "gzip")
			w.WriteHeader(goodCode(r))
			_, _ = w.Write(zipBomb())
		},
		"huge header": func(w http.ResponseWriter, r *http.Request) {
			for i := range 200 {
				w.Header().Set(fmt.Sprintf("X-%d", i), strings.Repeat("a", 1000)+reflected(r))
			}
			w.WriteHeader(goodCode(r))
		},
		"depth":        asJSON(func(*http.Request) string { return strings.Repeat(`[`, 1<<20) }),
		"deep objects": asJSON(func(*http.Request) string { return strings.Repeat(`{"id":`, 1<<17) }),
		"huge number": asJSON(func(r *http.Request) string {
			return `{"id":` + strings.Repeat("9", 1<<20) + `,"full_name":"` + reflected(r) + `","path_with_namespace":"a/b"}`
		}),
		"number beyond":     asJSON(func(r *http.Request) string { return `{"id":1e400,"full_name":"` + reflected(r) + `"}` }),
		"number of another": asJSON(func(r *http.Request) string { return `{"id":-1,"full_name":"` + reflected(r) + `"}` }),
		"wrong types": asJSON(func(r *http.Request) string {
			return `{"id":{"` + reflected(r) + `":[]},"full_name":[1],"permissions":"x"}`
		}),
		"text": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "image/png; "+reflected(r))
			w.WriteHeader(goodCode(r))
			_, _ = io.WriteString(w, "\x00\xff"+reflected(r))
		},
		"no HTTP":       raw(func(r *http.Request) string { return reflected(r) + "\r\n\r\n" }),
		"broken status": raw(func(r *http.Request) string { return "HTTP/1.1 " + reflected(r) + "\r\n\r\n" }),
		"broken header": raw(func(r *http.Request) string { return "HTTP/1.1 200 OK\r\n" + reflected(r) + "\r\n\r\n" }),
		"broken length": raw(func(r *http.Request) string { return "HTTP/1.1 200 OK\r\nContent-Length: " + reflected(r) + "\r\n\r\n" }),
		"broken chunk": raw(func(r *http.Request) string {
			return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + reflected(r) + "\r\n"
		}),
		"cut off": raw(func(*http.Request) string { return "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{" }),
		"broken address": raw(func(r *http.Request) string {
			return "HTTP/1.1 302 Found\r\nLocation: http://[" + reflected(r) + "\r\n\r\n"
		}),
	}
}

// goodCode is what the forges answer to such a request when all is well, so that the body is looked at.
func goodCode(r *http.Request) int {
	if r.Method == http.MethodPost && !strings.Contains(r.URL.Path, "git-upload-pack") {
		return http.StatusCreated
	}
	return http.StatusOK
}

// raw answers with a text of its own, past everything that would make it valid.
func raw(text func(*http.Request) string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, text(r))
	}
}

// zipBomb is a megabyte that becomes a gigabyte.
var zipBomb = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	block := bytes.Repeat([]byte("["), 1<<20)
	for range 200 {
		_, _ = w.Write(block)
	}
	_ = w.Close()
	return bytes.Repeat(b.Bytes(), 5) // one after the other is one stream too
})

// pour writes until the other side has had enough.
func pour(w io.Writer, sent *atomic.Int64) {
	block := bytes.Repeat([]byte("a"), 1<<20)
	for sent.Load() < hostileSends {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
}

// counted counts what of an answer goes out.
type counted struct {
	http.ResponseWriter
	sent *atomic.Int64
}

func (c *counted) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.sent.Add(int64(n))
	return n, err
}

// endlessPages: every page of a listing names another one.
func (e *exercise) endlessPages(t *testing.T) {
	var asked atomic.Int64
	e.s.Fault(func(r *http.Request) *Fault {
		if r.Method != http.MethodGet || strings.HasSuffix(r.URL.Path, "/app/installations") {
			return nil
		}
		n := asked.Add(1)
		return &Fault{Write: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Link", fmt.Sprintf(`<%s%s?page=%d>; rel="next"`, e.s.URL(), r.URL.Path, n+1))
			_, _ = io.WriteString(w, endlessPage(r, n))
		}}
	})
	defer e.s.Fault(nil)
	found, failed := 0, error(nil)
	for _, err := range e.forge.Repositories(e.ctx) {
		if err != nil {
			failed = err
			break
		}
		found++
	}
	if n := asked.Load(); failed == nil || n < 2 || n > hostilePages || e.ctx.Err() != nil {
		t.Errorf("%d repositories on %d pages, then %v", found, n, failed)
	}
}

// endlessPage is the n-th page of repositories, as all three forges understand it.
func endlessPage(r *http.Request, n int64) string {
	one := fmt.Sprintf(`{"id":%d,"full_name":"acme/r%d","path_with_namespace":"acme/r%d","permissions":{"admin":true,"push":true,"pull":true}}`, n, n, n)
	if strings.HasSuffix(r.URL.Path, "/installation/repositories") {
		return `{"total_count":1000000000,"repositories":[` + one + `]}`
	}
	return `[` + one + `]`
}

// endlessAttempts: every page of the deliveries is empty, or has one with a name that nobody would keep, and names another one.
func (e *exercise) endlessAttempts(t *testing.T, again app.Redeliverer) {
	for name, page := range map[string]string{
		"empty": `[]`, "long": `[{"id":1,"guid":"` + strings.Repeat("a", 1<<16) + `","delivered_at":"2030-01-01T00:00:00Z","status_code":500}]`,
	} {
		var asked atomic.Int64
		e.s.Fault(func(*http.Request) *Fault {
			n := asked.Add(1)
			if n > hostilePages {
				return &Fault{Status: http.StatusTeapot}
			}
			next := fmt.Sprintf(`<%s/app/hook/deliveries?cursor=v1_%d>; rel="next"`, e.s.URL(), n)
			return &Fault{Status: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}, "Link": {next}}, Body: page}
		})
		found := 0
		for one, err := range again.Attempts(e.ctx) {
			if err != nil {
				break
			}
			if found++; len(one.DeliveryID) > 1<<10 {
				t.Errorf("%s: a delivery has a name of %d bytes", name, len(one.DeliveryID))
				break
			}
		}
		if n := asked.Load(); n > hostilePages || e.ctx.Err() != nil {
			t.Errorf("%s: %d attempts on %d pages", name, found, n)
		}
	}
	e.s.Fault(nil)
}
