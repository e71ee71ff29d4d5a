package proxy

import (
	"net/http"
	"sync/atomic"
)

const (
	// defaultRoom is what all requests may hold in memory that wait on held routes.
	defaultRoom = 256 << 20

	// What a waiting request holds: its goroutine, its header, and the buffers of its connection. Its body is not read.
	waitingSize = 64 << 10

	// HTTP/2 takes in windowSize of a body that nobody reads, on each connection, and needs framesSize more to do so. Of HTTP/1
	// the body stays with the kernel.
	windowSize = 1 << 20
	framesSize = 128 << 10
)

// room bounds what requests hold that wait on held routes, on all of them together. It is safe for concurrent use.
type room struct {
	most  int64 // bytes
	taken atomic.Int64
}

// take reports whether there are so many bytes left, and takes them.
func (m *room) take(size int64) bool {
	if m.taken.Add(size) > m.most {
		m.taken.Add(-size)
		return false
	}
	return true
}

func (m *room) giveBack(size int64) { m.taken.Add(-size) }

// sizeOf returns at most how many bytes a request holds while it waits.
func sizeOf(r *http.Request) int64 {
	switch {
	case r.ProtoMajor < 2 || r.Body == nil || r.Body == http.NoBody:
		return waitingSize
	case r.ContentLength >= 0:
		return waitingSize + framesSize + min(r.ContentLength, windowSize)
	}
	return waitingSize + framesSize + windowSize
}
