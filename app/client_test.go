package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func testClient(t *testing.T, networks ...string) *http.Client {
	t.Helper()
	client, err := NewClient(networks)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	return client
}

func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// get returns the body, which is closed after the test.
func get(t *testing.T, c *http.Client, url string) (io.Reader, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(r)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp.Body, nil
}

func TestClientRefusesLoopbackUnlessAllowed(t *testing.T) {
	var calls atomic.Int32
	s := serve(t, func(http.ResponseWriter, *http.Request) { calls.Add(1) })
	byName := strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
	byMapped := strings.Replace(s.URL, "127.0.0.1", "[::ffff:127.0.0.1]", 1)
	for _, url := range []string{s.URL, byName, byMapped} {
		_, err := get(t, testClient(t, "private"), url)
		if _, ok := errors.AsType[*RefusedError](err); !ok {
			t.Errorf("%s: got %v, want a refusal", url, err)
		}
	}
	if n := calls.Load(); n != 0 {
		t.Errorf("%d calls reached the server", n)
	}
	for _, url := range []string{s.URL, byName, byMapped} {
		if _, err := get(t, testClient(t, "loopback"), url); err != nil {
			t.Errorf("allowed %s: %v", url, err)
		}
	}
}

func TestClientRejectsUnknownNetwork(t *testing.T) {
	if _, err := NewClient([]string{"lan"}); err == nil || !strings.Contains(err.Error(), `"private"`) {
		t.Errorf("got %v", err)
	}
}

func TestClientUsesNoProxyOfTheEnvironment(t *testing.T) {
	proxy := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the proxy was used") })
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("http_proxy", proxy.URL)
	s := serve(t, func(http.ResponseWriter, *http.Request) {})
	if _, err := get(t, testClient(t, "loopback"), s.URL); err != nil {
		t.Error(err)
	}
	if tr := testClient(t).Transport.(*limitedTransport); tr.base.Proxy != nil {
		t.Error("the transport asks for a proxy")
	}
}

func TestClientRedirects(t *testing.T) {
	other := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a redirect to another host was followed") })
	mux := http.NewServeMux()
	s := serve(t, mux.ServeHTTP)
	mux.HandleFunc("/here", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/end", http.StatusFound) })
	mux.HandleFunc("/end", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Method) })
	mux.HandleFunc("/other", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) })
	mux.HandleFunc("/tls", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://"+r.Host+"/end", http.StatusMovedPermanently)
	})
	mux.HandleFunc("/metadata", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://169.254.169.254/latest/meta-data/", http.StatusTemporaryRedirect)
	})
	mux.HandleFunc("/loop", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/loop", http.StatusFound) })
	mux.HandleFunc("/keep", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/end", http.StatusPermanentRedirect)
	})
	client := testClient(t, "loopback")
	for _, tc := range []struct {
		method, path string
		want         int
	}{
		{"GET", "/here", 200},
		{"HEAD", "/here", 200},
		{"POST", "/here", 302},
		{"POST", "/keep", 308},
		{"PATCH", "/keep", 308},
		{"GET", "/other", 302},
		{"GET", "/tls", 301},
		{"GET", "/metadata", 307},
		{"POST", "/metadata", 307},
		{"GET", "/loop", 302},
	} {
		r, err := http.NewRequestWithContext(t.Context(), tc.method, s.URL+tc.path, strings.NewReader(""))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Errorf("%s %s: %v", tc.method, tc.path, err)
			continue
		}
		resp.Body.Close()
		if resp.StatusCode != tc.want {
			t.Errorf("%s %s: %d, want %d", tc.method, tc.path, resp.StatusCode, tc.want)
		}
	}
}

func TestClientTimeouts(t *testing.T) {
	release := make(chan struct{})
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			fmt.Fprint(w, "begun")
			w.(http.Flusher).Flush()
		}
		<-release
	})
	defer close(release)
	short := timeouts{dial: time.Second, tls: 50 * time.Millisecond, header: 50 * time.Millisecond, whole: 200 * time.Millisecond}
	client := newClient(testGuard(t, "loopback"), short)
	_, err := get(t, client, s.URL)
	if err := CallError(t.Context(), "ask", err); !errors.Is(err, errNoAnswer) {
		t.Errorf("silent server: %v", err)
	}
	body, err := get(t, client, s.URL+"/body")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(body); !errors.Is(CallError(t.Context(), "ask", err), errNoAnswer) {
		t.Errorf("body that never ends: %v", err)
	}

	deaf, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	_, err = get(t, client, "https://"+deaf.Addr().String())
	if err := CallError(t.Context(), "ask", err); !errors.Is(err, errNoAnswer) {
		t.Errorf("TLS handshake: %v", err)
	}
	usual := testClient(t)
	tr := usual.Transport.(*limitedTransport).base
	if usual.Timeout <= 0 || tr.TLSHandshakeTimeout <= 0 || tr.ResponseHeaderTimeout <= 0 || tr.IdleConnTimeout <= 0 {
		t.Error("the real client lacks a time-out")
	}
}

func TestClientLimitsAnswers(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/header":
			w.Header().Set("X-Long", strings.Repeat("a", maxAnswerHeader+1))
		case "/endless":
			block := make([]byte, 1<<20)
			for r.Context().Err() == nil {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		case "/full":
			_, _ = w.Write(make([]byte, maxAnswerBody))
		}
	})
	client := testClient(t, "loopback")
	if _, err := get(t, client, s.URL+"/header"); err == nil {
		t.Error("a header without end was read")
	}
	body, err := get(t, client, s.URL+"/endless")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, body); !errors.Is(err, errAnswerTooLarge) || n != maxAnswerBody {
		t.Errorf("endless body: %d, %v", n, err)
	}
	body, err = get(t, client, s.URL+"/full")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, body); err != nil || n != maxAnswerBody {
		t.Errorf("body of just the limit: %d, %v", n, err)
	}
}

func TestClientEndsWithItsContext(t *testing.T) {
	arrived := make(chan struct{})
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) { close(arrived); <-r.Context().Done() })
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := testClient(t, "loopback").Do(r)
	if err == nil {
		resp.Body.Close()
	}
	if err := CallError(ctx, "ask", err); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
