package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"
)

// print writes what happened and returns what should not have.
func print(out io.Writer, results []result, traffic *load, serves string) (faults []string) {
	expect := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Sprintf(format, args...))
		}
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\npush\tcommit\tlast status\tafter push\tsays")
	want := []string{"success", "success", "failure"}
	for i, r := range results {
		last := r.last()
		fmt.Fprintf(w, "version %d\t%s\t%s\t%.1f s\t%s\n", r.version, r.commit[:7], last.State, r.took.Seconds(), last.Description)
		expect(last.State == want[i], "version %d ended in %q, not %q", r.version, last.State, want[i])
		expect(last.Context == "tinyforge", "a status has the context %q", last.Context)
	}
	fmt.Fprintf(w, "\npushes\t%d\n", len(results))
	fmt.Fprintf(w, "requests sent\t%d\n", traffic.sent.Load())
	fmt.Fprintf(w, "requests failed\t%d\n", traffic.failed.Load())
	fmt.Fprintf(w, "slowest answer\t%s (one in six visitors asks for 150 ms)\n", time.Duration(traffic.slowest.Load()).Round(time.Millisecond))
	fmt.Fprintf(w, "serves\t%s\n", serves)
	_ = w.Flush()
	for _, kind := range slices.Sorted(maps.Keys(traffic.first)) {
		fmt.Fprintf(out, "  %d x %s\n", traffic.first[kind], kind)
	}
	expect(traffic.sent.Load() > 200, "only %d requests were sent", traffic.sent.Load())
	expect(traffic.failed.Load() == 0, "%d requests failed", traffic.failed.Load())
	expect(serves == "version 2", "%q serves, not version 2", serves)
	return faults
}
