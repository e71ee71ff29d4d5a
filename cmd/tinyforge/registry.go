package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"tinyforge/deploy/registry"
)

// The accounts of the command registry: one for serve, and one for the nodes, which may only pull.
const (
	registryUser     = "tinyforge"
	registryPullUser = "tinyforge-pull"
)

// runRegistry is the command registry: it keeps images in the data folder and gives them to Docker engines.
func runRegistry(ctx context.Context, c config, _ []string, in invocation) error {
	guard := &guardedLog{out: in.err}
	log := newLogger(c, guard)
	slog.SetDefault(log)
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return fmt.Errorf("make data folder: %w; choose another with --data", err)
	}
	if err := isOwn(c.Data); err != nil {
		return err
	}
	dir := filepath.Join(c.Data, "registry")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make folder of registry: %w", err)
	}
	unlock, err := lockFile(filepath.Join(dir, "lock"))
	if err != nil {
		return fmt.Errorf("another tinyforge registry keeps its images in %s: stop it, or give this one a folder of its own with --data", dir)
	}
	defer unlock()
	password, file, err := registryPassword(c.Data, "registry-password", c.RegistryPassword)
	if err != nil {
		return err
	}
	pull, pullFile, err := registryPassword(c.Data, "registry-pull-password", c.RegistryPullPass)
	if err != nil {
		return err
	}
	guard.know("TINYFORGE_REGISTRY_PASSWORD", password)
	guard.know("TINYFORGE_REGISTRY_PULL_PASSWORD", pull)
	images, err := registry.New(ctx, registry.Config{Dir: dir, User: registryUser, Password: password,
		PullUser: registryPullUser, PullPassword: pull, Keep: c.RegistryKeep, Log: log})
	if err != nil {
		return err
	}
	server, err := newImageServer(ctx, c, images, log)
	if err != nil {
		return err
	}
	log.InfoContext(ctx, "tinyforge registry starts", "version", version(), "data", dir, "listen", server.listener.Addr().String(),
		"tls", server.tls != nil, "user", registryUser, "password_in", file, "pull_user", registryPullUser, "pull_password_in", pullFile)
	return runStages(ctx, log, stage{"registry", server.run}, stage{"sweep", images.Run})
}

// lockFile locks a file, which is made when absent, until the end of the process.
func lockFile(path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock folder: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock folder: %w", err), file.Close())
	}
	return func() { _ = file.Close() }, nil
}

// registryPassword is the one that was given, or that in a file of the data folder, which is made at the first start, and where it stands.
func registryPassword(data, name, given string) (password, where string, err error) {
	if given != "" {
		return given, envName(name), nil
	}
	path := filepath.Join(data, name)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		password = rand.Text()
		return password, path, writePrivate(path, password+"\n")
	}
	if err != nil {
		return "", "", fmt.Errorf("read password of registry: %w", err)
	}
	if password = strings.TrimSpace(string(text)); password == "" {
		return "", "", fmt.Errorf("%s is empty: put a password into it, or remove it and one is made", path)
	}
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
		return "", "", fmt.Errorf("%s can be read by other users: chmod 600 %s", path, path)
	}
	return password, path, nil
}

// writePrivate writes a file that nobody else can read, whole or not at all.
func writePrivate(path, text string) error {
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return fmt.Errorf("write password of registry: %w", err)
	}
	defer func() { _ = os.Remove(file.Name()) }()
	_, err = file.WriteString(text)
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write password of registry: %w", err)
	}
	return syncFolder(filepath.Dir(path))
}

// checkRegistry is the stage that asks once, and says what is wrong with the registry before something is built for it.
func checkRegistry(ask func(context.Context) error, log *slog.Logger) func(context.Context) error {
	return func(ctx context.Context) error {
		asking, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		if err := ask(asking); err != nil && ctx.Err() == nil {
			log.WarnContext(ctx, "the registry of --registry cannot be used: what is pushed for a Swarm fails until it can", "error", err)
		}
		<-ctx.Done()
		return nil
	}
}
