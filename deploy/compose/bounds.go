package compose

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/docker/go-units"
)

// What a stack may take of the machine, whatever its files say.
const (
	pidsLimit     = 4096 // processes and threads of a container
	maxContainers = 100
	maxNetworks   = 20 // the engine has addresses for about 30
	maxGrace      = time.Minute
	maxLog        = 1 << 30 // bytes that are kept of a container's output
	maxLogFiles   = 100
)

// keptLogs are the drivers that keep what a container writes on this machine, in files of limited size.
var keptLogs = []string{"json-file", "local"}

// bounds judges how much the stack is as a whole.
func (p *policy) bounds() {
	containers := 0
	for _, s := range p.project.Services {
		containers += max(s.GetScale(), 0)
	}
	if containers > maxContainers {
		p.global("the stack runs %d containers in all: at most %d are taken; lower scale or replicas", containers, maxContainers)
	}
	if n := len(p.project.Networks); n > maxNetworks {
		p.global("the stack has %d networks: at most %d are taken; services may share one", n, maxNetworks)
	}
}

// bound cuts down what a service would keep others waiting for, or fill the disk with. It returns lines for the log.
func bound(name string, s *types.ServiceConfig) (lines []string) {
	if g := s.StopGracePeriod; g != nil && (*g < 0 || time.Duration(*g) > maxGrace) {
		limit := types.Duration(maxGrace)
		s.StopGracePeriod = &limit
		lines = append(lines, fmt.Sprintf("%s: stop_grace_period is cut to %s", name, limit))
	}
	if boundLog(s) {
		o := s.Logging.Options
		lines = append(lines, fmt.Sprintf("%s: of what it writes %s files of %s are kept: at most %s are taken in all",
			name, o["max-file"], o["max-size"], units.BytesSize(maxLog)))
	}
	return lines
}

// boundLog tells whether it changed a limit that the service gave.
func boundLog(s *types.ServiceConfig) (changed bool) {
	if s.Logging == nil {
		s.Logging = &types.LoggingConfig{}
	}
	if s.Logging.Driver == "" {
		s.Logging.Driver = keptLogs[0]
	}
	if !slices.Contains(keptLogs, s.Logging.Driver) {
		return false
	}
	given := s.Logging.Options
	o := types.Options{"max-size": "10m", "max-file": "3"}
	for key, value := range given {
		if key != "max-buffer-size" { // of the engine's own memory
			o[key] = value
		}
	}
	files, err := strconv.Atoi(o["max-file"])
	if err != nil || files < 1 || files > maxLogFiles {
		files, o["max-file"] = 3, "3"
	}
	if size, err := units.RAMInBytes(o["max-size"]); err != nil || size < 1 || size > maxLog/int64(files) {
		o["max-size"] = "10m"
	}
	s.Logging.Options = o
	for key, value := range given {
		changed = changed || o[key] != value
	}
	return changed
}
