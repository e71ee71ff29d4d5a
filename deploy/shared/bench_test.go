package shared_test

import (
	"fmt"
	"testing"

	"tinyforge/deploy"
)

// BenchmarkSwap is what a move of a route costs, with the drain of what it led to: of the local table alone, and over the rows.
func BenchmarkSwap(b *testing.B) {
	swap := func(b *testing.B, router deploy.Router) {
		ups := []deploy.Upstream{blue, green}
		i := 0
		for b.Loop() {
			if err := router.Upsert(b.Context(), rt, ups[i%2]); err != nil {
				b.Fatal(err)
			}
			if i++; i > 1 {
				if err := router.Drain(b.Context(), rt, ups[i%2]); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	for _, n := range []int{1, 2, 3} {
		b.Run(fmt.Sprintf("processes=%d", n), func(b *testing.B) {
			g := newGroup(b, n)
			swap(b, g.members[0])
		})
	}
	b.Run("local", func(b *testing.B) { swap(b, newGroup(b, 1).members[0].local) })
}
