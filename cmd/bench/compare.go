package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
)

// compare sets what two runs say of Tinyforge beside each other: ratios to the same peer in the same run, and nothing else, since
// figures of two runs say nothing of each other.
func compare(out io.Writer, first, second string) error {
	a, err := readReport(first)
	if err != nil {
		return err
	}
	b, err := readReport(second)
	if err != nil {
		return err
	}
	if a.Machine.CPU != b.Machine.CPU || a.Machine.Cores != b.Machine.Cores {
		return fmt.Errorf("%s is of %s and %s of %s: even ratios differ from machine to machine, so measure both on one", first, a.Machine, second, b.Machine)
	}
	fmt.Fprintf(out, "Ratios of %s to the peers of the same run.\n\n| work | metric | %s | %s | change |\n|---|---|---|---|---|\n", ours, a.Commit, b.Commit)
	compared := 0
	for i := range a.Works {
		for j := range b.Works {
			if a.Works[i].Name == b.Works[j].Name {
				compared += compareWork(out, &a.Works[i], &b.Works[j])
			}
		}
	}
	if compared == 0 {
		return fmt.Errorf("%s and %s have no work in common that was measured against a peer", first, second)
	}
	return nil
}

func compareWork(out io.Writer, a, b *work) (rows int) {
	_, metrics := a.names()
	for _, m := range metrics {
		was, err := a.ratio(ours, a.Base, m)
		if err != nil {
			continue
		}
		is, err := b.ratio(ours, b.Base, m)
		if err != nil || math.IsNaN(was.Median) || math.IsNaN(is.Median) { // none of both is no ratio
			continue
		}
		word := fmt.Sprintf("x %s", figure(is.Median/was.Median))
		if was.Least <= is.Most && is.Least <= was.Most {
			word += ", within the spread"
		}
		fmt.Fprintf(out, "| %s | %s | %s | %s | %s |\n", a.Name, m, was, is, word)
		rows++
	}
	return rows
}

var errNoWorks = errors.New("it tells of no work")

func readReport(file string) (*report, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	r := &report{}
	if err := json.Unmarshal(text, r); err != nil || len(r.Works) == 0 {
		return nil, fmt.Errorf("%s is no file that bench --json has written: %w", file, cmp.Or(err, errNoWorks))
	}
	return r, nil
}
