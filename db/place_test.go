package db_test

import "testing"

// TestPlace: all who open a database name one place, and no other database is there.
func TestPlace(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for range 2 {
		for _, address := range current.Databases(t) {
			f := newFixture(t, address)
			place, err := f.Place(t.Context())
			f.check(err)
			if again, err := f.again().Place(t.Context()); err != nil || again != place || place == "" {
				t.Errorf("it is %q, then %q, %v", place, again, err)
			}
			if other, taken := seen[place]; taken {
				t.Errorf("%s and %s are at %s", other, address, place)
			}
			seen[place] = address
		}
	}
}
