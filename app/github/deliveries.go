package github

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"

	"github.com/google/go-github/v62/github"

	"tinyforge/app"
)

var _ app.Redeliverer = (*Forge)(nil)

const (
	attemptPages = 100 // of one listing: up to 10,000 attempts
	longestGUID  = 100 // bytes: GitHub's have 36
)

// Attempts implements app.Redeliverer. GitHub remembers three days. An App without a webhook is answered 404. A delivery with a
// name that is none of GitHub's is left out.
func (f *Forge) Attempts(ctx context.Context) iter.Seq2[app.Attempt, error] {
	return func(yield func(app.Attempt, error) bool) {
		options := &github.ListCursorOptions{PerPage: 100}
		for range attemptPages {
			list, resp, err := f.app.Apps.ListHookDeliveries(ctx, options)
			if resp != nil && resp.StatusCode == http.StatusNotFound {
				return
			}
			if err != nil {
				yield(app.Attempt{}, f.callError(ctx, "list deliveries", err))
				return
			}
			for _, d := range list {
				if len(d.GetGUID()) > longestGUID {
					continue
				}
				code := d.GetStatusCode()
				one := app.Attempt{
					ID: d.GetID(), DeliveryID: d.GetGUID(), At: d.GetDeliveredAt().Time,
					Delivered: code >= http.StatusOK && code < http.StatusMultipleChoices,
				}
				if !yield(one, nil) {
					return
				}
			}
			if resp.Cursor == "" || resp.Cursor == options.Cursor || len(list) == 0 {
				return
			}
			options.Cursor = resp.Cursor
		}
		yield(app.Attempt{}, fmt.Errorf("list deliveries: there are more than %d pages", attemptPages))
	}
}

// Redeliver implements app.Redeliverer.
func (f *Forge) Redeliver(ctx context.Context, attempt int64) error {
	_, _, err := f.app.Apps.RedeliverHookDelivery(ctx, attempt)
	if _, accepted := errors.AsType[*github.AcceptedError](err); accepted || err == nil {
		return nil
	}
	return f.callError(ctx, "redeliver", err)
}
