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
	"runtime/debug"
	"syscall"
	_ "time/tzdata" // people choose a time zone, and the machine may have none
)

const usage = `Tinyforge makes git push deploy.

Usage:
  tinyforge serve            receive pushes, deploy, and serve the sites
  tinyforge apply FILE       make the forges and workloads what a YAML file says; --prune removes the others
  tinyforge deployments W    list the deployments of a workload
  tinyforge log W [N]        print the log of its newest deployment, or of deployment N
  tinyforge redeploy W [N]   build and start the commit of the live deployment anew, or of deployment N
  tinyforge rollback W [N]   make the release before the live one serve again, or that of deployment N; nothing is built
  tinyforge cancel W [N]     end the deployment in progress; what served before it goes on
  tinyforge remove W         take a workload down; --volumes removes its volumes too
  tinyforge detect [DIR]     say what in a checkout can be deployed, with an entry for the file of apply
  tinyforge sign-in-link [NAME]
                             print a one-time link that makes the first administrator, or sets NAME's password
  tinyforge migrate          bring the database up to date (serve does it too)
  tinyforge version          print the version

Every option can be set in the environment: --public-url is TINYFORGE_PUBLIC_URL, and secrets can be read from a file:
TINYFORGE_DATABASE_FILE. "tinyforge serve -h" lists the options.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	default:
		fmt.Fprintln(os.Stderr, "tinyforge:", err)
		os.Exit(1)
	}
}

// run is the program without its process: what it does depends on its arguments alone.
func run(ctx context.Context, args, env []string, stdout, stderr io.Writer) error {
	command := "help"
	if len(args) > 0 {
		command, args = args[0], args[1:]
	}
	switch command {
	case "version", "--version":
		fmt.Fprintln(stdout, version())
		return nil
	case "help", "-h", "--help":
		fmt.Fprint(stdout, usage)
		return nil
	case "site": // run in the images of static sites
		return serveSite(ctx, args, stderr)
	case "detect":
		return detect(args, stdout)
	case "serve", "apply", "migrate", "sign-in-link":
	default:
		if requests()[command] == nil {
			return fmt.Errorf("unknown command %q: tinyforge help lists them", command)
		}
	}
	cfg, rest, err := readConfig(command, args, env, stderr)
	if err != nil {
		return err
	}
	switch command {
	case "apply":
		return apply(ctx, cfg, rest, stdout)
	case "migrate":
		return migrate(ctx, cfg, stdout)
	case "serve":
		return serve(ctx, cfg, newLogger(cfg, stderr), stdout)
	case "sign-in-link":
		return signInLink(ctx, cfg, rest, stdout)
	}
	return runRequest(ctx, command, cfg, rest, stdout)
}

// version is the module's version, or the commit it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "tinyforge (unknown version)"
	}
	text := "tinyforge " + info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			text += " " + s.Value[:min(12, len(s.Value))]
		}
	}
	return text + " " + info.GoVersion
}
