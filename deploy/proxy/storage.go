package proxy

import (
	"context"
	"log/slog"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

const (
	cleanEvery  = 24 * time.Hour
	expiredKept = 14 * 24 * time.Hour
)

// cleanStorage removes expired certificates from DataDir, once a day until ctx is done.
func (p *Proxy) cleanStorage(ctx context.Context) {
	tick := time.NewTicker(cleanEvery)
	defer tick.Stop()
	for {
		err := certmagic.CleanStorage(ctx, &certmagic.FileStorage{Path: p.cfg.DataDir}, certmagic.CleanStorageOptions{
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
