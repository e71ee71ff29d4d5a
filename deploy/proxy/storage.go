package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

const (
	cleanEvery  = 24 * time.Hour
	expiredKept = 14 * 24 * time.Hour
)

// storageOf is where the certificates are.
func storageOf(cfg Config) certmagic.Storage {
	if cfg.Storage != nil {
		return newSharedStorage(cfg.Storage)
	}
	return &certmagic.FileStorage{Path: cfg.DataDir}
}

func (p *Proxy) storageConfig(id string) object {
	if p.cfg.Storage != nil {
		return object{"module": "tinyforge", "proxy": id}
	}
	return object{"module": "file_system", "root": p.cfg.DataDir}
}

// withStorage loads a config. Of those that share a storage one does so at a time: each would make a root of its own where there is
// none yet. An empty one is filled with what was in DataDir before.
func (p *Proxy) withStorage(ctx context.Context, load func() error) (err error) {
	s, shared := p.storage.(*sharedStorage)
	if !shared || p.https == nil {
		return load()
	}
	const turn = "tinyforge_start"
	if err := s.Lock(ctx, turn); err != nil {
		return fmt.Errorf("share certificates: %w", err)
	}
	defer func() { err = errors.Join(err, s.Unlock(ctx, turn)) }()
	if err := s.adopt(ctx, &certmagic.FileStorage{Path: p.cfg.DataDir}); err != nil {
		return fmt.Errorf("share certificates: %w", err)
	}
	if err := load(); err != nil {
		return err
	}
	return p.showRoot(ctx)
}

const rootName = "pki/authorities/local/root.crt"

// showRoot writes the root of the internal CA to where people find it.
func (p *Proxy) showRoot(ctx context.Context) error {
	if !p.cfg.InternalCA {
		return nil
	}
	root, err := p.storage.Load(ctx, rootName)
	if err == nil {
		err = (&certmagic.FileStorage{Path: p.cfg.DataDir}).Store(ctx, rootName, root)
	}
	if err != nil {
		return fmt.Errorf("write root certificate: %w", err)
	}
	return nil
}

// cleanStorage removes expired certificates from the storage, once a day until ctx is done.
func (p *Proxy) cleanStorage(ctx context.Context) {
	tick := time.NewTicker(cleanEvery)
	defer tick.Stop()
	for {
		err := certmagic.CleanStorage(ctx, p.storage, certmagic.CleanStorageOptions{
			Logger:                 zap.NewNop(),
			OCSPStaples:            true,
			ExpiredCerts:           true,
			ExpiredCertGracePeriod: expiredKept,
		})
		if err != nil && ctx.Err() == nil {
			p.log.Warn("clean certificate storage", slog.Any("error", err))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
