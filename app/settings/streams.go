package settings

import (
	"net/http"
	"sync"
)

const (
	mostStreams        = 500
	mostStreamsOfAUser = 20
)

// streams counts those that are open. Each looks at the database whenever something happens.
type streams struct {
	mu     sync.Mutex
	all    int
	ofUser map[int64]int
}

func newStreams() *streams { return &streams{ofUser: map[int64]int{}} }

// enter counts one more until leave is called, or refuses it.
func (s *streams) enter(user int64) (leave func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ofUser[user] >= mostStreamsOfAUser:
		return nil, refuse(http.StatusTooManyRequests, "http.429")
	case s.all >= mostStreams:
		return nil, refuse(http.StatusServiceUnavailable, "http.503_streams")
	}
	s.all++
	s.ofUser[user]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.all--
		if s.ofUser[user]--; s.ofUser[user] == 0 {
			delete(s.ofUser, user)
		}
	}, nil
}
