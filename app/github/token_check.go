package github

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

const maxTokenAnswer = 1 << 20

// tokenCheck passes on only such installation tokens as can be used: ghinstallation takes the answer as it comes, and
// one that says null would crash it.
type tokenCheck struct{ base http.RoundTripper }

func (c *tokenCheck) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := c.base.RoundTrip(r)
	if err != nil || resp.StatusCode/100 != 2 || !strings.HasSuffix(r.URL.Path, "/access_tokens") {
		return resp, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxTokenAnswer))
	if err != nil {
		return nil, err
	}
	var token struct {
		Token     string    `json:"token"`
		ExpiresAt time.Time `json:"expires_at"`
	}
	if json.Unmarshal(body, &token) != nil || token.Token == "" || token.ExpiresAt.IsZero() {
		return nil, errors.New("the answer holds no usable token")
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}
