package source

import (
	"fmt"

	"tinyforge/db"
	"tinyforge/deploy/shorten"
)

// ValidateStrategy checks a deploy_strategy; the error names those that are allowed.
func ValidateStrategy(s string) error {
	switch s {
	case "", string(db.Recreate), string(db.BlueGreen):
		return nil
	default:
		return fmt.Errorf("unknown strategy %q: use %q or %q, or leave it empty for the default",
			shorten.Typed(s), db.Recreate, db.BlueGreen)
	}
}

// effectiveStrategy returns what the deploy_strategy of a valid config means. byDefault is the source kind's default:
// blue-green for images, recreate for all others. Whatever the kind, a release that writes to a volume defaults to
// recreate, since blue-green would mount the volume into two containers at once.
// why says so where that changes the default.
func effectiveStrategy(c *common, byDefault db.Strategy) (s db.Strategy, why string) {
	if c.DeployStrategy != "" {
		return db.Strategy(c.DeployStrategy), ""
	}
	if v := writable(c.Volumes); v != nil && byDefault != db.Recreate {
		return db.Recreate, fmt.Sprintf("the volume %q is writable, and %s would mount it into two containers at once",
			shorten.Typed(v.Name), byDefault)
	}
	return byDefault, ""
}

func checkStrategy(c *common) Faults {
	if err := ValidateStrategy(c.DeployStrategy); err != nil {
		return Faults{{"deploy_strategy", err.Error()}}
	}
	if v := writable(c.Volumes); v != nil && c.DeployStrategy == string(db.BlueGreen) {
		return Faults{{"deploy_strategy", fmt.Sprintf("blue-green would mount the writable volume %q into two containers "+
			"at once: use %q, or make the volume read_only", shorten.Typed(v.Name), db.Recreate)}}
	}
	return nil
}
