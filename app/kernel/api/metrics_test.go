package api

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics name the route, never an id.
func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	build(Options{Metrics: reg}) // a second router shares the metrics
	s := build(Options{Metrics: reg})
	s.ask("POST", "/api/house/doors/side-17/open", "")
	s.ask("GET", "/api/nothing/42", "")
	families, err := reg.Gather()
	if err != nil || len(families) != 3 {
		t.Fatalf("%d metrics, %v", len(families), err)
	}
	for _, f := range families {
		text := f.String()
		if strings.Contains(text, "side-17") || strings.Contains(text, "42") && strings.Contains(text, "nothing") {
			t.Errorf("an id in %s", text)
		}
		if f.GetName() == "cc_http_requests_total" && !strings.Contains(text, "/api/house/doors/{id}/open") {
			t.Errorf("no route in %s", text)
		}
	}
}
