package webhook

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics is what Prometheus sees of webhooks.
type metrics struct {
	attempts *prometheus.CounterVec
	delay    prometheus.Histogram
}

// newMetrics registers the module's metrics. registry is a prometheus.Registerer; anything else is no metrics.
func newMetrics(registry any) *metrics {
	r, ok := registry.(prometheus.Registerer)
	if !ok {
		return nil
	}
	m := &metrics{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "cc_webhook_attempts_total", Help: "Requests, by result: delivered, failed"}, []string{"result"}),
		delay: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "cc_webhook_delay_seconds", Help: "From the event to its delivery at the first attempt", Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		}),
	}
	r.MustRegister(m.attempts, m.delay)
	return m
}

func (m *metrics) attempt(a answer, delay time.Duration, attempt int) {
	switch {
	case m == nil:
	case a.err != nil:
		m.attempts.WithLabelValues("failed").Inc()
	default:
		m.attempts.WithLabelValues("delivered").Inc()
		if attempt == 1 {
			m.delay.Observe(delay.Seconds())
		}
	}
}
