package main

import (
	"context"
	"fmt"
	"time"
)

// Those who take deliveries in, by their names in the tables.
const (
	oursQueueing   = "tinyforge, a deployment each"
	oursOnPostgres = "tinyforge, PostgreSQL"
	hookWaits      = "adnanh/webhook"
	hookAnswers    = "adnanh/webhook, answers first"
	verifyOnly     = "verify only"
	rowOnSQLite    = "one row per commit, SQLite"
	rowOnPostgres  = "one row per commit, PostgreSQL"
)

// hookLasts is how long a cell of the tables is measured, after hookWarms of the same.
const (
	hookLasts = 1200 * time.Millisecond
	hookWarms = 200 * time.Millisecond
)

// receiver is somebody who takes deliveries in.
type receiver struct {
	*process
	name          string
	also          *process // what it computes counts too: the database's server; nil for none
	address, path string   // of its webhook
	answers       int      // status of the answer to a signed delivery
	database      string   // address of the one in which each delivery that was answered has a row; "" for none
	answered      []string // ids of the deliveries that were, where there is a database
}

// computed is the time that it has computed, once it has come to rest: some do their work after the answer.
func (r *receiver) computed(ctx context.Context) (time.Duration, error) {
	last := time.Duration(-1)
	for deadline := time.Now().Add(3 * time.Second); ; {
		now, err := r.cpu()
		if err == nil && r.also != nil {
			var more time.Duration
			more, err = r.also.cpu()
			now += more
		}
		if err != nil {
			return 0, err
		}
		if last >= 0 && now-last <= 10*time.Millisecond || time.Now().After(deadline) {
			return now, nil
		}
		last = now
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// measureWebhook sends the same signed deliveries to each receiver. Nothing is told when one of them has lost a delivery that it
// had answered.
func measureWebhook(ctx context.Context, o choice, s *stage, done func(work)) error {
	site, err := newHookSite(ctx, s)
	if err != nil {
		return err
	}
	all, err := site.receivers(ctx, s)
	if err != nil {
		return err
	}
	var works []*work
	for _, clients := range []int{1, 16, 64} {
		w, err := site.sideBySide(ctx, o.times(3), clients, all)
		if err != nil {
			return err
		}
		works = append(works, w)
	}
	flooded, err := site.flood(ctx, o.times(3), all[0])
	if err != nil {
		return err
	}
	works = append(works, flooded)
	if profiled() { // a profile is written by who ends, not by who is killed
		for _, r := range all {
			r.stop()
		}
	} else {
		killed, err := site.killAll(ctx, all)
		if err != nil {
			return err
		}
		works = append(works, killed)
	}
	for _, w := range works {
		done(*w)
	}
	return nil
}

// sideBySide goes round the receivers, beginning with another one each time.
func (h *hookSite) sideBySide(ctx context.Context, rounds, clients int, all []*receiver) (*work, error) {
	w := &work{Name: fmt.Sprintf("webhook, %d connections", clients), Text: "The same.", Base: hookWaits, Goals: hookGoals(clients)}
	if clients == 1 {
		w.Name, w.Text = "webhook, 1 connection", h.text()
	}
	for round := range rounds {
		for i := range all {
			r := all[(i+round)%len(all)]
			if err := h.once(ctx, w, r, clients); err != nil {
				return nil, fmt.Errorf("%s, %s: %w", w.Name, r.name, err)
			}
		}
	}
	return w, nil
}

// text says what is done, once for all numbers of connections.
func (h *hookSite) text() string {
	return fmt.Sprintf("Signed pushes of %d bytes to %d repositories, each sent as soon as the one before is answered. Tinyforge answers when the row of the "+
		"delivery is committed (SQLite with synchronous=FULL unless it says PostgreSQL, which has fsync and synchronous_commit on); the row has what matters of the "+
		"push. Its workloads follow another branch, but in the row \"%s\": there every push queues a deployment too, which supersedes the one before, and of which "+
		"nothing is built since the forge holds back the commit. adnanh/webhook checks the signature and runs /bin/true, and answers when that has ended, or "+
		"first; it keeps nothing. \"%s\" reads the body and checks the signature; \"one row per commit\" does so too and inserts id, event and body. "+
		"CPU is that of the receiver with its children and its PostgreSQL.", h.size(), len(h.deliveries), oursQueueing, verifyOnly)
}

func hookGoals(clients int) []goal {
	goals := []goal{{Who: ours, Metric: "deliveries", To: hookWaits, AtLeast: 3}}
	if clients == 64 {
		goals = append(goals,
			goal{Who: ours, Metric: "deliveries", To: verifyOnly, AtLeast: 0.4},
			goal{Who: ours, Metric: "p99", AtMost: 40},
			goal{Who: oursOnPostgres, Metric: "deliveries", To: rowOnPostgres, AtLeast: 1.3})
	}
	return goals
}

func (h *hookSite) once(ctx context.Context, w *work, r *receiver, clients int) error {
	warm, err := h.send(ctx, r, clients, hookWarms)
	if err == nil {
		err = warm.ok()
	}
	if err != nil {
		return err
	}
	before, err := r.computed(ctx)
	if err != nil {
		return err
	}
	l, err := h.send(ctx, r, clients, hookLasts)
	if err == nil {
		err = l.ok()
	}
	if err != nil {
		return err
	}
	after, err := r.computed(ctx)
	if err != nil {
		return err
	}
	w.add(r.name, "deliveries", "1/s", l.perSecond())
	w.add(r.name, "p50", "ms", percentile(l.delays, 50))
	w.add(r.name, "p99", "ms", percentile(l.delays, 99))
	w.add(r.name, "CPU", "µs/delivery", float64((after-before).Microseconds())/float64(l.answers))
	return nil
}
