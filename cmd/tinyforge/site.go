package main

import (
	"context"
	"errors"
	"log/slog"

	"tinyforge/deploy/fileserver"
)

// serveSite is the command site: it serves the static site in a folder that Tinyforge has made.
func serveSite(ctx context.Context, in invocation) error {
	if err := in.asksHelp(); err != nil {
		return err
	}
	if len(in.given) != 1 {
		return errors.New("site takes the folder of a site that Tinyforge has put together: it is run in the images of static sites")
	}
	log := slog.New(slog.NewJSONHandler(in.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	return fileserver.Run(ctx, in.given[0], log)
}
