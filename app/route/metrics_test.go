package route

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"callplane/app/pbx"
)

// R-018 R-013: the gauges show live channels and whether a trunk answers.
func TestMetrics(t *testing.T) {
	play(t, func(b *bench) {
		reg := prometheus.NewRegistry()
		b.metrics = b.register(reg)
		b.put([]Trunk{carrier}, desk)
		b.LineChanged(pbx.Event{Kind: pbx.LineChanged, Line: "carrier", LineState: pbx.LineUp})
		for range 17 {
			_, _ = b.Seize("carrier")
		}
		families, err := reg.Gather()
		must(t, err)
		got := map[string]float64{}
		for _, f := range families {
			for _, metric := range f.Metric {
				name := f.GetName()
				for _, l := range metric.Label {
					name += " " + l.GetValue()
				}
				got[name] = metric.GetGauge().GetValue() + metric.GetCounter().GetValue()
			}
		}
		for name, want := range map[string]float64{
			"cc_trunk_channels carrier": 16, "cc_trunk_channel_limit carrier": 16, "cc_trunk_up carrier": 1,
			"cc_phones unknown": 1, "cc_route_refused_total seize trunk_full": 1,
		} {
			if has, ok := got[name]; !ok || has != want {
				t.Errorf("%s = %v, want %v in %v", strings.ReplaceAll(name, " ", "/"), has, want, got)
			}
		}
	})
}
