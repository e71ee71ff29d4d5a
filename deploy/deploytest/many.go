package deploytest

import (
	"flag"
	"testing"
)

// RunMany is m.Run for tests that wait for Docker, nginx or limits more than they compute: as many run at a time as these take
// well, whatever the number of processors. What -parallel says holds.
func RunMany(m *testing.M) int {
	_ = flag.Set("test.parallel", "6") // the command line is read later
	return m.Run()
}
