package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// headline is a figure that says in one line how Tinyforge does at a work, beside what is known best or cannot be less, and beside
// the best of all others that a user could pick.
type headline struct {
	what            string
	work            string
	who, metric, to string
	more            bool // is better
}

func headlines() []headline {
	return []headline{
		{"small requests through the proxy", "proxy, small answers", ours, "requests", caddyNow, true},
		{"the same over HTTPS", "proxy, HTTPS", ours, "requests", caddyNow, true},
		{"the same over HTTP/2", "proxy, HTTP/2", ours, "requests", caddyNow, true},
		{"a compressed page: Tinyforge keeps it compressed, Caddy does not", "proxy, compressed", ours, "requests", caddyNow, true},
		{"memory of the proxy under load, PSS", "memory, proxies", ours, "PSS", caddyNow, false},
		{"requests that fail in 100 redeploys", "redeploy", ours, "failed in 100", caddyLater, false},
		{"old answers after the first new one, for", "redeploy", ours, "mixed", caddyLater, false},
		{"from the check's answer to the first request at the new release", "redeploy, times", ours, "first request", caddyLater, false},
		{"from kill -9 to the first answer, with 1 route", "restart", ours, "first 200 with 1", caddyNow, false},
		{"the same, with 1,000 routes", "restart", ours, "first 200 with 1000", caddyNow, false},
		{"from push to live; the floor is what Docker alone takes", "push to live", blueGreen, "to live", floorAt, false},
		{"the same, beside docker-compose", "push to live, with docker-compose", blueGreen, "to live", byCompose, false},
		{"signed webhooks over 64 connections that deploy nothing", "webhook, 64 connections", ours, "deliveries", hookWaits, true},
		{"the same, when each deploys", "webhook, 64 connections", oursQueueing, "deliveries", hookWaits, true},
	}
}

// limits are rows of the tables that are nobody's to pick.
func limits(name string) bool {
	return strings.HasPrefix(name, ours) || strings.HasPrefix(name, "floor") ||
		slices.Contains([]string{noProxy, verifyOnly, rowOnSQLite, rowOnPostgres}, name)
}

// printSummary writes a table of the headlines whose works were measured, if there is one.
func (r *report) printSummary(out io.Writer) {
	begun := false
	for _, h := range headlines() {
		w := r.work(h.work)
		if w == nil {
			continue
		}
		ratio, err := w.ratio(h.who, h.to, h.metric)
		if err != nil {
			continue
		}
		if !begun {
			fmt.Fprint(out, "\n| | Tinyforge | beside it | x | best of the others |\n|---|---|---|---|---|\n")
			begun = true
		}
		times := ratio.String()
		if w.middle(h.who, h.metric) == 0 || w.middle(h.to, h.metric) == 0 {
			times = ""
		}
		fmt.Fprintf(out, "| %s | %s | %s: %s | %s | %s |\n", h.what, w.told(h.who, h.metric), h.to, w.told(h.to, h.metric), times, w.best(h))
	}
}

// best is the best of who is neither Tinyforge nor the one beside it; "" where there is none.
func (w *work) best(h headline) string {
	best := ""
	who, _ := w.names()
	for _, name := range who {
		if limits(name) || name == h.to || len(w.values(name, h.metric)) == 0 {
			continue
		}
		if best == "" || (w.middle(name, h.metric) > w.middle(best, h.metric)) == h.more {
			best = name
		}
	}
	if best == "" {
		return ""
	}
	return best + ": " + w.told(best, h.metric)
}

func (w *work) middle(who, metric string) float64 { return spreadOf(w.values(who, metric)).Median }

func (w *work) told(who, metric string) string {
	unit := " " + w.unit(metric)
	if unit == " number" {
		unit = ""
	}
	return figure(w.middle(who, metric)) + unit
}

func (r *report) work(name string) *work {
	for i := range r.Works {
		if r.Works[i].Name == name {
			return &r.Works[i]
		}
	}
	return nil
}
