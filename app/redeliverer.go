package app

import (
	"context"
	"iter"
	"time"
)

// Redeliverer is a Forge that remembers what became of its deliveries, and makes one again when it is asked to.
type Redeliverer interface {
	// Attempts yields the attempts to deliver something to the App's webhook, the newest first, as far back as the forge
	// remembers. Nothing is yielded where there is no webhook.
	Attempts(ctx context.Context) iter.Seq2[Attempt, error]

	// Redeliver asks for what an attempt did not deliver. The forge makes another attempt some time later, with the same
	// DeliveryID. An attempt that the forge no longer remembers is a *StatusError of 404.
	Redeliver(ctx context.Context, attempt int64) error
}

// Attempt is one request that a forge sent to a webhook, or meant to.
type Attempt struct {
	ID         int64  // the forge's, of this attempt
	DeliveryID string // what the webhook was told; further attempts have the same
	At         time.Time
	Delivered  bool // it was answered 2xx
}
