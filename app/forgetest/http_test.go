package forgetest

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// do sends a request without following redirects.
func do(t *testing.T, req *http.Request) (code int, body string, header http.Header) {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(raw), answer.Header
}

// get asks with a token, "" for none.
func get(t *testing.T, url, token string) (code int, body string, header http.Header) {
	t.Helper()
	return call(t, http.MethodGet, url, token, nil)
}

func call(t *testing.T, method, url, token string, body any) (code int, answer string, header http.Header) {
	t.Helper()
	var text io.Reader = http.NoBody
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		text = strings.NewReader(string(raw))
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, text)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "token "+token)
	}
	return do(t, req)
}

func decode[T any](t *testing.T, raw string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(raw), &v); err != nil {
		t.Fatalf("decode %q: %v", raw, err)
	}
	return v
}
