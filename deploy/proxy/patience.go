package proxy

import (
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// errSlow ends a request whose upstream does not begin to answer.
var errSlow = errors.New("the upstream took too long to begin its answer")

// patience bounds the wait for an upstream to begin its answer. Time in which the client is waited for does not count. A
// nil one has no end. It is safe for concurrent use.
type patience struct {
	limit time.Duration

	mu    sync.Mutex
	timer *time.Timer
	over  bool // nothing is waited for any more
}

// newPatience calls giveUp once the upstream was waited for without a break for limit.
func newPatience(limit time.Duration, giveUp func()) *patience {
	return &patience{limit: limit, timer: time.AfterFunc(limit, giveUp)}
}

// pause is called when somebody else is waited for.
func (p *patience) pause() {
	if p != nil {
		p.timer.Stop()
	}
}

// resume is called when the upstream is waited for again.
func (p *patience) resume() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.over {
		p.timer.Reset(p.limit)
	}
}

// end is called when the answer has begun, or is not wanted any more. It may be repeated.
func (p *patience) end() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	p.timer.Stop()
}

// answer is a response that ends the patience when it begins. All else that a ResponseWriter can do is left as it is.
type answer struct {
	*caddyhttp.ResponseWriterWrapper
	patience *patience
}

// WriteHeader implements http.ResponseWriter. What comes before the answer, such as early hints, does not begin it.
func (a *answer) WriteHeader(status int) {
	if status >= http.StatusOK {
		a.patience.end()
	}
	a.ResponseWriterWrapper.WriteHeader(status)
}
