package route

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"callplane/app/kernel/problem"
	"callplane/app/pbx"
)

// metrics is what Prometheus sees of the lines. Trunks are few and named by people, so they are labels; phones are counted.
type metrics struct {
	refused *prometheus.CounterVec
}

var (
	descChannels = prometheus.NewDesc("cc_trunk_channels", "Calls on the trunk now, in and out", []string{"trunk"}, nil)
	descLimit    = prometheus.NewDesc("cc_trunk_channel_limit", "Calls it may carry at once; 0 is no limit", []string{"trunk"}, nil)
	descUp       = prometheus.NewDesc("cc_trunk_up", "1 when the trunk answers, 0 when not or unknown", []string{"trunk"}, nil)
	descPhones   = prometheus.NewDesc("cc_phones", "Phones by state", []string{"state"}, nil)
)

// register adds the module's metrics. registry is a prometheus.Registerer; anything else is no metrics.
func (s *Service) register(registry any) *metrics {
	r, ok := registry.(prometheus.Registerer)
	if !ok {
		return nil
	}
	m := &metrics{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "cc_route_refused_total", Help: "Calls that were not routed, by the problem's name",
	}, []string{"direction", "reason"})}
	r.MustRegister(m.refused, collector{s})
	return m
}

// refuse counts a call that was not routed. Nil is no error.
func (m *metrics) refuse(direction string, err error) {
	var p *problem.Problem
	if m != nil && errors.As(err, &p) {
		m.refused.WithLabelValues(direction, p.Name).Inc()
	}
}

// collector reads the gauges when asked.
type collector struct{ s *Service }

// Describe implements prometheus.Collector.
func (c collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descChannels, descLimit, descUp, descPhones} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, label string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, label)
	}
	for _, t := range c.s.tables.Load().trunks {
		up := 0.0
		if c.s.lines.get(t.Name) == pbx.LineUp {
			up = 1
		}
		gauge(descChannels, float64(c.s.channels.live(t.Name)), t.Name)
		gauge(descLimit, float64(t.ChannelLimit), t.Name)
		gauge(descUp, up, t.Name)
	}
	count := map[pbx.LineState]int{pbx.LineUp: 0, pbx.LineDown: 0, pbx.LineUnknown: 0}
	c.s.mu.RLock()
	for name := range c.s.phones {
		count[c.s.lines.get(name)]++
	}
	c.s.mu.RUnlock()
	for state, n := range count {
		gauge(descPhones, float64(n), string(state))
	}
}
