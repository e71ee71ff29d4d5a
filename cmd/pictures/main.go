// Command pictures makes the pictures of the README: it runs the demo to its end, signs in by the link that the demo prints,
// and saves what three of its pages look like in Chromium. It ends all that it started.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "pictures:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) (err error) {
	if len(args) != 1 {
		return errors.New("name the folder of the pictures: go run ./cmd/pictures FOLDER")
	}
	dir, err := os.MkdirTemp("", "tinyforge-pictures-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	demo, err := startDemo(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, demo.stop()) }()
	link, err := demo.link(ctx)
	if err != nil {
		return err
	}
	pictures, err := take(ctx, filepath.Join(dir, "browser"), link)
	if err != nil {
		return err
	}
	for _, p := range pictures {
		path := filepath.Join(args[0], p.name+".png")
		if err := os.WriteFile(path, p.png, 0o644); err != nil {
			return fmt.Errorf("save picture: %w", err)
		}
		fmt.Printf("%s\t%d kB\n", path, len(p.png)/1000)
	}
	return nil
}
