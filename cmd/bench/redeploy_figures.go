package main

import "time"

// swap is one change from a release to the next. Its times are since the load began.
type swap struct {
	version int64         // of the new release, green; the old one, blue, has the version before
	healthy time.Duration // when green had answered the check
	first   time.Duration // when the first request came to green
	command time.Duration // how long it took to tell the contender
	killed  time.Duration // when blue was
}

// swapTime is for how long after green was healthy a request belongs to a swap and not to the steady time.
const swapTime = 200 * time.Millisecond

// failures counts the visits that failed, and returns why the first one did.
func failures(visits []visit) (failed int, first error) {
	at := time.Duration(0)
	for _, v := range visits {
		if v.why == nil {
			continue
		}
		if failed++; first == nil || v.sent < at {
			first, at = v.why, v.sent
		}
	}
	return failed, first
}

// mixed is the longest time in a swap in which the answers of two releases were mixed: from the first answer of green until the
// last answer of an older release to a request that was sent after that first answer. 0 means that no visitor who knew of green's
// answer could have met blue.
func mixed(visits []visit, swaps []swap) (longest time.Duration) {
	for _, s := range swaps {
		first := time.Duration(-1)
		for _, v := range visits {
			if v.version == s.version && (first < 0 || v.done < first) {
				first = v.done
			}
		}
		if first < 0 {
			continue
		}
		for _, v := range visits {
			if v.why == nil && v.version < s.version && v.sent > first {
				longest = max(longest, v.done-first)
			}
		}
	}
	return longest
}

// delays are how long the GETs were answered that were under way in a swap, and those of the steady time, in milliseconds. What was
// sent before warm is left out, and what failed.
func delays(visits []visit, swaps []swap, warm time.Duration) (swapping, steady []float64) {
	for _, v := range visits {
		if v.kind == postKept || v.why != nil || v.sent < warm {
			continue
		}
		during := false
		for _, s := range swaps {
			during = during || v.done >= s.healthy && v.sent <= s.healthy+swapTime
		}
		if during {
			swapping = append(swapping, milliseconds(v.done-v.sent))
		} else {
			steady = append(steady, milliseconds(v.done-v.sent))
		}
	}
	return swapping, steady
}

// longestWait is that of a visit, without what the program itself takes.
func longestWait(visits []visit) (longest time.Duration) {
	for _, v := range visits {
		wait := v.done - v.sent
		if v.kind == postKept {
			wait -= slowTime
		}
		longest = max(longest, wait)
	}
	return longest
}
