package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// load sends requests to a site all the time and looks at every answer.
type load struct {
	*testing.T
	url, host string
	end       func() // stops it and waits for the last answers

	mu       sync.Mutex
	sent     int
	faults   []string
	failedIn [][2]time.Time // when the request of each fault began and ended
	versions map[string]int
	longest  time.Duration // that a request took
}

// visitor is one who comes again and again.
type visitor struct {
	every  time.Duration
	fresh  bool // on a connection of its own each time
	method string
	path   string
}

// readers only read: about 90 requests a second, on kept connections and on fresh ones.
func readers() []visitor {
	return []visitor{{20 * time.Millisecond, false, http.MethodGet, "/"}, {25 * time.Millisecond, true, http.MethodGet, "/"}}
}

// everybody is about 140 requests a second: on kept connections, on fresh ones, with bodies, and slow ones. Bodies come on fresh
// connections where the proxy closes kept ones under them, as nginx does at a reload.
func everybody(freshBodies bool) []visitor {
	return append(readers(), visitor{25 * time.Millisecond, freshBodies, http.MethodPost, "/echo"},
		visitor{100 * time.Millisecond, false, http.MethodGet, "/slow?ms=150"})
}

// newLoad starts everybody.
func newLoad(t *testing.T, url, host string) *load {
	return startLoad(t, url, host, everybody(false)...)
}

func startLoad(t *testing.T, url, host string, visitors ...visitor) *load {
	l := &load{T: t, url: url, host: host, versions: map[string]int{}}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var all sync.WaitGroup
	for _, v := range visitors {
		client := &http.Client{Timeout: 2 * time.Minute, Transport: &http.Transport{DisableKeepAlives: v.fresh}}
		all.Go(func() {
			defer client.CloseIdleConnections()
			tick := time.NewTicker(v.every)
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
					began := time.Now()
					version, err := l.once(client, v.method, v.path)
					l.note(version, err, time.Since(began))
				}
			}
		})
	}
	l.end = sync.OnceFunc(func() { cancel(); all.Wait() })
	t.Cleanup(l.end)
	return l
}

// stop ends the load and demands that no request failed.
func (l *load) stop() {
	l.Helper()
	l.end()
	if l.sent < 20 {
		l.Errorf("only %d requests were sent", l.sent)
	}
	if len(l.faults) > 0 {
		l.Errorf("%d of %d requests failed: %q", len(l.faults), l.sent, l.faults[:min(10, len(l.faults))])
	}
	l.Logf("load: %d requests, %d failed, the longest took %v, answers by version: %v", l.sent, len(l.faults), l.longest.Round(time.Millisecond), l.versions)
}

func (l *load) note(version string, err error, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent++
	l.longest = max(l.longest, took)
	switch {
	case err != nil:
		now := time.Now()
		l.faults, l.failedIn = append(l.faults, err.Error()), append(l.failedIn, [2]time.Time{now.Add(-took), now})
	case version != "":
		l.versions[version]++
	}
}

// once returns the version that answered, "" for an echo.
func (l *load) once(client *http.Client, method, path string) (version string, err error) {
	sent := ""
	if method == http.MethodPost {
		sent = strings.Repeat("tiny", 1024)
	}
	request, err := http.NewRequestWithContext(context.Background(), method, l.url+path, strings.NewReader(sent))
	if err != nil {
		return "", err
	}
	request.Host, request.GetBody = l.host, nil // no silent second try
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	got := string(body)
	switch {
	case err != nil:
		return "", err
	case response.StatusCode != http.StatusOK:
		return "", fmt.Errorf("%s answered %d %q", path, response.StatusCode, got)
	case sent != "" && got != sent:
		return "", fmt.Errorf("the echo has %d bytes of %d", len(got), len(sent))
	case sent != "":
		return "", nil
	}
	return strings.TrimSpace(got), nil
}
