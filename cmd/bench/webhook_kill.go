package main

import (
	"context"
	"fmt"
	"time"
)

// killAll kills everybody who keeps rows while 64 clients send, and fails when a delivery that was answered has none. It tells
// nothing of a machine that loses its power: what was written is still in the kernel's memory.
func (h *hookSite) killAll(ctx context.Context, all []*receiver) (*work, error) {
	w := &work{Name: "webhook, killed", Text: "After all of the above each was killed (SIGKILL) while 64 connections sent. A delivery is lost that was answered, then or before, and is not in the database."}
	for _, r := range all {
		if r.database == "" {
			continue
		}
		timer := time.AfterFunc(300*time.Millisecond, r.kill)
		_, err := h.send(ctx, r, 64, time.Second)
		timer.Stop()
		if err != nil {
			return nil, err
		}
		r.kill()
		kept, err := keptIn(ctx, r.database)
		if err != nil {
			return nil, fmt.Errorf("read what %s has kept: %w", r.name, err)
		}
		lost := 0
		for _, id := range r.answered {
			if !kept[id] {
				lost++
			}
		}
		if lost > 0 {
			return nil, fmt.Errorf("%s has lost %d of %d deliveries that it had answered", r.name, lost, len(r.answered))
		}
		w.add(r.name, "answered", "deliveries", float64(len(r.answered)))
		w.add(r.name, "lost", "deliveries", float64(lost))
	}
	return w, nil
}

// keptIn are the ids of the deliveries in a database.
func keptIn(ctx context.Context, address string) (ids map[string]bool, err error) {
	db, err := openDatabase(address)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	found, err := db.QueryContext(ctx, "SELECT external_id FROM deliveries")
	if err != nil {
		return nil, err
	}
	defer found.Close()
	ids = map[string]bool{}
	for found.Next() {
		var id string
		if err := found.Scan(&id); err != nil {
			return nil, err
		}
		ids[id] = true
	}
	return ids, found.Err()
}
