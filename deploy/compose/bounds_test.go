package compose

import (
	"strings"
	"testing"
	"time"
)

// TestLogsAreBounded has what a service says of its log, and the limits that it has then.
func TestLogsAreBounded(t *testing.T) {
	for text, want := range map[string]string{
		"init: true":                          "json-file 10m 3",
		"logging: {}":                         "json-file 10m 3",
		"logging: {driver: local}":            "local 10m 3",
		"logging: {driver: none}":             "none  ",
		"logging: {options: {max-size: 20m}}": "json-file 20m 3",
		"logging: {driver: json-file, options: {max-file: 5}}":                          "json-file 10m 5",
		"logging: {driver: json-file, options: {max-size: 1g, max-file: 1}}":            "json-file 1g 1",
		"logging: {driver: json-file, options: {max-size: '-1'}}":                       "json-file 10m 3 cut",
		"logging: {driver: json-file, options: {max-size: 100g}}":                       "json-file 10m 3 cut",
		"logging: {driver: json-file, options: {max-size: 1g, max-file: 2}}":            "json-file 10m 2 cut",
		"logging: {driver: local, options: {max-size: much}}":                           "local 10m 3 cut",
		"logging: {driver: local, options: {max-size: 1, max-file: 1000000}}":           "local 1 3 cut",
		"logging: {driver: local, options: {max-file: 0}}":                              "local 10m 3 cut",
		"logging: {driver: local, options: {mode: non-blocking, max-buffer-size: 99g}}": "local 10m 3 cut",
	} {
		l := loadOne(t, web(text), nil)
		must(t, l.err)
		s := l.project.Services["web"]
		got := s.Logging.Driver + " " + s.Logging.Options["max-size"] + " " + s.Logging.Options["max-file"]
		if strings.Contains(l.log, "web: of what it writes") {
			got += " cut"
		}
		if got != want || s.Logging.Options["max-buffer-size"] != "" {
			t.Errorf("%s gives %q, want %q: %s", text, got, want, asJSON(t, s))
		}
	}
}

func TestGraceIsBounded(t *testing.T) {
	for text, want := range map[string]time.Duration{"87600h": time.Minute, "-1s": time.Minute, "30s": 30 * time.Second, "0s": 0} {
		l := loadOne(t, web("stop_grace_period: "+text), nil)
		must(t, l.err)
		if got := time.Duration(*l.project.Services["web"].StopGracePeriod); got != want {
			t.Errorf("%s gives %s, want %s", text, got, want)
		}
		if strings.Contains(l.log, "web: stop_grace_period is cut to 1m0s") != (want == time.Minute) {
			t.Errorf("%s: the log says %q", text, l.log)
		}
	}
}

// TestAsMuchAsMayBe has a stack that is as large as one may be.
func TestAsMuchAsMayBe(t *testing.T) {
	l := loadOne(t, web("pids_limit: 4096")+copies(4, "{image: x, scale: 20}")+"  more: {image: x, deploy: {replicas: 19, resources: {limits: {pids: 4096}}}}\n", nil)
	must(t, l.err)
}
