package proxy

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestSlowVisitorsAreCutOff: whoever sends a header too slowly, stalls in a body, or never asks again, is cut off; a header without
// end is refused. One of the limits is reached each time, the others are far away.
func TestSlowVisitorsAreCutOff(t *testing.T) {
	const request = "POST / HTTP/1.1\r\nHost: a.test\r\n"
	for name, tt := range map[string]struct {
		limits limits
		send   string // by somebody who goes on with nothing
		status string // "" is no answer
		ended  string // what the upstream's read of the body said; "" is that it saw no request
	}{
		"silence":        {limits{soon, eventually, eventually}, "", "", ""},
		"slow header":    {limits{soon, eventually, eventually}, request, "", ""},
		"endless header": {defaultLimits(), request + strings.Repeat("X-A: b\r\n", 8<<10), "431 ", ""},
		"stalled body":   {limits{eventually, soon, eventually}, request + "Content-Length: 1000\r\n\r\nb", "", "unexpected EOF"},
		"stalled chunk":  {limits{eventually, soon, eventually}, request + "Transfer-Encoding: chunked\r\n\r\n5\r\nb", "", "unexpected EOF"},
		"unread body":    {limits{eventually, soon, eventually}, strings.Replace(request, "a.test", "b.test", 1) + "Content-Length: 1000\r\n\r\nb", "404 ", ""},
		"idle":           {limits{eventually, eventually, soon}, request + "\r\n", "200 ", "<nil>"},
	} {
		t.Run(name, func(t *testing.T) {
			p := serve(t, Config{limits: tt.limits})
			ended := make(chan string, 1)
			upsert(t, p, "a.test", upstream(t, "a", func(_ http.ResponseWriter, r *http.Request) {
				_, err := io.Copy(io.Discard, r.Body)
				ended <- fmt.Sprint(err)
			}))
			var d net.Dialer
			conn, err := d.DialContext(t.Context(), "tcp", p.HTTPAddr().String())
			must(t, err)
			defer conn.Close()
			must(t, conn.SetDeadline(time.Now().Add(eventually/2)))
			_, err = io.WriteString(conn, tt.send)
			must(t, err)
			answer, err := io.ReadAll(conn)
			if err != nil {
				t.Errorf("after %q: %v", answer, err)
			}
			if want := "HTTP/1.1 " + tt.status; tt.status != "" && !strings.HasPrefix(string(answer), want) || tt.status == "" && len(answer) > 0 {
				t.Errorf("answered %q, want %q", answer, tt.status)
			}
			if tt.ended != "" {
				if got := <-ended; got != tt.ended {
					t.Errorf("the upstream's read ended with %q, want %q", got, tt.ended)
				}
			} else if len(ended) > 0 {
				t.Error("the upstream got a request")
			}
		})
	}
}
