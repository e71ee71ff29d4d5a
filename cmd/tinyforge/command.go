package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
)

// command is what can be written behind tinyforge.
type command struct {
	name, args string   // as in "log WORKLOAD [N]"
	does       string   // one line, for the list of all
	more       string   // what else to know before using it; "" for nothing
	example    string   // without "tinyforge"
	options    []string // flags and secrets that mean something to it; nil for none
	others     []string // those of every that mean nothing to it
	unlisted   bool     // Tinyforge runs it, people do not
	run        func(ctx context.Context, in invocation) error
}

// invocation is a command with what it was given.
type invocation struct {
	command
	given    []string // behind the name
	env      []string
	out, err io.Writer
}

// every stands for all options.
const every = "*"

// commands are all, in the order of the help.
func commands() []command {
	return append(slices.Concat(serverCommands(), requestCommands()), []command{
		{name: "detect", args: "[DIR]", does: "say what in a checkout can be deployed, with an entry for the file of apply",
			more:    "It looks at the top of DIR, the folder it is run in when left out, and one folder down. It changes nothing.",
			example: "detect ~/src/site", run: detect},
		{name: "version", does: "print the version", example: "version", run: printVersion},
		{name: "help", args: "[COMMAND]", does: "print this, or what there is to know of a command", example: "help log", run: help},
		{name: "site", args: "DIR", does: "serve a static site that Tinyforge has put together", unlisted: true,
			more: "It is run in the images of static sites.", example: "site /site", run: serveSite},
	}...)
}

// serverCommands are about the whole server.
func serverCommands() []command {
	return []command{
		{name: "serve", does: "receive pushes, deploy, and serve the sites",
			more:    "It runs until it is told to end; what it was doing is resumed by the next one.",
			example: "serve --public-url https://deploy.example.com --acme-email you@example.com",
			options: []string{every}, others: registryOptions, run: configured(runServe)},
		{name: "proxy", does: "serve the sites in a process of its own, for serve --router proxy",
			more: "Sites stay up while serve is killed, started again or upgraded. It keeps its routes in the data folder, so that it\n" +
				"serves them right after its own start. SIGTERM lets requests end.",
			example: "proxy --acme-email you@example.com",
			options: []string{"data", "proxy-http", "proxy-https", "acme-email", "acme-ca", "internal-ca", "trusted-proxies", "drain", "proxy-socket", "access-log", "log-format", "log-level"},
			run:     configured(runProxy)},
		{name: "registry", does: "keep images and give them to the nodes of a Docker Swarm, for serve --registry",
			more: "The user is tinyforge, and the password is TINYFORGE_REGISTRY_PASSWORD or one that is made at the first start, in the file\n" +
				"registry-password of the data folder. tinyforge-pull may only pull, with TINYFORGE_REGISTRY_PULL_PASSWORD or what is in the\n" +
				"file registry-pull-password. Engines on other machines want HTTPS: give a certificate.",
			example: "registry --registry-listen :5000 --registry-cert /etc/ssl/registry.pem --registry-key /etc/ssl/registry.key",
			options: append([]string{"data", "registry-password", "registry-pull-password", "log-format", "log-level"}, registryOptions...), run: configured(runRegistry)},
		{name: "apply", args: "FILE", does: "make the forges and workloads what a YAML file says; --prune removes the others",
			more:    "- is standard input. It says what it did, and can be run again at any time.",
			example: "apply tinyforge.yml --public-url https://deploy.example.com",
			options: storeAnd("public-url", "router", "prune"), run: configured(apply)},
		{name: "sign-in-link", args: "[NAME]", does: "print a one-time link that makes the first administrator, or sets NAME's password",
			more: "The link is good for an hour. NAME may be left out while there is one user. Give it the --listen and the --public-url\n" +
				"that serve has: it cannot ask.", example: "sign-in-link ann",
			options: storeAnd("public-url", "listen"), run: configured(signInLink)},
		{name: "backup", args: "FILE", does: "write all that Tinyforge knows into a file, also while serve runs",
			more: "Secrets and certificates are sealed in it; the sealing key is not in it without --with-key. Volumes, images and\n" +
				"containers are Docker's and are not in it. - is standard output.",
			example: "backup /var/backups/tinyforge.gz", options: storeAnd("with-key"), run: configured(backup)},
		{name: "restore", args: "FILE", does: "put a backup into an empty data folder and an empty database",
			more: "The database may be of the other kind. The key has to be the backup's: in it, in the data folder as the file key,\n" +
				"or in TINYFORGE_KEY. - is standard input. Ended anywhere, it goes on when it is run again. Where the old Tinyforge is on\n" +
				"the same Docker, stop and disable it: systemctl disable --now tinyforge.",
			example: "restore /var/backups/tinyforge.gz --data /srv/tinyforge", options: storeAnd(), run: configured(restore)},
		{name: "rotate-key", does: "replace the sealing key, and seal everything anew", example: "rotate-key",
			more: "serve must be stopped for as long as it takes: seconds. Ended anywhere, it goes on when it is run again. A key that\n" +
				"comes from TINYFORGE_KEY is printed for you to set, in two steps.",
			options: storeAnd(), run: configured(rotateKey)},
		{name: "migrate", does: "bring the database up to date (serve does it too); --to copies it into another one",
			more: "The other one is empty, and of either kind: so one goes from SQLite to PostgreSQL, and back. serve must be stopped.\n" +
				"Ended anywhere, nothing is there, or all: run it again. The one that was copied is not served from any more: set\n" +
				"TINYFORGE_DATABASE to the other one.", example: "migrate --to postgres://tinyforge@db.example.com/tinyforge",
			options: storeAnd("to", "use-copied"), run: configured(migrate)},
	}
}

// storeAnd are the options of a command that reads the database.
func storeAnd(more ...string) []string { return append([]string{"data", "database", "key"}, more...) }

// commandNamed returns a command; others are known by the options that people try.
func commandNamed(name string) (command, bool) {
	switch name {
	case "-h", "--help", "-help":
		name = "help"
	case "-v", "--version", "-version":
		name = "version"
	}
	for _, c := range commands() {
		if c.name == name {
			return c, true
		}
	}
	return command{}, false
}

// uses tells whether a flag or a secret means something to the command.
func (c command) uses(option string) bool {
	return slices.Contains(c.options, option) || slices.Contains(c.options, every) && !slices.Contains(c.others, option)
}

// usage is how the command is written, beginning with tinyforge.
func (c command) usage() string {
	text := "tinyforge " + c.name
	if c.args != "" {
		text += " " + c.args
	}
	if len(c.options) > 0 {
		text += " [options]"
	}
	return text
}

// describe prints all that there is to know but the options.
func (c command) describe(out io.Writer) {
	fmt.Fprintf(out, "Usage: %s\n\n%s.\n", c.usage(), strings.ToUpper(c.does[:1])+c.does[1:])
	if c.more != "" {
		fmt.Fprintln(out, c.more)
	}
	fmt.Fprintf(out, "\nExample:\n  tinyforge %s\n", c.example)
}

// asksHelp prints the help of a command without options when that is asked for. Any other option is an error.
func (in invocation) asksHelp() error {
	for _, arg := range in.given {
		if slices.Contains([]string{"-h", "--help", "-help"}, arg) {
			in.describe(in.out)
			return flag.ErrHelp
		}
		if strings.HasPrefix(arg, "-") {
			return fmt.Errorf("%s has no option %s: %s", in.name, arg, in.usage())
		}
	}
	return nil
}

// configured is a command that has options.
func configured(do func(ctx context.Context, c config, args []string, in invocation) error) func(context.Context, invocation) error {
	return func(ctx context.Context, in invocation) error {
		c, rest, err := readConfig(in.name, in.given, in.env, in.out)
		if err != nil {
			return err
		}
		return do(ctx, c, rest, in)
	}
}

// help is the command of that name.
func help(ctx context.Context, in invocation) error {
	if err := in.asksHelp(); err != nil {
		return err
	}
	if len(in.given) > 0 {
		return run(ctx, []string{in.given[0], "-h"}, in.env, in.out, in.err)
	}
	fmt.Fprint(in.out, "Tinyforge makes git push deploy.\n\nUsage:\n")
	for _, c := range commands() {
		if !c.unlisted {
			fmt.Fprintf(in.out, "  %-34s %s\n", strings.TrimSuffix(c.usage(), " [options]"), c.does)
		}
	}
	fmt.Fprint(in.out, "\n\"tinyforge COMMAND -h\" says more of a command, with an example and its options. Every option can be set in the\n"+
		"environment: --public-url is TINYFORGE_PUBLIC_URL, and secrets can be read from a file: TINYFORGE_DATABASE_FILE.\n")
	return nil
}

// printVersion is the command version.
func printVersion(_ context.Context, in invocation) error {
	if err := in.asksHelp(); err != nil {
		return err
	}
	fmt.Fprintln(in.out, version())
	return nil
}
