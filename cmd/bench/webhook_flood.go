package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

const (
	floodClients   = 16  // that send signed deliveries meanwhile
	floodPerSecond = 500 // unsigned deliveries
	floodAlone     = "no flood"
)

// flood measures signed deliveries alone, and while one, or four, send others whose signature does not verify.
func (h *hookSite) flood(ctx context.Context, rounds int, r *receiver) (*work, error) {
	w := &work{Name: "webhook, a flood of unsigned deliveries", Base: floodAlone, Text: fmt.Sprintf(
		"Signed deliveries over %d connections to Tinyforge on SQLite, alone and while %d a second come that somebody else has signed, with as large a body, by one sender "+
			"and by four. Each of those is answered 401.", floodClients, floodPerSecond)}
	floods := []int{0, 1, 4}
	for round := range rounds {
		for i := range floods {
			if err := h.floodOnce(ctx, w, r, floods[(i+round)%len(floods)]); err != nil {
				return nil, fmt.Errorf("%s: %w", w.Name, err)
			}
		}
	}
	for _, senders := range floods[1:] {
		w.Goals = append(w.Goals, goal{Who: floodName(senders), Metric: "signed", To: floodAlone, AtLeast: 0.8})
	}
	return w, nil
}

func floodName(senders int) string {
	switch senders {
	case 0:
		return floodAlone
	case 1:
		return "1 sender"
	}
	return fmt.Sprintf("%d senders", senders)
}

func (h *hookSite) floodOnce(ctx context.Context, w *work, r *receiver, senders int) error {
	var unsigned *load
	ended := make(chan error, 1)
	go func() {
		var err error
		unsigned, err = h.sendUnsigned(ctx, r, senders, hookWarms+hookLasts)
		ended <- err
	}()
	_, err := h.send(ctx, r, floodClients, hookWarms)
	var signed *load
	if err == nil {
		signed, err = h.send(ctx, r, floodClients, hookLasts)
	}
	if floodErr := <-ended; err == nil {
		err = floodErr
	}
	for _, l := range []*load{signed, unsigned} {
		if err == nil {
			err = l.ok()
		}
	}
	if err != nil {
		return err
	}
	w.add(floodName(senders), "signed", "1/s", signed.perSecond())
	w.add(floodName(senders), "p99 of signed", "ms", percentile(signed.delays, 99))
	w.add(floodName(senders), "unsigned", "1/s", unsigned.perSecond())
	return nil
}

// sendUnsigned sends deliveries with a wrong signature at an even pace, as far as the answers, which have to be 401, come in time.
func (h *hookSite) sendUnsigned(ctx context.Context, r *receiver, senders int, lasts time.Duration) (*load, error) {
	if senders == 0 {
		return &load{took: lasts}, nil
	}
	list, err := h.made(r.path, strings.ToUpper(h.secret)+" ", senders)
	if err != nil {
		return nil, err
	}
	every := time.Duration(senders) * time.Second / floodPerSecond
	return together(ctx, place{address: r.address}, senders, lasts, func(n int, c *client, until time.Time) *load {
		l, d := &load{}, list[n]
		for due := time.Now().Add(every * time.Duration(n) / time.Duration(senders)); due.Before(until) && ctx.Err() == nil; due = due.Add(every) {
			time.Sleep(time.Until(due))
			if time.Now().After(until) {
				break
			}
			d.renew()
			begun := time.Now()
			a, err := c.exchange(d.text)
			if !l.expect(http.StatusUnauthorized, a, err, time.Since(begun)) {
				return l
			}
		}
		return l
	})
}
