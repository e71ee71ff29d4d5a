package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
)

const envPrefix = "TINYFORGE_"

// options binds each option to a flag and to a variable of the environment: --public-url and TINYFORGE_PUBLIC_URL. The
// flag wins. A secret has no flag, since anybody on the machine can read a command line; it can be read from a file
// instead: TINYFORGE_KEY_FILE.
type options struct {
	command command
	flags   *flag.FlagSet
	env     map[string]string
	secrets map[string]*string
	given   map[string]bool // the options that somebody has set, whatever to
	out     io.Writer       // of the help
}

func newOptions(c command, env []string, out io.Writer) *options {
	o := &options{command: c, flags: flag.NewFlagSet(c.name, flag.ContinueOnError), env: map[string]string{}, secrets: map[string]*string{}}
	o.flags.SetOutput(io.Discard) // errors are returned
	for _, pair := range env {
		if name, value, ok := strings.Cut(pair, "="); ok && strings.HasPrefix(name, envPrefix) {
			o.env[name] = value
		}
	}
	o.out = out
	return o
}

// secret declares an option that only the environment can set.
func (o *options) secret(v *string, name string) { o.secrets[envName(name)] = v }

// parseFlags reads the arguments and returns those that are no flags; flags may stand before and after them.
func (o *options) parseFlags(args []string) (rest []string, err error) {
	for {
		if len(args) > 0 && isNumber(args[0]) { // a negative one is no flag
			rest, args = append(rest, args[0]), args[1:]
			continue
		}
		switch err := o.flags.Parse(args); {
		case errors.Is(err, flag.ErrHelp):
			o.help(o.out)
			return nil, err
		case err != nil:
			return nil, fmt.Errorf("%w; -h lists the options", err)
		}
		args = o.flags.Args()
		if len(args) == 0 {
			return rest, nil
		}
		rest, args = append(rest, args[0]), args[1:]
	}
}

func isNumber(arg string) bool { _, err := strconv.Atoi(arg); return err == nil }

// parseEnvironment reads what no flag has set. Its error names every fault.
func (o *options) parseEnvironment() error {
	o.given = map[string]bool{}
	o.flags.Visit(func(f *flag.Flag) { o.given[f.Name] = true })
	var faults []error
	known := []string{}
	o.flags.VisitAll(func(f *flag.Flag) {
		name := envName(f.Name)
		known = append(known, name)
		if value, ok := o.env[name]; ok && !o.given[f.Name] {
			o.given[f.Name] = true
			if f.Value.Set(value) != nil {
				_, usage := flag.UnquoteUsage(f)
				faults = append(faults, fmt.Errorf("%s=%q cannot be read; it takes: %s", name, value, usage), f.Value.Set(f.DefValue))
			}
		}
	})
	for name, v := range o.secrets {
		known = append(known, name, name+"_FILE")
		faults = append(faults, o.readSecret(name, v))
	}
	for name := range o.env {
		if !slices.Contains(known, name) && !strings.HasPrefix(name, envPrefix+"TEST_") {
			faults = append(faults, fmt.Errorf("%s: there is no such option; -h lists them", name))
		}
	}
	return errors.Join(faults...)
}

// values are what was given, as a flag would say it.
func (o *options) values() map[string]string {
	values := map[string]string{}
	for name := range o.given {
		values[name] = o.flags.Lookup(name).Value.String()
	}
	return values
}

func (o *options) readSecret(name string, v *string) error {
	value, set := o.env[name]
	path, fromFile := o.env[name+"_FILE"]
	switch {
	case set && fromFile:
		return fmt.Errorf("%s and %s_FILE are both set: keep one of them", name, name)
	case set:
		*v = value
	case fromFile:
		text, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("%s_FILE: %w", name, err)
		}
		*v = strings.TrimRight(string(text), "\r\n")
	}
	return nil
}

// help describes the command, and those options that mean something to it.
func (o *options) help(out io.Writer) {
	o.command.describe(out)
	fmt.Fprint(out, "\nOptions:\n")
	o.flags.VisitAll(func(f *flag.Flag) {
		if !o.command.uses(f.Name) {
			return
		}
		kind, text := flag.UnquoteUsage(f)
		fmt.Fprintf(out, "  %s\n      %s", strings.TrimSpace("--"+f.Name+" "+kind), text)
		if f.DefValue != "" && f.DefValue != "false" {
			fmt.Fprintf(out, " (default %s)", f.DefValue)
		}
		fmt.Fprintln(out)
	})
	secrets := slices.DeleteFunc(slices.Sorted(maps.Keys(o.secrets)), func(name string) bool { return !o.command.uses(flagName(name)) })
	if len(secrets) > 0 {
		fmt.Fprintf(out, "Only in the environment, or in a file named by the variable with _FILE at its end:\n  %s\n", strings.Join(secrets, "\n  "))
	}
}

func envName(flagName string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flagName, "-", "_"))
}

// flagName is the other way round.
func flagName(envName string) string {
	return strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(envName, envPrefix), "_", "-"))
}
