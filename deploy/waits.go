package deploy

import "context"

type waitsKey struct{}

// WithWaits returns a context under which a Router that has to wait for its proxy tells it, as often as it looks again: tell
// gets the proxy, in words for the user. It may be called from several goroutines at once.
func WithWaits(ctx context.Context, tell func(proxy string)) context.Context {
	return context.WithValue(ctx, waitsKey{}, tell)
}

// Waits is what a Router calls before it waits for its proxy. Nothing happens where nobody wants to know.
func Waits(ctx context.Context, proxy string) {
	if tell, ok := ctx.Value(waitsKey{}).(func(string)); ok {
		tell(proxy)
	}
}
