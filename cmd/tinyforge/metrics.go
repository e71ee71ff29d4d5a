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
	db *db.DB
	counted
	log *slog.Logger

	deployments, unreported           *prometheus.Desc
	requests, failed, inFlight, waits *prometheus.Desc
}

// counted is what counts the requests of each host.
type counted interface{ Stats() []proxy.Stats }

func newMetrics(d *db.DB, sites counted, log *slog.Logger) *prometheus.Registry {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("tinyforge_"+name, help, labels, nil)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &metrics{
		db: d, counted: sites, log: log,
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
