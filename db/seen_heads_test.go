package db_test

import (
	"testing"
	"time"
)

func TestFirstSeenStays(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		old := time.Now().Add(-time.Hour)
		seen := func(ref, commit string, since time.Time) string {
			t.Helper()
			first, err := f.FirstSeen(t.Context(), f.repo.ID, ref, commit, since)
			f.check(err)
			return first
		}
		same(t, seen("refs/heads/main", "A", old), "A")
		same(t, seen("refs/heads/main", "B", old), "A")
		same(t, seen("refs/heads/next", "C", old), "C")
		same(t, seen("refs/heads/main", "B", time.Now().Add(time.Minute)), "B") // nobody followed it when it was seen
		same(t, seen("refs/heads/main", "D", old), "B")
	})
}
