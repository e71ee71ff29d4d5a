package proxy

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
)

// upload is the body of a request on its way to the upstream, cut with errTooLarge where it gets larger than it may be.
// While the client is read from, the upstream is not waited for.
type upload struct {
	io.ReadCloser
	most     int64 // bytes; 0 means any
	read     int64
	err      error // the last one, for good
	patience *patience
	begun    atomic.Bool // it was read from
	whole    atomic.Bool // it was read to its end
}

// newUpload gives r a body that is watched, or returns nil if it has none.
func newUpload(r *http.Request) *upload {
	if r.ContentLength == 0 || r.Body == nil {
		return nil
	}
	u := &upload{ReadCloser: r.Body}
	r.Body = u
	return u
}

// cut tells whether the client did not send all that it began. It is safe for concurrent use; a nil one is not cut.
func (u *upload) cut() bool { return u != nil && !u.whole.Load() }

// Close implements io.Closer. A transport that could not be dialed closes what it has not begun with: that may be offered again,
// and its end is the server's.
func (u *upload) Close() error {
	if !u.begun.Load() {
		return nil
	}
	return u.ReadCloser.Close()
}

func (u *upload) Read(b []byte) (int, error) {
	u.begun.Store(true)
	if u.err != nil {
		return 0, u.err
	}
	if left := u.most - u.read; u.most > 0 && int64(len(b)) > left+1 {
		b = b[:left+1] // one more, which tells whether there is more
	}
	u.patience.pause()
	n, err := u.ReadCloser.Read(b)
	u.patience.resume()
	if left := u.most - u.read; u.most > 0 && int64(n) > left {
		n, err = int(left), errTooLarge
	}
	u.read += int64(n)
	u.err = err
	if errors.Is(err, io.EOF) {
		u.whole.Store(true)
	}
	return n, err
}
