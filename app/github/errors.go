package github

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	"github.com/google/go-github/v62/github"

	"tinyforge/app"
)

// callError turns an error of go-github or ghinstallation into one that holds nothing of the answer but its code, and how
// long GitHub wants us to wait.
func (f *Forge) callError(ctx context.Context, op string, err error) error {
	if limit, ok := errors.AsType[*github.RateLimitError](err); ok {
		wait := max(time.Until(limit.Rate.Reset.Time), time.Second)
		return &app.StatusError{Op: op, Code: limit.Response.StatusCode, RetryAfter: app.BoundRetryAfter(wait)}
	}
	if limit, ok := errors.AsType[*github.AbuseRateLimitError](err); ok {
		wait := time.Minute // GitHub's advice where it names no time
		if limit.RetryAfter != nil {
			wait = max(*limit.RetryAfter, time.Second)
		}
		return &app.StatusError{Op: op, Code: limit.Response.StatusCode, RetryAfter: app.BoundRetryAfter(wait)}
	}
	if token, ok := errors.AsType[*ghinstallation.HTTPError](err); ok && token.Response != nil {
		token.Response.Body.Close() // ghinstallation leaves that to us
		return app.NewStatusError("get installation token", token.Response)
	}
	if status := answered(op, err); status != nil {
		return status
	}
	return app.CallError(ctx, app.CallTo(op, f.row, f.app.BaseURL.String()), err)
}

// answered returns nil for an error that is no answer.
func answered(op string, err error) *app.StatusError {
	if answer, ok := errors.AsType[*github.ErrorResponse](err); ok {
		return app.NewStatusError(op, answer.Response)
	}
	if otp, ok := errors.AsType[*github.TwoFactorAuthError](err); ok {
		return app.NewStatusError(op, otp.Response)
	}
	if _, ok := errors.AsType[*github.AcceptedError](err); ok {
		return &app.StatusError{Op: op, Code: http.StatusAccepted}
	}
	return nil
}
