package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"tinyforge/db"
	"tinyforge/deploy/proxy"
)

// metrics reads what it tells at each scrape, so that the packages it tells about know nothing of it.
type metrics struct {
	db    *db.DB
	sites sites
	counted
	log *slog.Logger

	up                                *prometheus.Desc
	deployments, unreported           *prometheus.Desc
	requests, failed, inFlight, waits *prometheus.Desc
}

// counted is what counts the requests of each host.
type counted interface{ Stats() []proxy.Stats }

func newMetrics(d *db.DB, s sites, c counted, log *slog.Logger) *prometheus.Registry {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("tinyforge_"+name, help, labels, nil)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &metrics{
		db: d, sites: s, counted: c, log: log,
		up:          desc("proxy_up", "Whether what serves the sites answers: 1 or 0."),
		deployments: desc("deployments", "Deployments in the database, by phase.", "phase"),
		unreported:  desc("reports_pending", "Deployments whose commit status the forge does not know yet."),
		requests:    desc("proxy_requests_total", "Requests, by host.", "host"),
		failed:      desc("proxy_failed_total", "Requests that the proxy had to answer 502, 503 or 504 itself, by host.", "host"),
		inFlight:    desc("proxy_in_flight", "Requests being served, streams included, by host.", "host"),
		waits:       desc("proxy_waiting", "Requests that wait while a release takes over, by host.", "host"),
	})
	return registry
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(m, ch) }

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	m.collectRows(ch)
	up := m.isUp()
	ch <- prometheus.MustNewConstMetric(m.up, prometheus.GaugeValue, up)
	if up == 0 {
		return // whoever says nothing has no figures, and a scrape must not wait for them
	}
	for _, s := range m.Stats() {
		counter := func(desc *prometheus.Desc, kind prometheus.ValueType, value int64) {
			ch <- prometheus.MustNewConstMetric(desc, kind, float64(value), s.Host)
		}
		counter(m.requests, prometheus.CounterValue, s.Requests)
		counter(m.failed, prometheus.CounterValue, s.Failed)
		counter(m.inFlight, prometheus.GaugeValue, s.InFlight)
		counter(m.waits, prometheus.GaugeValue, s.Waiting)
	}
}

// isUp is 1 or 0, after 3 seconds at most.
func (m *metrics) isUp() float64 {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	if word, _ := m.sites.State(ctx); word != "ok" {
		return 0
	}
	return 1
}

func (m *metrics) collectRows(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	phases, err := m.db.CountDeployments(ctx)
	if err != nil {
		m.log.ErrorContext(ctx, "collect metrics", "error", err)
		return
	}
	for phase, count := range phases {
		ch <- prometheus.MustNewConstMetric(m.deployments, prometheus.GaugeValue, float64(count), string(phase))
	}
	unreported, err := m.db.CountUnreported(ctx)
	if err != nil {
		m.log.ErrorContext(ctx, "collect metrics", "error", err)
		return
	}
	ch <- prometheus.MustNewConstMetric(m.unreported, prometheus.GaugeValue, float64(unreported))
}
