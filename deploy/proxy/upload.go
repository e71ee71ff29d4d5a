package proxy

import "io"

// upload is the body of a request on its way to the upstream, cut with errTooLarge where it gets larger than it may be.
// While the client is read from, the upstream is not waited for.
type upload struct {
	io.ReadCloser
	most     int64 // bytes; 0 means any
	read     int64
	err      error // the last one, for good
	patience *patience
}

func (u *upload) Read(b []byte) (int, error) {
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
	return n, err
}
