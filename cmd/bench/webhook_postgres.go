package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// postgres is a PostgreSQL server that is as durable as it comes: fsync and synchronous_commit are on.
type postgres struct {
	*process
	address string
}

// startPostgres makes a cluster and runs it, as another user where we are root: it refuses to be that. Both end with the stage.
func startPostgres(ctx context.Context, s *stage) (*postgres, error) {
	programs, err := postgresPrograms()
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
	as, err := unprivileged(dir)
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

// unprivileged is user postgres, or else nobody, to whom a folder is given; nil where we are not root.
func unprivileged(dir string) (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	const nobody = 65534
	as := &syscall.Credential{Uid: nobody, Gid: nobody}
	if u, err := user.Lookup("postgres"); err == nil {
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if uidErr == nil && gidErr == nil {
			as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		}
	}
	return as, os.Chown(dir, int(as.Uid), int(as.Gid))
}

// postgresPrograms is the folder of the newest ones.
func postgresPrograms() (string, error) {
	if p, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(p), nil
	}
	folders, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return "", err
	}
	newest, version := "", -1
	for _, folder := range folders {
		n, err := strconv.Atoi(filepath.Base(filepath.Dir(folder)))
		if _, missing := os.Stat(filepath.Join(folder, "initdb")); err == nil && missing == nil && n > version {
			newest, version = folder, n
		}
	}
	if newest == "" {
		return "", errors.New("the programs of PostgreSQL are not installed")
	}
	return newest, nil
}

func postgresVersion() string {
	programs, err := postgresPrograms()
	if err != nil {
		return ""
	}
	_, version, _ := strings.Cut(output(filepath.Join(programs, "postgres"), "--version"), ") ")
	return version
}
