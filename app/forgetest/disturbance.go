package forgetest

import (
	"errors"
	"math/rand/v2"
)

// ErrDropped is why a delivery got no answer that a Disturbance dropped.
var ErrDropped = errors.New("dropped on its way")

// Disturbance is what befalls deliveries on their way, each with a probability.
type Disturbance struct {
	Drop      float64 // it never arrives
	Duplicate float64 // it is sent once more: see Redeliver
	Reorder   float64 // another one that waits is sent before it
	Seed      uint64
}

// Disturb has deliveries disturbed from now on, those that wait already too. The zero Disturbance ends it.
func (s *Server) Disturb(d Disturbance) { s.sender.disturb(d) }

// trouble is a Disturbance that happens.
type trouble struct {
	Disturbance
	random *rand.Rand
}

func newTrouble(d Disturbance) trouble {
	return trouble{d, rand.New(rand.NewPCG(d.Seed, 1))} //nolint:gosec // to be the same each time
}

func (t trouble) drops() bool      { return t.Drop > 0 && t.random.Float64() < t.Drop }
func (t trouble) duplicates() bool { return t.Duplicate > 0 && t.random.Float64() < t.Duplicate }

// pick returns which of n that wait is next.
func (t trouble) pick(n int) int {
	if t.Reorder > 0 && t.random.Float64() < t.Reorder {
		return t.random.IntN(n)
	}
	return 0
}
