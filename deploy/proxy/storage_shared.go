package proxy

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"

	"tinyforge/db"
	"tinyforge/deploy"
)

// Storage keeps certificates, and all that belongs to them, for several proxies: an order of one is seen by all, any of them can answer
// its challenge, and none orders what another does. It is safe for concurrent use.
type Storage interface {
	SaveCertificateFiles(ctx context.Context, files ...db.CertificateFile) error  // all or none
	CertificateFile(ctx context.Context, name string) (db.CertificateFile, error) // db.ErrNotFound
	CertificateFiles(ctx context.Context, folder string) ([]string, error)        // names of all that is below; "" is everything
	RemoveCertificateFiles(ctx context.Context, name string) error                // with all that is below
	LockCertificates(ctx context.Context, name, owner string, lease time.Duration) (bool, error)
	UnlockCertificates(ctx context.Context, name, owner string) error
}

const (
	lockLease = 15 * time.Second // after which the lock of a process that was killed is free
	lockRenew = lockLease / 3
	lockTry   = 250 * time.Millisecond
)

// sharedStorage is a certmagic.Storage over a Storage.
type sharedStorage struct {
	Storage

	mu   sync.Mutex
	held map[string]*heldLock // by name
}

// heldLock is a lock of this process, renewed until it is given back.
type heldLock struct {
	owner string
	end   context.CancelFunc
	ended chan struct{}
}

var _ certmagic.Storage = (*sharedStorage)(nil)

func newSharedStorage(s Storage) *sharedStorage {
	return &sharedStorage{Storage: s, held: map[string]*heldLock{}}
}

// Store implements certmagic.Storage.
func (s *sharedStorage) Store(ctx context.Context, key string, value []byte) error {
	return s.SaveCertificateFiles(ctx, db.CertificateFile{Name: key, Content: value})
}

// Load implements certmagic.Storage.
func (s *sharedStorage) Load(ctx context.Context, key string) ([]byte, error) {
	f, err := s.CertificateFile(ctx, key)
	return f.Content, notExist(err)
}

// Delete implements certmagic.Storage.
func (s *sharedStorage) Delete(ctx context.Context, key string) error {
	return s.RemoveCertificateFiles(ctx, key)
}

// Exists implements certmagic.Storage.
func (s *sharedStorage) Exists(ctx context.Context, key string) bool {
	_, err := s.Stat(ctx, key)
	return err == nil
}

// List implements certmagic.Storage.
func (s *sharedStorage) List(ctx context.Context, folder string, recursive bool) (list []string, err error) {
	folder = strings.Trim(folder, "/")
	names, err := s.CertificateFiles(ctx, folder)
	if err == nil && len(names) == 0 {
		err = fs.ErrNotExist
	}
	seen := map[string]bool{}
	for _, name := range names {
		entry := name
		if !recursive {
			first, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(name, folder), "/"), "/")
			entry = path.Join(folder, first)
		}
		if !seen[entry] {
			seen[entry], list = true, append(list, entry)
		}
	}
	return list, err
}

// Stat implements certmagic.Storage.
func (s *sharedStorage) Stat(ctx context.Context, key string) (certmagic.KeyInfo, error) {
	f, err := s.CertificateFile(ctx, key)
	if err == nil {
		return certmagic.KeyInfo{Key: key, Modified: f.UpdatedAt, Size: f.Size, IsTerminal: true}, nil
	}
	if !errors.Is(err, db.ErrNotFound) {
		return certmagic.KeyInfo{}, err
	}
	if names, err := s.CertificateFiles(ctx, key); err != nil || len(names) > 0 {
		return certmagic.KeyInfo{Key: key}, err
	}
	return certmagic.KeyInfo{}, notExist(err)
}

// Lock implements certmagic.Locker.
func (s *sharedStorage) Lock(ctx context.Context, name string) error {
	owner := rand.Text()
	for {
		ok, err := s.LockCertificates(ctx, name, owner, lockLease)
		if err != nil {
			return err
		}
		if ok {
			s.keep(ctx, name, owner)
			return nil
		}
		if err := deploy.Sleep(ctx, lockTry); err != nil {
			return err
		}
	}
}

// keep renews a lock until Unlock, also when the context of Lock is done.
func (s *sharedStorage) keep(ctx context.Context, name, owner string) {
	ctx, end := context.WithCancel(context.WithoutCancel(ctx))
	lock := &heldLock{owner: owner, end: end, ended: make(chan struct{})}
	s.mu.Lock()
	s.held[name] = lock
	s.mu.Unlock()
	go func() {
		defer close(lock.ended)
		for deploy.Sleep(ctx, lockRenew) == nil {
			_, _ = s.LockCertificates(ctx, name, owner, lockLease) // tried again before the lease ends
		}
	}()
}

// Unlock implements certmagic.Locker.
func (s *sharedStorage) Unlock(ctx context.Context, name string) error {
	s.mu.Lock()
	lock := s.held[name]
	delete(s.held, name)
	s.mu.Unlock()
	if lock == nil {
		return fmt.Errorf("unlock %s: it is not locked here", name)
	}
	lock.end()
	<-lock.ended // or its last renewal would come after this
	return s.UnlockCertificates(context.WithoutCancel(ctx), name, lock.owner)
}

// String tells storages apart: Caddy keeps one of each in a process.
func (*sharedStorage) String() string { return "tinyforge" }

func notExist(err error) error {
	if errors.Is(err, db.ErrNotFound) {
		return fs.ErrNotExist
	}
	return err
}

// adopt brings what a proxy has kept in its folder, from before it shared, into an empty storage, so that nothing is ordered again. It is
// all brought at once: a root without its key, as a process that is killed between them would leave it, keeps every proxy from starting.
func (s *sharedStorage) adopt(ctx context.Context, folder *certmagic.FileStorage) error {
	if names, err := s.CertificateFiles(ctx, ""); err != nil || len(names) > 0 {
		return err
	}
	var files []db.CertificateFile
	for _, top := range []string{"acme", "certificates", "pki"} {
		names, err := folder.List(ctx, top, true)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, name := range names {
			info, err := folder.Stat(ctx, name)
			if err != nil {
				return err
			}
			if !info.IsTerminal {
				continue
			}
			content, err := folder.Load(ctx, name)
			if err != nil {
				return err
			}
			files = append(files, db.CertificateFile{Name: name, Content: content})
		}
	}
	return s.SaveCertificateFiles(ctx, files...)
}

// storageModule gives Caddy the storage of a Proxy.
type storageModule struct{ part }

// CaddyModule implements caddy.Module.
func (m *storageModule) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "caddy.storage.tinyforge",
		New: func() caddy.Module { return &storageModule{part{registry: m.registry}} },
	}
}

// CertMagicStorage implements caddy.StorageConverter.
func (m *storageModule) CertMagicStorage() (certmagic.Storage, error) { return m.proxy.storage, nil }
