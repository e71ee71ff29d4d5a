package app

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := func(d time.Duration) string { return strconv.FormatInt(time.Now().Add(d).Unix(), 10) }
		for _, tc := range []struct {
			code   int
			header map[string]string
			want   time.Duration
		}{
			{429, nil, 0},
			{429, map[string]string{"Retry-After": "30"}, 30 * time.Second},
			{403, map[string]string{"Retry-After": "60"}, time.Minute},
			{503, map[string]string{"Retry-After": "5"}, 5 * time.Second},
			{503, map[string]string{"Retry-After": time.Now().Add(time.Minute).UTC().Format(http.TimeFormat)}, time.Minute},
			{429, map[string]string{"Retry-After": "99999999999999"}, time.Hour},
			{429, map[string]string{"Retry-After": "-3"}, 0},
			{429, map[string]string{"Retry-After": "soon"}, 0},
			{403, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": at(10 * time.Minute)}, 10 * time.Minute},
			{403, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": at(-time.Minute)}, time.Second},
			{403, map[string]string{"X-RateLimit-Remaining": "7", "X-RateLimit-Reset": at(10 * time.Minute)}, 0},
			{404, map[string]string{"Retry-After": "30"}, 0},
			{301, map[string]string{"Retry-After": "30"}, 0},
		} {
			resp := &http.Response{StatusCode: tc.code, Header: http.Header{}}
			for k, v := range tc.header {
				resp.Header.Set(k, v)
			}
			got := NewStatusError("set status", resp)
			if got.RetryAfter != tc.want || got.Code != tc.code {
				t.Errorf("%d %v: %v, want %v", tc.code, tc.header, got.RetryAfter, tc.want)
			}
		}
	})
}

// hostile answers every connection with what the request's Authorization holds, in the given form.
func hostile(t *testing.T, form string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if r, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				_, _ = conn.Write([]byte(strings.ReplaceAll(form, "TOKEN", r.Header.Get("Authorization"))))
			}
			conn.Close()
		}
	}()
	return "http://" + l.Addr().String()
}

func TestS12_CallErrorHoldsNothingTheForgeSent(t *testing.T) {
	const token = "t0k3n-that-must-not-leak"
	client := testClient(t, "loopback")
	for name, form := range map[string]string{
		"status line": "HTTP/1.1 TOKEN\r\n\r\n",
		"no HTTP":     "TOKEN\r\n\r\n",
		"header":      "HTTP/1.1 200 OK\r\nTOKEN TOKEN\r\n\r\n",
		"length":      "HTTP/1.1 200 OK\r\nContent-Length: TOKEN\r\n\r\n",
		"encoding":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: TOKEN\r\n\r\n",
		"location":    "HTTP/1.1 302 Found\r\nLocation: ht!tp://[TOKEN\r\nContent-Length: 0\r\n\r\n",
		"redirect":    "HTTP/1.1 302 Found\r\nLocation: /TOKEN?TOKEN\r\nContent-Length: 0\r\n\r\n",
		"nothing":     "",
	} {
		t.Run(name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, hostile(t, form), nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", token)
			resp, err := client.Do(r)
			if err == nil {
				resp.Body.Close()
				if resp.StatusCode != http.StatusFound {
					t.Fatalf("the answer was taken for a good one: %d", resp.StatusCode)
				}
				err = NewStatusError("ask", resp)
			}
			if got := CallError(t.Context(), "ask", err).Error(); strings.Contains(got, token) || !strings.HasPrefix(got, "ask: ") {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestCallErrorSaysWhatIsWrong(t *testing.T) {
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	plain := serve(t, http.NotFound)
	for name, tc := range map[string]struct{ url, want string }{
		"certificate": {secure.URL, "certificate is not trusted"},
		"plain HTTP":  {strings.Replace(plain.URL, "http:", "https:", 1), "is it http instead of https?"},
		"nobody":      {"http://127.0.0.1:9", "connection refused"},
		"no host":     {"http://tinyforge.invalid", "cannot resolve tinyforge.invalid"},
		"refused":     {"http://10.1.2.3", "allow it with networks: [private]"},
	} {
		_, err := get(t, testClient(t, "loopback"), tc.url)
		got := CallError(t.Context(), "ask", err)
		if got == nil || !strings.HasPrefix(got.Error(), "ask: ") || !strings.Contains(got.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, got, tc.want)
		}
	}
	if CallError(t.Context(), "ask", nil) != nil {
		t.Error("an error of nothing")
	}
}

func TestCallErrorKeepsTheStatus(t *testing.T) {
	err := CallError(t.Context(), "set status", errors.Join(errors.New("secret"), &StatusError{Op: "x", Code: 502, RetryAfter: time.Second}))
	status, ok := errors.AsType[*StatusError](err)
	if !ok || *status != (StatusError{Op: "set status", Code: 502, RetryAfter: time.Second}) {
		t.Errorf("got %v", err)
	}
}
