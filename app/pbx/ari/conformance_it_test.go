//go:build it

package ari_test

import (
	"log/slog"
	"net/url"
	"os"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"callplane/app/pbx"
	"callplane/app/pbx/ari"
	"callplane/app/pbx/pbxtest"
	"callplane/app/pbx/pbxtest/siprig"
	"callplane/app/sandbox"
)

// TestConformance is the contract of pbx.Switch, on a real Asterisk with SIP phones around it.
func TestConformance(t *testing.T) {
	ast := sandbox.NewAsterisk(t, sandbox.AsteriskOptions{})
	at, err := url.Parse(ast.ARI)
	if err != nil {
		t.Fatal(err)
	}
	link := siprig.NewProxy(t, at.Host)
	numbers := prometheus.NewRegistry()
	level := slog.LevelInfo
	if os.Getenv("ARI_TRACE") != "" { // every event of Asterisk
		level = slog.LevelDebug
	}
	cfg := ari.Config{
		Name: "conformance", URL: "http://" + link.Addr() + at.Path, User: ast.User, Password: ast.Password,
		Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: level})),
	}
	counted := cfg
	counted.Metrics = numbers
	pbxtest.Run(t, siprig.New(t, siprig.Config{
		Switch: ari.New(counted), Another: func() pbx.Switch { return ari.New(cfg) }, Link: link, SIP: ast.SIP, SIPUser: ari.SIPUser,
		Music: map[string][]float64{
			sandbox.DefaultMusic.Class: sandbox.DefaultMusic.Tones, sandbox.JazzMusic.Class: sandbox.JazzMusic.Tones,
		},
		Writes: func() int { return count(t, numbers, "cc_ari_provision_writes_total") },
	}))
}

// count is the sum of a counter over all its labels.
func count(t *testing.T, numbers *prometheus.Registry, name string) int {
	families, err := numbers.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return int(sum)
}
