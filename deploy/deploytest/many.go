package deploytest

import (
	"flag"
	"testing"
)

// many is how many tests run at a time that mostly wait.
const many = "8"

// RunMany is what a TestMain returns to os.Exit whose tests wait for Docker, or for nginx, more than they compute: as many
// run at a time as that takes well, whatever the number of processors. What -parallel says holds.
func RunMany(m *testing.M) int {
	flag.Parse()
	said := false
	flag.Visit(func(f *flag.Flag) { said = said || f.Name == "test.parallel" })
	if !said {
		_ = flag.Set("test.parallel", many)
	}
	return m.Run()
}
