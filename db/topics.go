package db

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/driver/pgdriver"
)

// Topic is something that others may wait for.
type Topic string

const (
	TopicQueued    Topic = "tinyforge_queued"    // a deployment can be claimed
	TopicPhase     Topic = "tinyforge_phase"     // a deployment's phase changed
	TopicCancel    Topic = "tinyforge_cancel"    // a claimed deployment is to be undone
	TopicWorkloads Topic = "tinyforge_workloads" // a workload was made, changed or deleted
	TopicSettings  Topic = "tinyforge_settings"  // a setting was changed
	TopicRoutes    Topic = "tinyforge_routes"    // a route of all proxies was changed, or is to be drained
	TopicConfirmed Topic = "tinyforge_confirmed" // a process has done what the routes say
)

// topics hands wake-ups to the subscribers in this process. Wake-ups coalesce and may be lost: who waits also polls.
type topics struct {
	mu   sync.Mutex
	subs map[Topic]map[chan struct{}]struct{}
}

func newTopics() *topics { return &topics{subs: map[Topic]map[chan struct{}]struct{}{}} }

// Subscribe returns a channel that receives after each event of the topic, several events at most once, until cancel is
// called. Wake-ups from other processes need a running Listen; some may be missed, so poll as well.
func (d *DB) Subscribe(topic Topic) (wake <-chan struct{}, cancel func()) {
	ch := make(chan struct{}, 1)
	d.topics.mu.Lock()
	defer d.topics.mu.Unlock()
	if d.topics.subs[topic] == nil {
		d.topics.subs[topic] = map[chan struct{}]struct{}{}
	}
	d.topics.subs[topic][ch] = struct{}{}
	return ch, func() {
		d.topics.mu.Lock()
		defer d.topics.mu.Unlock()
		delete(d.topics.subs[topic], ch)
	}
}

func (t *topics) wake(topic Topic) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for ch := range t.subs[topic] {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

// notify wakes the subscribers everywhere. Call it after the commit. On PostgreSQL the other processes hear of it too;
// an error there is not one of the caller, since everybody polls.
func (d *DB) notify(ctx context.Context, topics ...Topic) {
	for _, topic := range topics {
		d.topics.wake(topic)
	}
	if !d.postgres() {
		return
	}
	var rows []bun.TupleValues
	for _, topic := range topics {
		rows = append(rows, bun.Tuple([]string{string(topic)}))
	}
	if _, err := d.bun.ExecContext(ctx, "SELECT pg_notify(column1, '') FROM (VALUES ?) AS topics", bun.List(rows)); err != nil {
		slog.DebugContext(ctx, "notify other processes", "topics", topics, "error", err)
	}
}

// Listen passes the wake-ups of other processes on until ctx is done. On SQLite, where one process deploys, it looks for
// what another one changed.
func (d *DB) Listen(ctx context.Context) error {
	if !d.postgres() {
		return d.poll(ctx)
	}
	for ctx.Err() == nil {
		d.listenOnce(ctx)
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
	return nil
}

func (d *DB) listenOnce(ctx context.Context) {
	listener := pgdriver.NewListener(d.bun)
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() }) // Receive does not look at ctx
	defer func() {
		if stop() {
			_ = listener.Close()
		}
	}()
	if err := listener.Listen(ctx, allTopics()...); err != nil {
		if ctx.Err() == nil {
			slog.DebugContext(ctx, "listen to other processes", "error", err) // everybody polls, and says that the database is away
		}
		return
	}
	d.wakeAll() // what happened while nobody listened
	for {
		channel, _, err := listener.Receive(ctx)
		if err != nil {
			return
		}
		d.topics.wake(Topic(channel))
	}
}

func (d *DB) wakeAll() {
	for _, topic := range allTopics() {
		d.topics.wake(Topic(topic))
	}
}

func allTopics() []string {
	return []string{string(TopicQueued), string(TopicPhase), string(TopicCancel), string(TopicWorkloads), string(TopicSettings),
		string(TopicRoutes), string(TopicConfirmed)}
}
