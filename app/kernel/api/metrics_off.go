//go:build !prom

package api

import "time"

// Registerer stands for prometheus.Registerer until go.sum has the modules that prometheus itself needs.
type Registerer any

// metrics counts nothing without prometheus.
type metrics struct{}

func newMetrics(Registerer) *metrics { return nil }

func (*metrics) start() func(method, route string, status int, took time.Duration) {
	return func(string, string, int, time.Duration) {}
}
