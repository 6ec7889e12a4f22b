//go:build it

package ari

import (
	"context"
	"encoding/json"
	"os"
	"testing"
	"time"

	"callplane/app/sandbox"
)

func TestHoldInstance(t *testing.T) {
	f := os.Getenv("ARI_HOLD")
	if f == "" {
		t.Skip()
	}
	a, err := sandbox.StartAsterisk(context.Background(), sandbox.AsteriskOptions{Name: "aridev"})
	if err != nil {
		t.Fatal(err)
	}
	b, _ := json.Marshal(a.Info())
	os.WriteFile(f, b, 0o644)
	for {
		time.Sleep(time.Second)
		if _, err := os.Stat(f); err != nil {
			break
		}
	}
	a.Stop(context.Background())
}
