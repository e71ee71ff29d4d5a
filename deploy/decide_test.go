package deploy

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func allFacts() (all []facts) {
	for _, w := range []work{workNone, workInPlace, workLed, workBeside} {
		for _, deleted := range []bool{false, true} {
			for _, row := range []bool{false, true} {
				for _, runs := range []runs{runsNot, runsOther, runsSo} {
					if row || runs == runsNot {
						all = append(all, facts{deleted, row, runs, w})
					}
				}
			}
		}
	}
	return all
}

var (
	allVerbs   = []routesVerb{routesLeave, routesFill, routesHold, routesPoint, routesClear, routesDelete}
	allTargets = []target{targetAbsent, targetNobody, targetLive, targetMoved, targetAnother, targetForeign}
)

// TestDecideIsItsTable reads the table in the comment: every combination of facts stands there once, and decide does it.
func TestDecideIsItsTable(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("decide.go")
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	row := regexp.MustCompile(`(?m)^//\t(yes|no) +(one|none|in place|led|beside) +(any|yes|no) +(any|runs|otherwise|does not|-) +(leave|fill|hold|point|clear|delete) +(leave|start|-) +(leave|remove)\b`)
	lines := row.FindAllStringSubmatch(string(text), -1)
	for _, f := range allFacts() {
		a := decide(f)
		i := slices.IndexFunc(lines, func(c []string) bool { return describes(c, f) })
		if i < 0 {
			t.Errorf("%+v is not in the table", f)
			continue
		}
		c := lines[i]
		used[c[0]] = true
		if want := (action{routesVerb(c[5]), c[6] == "start", c[7] == "remove"}); a != want {
			t.Errorf("%+v: decided %+v, and the table says %+v", f, a, want)
		}
	}
	if len(used) != len(lines) || len(lines) < 14 {
		t.Errorf("%d of %d lines of the table were used", len(used), len(lines))
	}
}

func describes(c []string, f facts) bool {
	is := func(cell, what string) bool { return cell == what || cell == "any" }
	yes := map[bool]string{true: "yes", false: "no"}
	inProgress := c[2] == string(f.work) || c[2] == "one" && f.work != workNone
	return c[1] == yes[f.deleted] && inProgress && is(c[3], yes[f.row]) && (c[4] == "-" && !f.row || is(c[4], string(f.runs)))
}

// TestDecideKeepsTheLaws, for every combination of facts.
func TestDecideKeepsTheLaws(t *testing.T) {
	t.Parallel()
	for _, f := range allFacts() {
		a := decide(f)
		leads := a.routes == routesPoint || a.routes == routesFill
		for law, broken := range map[string]bool{
			"nothing is removed while a deployment is in progress":      a.remove && f.work != workNone,
			"nothing is cleared or deleted while one is":                f.work != workNone && (a.routes == routesClear || a.routes == routesDelete),
			"what is deleted is started by nobody, and led to":          f.deleted && (a.start || leads),
			"only what the row names is started, when it does not run":  a.start && (!f.row || f.runs == runsSo),
			"no route leads to what does not run":                       leads && f.runs == runsNot && !a.start,
			"nothing but what the row names is led to":                  leads && !f.row,
			"what may be scaled on purpose stays so":                    a.start && f.runs == runsOther && f.work != workNone,
			"requests wait for what served before alone":                a.routes == routesHold && !f.row,
			"what is stopped on purpose stays so":                       a.start && f.work == workInPlace,
			"another living process moves its routes, and starts its R": f.work == workLed && (a.start || a.routes == routesPoint),
		} {
			if broken {
				t.Errorf("%+v: %+v: %s", f, a, law)
			}
		}
	}
	for _, at := range allTargets {
		for _, v := range allVerbs {
			does := decideRoute(v, at)
			elsewhere := at == targetAnother || at == targetForeign || at == targetLive
			if (v == routesFill || v == routesHold) && elsewhere && does != routeLeave {
				t.Errorf("%s: a route to %s is changed: %s", v, at, does)
			}
			if v == routesPoint && does != routeLive {
				t.Errorf("a route to %s is not led to what serves", at)
			}
		}
	}
}

// model is a workload as decide sees it, of which everything works.
type model struct {
	facts
	routed  target
	others  bool
	removed bool // R, too
}

func (m model) pass() model {
	a := decide(m.facts)
	if a.start {
		m.runs = runsSo
	}
	switch {
	case a.routes == routesClear:
		m.routed = targetNobody
	case a.routes == routesDelete:
		m.routed, m.removed, m.row, m.runs = targetAbsent, true, false, runsNot
	case decideRoute(a.routes, m.routed) == routeLive:
		m.routed = targetLive
	}
	m.others = m.others && !a.remove
	return m
}

// TestPassesConverge: one pass makes a workload with nothing in progress what its row says, and the next changes nothing.
func TestPassesConverge(t *testing.T) {
	t.Parallel()
	for _, f := range allFacts() {
		for _, at := range allTargets {
			before := model{facts: f, routed: at, others: true}
			once := before.pass()
			if twice := once.pass(); twice != once {
				t.Errorf("%+v: %+v after a pass, and %+v after another", before, once, twice)
			}
			want := targetNobody
			switch {
			case f.work != workNone:
				continue
			case f.deleted:
				want = targetAbsent
			case f.row:
				want = targetLive
			}
			if once.others || once.routed != want || !f.deleted && f.row != (once.runs == runsSo) {
				t.Errorf("%+v: %+v after a pass, want routes to %s", before, once, want)
			}
		}
	}
}

func TestWhereARoutePoints(t *testing.T) {
	t.Parallel()
	live := Upstream{Name: "tf-web-7", Addr: "10.0.0.7:80", Port: 80}
	p := &patient{}
	p.w.Name = "web"
	for current, want := range map[Upstream]target{
		{}:                              targetNobody,
		live:                            targetLive,
		{Name: "tf-web-7", Port: 80}:    targetLive, // proxies that know names alone
		{Addr: "10.0.0.7:80", Port: 80}: targetLive, // or addresses
		{Name: "tf-web-7", Addr: "10.0.0.3:80", Port: 80}: targetMoved,
		{Name: "tf-web-6", Addr: "10.0.0.7:80", Port: 80}: targetAnother,
		{Name: "tf-web-2-6", Addr: "10.0.0.6:80"}:         targetForeign, // another workload's
		{Name: "somebody", Addr: "10.0.0.9:80"}:           targetForeign,
		{Addr: "10.0.0.9:80"}:                             targetForeign,
	} {
		if got := targetOf(current, live, p.made); got != want {
			t.Errorf("%+v is %s, want %s", current, got, want)
		}
	}
	if got := targetOf(live, Upstream{}, p.made); got != targetAnother {
		t.Errorf("the route of what does not run leads to %s", got)
	}
	if names := strings.Join([]string{fmt.Sprint(p.made("web")), fmt.Sprint(p.made("tf-web-")), fmt.Sprint(p.made("tf-web-07"))}, " "); names != "false false false" {
		t.Errorf("made: %s", names)
	}
}
