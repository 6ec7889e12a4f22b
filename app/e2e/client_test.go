//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"
)

// Client asks a server as one person.
type Client struct {
	url, token string
}

// Refused is an answer that is no success.
type Refused struct {
	Status int             `json:"status"`
	Type   string          `json:"type"`
	Title  string          `json:"title"`
	Detail string          `json:"detail"`
	Errors json.RawMessage `json:"errors"`
	what   string
}

// Error says what was asked and what came of it.
func (r *Refused) Error() string {
	return fmt.Sprintf("%s: %d %s %s %s %s", r.what, r.Status, r.Type, r.Title, r.Detail, r.Errors)
}

// status is the HTTP status of a refusal, 0 of none.
func status(err error) int {
	if r, ok := errors.AsType[*Refused](err); ok {
		return r.Status
	}
	return 0
}

var httpClient = &http.Client{Timeout: 30 * time.Second}

// raw sends a request and returns the whole answer.
func (c *Client) raw(method, path string, body any) (*http.Response, []byte, error) {
	var send io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, nil, err
		}
		send = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(context.Background(), method, c.url+"/api"+path, send)
	if err != nil {
		return nil, nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	res, err := httpClient.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return res, nil, err
	}
	if res.StatusCode >= 400 {
		r := &Refused{what: method + " " + path, Status: res.StatusCode}
		if json.Unmarshal(b, r) != nil {
			r.Detail = string(b)
		}
		return res, b, r
	}
	return res, b, nil
}

// try sends a request and reads the answer into out, unless that is nil.
func (c *Client) try(method, path string, body, out any) error {
	_, b, err := c.raw(method, path, body)
	if err != nil || out == nil || len(b) == 0 {
		return err
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("%s %s: %w in %.300s", method, path, err, b)
	}
	return nil
}

// do is try for what must work.
func (c *Client) do(t *testing.T, method, path string, body, out any) {
	t.Helper()
	if err := c.try(method, path, body, out); err != nil {
		t.Fatal(err)
	}
}

func get[T any](t *testing.T, c *Client, path string) (out T) {
	t.Helper()
	c.do(t, http.MethodGet, path, nil, &out)
	return out
}

func post[T any](t *testing.T, c *Client, path string, body any) (out T) {
	t.Helper()
	c.do(t, http.MethodPost, path, body, &out)
	return out
}

// list is the items of the first page of a list.
func list[T any](t *testing.T, c *Client, path string) []T {
	t.Helper()
	return get[struct{ Items []T }](t, c, path).Items
}

type object = map[string]any

// login opens a session. A password that must be changed is changed, by adding to it.
func login(url, name, password string) (*Client, error) {
	c := &Client{url: url}
	var in struct {
		Token string
		Must  string
	}
	if err := c.try(http.MethodPost, "/user/login", object{"login": name, "password": password}, &in); err != nil {
		return nil, err
	}
	c.token = in.Token
	if in.Must != "change_password" {
		return c, nil
	}
	next := password + "-Changed-1"
	if err := c.try(http.MethodPost, "/user/password", object{"old": password, "new": next}, nil); err != nil {
		return nil, err
	}
	return login(url, name, next)
}
