package proxy

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestAnswerWhileTheBodyIsRead: an upstream that answers as it reads has all of the body, and the client all of the answer.
func TestAnswerWhileTheBodyIsRead(t *testing.T) {
	p := serve(t, Config{})
	upsert(t, p, "a.test", upstream(t, "blue", echoAsItComes))
	body := strings.Repeat("long", 1<<20)
	for range 10 {
		response, err := p.client.Post("http://a.test/", "text/plain", strings.NewReader(body))
		must(t, err)
		text, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != http.StatusOK || string(text) != body {
			t.Fatalf("%s, %d bytes, %v", response.Status, len(text), err)
		}
	}
}

// echoAsItComes answers with what it is sent, before it has all of it.
func echoAsItComes(w http.ResponseWriter, r *http.Request) {
	_ = http.NewResponseController(w).EnableFullDuplex()
	_, _ = io.Copy(w, r.Body)
}
