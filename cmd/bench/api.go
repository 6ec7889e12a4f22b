package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// client asks the server's API.
type client struct{ url, token string }

type object = map[string]any

var asking = &http.Client{Timeout: 30 * time.Second}

// do sends a request and reads the answer into out, unless that is nil.
func (c client) do(ctx context.Context, method, path string, in, out any) error {
	body := io.Reader(http.NoBody)
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.url+"/api"+path, body)
	if err != nil {
		return err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	res, err := asking.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %d %s", method, path, res.StatusCode, raw)
	}
	if out == nil || len(raw) == 0 {
		return nil
	}
	return json.Unmarshal(raw, out)
}

func (c client) post(ctx context.Context, path string, in, out any) error {
	return c.do(ctx, http.MethodPost, path, in, out)
}

// login signs in; a password that must be changed is changed.
func login(ctx context.Context, url, name, password string) (client, error) {
	c := client{url: url}
	var in struct{ Token, Must string }
	if err := c.post(ctx, "/user/login", object{"login": name, "password": password}, &in); err != nil {
		return c, err
	}
	c.token = in.Token
	if in.Must != "change_password" {
		return c, nil
	}
	next := password + "-Changed-1"
	if err := c.post(ctx, "/user/password", object{"old": password, "new": next}, nil); err != nil {
		return c, err
	}
	return login(ctx, url, name, next)
}

// until asks again and again until there is no error, or the time is over.
func until(ctx context.Context, limit time.Duration, f func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := f()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}
