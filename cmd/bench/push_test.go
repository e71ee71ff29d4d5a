package main

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"tinyforge/db"
)

func TestCovered(t *testing.T) {
	at := func(ms int) time.Time { return time.UnixMilli(1_000_000 + int64(ms)) }
	spans := func(pairs ...int) (list []span) {
		for i := 0; i < len(pairs); i += 2 {
			list = append(list, span{at(pairs[i]), at(pairs[i+1])})
		}
		return list
	}
	for name, tt := range map[string]struct {
		spans []span
		want  int // of 0 to 100
	}{
		"none":                {nil, 0},
		"apart":               {spans(10, 20, 30, 45), 25},
		"overlapping":         {spans(10, 30, 20, 40), 30},
		"one within another":  {spans(10, 50, 20, 30, 45, 60), 50},
		"not in order":        {spans(30, 40, 0, 10), 20},
		"before and after":    {spans(-50, -10, 110, 120), 0},
		"across the ends":     {spans(-50, 10, 90, 120), 20},
		"longer than all":     {spans(-1, 101), 100},
		"twice the same":      {spans(10, 20, 10, 20), 10},
		"touching each other": {spans(10, 20, 20, 30), 20},
	} {
		if got := covered(tt.spans, at(0), at(100)); got != time.Duration(tt.want)*time.Millisecond {
			t.Errorf("%s: %s, want %d ms", name, got, tt.want)
		}
	}
}

func TestFetchTime(t *testing.T) {
	at := time.UnixMilli(1_000_000)
	lines := []db.LogLine{{Text: "Strategy blue-green: as asked"}, {Text: "Fetched acme/hello at 0123abcd in 41ms", At: at}, {Text: "Built sha256:12"}}
	if got, err := fetchOf(lines); got != (span{at.Add(-41 * time.Millisecond), at}) || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := fetchOf(lines[2:]); err == nil {
		t.Error("a log without a fetch is no error")
	}
}

func TestPhaseTimes(t *testing.T) {
	sent := time.UnixMilli(1_000_000)
	p := pushed{sent: sent, dep: db.Deployment{Entered: []db.Entered{
		{Phase: db.PhaseBuilding, At: sent.Add(3 * time.Millisecond)},
		{Phase: db.PhaseStarting, At: sent.Add(103 * time.Millisecond)},
		{Phase: db.PhaseLive, At: sent.Add(110 * time.Millisecond)}}}}
	want := []phaseTime{{db.PhaseQueued, 3 * time.Millisecond}, {db.PhaseBuilding, 100 * time.Millisecond}, {db.PhaseStarting, 7 * time.Millisecond}}
	got := p.times()
	if len(got) != len(want) {
		t.Fatalf("got %v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got %v, want %v", got[i], want[i])
		}
	}
}

func TestCaddyWithRoutes(t *testing.T) {
	config, err := new(stage).caddyConfig("127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", "127.0.0.1:4")
	if err != nil {
		t.Fatal(err)
	}
	if config, err = withRoutes(config, 3); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Apps struct {
			HTTP struct {
				Servers map[string]struct {
					Routes []struct {
						ID    string                    `json:"@id"`
						Match []struct{ Host []string } `json:"match"`
					} `json:"routes"`
				} `json:"servers"`
			} `json:"http"`
		} `json:"apps"`
	}
	if err := json.Unmarshal(config, &got); err != nil {
		t.Fatal(err)
	}
	routes := got.Apps.HTTP.Servers["plain"].Routes
	if len(routes) != 3 {
		t.Fatalf("%d routes", len(routes))
	}
	for n, r := range routes {
		if r.ID != hostOf(n) || len(r.Match) != 1 || r.Match[0].Host[0] != hostOf(n) {
			t.Errorf("route %d is %+v", n, r)
		}
	}
}

func TestSwapsChangeSomething(t *testing.T) {
	for _, size := range []int{10, 1000, 100_000} {
		serves := map[string]string{}
		g := grown{name: "x", size: size, swap: nil}
		g.swap = func(_ context.Context, host, upstream string) error {
			if was, seen := serves[host]; was == upstream || !seen && upstream == "a" {
				t.Errorf("%d routes: %s is led to %s again", size, host, upstream)
			}
			serves[host] = upstream
			return nil
		}
		w := &work{}
		for round := range 5 {
			if err := g.round(t.Context(), w, [2]string{"a", "b"}, round); err != nil {
				t.Fatal(err)
			}
		}
	}
}
