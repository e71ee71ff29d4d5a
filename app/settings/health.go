package settings

import (
	"context"
	"time"
)

// Health tells how the server is. It answers within seconds, whatever is away.
type Health interface {
	// Facts are versions and sizes, in the order of the page.
	Facts(ctx context.Context) []Fact
	// Checks are what has to be well.
	Checks(ctx context.Context) []Check
	// Proxy is what serves the sites.
	Proxy(ctx context.Context) Proxy
	// Free are the bytes that are free on the disk of Docker; 0 when that cannot be told.
	Free(ctx context.Context) int64
}

// Fact is one thing that is known. It has a Value, which is said in any language as it is, or Bytes, or a time.
type Fact struct {
	Key   string // of the text about.KEY
	Value string
	Bytes int64
	At    time.Time
}

// Check is one thing that was looked at.
type Check struct {
	Key    string // of the text check.KEY; check.KEY_todo says what to do
	State  string // "ok", "warn", "failed"
	Detail string // in English; "" when there is none
}

// Proxy is what serves the sites.
type Proxy struct {
	Kind  string // "built_in", "npm"
	OK    bool
	Word  string // what is wrong, in English
	Facts []Fact
}
