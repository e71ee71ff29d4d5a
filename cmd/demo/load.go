package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// load sends requests to the site all the time and looks at every answer.
type load struct {
	url, host string
	sent      atomic.Int64
	failed    atomic.Int64
	slowest   atomic.Int64 // ns

	mu    sync.Mutex
	first map[string]int // how each kind of failure began
}

// visitor is a client that sends one kind of request again and again.
type visitor struct {
	name  string
	every time.Duration
	fresh bool // a new connection each time
	body  string
}

// visitors make about 260 requests a second.
var visitors = []visitor{
	{name: "GET", every: 20 * time.Millisecond},
	{name: "GET", every: 20 * time.Millisecond},
	{name: "GET on a fresh connection", every: 20 * time.Millisecond, fresh: true},
	{name: "POST of 4 kB", every: 20 * time.Millisecond, body: strings.Repeat("tiny", 1024)},
	{name: "POST of 4 kB", every: 20 * time.Millisecond, body: strings.Repeat("tiny", 1024)},
	{name: "slow GET", every: 100 * time.Millisecond},
}

func newLoad(url, host string) *load { return &load{url: url, host: host, first: map[string]int{}} }

// String says what the load is made of.
func (l *load) String() string {
	counts := map[string]float64{}
	for _, v := range visitors {
		counts[v.name] += 1 / v.every.Seconds()
	}
	return fmt.Sprintf("per second %.0f GET, %.0f GET on fresh connections, %.0f POST of 4 kB, %.0f GET that take 150 ms",
		counts["GET"], counts["GET on a fresh connection"], counts["POST of 4 kB"], counts["slow GET"])
}

// start sends until stop is called, which waits for the last answers.
func (l *load) start(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	for _, v := range visitors {
		all.Go(func() { l.visit(ctx, v) })
	}
	return func() { cancel(); all.Wait() }
}

func (l *load) visit(ctx context.Context, v visitor) {
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: v.fresh}}
	defer client.CloseIdleConnections()
	tick := time.NewTicker(v.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		l.sent.Add(1)
		begun := time.Now()
		if fault := l.once(context.WithoutCancel(ctx), client, v); fault != "" {
			l.failed.Add(1)
			l.mu.Lock()
			l.first[v.name+": "+fault]++
			l.mu.Unlock()
		}
		l.slowest.Store(max(l.slowest.Load(), time.Since(begun).Nanoseconds()))
	}
}

// once sends one request. It returns what was wrong with the answer, or "".
func (l *load) once(ctx context.Context, client *http.Client, v visitor) (fault string) {
	method, path, body := http.MethodGet, "/", io.Reader(nil)
	switch {
	case v.body != "":
		method, path, body = http.MethodPost, "/echo", bytes.NewReader([]byte(v.body))
	case v.name == "slow GET":
		path = "/slow?ms=150"
	}
	answer, status, err := l.ask(ctx, client, method, path, body)
	switch {
	case err != nil:
		return err.Error()
	case status != http.StatusOK:
		return fmt.Sprintf("answered %d", status)
	case v.body != "" && answer != v.body:
		return "the echo differs"
	case v.body == "" && !strings.HasPrefix(answer, "version "):
		return fmt.Sprintf("answered %q", answer)
	}
	return ""
}

func (l *load) ask(ctx context.Context, client *http.Client, method, path string, body io.Reader) (string, int, error) {
	request, err := http.NewRequestWithContext(ctx, method, l.url+path, body)
	if err != nil {
		return "", 0, err
	}
	request.Host = l.host
	request.GetBody = nil // no silent second try
	response, err := client.Do(request)
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	return string(text), response.StatusCode, err
}

// version asks the site once more.
func (l *load) version(ctx context.Context) (string, error) {
	answer, _, err := l.ask(ctx, http.DefaultClient, http.MethodGet, "/", nil)
	return strings.TrimSpace(answer), err
}
