//go:build prom

package kernel

import "github.com/prometheus/client_golang/prometheus"

// Registerer takes a module's metrics. Names begin with cc_.
type Registerer = prometheus.Registerer
