package recording

import (
	"github.com/prometheus/client_golang/prometheus"
)

// metrics is what Prometheus sees of recordings.
type metrics struct {
	recordings *prometheus.CounterVec
	seconds    prometheus.Counter
	missing    prometheus.Counter
	retries    prometheus.Counter
	messages   prometheus.Counter
}

// newMetrics registers the module's metrics. registry is a prometheus.Registerer; anything else is no metrics.
func newMetrics(registry any) *metrics {
	r, ok := registry.(prometheus.Registerer)
	if !ok {
		return nil
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &metrics{
		recordings: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "cc_recordings_total", Help: "Recordings stored, by state: ok, truncated, failed"}, []string{"state"}),
		seconds:    counter("cc_recording_seconds_total", "Seconds of audio stored"),
		missing:    counter("cc_recording_missing_seconds_total", "Seconds of talk that are missing from recordings"),
		retries:    counter("cc_recording_retries_total", "Attempts to collect a recording that have to be made again"),
		messages:   counter("cc_recording_short_messages_total", "Messages of callers that are not whole"),
	}
	r.MustRegister(m.recordings, m.seconds, m.missing, m.retries, m.messages)
	return m
}

func (m *metrics) stored(r Recording) {
	if m != nil {
		m.recordings.WithLabelValues(string(r.State)).Inc()
		m.seconds.Add(float64(r.LengthMS) / 1000)
		m.missing.Add(float64(r.MissingMS) / 1000)
	}
}

func (m *metrics) failed() {
	if m != nil {
		m.retries.Inc()
	}
}

func (m *metrics) short() {
	if m != nil {
		m.messages.Inc()
	}
}
