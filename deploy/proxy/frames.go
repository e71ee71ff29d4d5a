package proxy

import "encoding/binary"

// What RFC 6455 says of a frame.
const (
	opClose         = 8
	bitFin          = 0x80
	bitMask         = 0x80
	statusGoingAway = 1001
	longestHead     = 2 + 8 + 4
)

// frames follows the frames of one direction of a websocket. Bytes that are no frames do no harm but that they are taken for some.
type frames struct {
	head   [longestHead]byte // of the frame that is read
	have   int               // bytes of head
	left   uint64            // bytes of the payload that are to come
	closed bool              // a close frame has begun, after which there is nothing to follow
}

// follow goes on with the bytes that come next.
func (f *frames) follow(b []byte) {
	for len(b) > 0 && !f.closed {
		if f.left > 0 {
			n := min(f.left, uint64(len(b)))
			f.left -= n
			b = b[n:]
			continue
		}
		f.head[f.have] = b[0]
		f.have++
		b = b[1:]
		if f.have < 2 || f.have < f.headSize() {
			continue
		}
		f.left = f.size()
		f.closed = f.head[0]&0x0f == opClose
		f.have = 0
	}
}

// mayEnd tells whether a close frame may come next.
func (f *frames) mayEnd() bool { return f.have == 0 && f.left == 0 && !f.closed }

// headSize is of a head of which two bytes are there.
func (f *frames) headSize() int {
	size := 2
	switch f.head[1] &^ bitMask {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	if f.head[1]&bitMask != 0 {
		size += 4
	}
	return size
}

// size is that of the payload, of a head that is whole.
func (f *frames) size() uint64 {
	switch short := f.head[1] &^ bitMask; short {
	case 126:
		return uint64(binary.BigEndian.Uint16(f.head[2:]))
	case 127:
		return binary.BigEndian.Uint64(f.head[2:])
	default:
		return uint64(short)
	}
}

// goingAway is a close frame. It has nothing to hide: where it has to be masked, it is with zeros.
func goingAway(masked bool) []byte {
	frame := []byte{bitFin | opClose, 2}
	if masked {
		frame[1] |= bitMask
		frame = append(frame, 0, 0, 0, 0)
	}
	return binary.BigEndian.AppendUint16(frame, statusGoingAway)
}
