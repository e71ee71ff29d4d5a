package compose

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// refusals are what stacks are refused unless an administrator allows it, and why.
var refusals = map[string]string{
	"privileged":          "it gives the container the whole machine",
	"cap_add":             "it gives the container powers over the machine",
	"network_mode":        "the container would share a network that is not the stack's own",
	"pid":                 "the container would see the processes of others",
	"ipc":                 "the container would share memory with others",
	"uts":                 "the container could rename the machine",
	"userns_mode":         "the container would be root on the machine",
	"cgroup":              "the container could change the limits of others",
	"cgroup_parent":       "the container could escape its limits",
	"devices":             "the container would use a device of the machine",
	"device_cgroup_rules": "the container could make devices of the machine",
	"gpus":                "the container would use a device of the machine",
	"docker_socket":       "whoever reaches Docker is root on the machine",
	"bind":                "it is a place on the machine, outside the repository: use a named volume",
	"security_opt":        "it takes protection away",
	"sysctls":             "it changes the kernel for others too; net.* may be set",
	"runtime":             "only Docker's own runtime is used",
	"oom_score_adj":       "it lets others be killed first",
	"oom_kill_disable":    "it lets others be killed instead",
	"pids_limit":          "without a limit of at most 4096 one container can fill the machine with processes",
	"logging":             "only json-file, local and none keep logs on this machine, in bounds",
	"volume_driver":       "only volumes of this machine's own disk are used",
	"driver_opts":         "it could lead to any place of the machine or its network",
	"external":            "it is not the stack's own",
	"network_driver":      "only bridge networks are apart from the machine's own",
	"subnet":              "the machine would reach no other place of that address, and Docker picks a free one: remove ipam.config",
	"ports":               "a fixed port of the machine is taken once only, and no router knows of it; the route needs none: remove it",
	"annotations":         "they change how the container is run",
}

// exception is something that is refused and that an administrator allows.
type exception struct {
	service string // "" is all
	key     string // of refusals
	value   string // "" is any
	text    string // as it was written
}

// CheckAllow tells whether an exception is one: "privileged", "web:cap_add:NET_ADMIN", "bind:/srv/data".
func (l *Loader) CheckAllow(what string) error {
	_, err := parseException(what)
	return err
}

func parseException(text string) (exception, error) {
	e, ok := keyed(text)
	if !ok {
		var rest string
		service := ""
		service, rest, _ = strings.Cut(text, ":")
		if e, ok = keyed(rest); !ok {
			return exception{}, fmt.Errorf("is nothing that can be allowed: use KEY, SERVICE:KEY or SERVICE:KEY:VALUE, with one of %s",
				strings.Join(slices.Sorted(maps.Keys(refusals)), ", "))
		}
		e.service = service
	}
	e.text = text
	if e.key == "bind" && !filepath.IsAbs(e.value) {
		return exception{}, errors.New(`needs the place that may be bound: "bind:/srv/data"`)
	}
	return e, nil
}

func keyed(text string) (exception, bool) {
	key, value, _ := strings.Cut(text, ":")
	_, known := refusals[key]
	return exception{key: key, value: value}, known
}

func (e exception) covers(service, key, value string) bool {
	if e.key != key || e.service != "" && e.service != service {
		return false
	}
	if e.key == "bind" {
		return within(e.value, value)
	}
	return e.value == "" || e.value == value
}

// within tells whether a place on the machine is another one or below it, links followed as far as they can be seen. One
// that cannot be looked at must be the other one exactly: what is in it may be anything.
func within(allowed, place string) bool {
	allowed, place = filepath.Clean(allowed), filepath.Clean(place)
	realPlace, err := filepath.EvalSymlinks(place)
	if err != nil {
		return place == allowed
	}
	realAllowed, err := filepath.EvalSymlinks(allowed)
	if err != nil {
		return false
	}
	return below(allowed, place) && below(realAllowed, realPlace)
}

func below(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}
