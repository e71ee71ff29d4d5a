package main

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"tinyforge/db"
	"tinyforge/deploy"
)

// mostSocketName is the length in bytes that the kernel allows.
const mostSocketName = 107

// refuseTwin keeps the machine to one of those that a backup made of one Tinyforge: they have the same name in Docker, and each
// would remove the other's containers. Processes that share a database are none. It is seen by a socket that has a name and no
// file and serves nobody: it ends with the process, however that ends. Out of sight is who runs on another machine,
// or in a network namespace of its own. Two that are started at the same moment both look again.
func refuseTwin(ctx context.Context, c config, store *db.DB) (end func(), err error) {
	instance, err := store.InstanceID(ctx)
	if err != nil {
		return nil, err
	}
	place, err := store.Place(ctx)
	if err != nil {
		return nil, err
	}
	s := servant{instance: instance, place: sumOf(sha256.New(), place), secret: store.Derive("serves"), data: c.Data}
	for tries := 0; ; tries++ {
		socket, err := new(net.ListenConfig).Listen(ctx, "unix", "@"+s.name())
		if err != nil {
			return nil, fmt.Errorf("say that this one serves: %w", err)
		}
		twin, err := s.twin()
		if err == nil && twin == "" {
			return func() { _ = socket.Close() }, nil
		}
		_ = socket.Close()
		switch {
		case err != nil:
			return nil, err
		case tries == 3:
			return nil, fmt.Errorf("another tinyforge serves from %s, and it is this same one, restored from a backup or copied: the two would take away each other's "+
				"containers. Stop the one that is not to go on, for good: systemctl disable --now tinyforge, or docker compose down. Then start the other", twin)
		}
		var apart [1]byte // from another that was started now
		_, _ = rand.Read(apart[:])
		if err := deploy.Sleep(ctx, 50*time.Millisecond+time.Duration(apart[0])*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// servant is a process that serves.
type servant struct {
	instance, place, data string
	secret                []byte // which all who were one Tinyforge have
}

// name is the socket's: whose it is, where its database is kept, and from which folder it serves. Everybody may read it; only who
// has the secret can make one up, and only root and this user are believed one that was there before.
func (s servant) name() string {
	begin, nonce := s.family(), strings.ToLower(rand.Text()[:8])
	room := mostSocketName - len(begin) - len(s.place) - len(nonce) - hashLength - 3
	folder := strings.Map(func(r rune) rune {
		if r < ' ' {
			return '?'
		}
		return r
	}, s.data)
	folder = strings.ToValidUTF8(folder[:min(len(folder), room)], "")
	text := s.place + "/" + nonce + "/" + folder
	return begin + s.sum(text) + "/" + text
}

func (s servant) family() string { return "tinyforge/" + s.instance + "/" }

func (s servant) sum(text string) string {
	return sumOf(hmac.New(sha256.New, s.secret), text)
}

// twin is the folder from which another serves whose database is not this one's, "" when there is none.
func (s servant) twin() (string, error) {
	sockets, err := os.ReadFile("/proc/net/unix")
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	} else if err != nil {
		return "", fmt.Errorf("look who serves: %w", err)
	}
	for line := range strings.Lines(string(sockets)) {
		_, name, found := strings.Cut(strings.TrimRight(line, "\n"), " @"+s.family())
		sum, text, _ := strings.Cut(name, "/")
		parts := strings.SplitN(text, "/", 3)
		if found && len(parts) == 3 && parts[0] != s.place && hmac.Equal([]byte(sum), []byte(s.sum(text))) && isOurs(s.family()+name) {
			return parts[2], nil
		}
	}
	return "", nil
}

// isOurs tells whether root or this user listens at a socket without a file.
func isOurs(name string) bool {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: "@" + name, Net: "unix"})
	if err != nil {
		return false
	}
	defer conn.Close()
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	ours := false
	err = raw.Control(func(fd uintptr) {
		peer, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		ours = err == nil && (peer.Uid == 0 || int(peer.Uid) == os.Geteuid())
	})
	return err == nil && ours
}

const hashLength = 12

func sumOf(h hash.Hash, text string) string {
	_, _ = h.Write([]byte(text))
	return hex.EncodeToString(h.Sum(nil))[:hashLength]
}
