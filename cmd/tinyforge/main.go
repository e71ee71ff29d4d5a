// Command tinyforge makes git push deploy. See the README.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // people choose a time zone, and the machine may have none

	"tinyforge/db"
)

func main() {
	endProfile := profile()
	db.LogDriver()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the second signal ends what does not hear the first
	err := run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	endProfile()
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	default:
		fmt.Fprintln(os.Stderr, "tinyforge:", err)
		os.Exit(1)
	}
}

// run is the program without its process: what it does depends on its arguments alone.
func run(ctx context.Context, args, env []string, stdout, stderr io.Writer) error {
	name := "help"
	if len(args) > 0 {
		name, args = args[0], args[1:]
	}
	c, known := commandNamed(name)
	if !known {
		return fmt.Errorf("unknown command %q: tinyforge help lists them", name)
	}
	return c.run(ctx, invocation{command: c, given: args, env: env, out: stdout, err: stderr})
}
