package speech

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
)

// HTTP is an engine behind an address that speaks like OpenAI's /v1/audio/speech, as many local servers do.
type HTTP struct {
	URL    string // as far as /v1, with or without a slash
	Key    string // bearer token; empty sends none
	Model  string // default tts-1
	Client *http.Client
}

// maxFile is the largest sound file read from an engine or an upload, in bytes.
const maxFile = 64 << 20

func (h *HTTP) Name() string { return "http " + h.URL + " " + h.Model }

func (h *HTTP) Synthesise(ctx context.Context, say Utterance) ([]byte, error) {
	ask := map[string]any{"model": "tts-1", "voice": "alloy", "input": say.Text, "response_format": "wav"}
	if h.Model != "" {
		ask["model"] = h.Model
	}
	if say.Voice != "" {
		ask["voice"] = say.Voice
	}
	if say.Rate > 0 { // speed 1 is about 240 characters or 170 words a minute
		usual := 170.0
		if say.Lang.Base() == "zh" {
			usual = 240
		}
		ask["speed"] = math.Round(100*min(max(say.Rate/usual, 0.25), 4)) / 100
	}
	body, err := json.Marshal(ask)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(h.URL, "/")+"/audio/speech", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if h.Key != "" {
		req.Header.Set("Authorization", "Bearer "+h.Key)
	}
	client := h.Client
	if client == nil {
		client = http.DefaultClient
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	file, err := io.ReadAll(io.LimitReader(res.Body, maxFile+1))
	switch {
	case err != nil:
		return nil, err
	case res.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("speech server answered %s: %.300s", res.Status, file)
	case len(file) > maxFile:
		return nil, fmt.Errorf("speech server: %w", ErrTooLong)
	}
	return file, nil
}
