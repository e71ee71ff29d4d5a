package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// report is all that one run has measured.
type report struct {
	At       time.Time
	Commit   string // of Tinyforge
	Machine  machine
	Versions map[string]string // of who was measured, by name
	Works    []work
}

// work is one kind of work, done by several side by side: in each round by each of them in turn.
type work struct {
	Name   string
	Text   string // what was done, for people
	Base   string // to whom the others are compared
	Series []series
	Goals  []goal
	Curve  bool // each of them is a size: a row of the table is a figure, and a column a size
}

// series is one figure of one of them: a value for each round.
type series struct {
	Who, Metric, Unit string
	Values            []float64
}

// goal is a ratio to the base, or a value, that is to be reached.
type goal struct {
	Who, Metric string
	To          string  // of whom the ratio is; "" means that the figure itself is bound
	AtLeast     float64 // 0 for none
	AtMost      float64 // likewise
	None        bool    // 0 in every round
}

// add notes the value of the next round.
func (w *work) add(who, metric, unit string, value float64) {
	for i, s := range w.Series {
		if s.Who == who && s.Metric == metric {
			w.Series[i].Values = append(s.Values, value)
			return
		}
	}
	w.Series = append(w.Series, series{who, metric, unit, []float64{value}})
}

// remarks begin so in the text.
const remarks = "\n- "

// remark adds one to the text, unless there is one already that begins so.
func (w *work) remark(begin, rest string) {
	if begin = remarks + begin; !strings.Contains(w.Text, begin) {
		w.Text += begin + rest
	}
}

func (w *work) values(who, metric string) []float64 {
	for _, s := range w.Series {
		if s.Who == who && s.Metric == metric {
			return s.Values
		}
	}
	return nil
}

// unit is that of a metric.
func (w *work) unit(metric string) string {
	for _, s := range w.Series {
		if s.Metric == metric {
			return s.Unit
		}
	}
	return ""
}

// names are who was measured, and the metrics, in the order in which they came.
func (w *work) names() (who, metrics []string) {
	for _, s := range w.Series {
		if !slices.Contains(who, s.Who) {
			who = append(who, s.Who)
		}
		if !slices.Contains(metrics, s.Metric) {
			metrics = append(metrics, s.Metric)
		}
	}
	return who, metrics
}

// ratio pairs the rounds of two. It refuses what was not run side by side.
func (w *work) ratio(who, to, metric string) (spread, error) {
	a, b := w.values(who, metric), w.values(to, metric)
	if len(a) == 0 || len(a) != len(b) {
		return spread{}, fmt.Errorf("%s: %s of %s and of %s were not measured side by side: %d and %d rounds", w.Name, metric, who, to, len(a), len(b))
	}
	ratios := make([]float64, len(a))
	for i := range a {
		ratios[i] = a[i] / b[i]
	}
	return spreadOf(ratios), nil
}

// reached tells how a goal was met.
func (w *work) reached(g goal) (got spread, met bool, err error) {
	if g.To != "" {
		got, err = w.ratio(g.Who, g.To, g.Metric)
	} else if values := w.values(g.Who, g.Metric); len(values) > 0 {
		got = spreadOf(values)
	} else {
		err = fmt.Errorf("%s: %s of %s was not measured", w.Name, g.Metric, g.Who)
	}
	met = err == nil && (!g.None || got.Least == 0 && got.Most == 0) && (g.AtLeast == 0 || got.Median >= g.AtLeast) && (g.AtMost == 0 || got.Median <= g.AtMost)
	return got, met, err
}

// spread is the median of the rounds, with the least and the most.
type spread struct{ Median, Least, Most float64 }

func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{math.NaN(), math.NaN(), math.NaN()}
	}
	return spread{percentile(values, 50), slices.Min(values), slices.Max(values)}
}

// percentile is the p-th of values, by the nearest two.
func percentile(values []float64, p float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	at := p / 100 * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (sorted[high]-sorted[low])*(at-float64(low))
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
