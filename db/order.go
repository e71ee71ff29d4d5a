package db

import (
	"slices"
	"strings"
)

// order judges a push by the last accepted one of its ref and by all earlier deliveries of the ref that begin or end
// where it does. It returns why the push must not move anything, or "".
//
// Deliveries come twice (an organisation's hook and a repository's), late and out of order, and a forge's replay button
// sends an old one under a new id; on the other hand some never come, and a branch may be pushed forward, back and forward
// again. A push that goes on from where the ref is always moves it. Any other is refused only for a reason that is known.
func order(last, del Delivery, touching []Delivery) (refusal string) {
	switch {
	case sameHash(del.After, last.After):
		return "already delivered: " + short(del.After) + " is what this ref was last moved to"
	case sameHash(del.Before, last.After):
		return ""
	case slices.ContainsFunc(touching, del.sameMove):
		return "already delivered, and the ref has moved on since"
	case late(del, touching):
		return "older than what was already delivered for this ref"
	}
	return ""
}

// late tells whether del fills a hole in what is known. A ref leaves each commit as often as it comes to it, but for the
// one where it is, at which del neither begins nor ends: where the ref came to del.Before and is not known to have left it,
// or left del.After and is not known to have come to it, del is that missing move.
func late(del Delivery, touching []Delivery) bool {
	balance := map[string]int{} // times come to less times left
	for _, move := range distinct(touching) {
		balance[move.After]++
		balance[move.Before]--
	}
	leaves := !isZero(del.Before) && balance[del.Before] > 0
	arrives := !isZero(del.After) && balance[del.After] < 0
	return leaves || arrives
}

// distinct leaves out the duplicates: what was refused although it was known.
func distinct(deliveries []Delivery) (moves []Delivery) {
	for _, del := range deliveries {
		if del.Accepted {
			moves = append(moves, del)
		}
	}
	for _, del := range deliveries {
		if !del.Accepted && !slices.ContainsFunc(moves, del.sameMove) {
			moves = append(moves, del)
		}
	}
	return moves
}

// touches tells whether a push begins or ends where another does.
func (del Delivery) touches(other Delivery) bool {
	return del.Before == other.Before || del.Before == other.After || del.After == other.Before || del.After == other.After
}

func (del Delivery) sameMove(other Delivery) bool {
	return sameHash(del.Before, other.Before) && sameHash(del.After, other.After)
}

func sameHash(a, b string) bool { return a == b || isZero(a) && isZero(b) }

// isZero tells whether a hash means "no commit".
func isZero(hash string) bool { return strings.Trim(hash, "0") == "" }

func short(hash string) string { return hash[:min(7, len(hash))] }
