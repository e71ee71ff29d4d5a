package db

import (
	"strings"
	"testing"
)

func TestOrder(t *testing.T) {
	last := Delivery{Before: "a", After: "b", Accepted: true}
	for _, c := range []struct {
		name          string
		before, after string
		touching      []Delivery
		refusal       string
	}{
		{"goes on", "b", "c", []Delivery{last}, ""},
		{"goes back", "b", "a", []Delivery{last}, ""},
		{"deleted", "b", "000", []Delivery{last}, ""},
		{"the same", "a", "b", []Delivery{last}, "already delivered: b is what this ref was last moved to"},
		{"the same from elsewhere", "x", "b", []Delivery{last}, "already delivered: b is what this ref was last moved to"},
		{"known", "c", "d", []Delivery{{Before: "c", After: "d", Accepted: true}}, "already delivered, and the ref has moved on since"},
		{"known, but refused", "c", "d", []Delivery{{Before: "c", After: "d"}}, "already delivered, and the ref has moved on since"},
		{"known creation", "", "a", []Delivery{last, {Before: "000", After: "a", Accepted: true}},
			"already delivered, and the ref has moved on since"},
		{"arrives where it left", "x", "a", []Delivery{last}, "older than what was already delivered for this ref"},
		{"arrives where it came and left", "x", "a", []Delivery{last, {Before: "y", After: "a", Accepted: true}}, ""},
		{"leaves what it never left", "x", "y", []Delivery{{Before: "w", After: "x", Accepted: true}},
			"older than what was already delivered for this ref"},
		{"leaves what it left late", "x", "y", []Delivery{{Before: "w", After: "x"}}, "older than what was already delivered for this ref"},
		{"leaves what it left", "a", "y", []Delivery{last, {Before: "", After: "a", Accepted: true}}, ""},
		{"from nowhere", "x", "y", nil, ""},
		{"created elsewhere", "", "y", []Delivery{{Before: "000", After: "a", Accepted: true}}, ""},
		{"deleted late", "x", "", []Delivery{{Before: "w", After: "x", Accepted: true}}, "older than what was already delivered for this ref"},
	} {
		if got := order(last, Delivery{Before: c.before, After: c.after}, c.touching); got != c.refusal {
			t.Errorf("%s: got %q, want %q", c.name, got, c.refusal)
		}
	}
	deleted := Delivery{Before: "a", After: strings.Repeat("0", 64), Accepted: true}
	if got := order(deleted, Delivery{Before: strings.Repeat("0", 40), After: "a"}, []Delivery{deleted}); got != "" {
		t.Errorf("made again: %q", got)
	}
}
