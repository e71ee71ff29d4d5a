package main

import (
	"fmt"
	"io"
)

// headline is a figure that says in one line how Tinyforge does at a work, beside what a user would pick instead, or beside what
// cannot be less.
type headline struct {
	what            string
	work            string
	who, metric, to string
}

func headlines() []headline {
	return []headline{
		{"small requests through the proxy", "proxy, small answers", ours, "requests", caddyNow},
		{"the same over HTTPS", "proxy, HTTPS", ours, "requests", caddyNow},
		{"the same over HTTP/2", "proxy, HTTP/2", ours, "requests", caddyNow},
		{"a compressed page of a static site", "proxy, compressed", ours, "requests", caddyNow},
		{"requests that fail in a round of redeploys", "redeploy", ours, "failed", caddyLater},
		{"old and new answers are mixed for", "redeploy", ours, "mixed", "nginx reload, killed after 400 ms"},
		{"from healthy to the first request", "redeploy, times", ours, "first request", caddyLater},
		{"from kill -9 to the last of 1,000 routes", "restart", ours, "first 200 with 1000", caddyNow},
		{"from push to live; the floor is what Docker alone takes", "push to live", "tinyforge, blue-green", "to live", "floor, published port"},
		{"the same, beside docker-compose", "push to live, with docker-compose", "tinyforge, blue-green", "to live", "docker-compose"},
		{"signed webhooks over 64 connections", "webhook, 64 connections", ours, "deliveries", "adnanh/webhook"},
		{"memory of the proxy under load", "memory, proxies", ours, "RSS", caddyNow},
	}
}

// printSummary writes a table of the headlines whose works were measured, if there is one.
func (r *report) printSummary(out io.Writer) {
	begun := false
	for _, h := range headlines() {
		w := r.work(h.work)
		if w == nil {
			continue
		}
		a, b := spreadOf(w.values(h.who, h.metric)), spreadOf(w.values(h.to, h.metric))
		ratio, err := w.ratio(h.who, h.to, h.metric)
		if err != nil {
			continue
		}
		if !begun {
			fmt.Fprint(out, "\n| | Tinyforge | beside it | x |\n|---|---|---|---|\n")
			begun = true
		}
		times := ratio.String()
		if a.Median == 0 || b.Median == 0 {
			times = ""
		}
		unit := " " + w.unit(h.metric)
		if unit == " number" {
			unit = ""
		}
		fmt.Fprintf(out, "| %s | %s%s | %s: %s%s | %s |\n", h.what, figure(a.Median), unit, h.to, figure(b.Median), unit, times)
	}
}

func (r *report) work(name string) *work {
	for i := range r.Works {
		if r.Works[i].Name == name {
			return &r.Works[i]
		}
	}
	return nil
}
