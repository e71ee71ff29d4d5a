// Command bench measures Tinyforge side by side with what a user would pick instead: the same work, in one run, in turn, on
// loopback. What counts is the ratio of two in the same round, and how it spreads; figures of different runs say nothing of each
// other.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

const usage = `bench [OPTIONS] WORK...    measures: %s, or all of them, but scale
bench compare A B          compares two files that -json has written
bench [-into FILE] print A prints a file that -json has written
`

func run(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == "peer" {
		return peer(ctx, args[1:])
	}
	var o choice
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.IntVar(&o.rounds, "rounds", 0, "how often each is measured; 0 is what the work takes by itself")
	flags.IntVar(&o.swaps, "swaps", 40, "how often Tinyforge swaps in a round of redeploy: about 270 requests come with each, so that 750 are a million in 5 rounds")
	flags.Var(&o.sizes, "sizes", "how many workloads scale has, one `SIZE,SIZE...` after the other, each larger (default 100,1000,10000)")
	flags.StringVar(&o.json, "json", "", "write the figures to this `FILE` too")
	flags.StringVar(&o.into, "into", "", "write the tables into this Markdown `FILE` too, between its marks")
	flags.StringVar(&o.cpuprofile, "cpuprofile", "", "write CPU profiles of Tinyforge's processes into this `FOLDER`")
	flags.StringVar(&o.trace, "trace", "", "write execution traces of Tinyforge's processes into this `FOLDER`")
	flags.Usage = func() {
		fmt.Fprintf(flags.Output(), usage, strings.Join(names(), ", "))
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return errors.Join(err, flag.ErrHelp)
	}
	switch what := flags.Args(); {
	case len(what) == 3 && what[0] == "compare":
		return compare(os.Stdout, what[1], what[2])
	case len(what) == 2 && what[0] == "print":
		r, err := readReport(what[1])
		if err != nil {
			return err
		}
		r.print(os.Stdout)
		return o.keep(r)
	case len(what) == 0:
		flags.Usage()
		return errors.New("say what to measure")
	default:
		return o.measure(ctx, what)
	}
}

// choice is how it is measured.
type choice struct {
	rounds            int
	swaps             int    // of Tinyforge in a round of redeploy
	sizes             sizes  // of scale; none are the usual ones
	json, into        string // files
	cpuprofile, trace string // folders
}

// The folders of profiles, as Tinyforge's processes are told of them by the environment.
const (
	profileVariable = "TINYFORGE_TEST_CPUPROFILE"
	traceVariable   = "TINYFORGE_TEST_TRACE"
)

// profiled tells whether there is such a folder.
func profiled() bool { return os.Getenv(profileVariable)+os.Getenv(traceVariable) != "" }

// announce tells Tinyforge's processes where their profiles go.
func (o choice) announce() error {
	for variable, folder := range map[string]string{profileVariable: o.cpuprofile, traceVariable: o.trace} {
		if folder == "" {
			continue
		}
		path, err := filepath.Abs(folder)
		if err == nil {
			err = os.MkdirAll(path, 0o700)
		}
		if err == nil {
			err = os.Setenv(variable, path)
		}
		if err != nil {
			return fmt.Errorf("make folder of profiles: %w", err)
		}
	}
	return nil
}

// times is the number of rounds.
func (o choice) times(usual int) int {
	if o.rounds > 0 {
		return o.rounds
	}
	return usual
}

// measurement is a part of the bench. It gives its works to done as they are finished.
type measurement struct {
	name string
	run  func(ctx context.Context, o choice, s *stage, done func(work)) error
}

func measurements() []measurement {
	return []measurement{
		{"proxy", measureProxy},
		{"redeploy", measureRedeploy},
		{"restart", measureRestart},
		{"push", measurePush},
		{"webhook", measureWebhook},
		{"growth", measureGrowth},
		{"memory", measureMemory},
		{scaleName, measureScale},
	}
}

func names() (list []string) {
	for _, m := range measurements() {
		list = append(list, m.name)
	}
	return list
}

func (o choice) measure(ctx context.Context, what []string) error {
	if len(what) == 1 && what[0] == "all" {
		what = slices.DeleteFunc(names(), func(name string) bool { return name == scaleName }) // which takes as long as all others
	}
	r, err := newReport(ctx)
	if err != nil {
		return err
	}
	if err := o.announce(); err != nil {
		return err
	}
	for _, name := range what {
		i := indexOf(name)
		if i < 0 {
			return fmt.Errorf("there is no work %q: there are %s", name, strings.Join(names(), ", "))
		}
		s, err := newStage(ctx)
		if err != nil {
			return err
		}
		err = measurements()[i].run(ctx, o, s, func(w work) {
			fmt.Fprintf(os.Stderr, "%s  %s: measured\n", time.Now().Format(time.TimeOnly), w.Name)
			r.Works = append(r.Works, w)
		})
		s.close()
		if err != nil {
			r.print(os.Stdout) // what there is
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	r.print(os.Stdout)
	return o.keep(r)
}

// keep writes the report into the files that were named.
func (o choice) keep(r *report) error {
	if o.into != "" {
		if err := r.into(o.into); err != nil {
			return err
		}
	}
	if o.json == "" {
		return nil
	}
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(o.json, text, 0o644)
}

func indexOf(name string) int {
	for i, m := range measurements() {
		if m.name == name {
			return i
		}
	}
	return -1
}
