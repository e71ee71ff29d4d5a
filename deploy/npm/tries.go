package npm

import (
	"context"
	"errors"
	"net/http"
	"time"

	"tinyforge/deploy"
)

// errSilent is in the error of a call that was not answered.
var errSilent = errors.New("no answer")

const (
	triesMost  = 3
	triesPause = 200 * time.Millisecond // doubled after each
)

// tries repeats what may be repeated without harm, a few times, while it fails of what may pass.
func tries(ctx context.Context, do func() error) (err error) {
	rest := triesPause
	for n := 1; ; n++ {
		if err = do(); err == nil || n == triesMost || !passing(err) {
			return err
		}
		if pause(ctx, rest) != nil {
			return err
		}
		rest *= 2
	}
}

// pause returns why ctx is done when that is first.
func pause(ctx context.Context, rest time.Duration) error {
	if deploy.Sleep(ctx, rest) != nil {
		return context.Cause(ctx)
	}
	return nil
}

// passing tells whether an error may be gone at the next try: nginx's configuration is tested as a whole, and a write by
// somebody else at the same moment is enough to break it.
func passing(err error) bool {
	return errors.Is(err, errSilent) || errors.As(err, new(*offline)) || statusOf(err) >= http.StatusInternalServerError
}

// offline is what a change came to that nginx refuses: Nginx Proxy Manager answers it with 200 and takes the route away.
type offline struct{ complaint string }

func (e *offline) Error() string {
	if e.complaint == "" {
		return "nginx refuses the configuration"
	}
	return "nginx refuses the configuration: " + e.complaint
}

// took returns nil when the answer to a change says that nginx has it.
func (h *proxyHost) took() error {
	if !h.Enabled {
		return errDisabled
	}
	if text, online := h.complaint(); !online {
		return &offline{clean(text)}
	}
	return nil
}

// errDisabled is for a proxy host that somebody has switched off. It is theirs to switch on again.
var errDisabled = &deploy.Failure{Text: "its proxy host is disabled in Nginx Proxy Manager; enable it there"}
