package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// client asks a running server over its API.
type client struct {
	url, token string
}

// api adds the flags that say which server to ask, and returns what asks it.
func api(cmd *cobra.Command) *client {
	c := &client{}
	cmd.PersistentFlags().StringVar(&c.url, "url", env("CALLPLANE_URL", "http://127.0.0.1:8080"), "address of the server (CALLPLANE_URL)")
	cmd.PersistentFlags().StringVar(&c.token, "token", "", "API key (CALLPLANE_TOKEN; make one with: callplane admin key)")
	return c
}

func env(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

// do sends a request and reads the answer into out, which may be nil.
func (c *client) do(ctx context.Context, method, path string, body, out any) error {
	token := c.token
	if token == "" {
		token = os.Getenv("CALLPLANE_TOKEN")
	}
	if token == "" {
		return errors.New("no API key: give --token or CALLPLANE_TOKEN; make a key with: callplane admin key")
	}
	var send io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return err
		}
		send = bytes.NewReader(raw)
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(c.url, "/")+"/api"+path, send)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("ask %s: %w", c.url, err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, 64<<20))
	if err != nil {
		return err
	}
	if res.StatusCode >= 400 {
		return refusal(res.StatusCode, raw)
	}
	if out == nil || len(raw) == 0 {
		return nil
	}
	return json.Unmarshal(raw, out)
}

// refusal makes an error of a problem document.
func refusal(status int, raw []byte) error {
	var p struct {
		Title, Detail string
		Errors        []struct{ Pointer, Detail string }
	}
	if json.Unmarshal(raw, &p) != nil || p.Title == "" {
		return fmt.Errorf("the server answered %d: %s", status, strings.TrimSpace(string(raw)))
	}
	text := p.Title
	if p.Detail != "" && p.Detail != p.Title {
		text += ": " + p.Detail
	}
	for _, f := range p.Errors {
		text += fmt.Sprintf("\n  %s: %s", f.Pointer, f.Detail)
	}
	return errors.New(text)
}
