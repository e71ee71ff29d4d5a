package webhooks

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

// A body has to arrive within bodyPatience and a second more for every perSecond bytes of it that are there.
const (
	bodyPatience = 10 * time.Second
	perSecond    = 1 << 20
)

// firstChunk is what is reserved for a body before anything of it has arrived. It is doubled as often as needed.
const firstChunk = 4 << 10

// bodyError is why a body was not read to its end.
type bodyError struct {
	code int
	text string
}

func (e *bodyError) Error() string { return e.text }

var (
	errTooLarge = &bodyError{http.StatusRequestEntityTooLarge, "larger than 25 MB"}
	errTooSlow  = &bodyError{http.StatusRequestTimeout, "the body did not arrive in time"}
	errBroken   = &bodyError{http.StatusBadRequest, "the body broke off"}
	errBusy     = &bodyError{http.StatusServiceUnavailable, "too many deliveries are on their way: send it again in some seconds"}
)

// intake takes in the body of one request.
type intake struct {
	body   io.Reader
	length int64 // as announced; -1 for not
	conn   *http.ResponseController
	since  time.Time
	loan   loan
}

// take begins the intake of a request's body, and the time in which it has to arrive.
func (b budget) take(w http.ResponseWriter, r *http.Request) *intake {
	in := &intake{
		body:   http.MaxBytesReader(w, r.Body, MaxBody),
		length: r.ContentLength,
		conn:   http.NewResponseController(w),
		since:  time.Now(),
		loan:   b.loan(r.ContentLength),
	}
	in.bound(0)
	return in
}

// close gives back what the body holds: it must not be used any more.
func (in *intake) close() { in.loan.giveBack() }

// read returns the body, or else a *bodyError.
func (in *intake) read(ctx context.Context) ([]byte, error) {
	if in.length > MaxBody {
		return nil, errTooLarge
	}
	var body []byte
	for {
		if len(body) == cap(body) {
			size := in.nextSize(cap(body))
			if err := in.loan.raise(ctx, int64(size)); err != nil {
				return nil, err
			}
			body = append(make([]byte, 0, size), body...)
		}
		n, err := in.body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if errors.Is(err, io.EOF) {
			_ = in.conn.SetReadDeadline(time.Time{}) // or the context of a request with an empty body would end with it
			return body, nil
		}
		if err != nil {
			return nil, explain(err)
		}
		in.bound(len(body))
	}
}

// nextSize is the size of the buffer after one of size bytes is full. There is one byte more than was announced, so that
// the end is seen without another step.
func (in *intake) nextSize(size int) int {
	next := max(firstChunk, 2*size)
	if announced := int(in.length) + 1; announced > size {
		next = min(next, announced)
	}
	return min(next, MaxBody+1)
}

// bound sets the time until which more has to arrive, when so much is there. A connection that cannot be bounded is one of
// a test.
func (in *intake) bound(arrived int) {
	_ = in.conn.SetReadDeadline(in.since.Add(bodyPatience + time.Duration(arrived)*time.Second/perSecond))
}

func explain(err error) *bodyError {
	_, over := errors.AsType[*http.MaxBytesError](err)
	switch {
	case over:
		return errTooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errTooSlow
	}
	return errBroken
}
