package settings

import (
	"context"
	"time"
)

// Health tells how the server is. It answers within seconds, whatever is away.
type Health interface {
	// Facts are versions and sizes, in the order of the page.
	Facts(ctx context.Context) []Fact

	// Proxy is what serves the sites.
	Proxy(ctx context.Context) Proxy

	// ProxyAway tells at once whether the proxy is a process of its own and did not answer when it was last asked.
	ProxyAway() bool

	// Database returns why the database does not answer.
	Database(ctx context.Context) error

	// Docker returns the version of the engine.
	Docker(ctx context.Context) (version string, err error)

	// Memory returns the bytes of memory that the machine has.
	Memory() (int64, error)

	// Free returns how many bytes are free on the disk that builds are written to.
	Free(ctx context.Context) (int64, error)
}

// Fact is one thing that is known. It has a Value, which is said in any language as it is, or a Text, or Bytes, or a time.
type Fact struct {
	Key   string // of the text about.KEY
	Value string
	Text  string // key
	Bytes int64
	At    time.Time
	Named bool // it has the name of a machine: the report of a fault goes without it
}

// Proxy is what serves the sites.
type Proxy struct {
	Kind     string // "built_in", "apart", "npm"
	OK       bool
	Facts    []Fact
	Commands []ProxyCommand
}

// ProxyCommand starts this server with a proxy of a kind.
type ProxyCommand struct{ Kind, Text string }
