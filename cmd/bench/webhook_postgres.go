package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"tinyforge/db/dbtest"
)

// postgres is a PostgreSQL server that is as durable as it comes: fsync and synchronous_commit are on.
type postgres struct {
	*process
	address string
}

// startPostgres makes a cluster and runs it, as another user where we are root: it refuses to be that. Both end with the stage.
func startPostgres(ctx context.Context, s *stage) (*postgres, error) {
	programs, err := dbtest.Programs()
	if err != nil {
		return nil, err
	}
	p := &postgres{}
	if p.address, err = freeAddress(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "tinyforge-bench-postgres-") // not in the stage's, which is for us alone
	if err != nil {
		return nil, err
	}
	s.add(func() { _ = os.RemoveAll(dir) })
	as, err := own(dir)
	if err != nil {
		return nil, err
	}
	initdb := exec.CommandContext(ctx, filepath.Join(programs, "initdb"), "--pgdata=data", "--username=bench", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync")
	initdb.Dir, initdb.SysProcAttr = dir, &syscall.SysProcAttr{Credential: as}
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("make PostgreSQL cluster: %w\n%s", err, out)
	}
	_, port, err := net.SplitHostPort(p.address)
	if err != nil {
		return nil, err
	}
	server := exec.CommandContext(context.WithoutCancel(ctx), filepath.Join(programs, "postgres"), "-D", "data", "-p", port,
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=on", "-c", "synchronous_commit=on")
	server.Dir, server.SysProcAttr = dir, &syscall.SysProcAttr{Credential: as}
	if p.process, err = launch(s.dir, "postgres", nil, server); err != nil {
		return nil, err
	}
	s.add(p.end)
	return p, p.answers(ctx, p.address)
}

// end ends it and all connections to it. It would leave shared memory behind if it were killed.
func (p *postgres) end() {
	_ = p.cmd.Process.Signal(syscall.SIGINT)
	select {
	case <-p.done:
	case <-time.After(15 * time.Second):
		p.kill()
	}
}

// database makes an empty one, and returns its address.
func (p *postgres) database(ctx context.Context, name string) (string, error) {
	admin, err := openDatabase(p.url("postgres"))
	if err != nil {
		return "", err
	}
	defer admin.Close()
	for deadline := time.Now().Add(20 * time.Second); ; {
		_, err := admin.ExecContext(ctx, "CREATE DATABASE "+name)
		if err == nil {
			return p.url(name), nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return "", fmt.Errorf("make PostgreSQL database: %w", err)
		}
		time.Sleep(50 * time.Millisecond) // it is starting up
	}
}

func (p *postgres) url(database string) string {
	return "postgres://bench@" + p.address + "/" + database + "?sslmode=disable"
}

// own gives a folder to who runs the server; nil where that is ourselves.
func own(dir string) (*syscall.Credential, error) {
	as := dbtest.Unprivileged().Credential
	if as == nil {
		return nil, nil
	}
	return as, os.Chown(dir, int(as.Uid), int(as.Gid))
}

func postgresVersion() string {
	programs, err := dbtest.Programs()
	if err != nil {
		return ""
	}
	_, version, _ := strings.Cut(output(filepath.Join(programs, "postgres"), "--version"), ") ")
	return version
}
