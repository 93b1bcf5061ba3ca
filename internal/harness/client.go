package harness

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"time"
)

// Client calls the API as a signed-in user. It is safe for concurrent use after SignIn.
type Client struct {
	Base    string // the server's URL, without a slash at its end
	HTTP    *http.Client
	Access  string
	Refresh string
}

// NewClient makes a Client that is not signed in. A call takes at most 15 s,
// more than the server's longest wait.
func NewClient(base string) *Client {
	return &Client{Base: base, HTTP: &http.Client{
		Timeout:   15 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: 64},
	}}
}

// Answer is what the API answered.
type Answer struct {
	Status  int
	Header  http.Header
	Message string
	Data    json.RawMessage
}

// OK tells whether the answer is a success.
func (a Answer) OK() bool { return a.Status >= 200 && a.Status <= 299 }

// Code is the code of an error for programs; "" for a success.
func (a Answer) Code() string {
	var data struct{ Code string }
	if a.OK() || json.Unmarshal(a.Data, &data) != nil {
		return ""
	}
	return data.Code
}

func (a Answer) String() string { return fmt.Sprintf("%d %s %s", a.Status, a.Message, a.Data) }

// Call makes one call. body is sent as JSON unless nil; out, unless nil, gets
// the data of a success. An error means that no complete answer came: whether
// the call had its effect is not known.
func (c *Client) Call(method, path string, body, out any) (Answer, error) {
	var sent io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return Answer{}, err
		}
		sent = bytes.NewReader(b)
	}
	req, err := http.NewRequest(method, c.Base+path, sent)
	if err != nil {
		return Answer{}, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.Access != "" {
		req.Header.Set("Authorization", "Bearer "+c.Access)
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return Answer{}, err
	}
	a := Answer{Status: resp.StatusCode, Header: resp.Header}
	if err := json.Unmarshal(b, &a); err != nil {
		return Answer{}, fmt.Errorf("%s %s answered no JSON: %w", method, path, err)
	}
	if out != nil && a.OK() {
		if err := json.Unmarshal(a.Data, out); err != nil {
			return Answer{}, fmt.Errorf("%s %s: %w", method, path, err)
		}
	}
	return a, nil
}

// Tokens is what a sign-in or a refresh answers.
type Tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

// SignIn signs in and keeps the tokens.
func (c *Client) SignIn(identifier, password string) error {
	var t Tokens
	a, err := c.Call("POST", "/login", map[string]string{"identifier": identifier, "password": password}, &t)
	if err != nil {
		return err
	}
	if !a.OK() {
		return fmt.Errorf("sign-in as %s: %v", identifier, a)
	}
	c.Access, c.Refresh = t.Access, t.Refresh
	return nil
}

var nextLink = regexp.MustCompile(`<([^>]*)>; rel="next"`)

// List gets all pages of a list, each decoded into a T and given to page.
func List[T any](c *Client, path string, page func([]T)) error {
	for path != "" {
		var items []T
		a, err := c.Call("GET", path, nil, &items)
		if err != nil {
			return err
		}
		if !a.OK() {
			return fmt.Errorf("GET %s: %v", path, a)
		}
		page(items)
		path = ""
		if m := nextLink.FindStringSubmatch(a.Header.Get("Link")); m != nil {
			path = m[1]
		}
	}
	return nil
}
