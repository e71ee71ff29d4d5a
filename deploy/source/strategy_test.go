package source

import (
	"encoding/json"
	"strings"
	"testing"

	"tinyforge/db"
)

func TestS1_StrategyIsAFieldOfTheConfig(t *testing.T) {
	for _, kind := range kinds {
		var c struct{ common }
		for members, want := range map[string]string{
			``: "", `"deploy_strategy":""`: "", `"deploy_strategy":"recreate"`: "recreate", `"deploy_strategy":"blue-green"`: "blue-green",
		} {
			if err := newChecker().decode(json.RawMessage("{"+members+"}"), &c); err != nil {
				t.Fatal(err)
			}
			if c.DeployStrategy != want {
				t.Errorf("{%s} decodes to %q, want %q", members, c.DeployStrategy, want)
			}
			c.DeployStrategy = ""
			if err := kind.source.Validate(kind.config(members)); err != nil {
				t.Errorf("%s with %s: %v", kind.name, members, err)
			}
		}
	}
}

func TestS2_UnknownStrategyNamesTheAllowedOnes(t *testing.T) {
	for _, s := range []string{"", "recreate", "blue-green"} {
		if err := ValidateStrategy(s); err != nil {
			t.Errorf("ValidateStrategy(%q): %v", s, err)
		}
	}
	for _, s := range []string{"rolling", "Recreate", " recreate", "blue_green", "stack"} {
		err := ValidateStrategy(s)
		if err == nil || !strings.Contains(err.Error(), `"recreate"`) || !strings.Contains(err.Error(), `"blue-green"`) {
			t.Errorf("ValidateStrategy(%q): got %v, want an error that names both strategies", s, err)
			continue
		}
		asked, _ := json.Marshal(s)
		for _, kind := range kinds {
			wantFaults(t, kind.source.Validate(kind.config(`"deploy_strategy":`+string(asked))), Fault{"deploy_strategy", err.Error()})
		}
	}
}

func TestS3_EffectiveStrategy(t *testing.T) {
	const volume, readOnly = `"volumes":[{"name":"d","path":"/d"}]`, `"volumes":[{"name":"d","path":"/d","read_only":true}]`
	tests := []struct {
		members           string
		dockerfile, image db.Strategy
	}{
		{``, db.Recreate, db.BlueGreen},
		{`"deploy_strategy":""`, db.Recreate, db.BlueGreen},
		{`"deploy_strategy":"recreate"`, db.Recreate, db.Recreate},
		{`"deploy_strategy":"blue-green"`, db.BlueGreen, db.BlueGreen},
		{volume, db.Recreate, db.Recreate},
		{readOnly, db.Recreate, db.BlueGreen},
		{readOnly + `,"deploy_strategy":"blue-green"`, db.BlueGreen, db.BlueGreen},
	}
	for _, tt := range tests {
		for i, want := range []db.Strategy{tt.dockerfile, tt.image, tt.dockerfile} {
			got, _, err := kinds[i].source.Strategy(kinds[i].config(tt.members))
			if err != nil || got != want {
				t.Errorf("%s {%s}: got %q, %v, want %q", kinds[i].name, tt.members, got, err, want)
			}
		}
	}
}

func TestBlueGreenIsRefusedForAWritableVolume(t *testing.T) {
	const members = `"deploy_strategy":"blue-green","volumes":[{"name":"ro","path":"/ro","read_only":true},{"name":"data","path":"/d"}]`
	for _, kind := range kinds {
		wantFaults(t, kind.source.Validate(kind.config(members)), Fault{"deploy_strategy",
			`blue-green would mount the writable volume "data" into two containers at once: use "recreate", or make the volume read_only`})
		_, _, err := kind.source.Strategy(kind.config(members))
		wantFailure(t, err, "config is not valid", "two containers at once")
	}
}
