package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// backend is the program behind the proxies.
type backend struct {
	address string
	server  *http.Server

	mu     sync.Mutex
	killed bool
	taken  []net.Conn // websockets, of which the server does not know any more
}

// startBackend serves a version at an address, ":0" on loopback for "". seen is called with each request, and may be nil.
func startBackend(ctx context.Context, address string, version int64, seen func()) (*backend, error) {
	if address == "" {
		address = "127.0.0.1:0"
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	text := strconv.FormatInt(version, 10)
	large := strings.Repeat("0123456789abcde\n", 100_000/16)
	put := func(path string, f http.HandlerFunc) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			if seen != nil {
				seen()
			}
			w.Header().Set("X-Version", text)
			f(w, r)
		})
	}
	small := func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, smallAnswer(version))
	}
	put("/", small)
	put("/up", small)
	put("/large", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(large)))
		_, _ = io.WriteString(w, large)
	})
	put("/page.html", servePage())
	put("/upload", func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, strconv.FormatInt(n, 10)+" bytes\n")
	})
	put("/slow", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		time.Sleep(slowTime)
		small(w, r)
	})
	put("/ws", serveWebsocket)
	put("/events", serveEvents)
	b := &backend{address: l.Addr().String()}
	b.server = &http.Server{Handler: mux, ReadHeaderTimeout: answerPatience, ConnState: func(c net.Conn, state http.ConnState) {
		if state == http.StateHijacked {
			b.hijacked(c)
		}
	}}
	go func() { _ = b.server.Serve(l) }()
	return b, nil
}

// smallAnswer is what a version says.
func smallAnswer(version int64) string { return fmt.Sprintf("hello, here is version %d\n", version) }

// serveTLS serves by HTTPS too, with HTTP/2 for who wants it.
func (b *backend) serveTLS(ctx context.Context, address, cert, key string) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	go func() { _ = b.server.ServeTLS(l, cert, key) }()
	return nil
}

// kill ends it with all its connections, as a kill of its process does.
func (b *backend) kill() {
	_ = b.server.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.killed = true
	for _, c := range b.taken {
		_ = c.Close()
	}
}

func (b *backend) hijacked(c net.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.taken = append(b.taken, c); b.killed {
		_ = c.Close()
	}
}
