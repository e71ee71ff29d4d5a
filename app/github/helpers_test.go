package github_test

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"tinyforge/app"
)

func unix(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) }

// checkStatus wants a StatusError whose RetryAfter is about wait.
func checkStatus(t *testing.T, err error, code int, wait time.Duration) {
	t.Helper()
	status, ok := errors.AsType[*app.StatusError](err)
	if !ok || status.Code != code || status.RetryAfter > wait || status.RetryAfter < wait-30*time.Second {
		t.Errorf("got %#v, want %d and %v", err, code, wait)
	}
}
