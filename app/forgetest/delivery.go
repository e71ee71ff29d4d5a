package forgetest

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Delivery is a webhook request that was sent, with its answer.
type Delivery struct {
	ID         string // as in the header; a redelivery of GitHub has it twice
	Event      string // "push"
	Repository string // full name, "" where the event is about none
	URL        string
	Header     http.Header
	Body       []byte

	Code   int    // of the answer; 0 when there was none
	Answer []byte // at most 64 KiB of it
	Err    error  // why there was no answer
	At     time.Time
}

// Deliveries returns the deliveries that are finished, answered or not, in the order they were sent.
func (s *Server) Deliveries() []Delivery { return s.sender.finished() }

// WaitDeliveries returns as soon as n deliveries are finished, with all of them.
func (s *Server) WaitDeliveries(ctx context.Context, n int) ([]Delivery, error) {
	return s.waitDeliveries(ctx, func(done, _ int) bool { return done >= n })
}

// Settle returns as soon as every delivery that is queued now or meanwhile is finished, with all of them. Since a push
// queues its deliveries before git returns, this is all that a push caused.
func (s *Server) Settle(ctx context.Context) ([]Delivery, error) {
	return s.waitDeliveries(ctx, func(_, pending int) bool { return pending == 0 })
}

func (s *Server) waitDeliveries(ctx context.Context, enough func(done, pending int) bool) ([]Delivery, error) {
	for {
		done, pending, changed := s.sender.watch()
		if enough(len(done), pending) {
			return done, nil
		}
		select {
		case <-ctx.Done():
			return done, fmt.Errorf("wait for deliveries, %d finished, %d pending: %w", len(done), pending, ctx.Err())
		case <-changed:
		}
	}
}

// Redeliver sends a finished delivery once more: with the same id on GitHub and GitLab, with a new one on Gitea.
func (s *Server) Redeliver(id string) error {
	done := s.sender.finished()
	i := slices.IndexFunc(done, func(d Delivery) bool { return d.ID == id })
	if i < 0 {
		return fmt.Errorf("redeliver: no delivery %q is finished", id)
	}
	s.sender.send(s.manners.again(done[i]))
	return nil
}

// Sign returns the headers of a delivery of this body, signed with the secret of Row, as the forge would send them.
func (s *Server) Sign(event string, body []byte) http.Header {
	_, h := s.manners.sign(event, body)
	return h
}

// Deliver sends an arbitrary request as if the forge had, with headers of Sign or worse. It is queued behind the others.
func (s *Server) Deliver(url string, h http.Header, body []byte) {
	s.sender.send(outgoing{
		id: h.Get("X-GitHub-Delivery"), event: h.Get("X-GitHub-Event"), url: url, header: h, body: body,
	})
}
