package ari

import "github.com/prometheus/client_golang/prometheus"

// metrics are what we count about one Asterisk, with its name in the label switch.
type metrics struct {
	rest       *prometheus.HistogramVec // by verb
	failed     *prometheus.CounterVec   // by verb and class
	events     *prometheus.CounterVec   // by type
	unknown    prometheus.Counter
	broken     prometheus.Counter
	reconnects prometheus.Counter
	connected  prometheus.Gauge
	queued     prometheus.Gauge
	writes     *prometheus.CounterVec // by what was done
	late       prometheus.Counter
	drift      prometheus.Counter
}

// newMetrics registers them, unless reg is nil.
func newMetrics(name string, reg prometheus.Registerer) *metrics {
	label := prometheus.Labels{"switch": name}
	count := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Name: "cc_ari_" + name, Help: help, ConstLabels: label}
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: "cc_ari_" + name, Help: help, ConstLabels: label})
	}
	m := &metrics{
		rest: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "cc_ari_rest_seconds", Help: "How long Asterisk took to answer a request.", ConstLabels: label,
			Buckets: []float64{.001, .002, .005, .01, .02, .05, .1, .25, .5, 1, 2.5, 5},
		}, []string{"verb"}),
		failed: prometheus.NewCounterVec(count("rest_failed_total",
			"Requests that Asterisk refused, failed at, or did not answer."), []string{"verb", "class"}),
		events:     prometheus.NewCounterVec(count("events_total", "Events read, by their ARI type."), []string{"type"}),
		unknown:    prometheus.NewCounter(count("unknown_events_total", "Events of a type we do not know.")),
		broken:     prometheus.NewCounter(count("broken_events_total", "Frames that could not be decoded; they are skipped.")),
		reconnects: prometheus.NewCounter(count("reconnects_total", "How often the event link was opened, the first time not counted.")),
		connected:  gauge("connected", "1 while the event link is up."),
		queued:     gauge("queued_events", "Events that wait for their reader."),
		writes: prometheus.NewCounterVec(count("provision_writes_total",
			"Phones and trunks written to Asterisk or deleted there."), []string{"what"}),
		late: prometheus.NewCounter(count("late_ends_total",
			"Ends of legs that we reported because Asterisk did not, within its time.")),
		drift: prometheus.NewCounter(count("drift_total",
			"Legs that Asterisk no longer had, though it never told of their end.")),
	}
	if reg != nil {
		reg.MustRegister(m.rest, m.failed, m.events, m.unknown, m.broken, m.reconnects, m.connected, m.queued, m.writes, m.late, m.drift)
	}
	return m
}
