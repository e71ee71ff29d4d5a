package proxy

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"tinyforge/db"
	"tinyforge/deploy"
)

// TestClientKeepsItsConnection: calls one after the other share it.
func TestClientKeepsItsConnection(t *testing.T) {
	p := newTestProxy(t, Config{})
	path := socketPath(t)
	a, err := p.ListenAdmin(t.Context(), path)
	must(t, err)
	taken := &accepted{Listener: a.ln}
	a.ln = taken
	go func() { _ = a.Run(t.Context()) }()
	c := NewClient(path)
	for i := range 10 {
		must(t, c.Upsert(t.Context(), db.Route{Host: "a.test"}, up(fmt.Sprintf("tf-web-%d", i))))
	}
	if n := taken.n.Load(); n != 1 {
		t.Errorf("10 calls took %d connections", n)
	}
}

// TestKeptConnectionThatIsClosed: a proxy that closes it as a call comes, as one that is started anew does, is asked again at
// once, also by calls that do not wait for one that is away.
func TestKeptConnectionThatIsClosed(t *testing.T) {
	path := socketPath(t)
	ln, err := net.Listen("unix", path)
	must(t, err)
	var asked atomic.Int64
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) == 2 {
			panic(http.ErrAbortHandler) // closes the connection
		}
		_, _ = fmt.Fprintf(w, `{"State":{"ID":"%d"}}`, asked.Load())
	})}
	go func() { _ = server.Serve(ln) }()
	defer func() { _ = server.Close() }()
	c := NewClient(path)
	for _, want := range []string{"1", "3"} {
		if s, err := c.State(t.Context()); err != nil || s.ID != want {
			t.Errorf("state %+v, %v, want answer %s", s, err, want)
		}
	}
}

// accepted counts the connections of a listener.
type accepted struct {
	net.Listener
	n atomic.Int64
}

func (l *accepted) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.n.Add(1)
	}
	return c, err
}

// TestProxyOfAnotherVersionIsAway: what it does not know it refuses of every route, not of one. Nobody waits for it.
func TestProxyOfAnotherVersionIsAway(t *testing.T) {
	path := socketPath(t)
	ln, err := net.Listen("unix", path)
	must(t, err)
	answers := make(chan string, 1)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if answer := <-answers; answer != "" {
			_, _ = fmt.Fprint(w, answer)
			return
		}
		w.WriteHeader(http.StatusNotFound)
	})}
	go func() { _ = server.Serve(ln) }()
	defer func() { _ = server.Close() }()
	c, rt := NewClient(path), db.Route{Host: "a.test"}
	answers <- "{}"
	must(t, c.Hold(t.Context(), rt))
	for _, answer := range []string{"", "nonsense"} {
		answers <- answer // once: who asks again waits in vain
		err := c.Hold(t.Context(), rt)
		_, away := errors.AsType[*AwayError](err)
		said, ok := errors.AsType[*deploy.Failure](err)
		if !away || !ok || !strings.Contains(said.Text, "another version of Tinyforge") || !strings.Contains(err.Error(), path) {
			t.Errorf("answered %q: %v", answer, err)
		}
	}
	answers <- "{}"
	must(t, c.Hold(t.Context(), rt))
	rt.Host = strings.Repeat("a", askMost)
	err = c.Hold(t.Context(), rt)
	if _, away := errors.AsType[*AwayError](err); away || err == nil {
		t.Errorf("of a route that is too long: %v", err)
	}
}
