package forgetest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"
)

// outgoing is a request that is to be sent.
type outgoing struct {
	id, event, repository, url string
	header                     http.Header
	body                       []byte
	hook                       int64 // that it is of; 0 where nobody wants to know
}

// sender delivers one request after the other, in order and without repeating any, as forges do, unless it is disturbed.
type sender struct {
	client   *http.Client
	answered func(hook int64, d Delivery)
	again    func(d Delivery) outgoing
	log      *slog.Logger
	ended    chan struct{}

	mu      sync.Mutex
	queue   []outgoing
	pending int // queued or in flight
	done    []Delivery
	closed  bool
	trouble trouble
	wake    chan struct{} // holds one token while there may be work
	changed chan struct{} // closed and replaced at each finished delivery
}

func newSender(m manners, log *slog.Logger) *sender {
	s := &sender{
		client: &http.Client{
			Timeout:       m.deliveryTimeout(),
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport:     &http.Transport{Proxy: nil},
		},
		answered: m.answered, again: m.again, log: log, ended: make(chan struct{}), wake: make(chan struct{}, 1), changed: make(chan struct{}),
	}
	go s.run()
	return s
}

func (s *sender) send(o ...outgoing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.queue = append(s.queue, o...)
	s.pending += len(o)
	s.signal()
}

func (s *sender) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *sender) run() {
	defer close(s.ended)
	defer s.client.CloseIdleConnections()
	for range s.wake {
		for {
			o, dropped, ok, closed := s.next()
			if closed {
				return
			}
			if !ok {
				break
			}
			d := s.deliver(o, dropped)
			s.answered(o.hook, d)
			s.finish(d)
		}
	}
}

func (s *sender) disturb(d Disturbance) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble = newTrouble(d)
}

func (s *sender) next() (o outgoing, dropped, ok, closed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.queue) == 0 {
		return o, false, false, s.closed
	}
	i := s.trouble.pick(len(s.queue))
	o = s.queue[i]
	s.queue = slices.Delete(s.queue, i, i+1)
	return o, s.trouble.drops(), true, false
}

func (s *sender) deliver(o outgoing, dropped bool) Delivery {
	d := Delivery{
		ID: o.id, Event: o.event, Repository: o.repository, URL: o.url, Header: o.header, Body: o.body, At: time.Now(),
	}
	if dropped {
		d.Err = ErrDropped
		return d
	}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, o.url, bytes.NewReader(o.body))
	if err != nil {
		d.Err = fmt.Errorf("make request: %w", err)
		return d
	}
	req.Header = o.header.Clone()
	answer, err := s.client.Do(req)
	if err != nil {
		d.Err = err
		return d
	}
	defer answer.Body.Close()
	d.Code = answer.StatusCode
	d.Answer, d.Err = io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	return d
}

func (s *sender) finish(d Delivery) {
	s.log.Debug("delivered", "event", d.Event, "id", d.ID, "repository", d.Repository, "code", d.Code, "err", d.Err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = append(s.done, d)
	s.pending--
	if s.trouble.duplicates() && !s.closed {
		s.queue = append(s.queue, s.again(d))
		s.pending++
	}
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *sender) finished() []Delivery {
	done, _, _ := s.watch()
	return done
}

// watch returns what is finished, how much is not, and a channel that is closed when the next one is.
func (s *sender) watch() (done []Delivery, pending int, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.done), s.pending, s.changed
}

// close waits for the delivery in flight and drops the queue.
func (s *sender) close() {
	s.mu.Lock()
	s.closed, s.queue = true, nil
	s.signal()
	s.mu.Unlock()
	<-s.ended
}
