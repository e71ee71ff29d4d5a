package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/redact"
)

// guardedLog is where the process's log goes, without the secrets of forges, workloads and the configuration: whatever a
// library puts into an error, they are not printed. Each Write is one record. It is safe for concurrent use as far as out is.
type guardedLog struct {
	out      io.Writer
	redactor atomic.Pointer[redact.Redactor]
}

// Write implements io.Writer.
func (l *guardedLog) Write(p []byte) (int, error) {
	r := l.redactor.Load()
	if r == nil {
		return l.out.Write(p)
	}
	if _, err := io.WriteString(l.out, r.String(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// know keeps a secret out of the log from now on, for who has no other.
func (l *guardedLog) know(name, value string) {
	l.redactor.Store(deploy.Redactor([]db.Secret{{Name: name, Value: value}}))
}

// file is the file that is written to, nil where it is none.
func (l *guardedLog) file() *os.File {
	file, _ := l.out.(*os.File)
	return file
}

const learnEvery = time.Minute

// guardKeeper lets a guardedLog know what is secret.
type guardKeeper struct {
	guard *guardedLog
	db    *db.DB
	log   *slog.Logger
	own   []db.Secret // of the process, whatever the database has
}

// Run learns of changes until ctx is done.
func (k guardKeeper) Run(ctx context.Context) error {
	changed, cancel := k.db.Subscribe(db.TopicWorkloads)
	defer cancel()
	tick := time.NewTicker(learnEvery) // forges tell nobody
	defer tick.Stop()
	for {
		if err := k.learn(ctx); err != nil && ctx.Err() == nil {
			k.log.WarnContext(ctx, "read what is secret; the log is kept free of what was", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-tick.C:
		}
	}
}

func (k guardKeeper) learn(ctx context.Context) error {
	forges, err := k.db.Forges(ctx)
	if err != nil {
		return err
	}
	workloads, err := k.db.Workloads(ctx)
	if err != nil {
		return err
	}
	all := slices.Clone(k.own)
	for _, f := range forges {
		all = append(all, f.Credentials.Secrets()...)
	}
	for _, w := range workloads {
		all = append(all, w.Secrets()...)
	}
	k.guard.redactor.Store(deploy.Redactor(all))
	return nil
}
