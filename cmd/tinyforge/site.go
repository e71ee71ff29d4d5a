package main

import (
	"context"
	"errors"
	"io"
	"log/slog"

	"tinyforge/deploy/fileserver"
)

// serveSite is the command site: it serves the static site in a folder that Tinyforge has made.
func serveSite(ctx context.Context, args []string, out io.Writer) error {
	if len(args) != 1 {
		return errors.New("site takes the folder of a site that Tinyforge has put together: it is run in the images of static sites")
	}
	log := slog.New(slog.NewJSONHandler(out, &slog.HandlerOptions{Level: slog.LevelWarn}))
	return fileserver.Run(ctx, args[0], log)
}
