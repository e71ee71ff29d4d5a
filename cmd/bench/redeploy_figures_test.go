package main

import (
	"errors"
	"slices"
	"testing"
	"time"
)

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

func TestMixedIsFromGreensFirstAnswerOn(t *testing.T) {
	swaps := []swap{{version: 2, healthy: ms(100)}, {version: 3, healthy: ms(900)}}
	for _, c := range []struct {
		what   string
		visits []visit
		want   time.Duration
	}{
		{"nobody saw green", []visit{{sent: ms(105), done: ms(110), version: 1}}, 0},
		{"sent before green's first answer", []visit{{sent: ms(101), done: ms(103), version: 2}, {sent: ms(102), done: ms(140), version: 1}}, 0},
		{"sent after it", []visit{{sent: ms(101), done: ms(103), version: 2}, {sent: ms(104), done: ms(140), version: 1}}, ms(37)},
		{"failed after it", []visit{{sent: ms(101), done: ms(103), version: 2}, {sent: ms(104), done: ms(140), why: errors.New("reset")}}, 0},
		{"the second swap", []visit{{sent: ms(901), done: ms(903), version: 3}, {sent: ms(904), done: ms(910), version: 2}}, ms(7)},
	} {
		if got := mixed(c.visits, swaps); got != c.want {
			t.Errorf("%s: mixed for %s, want %s", c.what, got, c.want)
		}
	}
}

func TestDelaysOfASwapAreOfWhatWasUnderWay(t *testing.T) {
	visits := []visit{
		{sent: ms(10), done: ms(11), version: 1},
		{sent: ms(600), done: ms(602), version: 1},
		{sent: ms(998), done: ms(1001), version: 1},
		{sent: ms(1200), done: ms(1204), version: 2},
		{sent: ms(1201), done: ms(1206), version: 2},
		{sent: ms(1100), done: ms(1140), version: 2, kind: postKept},
		{sent: ms(1100), done: ms(1140), why: errors.New("reset")},
	}
	swapping, steady := delays(visits, []swap{{version: 2, healthy: ms(1000)}}, warmTime)
	if want := []float64{3, 4}; !slices.Equal(swapping, want) {
		t.Errorf("during the swap %v, want %v", swapping, want)
	}
	if want := []float64{2, 5}; !slices.Equal(steady, want) {
		t.Errorf("steady %v, want %v", steady, want)
	}
}

func TestAGoalOfNoneIsForEveryRound(t *testing.T) {
	w := work{}
	for _, failed := range []float64{0, 0, 1} {
		w.add(ours, "failed", "number", failed)
	}
	if _, met, err := w.reached(goal{Who: ours, Metric: "failed", None: true}); met || err != nil {
		t.Errorf("met %t (%v) although a round had a failure", met, err)
	}
}
