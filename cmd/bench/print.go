package main

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// columns is how long a line of text may be; tables cannot be cut into lines.
const columns = 130

// print writes a report as Markdown: the machine, the versions, the summary, and a table for each work with its goals.
func (r *report) print(out io.Writer) {
	r.printHead(out)
	for i := range r.Works {
		r.Works[i].print(out)
		r.Works[i].printGoals(out)
	}
}

// printScale writes how far it goes, for the section of the README that says what that means.
func (r *report) printScale(out io.Writer) {
	fmt.Fprintf(out, "%s\n", wrap(fmt.Sprintf("%s, Tinyforge %s, on %s; PostgreSQL %s.", r.At.Format("2 January 2006"), r.Commit, r.Machine, r.Versions["PostgreSQL"])))
	for i := range r.Works {
		r.Works[i].print(out)
	}
	fmt.Fprintln(out)
}

// printReadme writes it for people who want to know how fast it is: with the tables folded, and without goals, which are for us.
func (r *report) printReadme(out io.Writer) {
	r.printHead(out)
	fmt.Fprint(out, "\n<details>\n<summary>All tables</summary>\n")
	for i := range r.Works {
		r.Works[i].print(out)
	}
	fmt.Fprint(out, "\n</details>\n")
}

func (r *report) printHead(out io.Writer) {
	fmt.Fprintf(out, "%s\n", wrap(fmt.Sprintf("%s, Tinyforge %s, on %s.", r.At.Format("2 January 2006"), r.Commit, r.Machine)))
	r.printSummary(out)
	var versions []string
	for _, who := range slices.Sorted(maps.Keys(r.Versions)) {
		versions = append(versions, who+" "+r.Versions[who])
	}
	fmt.Fprintf(out, "\n%s\n", wrap("Versions: "+strings.Join(versions, "; ")+"."))
}

// wrap breaks a text into lines where it has spaces.
func wrap(text string) string {
	var b strings.Builder
	length := 0
	for _, word := range strings.Fields(text) {
		size := utf8.RuneCountInString(word)
		switch {
		case length == 0:
		case length+1+size > columns:
			b.WriteByte('\n')
			length = 0
		default:
			b.WriteByte(' ')
			length++
		}
		b.WriteString(word)
		length += size
	}
	return b.String()
}

func (w *work) print(out io.Writer) {
	who, metrics := w.names()
	text, list, _ := strings.Cut(w.Text, remarks)
	fmt.Fprintf(out, "\n%s\n\n", wrap(fmt.Sprintf("**%s.** %s", w.Name, text)))
	for remark := range strings.SplitSeq(list, remarks) {
		if remark != "" {
			fmt.Fprintf(out, "- %s\n", wrap(remark))
		}
	}
	if list != "" {
		fmt.Fprintln(out)
	}
	if w.Curve {
		w.printCurve(out)
		return
	}
	head, line := "| |", "|---|"
	for _, m := range metrics {
		head += fmt.Sprintf(" %s, %s |", m, w.unit(m))
		line += "---|"
		if w.compares(m) {
			head += " x " + w.Base + " |"
			line += "---|"
		}
	}
	fmt.Fprintln(out, head)
	fmt.Fprintln(out, line)
	for _, name := range who {
		fmt.Fprintf(out, "| %s |", name)
		for _, m := range metrics {
			fmt.Fprintf(out, " %s |", spreadOf(w.values(name, m)))
			if w.compares(m) {
				text := ""
				if ratio, err := w.ratio(name, w.Base, m); err == nil && name != w.Base {
					text = ratio.String()
				}
				fmt.Fprintf(out, " %s |", text)
			}
		}
		fmt.Fprintln(out)
	}
}

// printCurve writes the figures of each size beside each other, and last how often that of the smallest the largest's is.
func (w *work) printCurve(out io.Writer) {
	who, metrics := w.names()
	if len(who) == 0 {
		return
	}
	fmt.Fprintf(out, "| | %s | %s / %s |\n|---|%s---|\n", strings.Join(who, " | "), who[len(who)-1], w.Base, strings.Repeat("---|", len(who)))
	for _, m := range metrics {
		fmt.Fprintf(out, "| %s, %s |", m, w.unit(m))
		for _, name := range who {
			fmt.Fprintf(out, " %s |", spreadOf(w.values(name, m)))
		}
		text := ""
		if ratio, err := w.ratio(who[len(who)-1], w.Base, m); err == nil && len(who) > 1 && w.middle(w.Base, m) != 0 {
			text = ratio.String()
		}
		fmt.Fprintf(out, " %s |\n", text)
	}
}

// compares tells whether somebody has a ratio of a metric to the base.
func (w *work) compares(metric string) bool {
	who, _ := w.names()
	return w.Base != "" && len(w.values(w.Base, metric)) > 0 && slices.ContainsFunc(who, func(name string) bool {
		return name != w.Base && len(w.values(name, metric)) > 0
	})
}

func (w *work) printGoals(out io.Writer) {
	for i, g := range w.Goals {
		if i == 0 {
			fmt.Fprintln(out)
		}
		got, met, err := w.reached(g)
		word := "not met"
		switch {
		case err != nil:
			fmt.Fprintf(out, "- goal: %s: %v\n", g, err)
			continue
		case met:
			word = "met"
		}
		fmt.Fprintf(out, "- goal: %s: %s, %s\n", g, got, word)
	}
}

func (g goal) String() string {
	text := g.Who + ", " + g.Metric
	bound := ""
	if g.AtLeast != 0 {
		bound += " >= " + figure(g.AtLeast)
	}
	if g.AtMost != 0 {
		bound += " <= " + figure(g.AtMost)
	}
	if g.None {
		bound += " = 0"
	}
	if g.To != "" {
		bound += " x " + g.To
	}
	return text + bound
}

// String writes the median, and the least and the most in brackets where they differ.
func (s spread) String() string {
	switch {
	case math.IsNaN(s.Median):
		return ""
	case figure(s.Least) == figure(s.Most):
		return figure(s.Median)
	}
	return fmt.Sprintf("%s (%s–%s)", figure(s.Median), figure(s.Least), figure(s.Most))
}

// figure has three digits that count.
func figure(x float64) string {
	switch size := math.Abs(x); {
	case size >= 100:
		return strconv.FormatFloat(x, 'f', 0, 64)
	case size >= 10:
		return strconv.FormatFloat(x, 'f', 1, 64)
	case size == 0:
		return "0"
	case size < 0.1:
		return strconv.FormatFloat(x, 'g', 2, 64)
	}
	return strconv.FormatFloat(x, 'f', 2, 64)
}
