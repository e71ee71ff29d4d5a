package webhooks

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"tinyforge/db"
)

const (
	pollMute     = time.Minute      // of a forge whose deliveries do not reach us, as far as we know
	pollDelivers = 10 * time.Minute // of one that delivers
	pollPatience = 5 * time.Minute  // for all repositories of a forge
)

// Poller asks the forges for the pushes that they did not deliver: at the start, and every so often. A forge that has not
// delivered yet, or whose last push was found by asking, is asked more often.
type Poller struct {
	handler *Handler
	log     *slog.Logger

	mutex sync.Mutex
	polls map[int64]*poll // by forge
}

// poll is what is remembered of one forge. Only its own goroutine touches it while it is busy.
type poll struct {
	busy  bool
	due   time.Time
	fault string // what went wrong the last time
}

// NewPoller makes a poller that records what it finds as the handler records deliveries.
func NewPoller(h *Handler, log *slog.Logger) *Poller {
	return &Poller{handler: h, log: log, polls: map[int64]*poll{}}
}

// Run polls until ctx is done. Each forge is asked on its own: one that is down delays no other.
func (p *Poller) Run(ctx context.Context) error {
	tick := time.NewTicker(pollMute)
	defer tick.Stop()
	var asking sync.WaitGroup
	defer asking.Wait()
	for ctx.Err() == nil {
		p.start(ctx, &asking)
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	return nil
}

// start begins to ask every forge that is due.
func (p *Poller) start(ctx context.Context, asking *sync.WaitGroup) {
	forges, err := p.handler.db.Forges(ctx)
	if err != nil && ctx.Err() == nil {
		p.log.ErrorContext(ctx, "find forges to ask for missed pushes", "error", err)
	}
	for _, row := range forges {
		if one := p.take(row.ID); one != nil {
			asking.Go(func() { p.ask(ctx, row, one) })
		}
	}
}

// take returns the poll of a forge that is due, else nil.
func (p *Poller) take(forgeID int64) *poll {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	one := p.polls[forgeID]
	if one == nil {
		one = &poll{}
		p.polls[forgeID] = one
	}
	if one.busy || time.Now().Before(one.due) {
		return nil
	}
	one.busy = true
	return one
}

func (p *Poller) ask(ctx context.Context, row db.Forge, one *poll) {
	within, cancel := context.WithTimeout(ctx, pollPatience)
	defer cancel()
	found, queued, err := p.handler.look(within, row, p.handler.sinceFirstSeen)
	if ctx.Err() != nil {
		return
	}
	if found > 0 {
		p.log.InfoContext(ctx, "pushes were found that the forge did not deliver", "forge", row.Name, "pushes", found, "deployments", queued)
	}
	fault := ""
	if err != nil {
		fault = err.Error()
	}
	if fault != "" && fault != one.fault {
		p.log.WarnContext(ctx, "ask for missed pushes", "forge", row.Name, "error", err)
	}
	mute, err := p.handler.db.IsMute(ctx, row.ID, EventMissed)
	if err != nil && ctx.Err() == nil {
		p.log.ErrorContext(ctx, "read last delivery", "forge", row.Name, "error", err)
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	one.busy, one.fault, one.due = false, fault, time.Now().Add(pollDelivers-pollMute/2)
	if mute {
		one.due = time.Time{}
	}
}
