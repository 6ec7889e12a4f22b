package api

import (
	"errors"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Registerer takes the metrics.
type Registerer = prometheus.Registerer

// metrics counts requests. The route is the pattern, never a path with ids.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	open     prometheus.Gauge
}

func newMetrics(reg Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cc_http_requests_total", Help: "Requests answered.",
		}, []string{"method", "route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "cc_http_request_seconds", Help: "Time to answer; of streams, how long they were open.",
			Buckets: []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"method", "route"}),
		open: prometheus.NewGauge(prometheus.GaugeOpts{Name: "cc_http_requests_open", Help: "Requests and streams open now."}),
	}
	if reg != nil {
		m.requests = registered(reg, m.requests)
		m.seconds = registered(reg, m.seconds)
		m.open = registered(reg, m.open)
	}
	return m
}

// registered is the collector, or the one of the same name that a router before this one registered.
func registered[C prometheus.Collector](reg Registerer, c C) C {
	err := reg.Register(c)
	var twice prometheus.AlreadyRegisteredError
	if errors.As(err, &twice) {
		if old, ok := twice.ExistingCollector.(C); ok {
			return old
		}
	}
	if err != nil {
		panic(err)
	}
	return c
}

// start counts an open request; the function it returns counts it as answered.
func (m *metrics) start() func(method, route string, status int, took time.Duration) {
	m.open.Inc()
	return func(method, route string, status int, took time.Duration) {
		m.open.Dec()
		if route == "" {
			route, method = "none", "any"
		}
		m.requests.WithLabelValues(method, route, strconv.Itoa(status)).Inc()
		m.seconds.WithLabelValues(method, route).Observe(took.Seconds())
	}
}
