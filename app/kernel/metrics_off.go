//go:build !prom

package kernel

// Registerer stands for prometheus.Registerer until go.sum has the modules that prometheus itself needs.
type Registerer any
