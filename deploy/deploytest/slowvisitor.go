package deploytest

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// SlowVisitor is somebody who connects to a server and is slow. Time is the test's own, between the two ends of a pipe.
type SlowVisitor struct {
	Send, Slow string        // what is sent at once, and then once a second
	After      time.Duration // it is cut off, in whole seconds
	Says       string        // words of the answer; "" is no answer
	Deaf       bool          // it reads nothing
}

// Visit lets it visit what serve serves until its context is done.
func (v SlowVisitor) Visit(t *testing.T, serve func(context.Context, net.Listener) error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		conn := pipeTo(t, serve)
		begun, sent := time.Now(), make(chan struct{})
		go func() {
			defer close(sent)
			for text := v.Send; ; text = v.Slow {
				if _, err := io.WriteString(conn, text); err != nil || v.Slow == "" {
					return
				}
				time.Sleep(time.Second)
			}
		}()
		if v.Deaf {
			<-sent
		}
		answer, _ := io.ReadAll(conn)
		if took := time.Since(begun).Truncate(time.Second); took != v.After {
			t.Errorf("cut off after %v, want %v", took, v.After)
		}
		if v.Says == "" && len(answer) > 0 {
			t.Errorf("answered %q", answer)
		}
		for _, word := range strings.Fields(v.Says) {
			if !strings.Contains(string(answer), word) {
				t.Errorf("answered %q, want %s", answer, v.Says)
			}
		}
		_ = conn.Close()
		<-sent
	})
}

// pipeTo connects to what serve serves.
func pipeTo(t *testing.T, serve func(context.Context, net.Listener) error) net.Conn {
	ctx, stop := context.WithCancel(t.Context())
	pipes, served := make(pipeListener, 1), make(chan error, 1)
	go func() { served <- serve(ctx, pipes) }()
	ours, theirs := net.Pipe()
	pipes <- theirs
	t.Cleanup(func() {
		_ = ours.Close()
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return ours
}

// pipeListener accepts what is put into it.
type pipeListener chan net.Conn

// Accept implements net.Listener.
func (l pipeListener) Accept() (net.Conn, error) {
	if c, ok := <-l; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

// Close implements net.Listener.
func (l pipeListener) Close() error { close(l); return nil }

// Addr implements net.Listener.
func (pipeListener) Addr() net.Addr { return &net.TCPAddr{} }
