package source

import (
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"

	"tinyforge/deploy/shorten"
)

// dockerfileFacts are what the last stage of a Dockerfile says about running its image.
type dockerfileFacts struct {
	port        int
	healthcheck string // its path
	volumes     []string
}

// dockerfile proposes to build a Dockerfile.
func (l looker) dockerfile(names []string) *Candidate {
	file, ok := l.first(names, "Dockerfile", "Containerfile")
	if !ok {
		return nil
	}
	text, _ := l.read(file)
	facts := readDockerfile(string(text))
	evidence := []string{l.at(file)}
	var check any
	var volumes []map[string]string
	if facts.port > 0 {
		evidence = append(evidence, fmt.Sprintf("EXPOSE %d: the port", facts.port))
	}
	if facts.healthcheck != "" {
		evidence = append(evidence, fmt.Sprintf("HEALTHCHECK asks %s: the healthcheck", shorten.Typed(facts.healthcheck)))
		check = map[string]string{"path": facts.healthcheck}
	}
	for i, at := range facts.volumes {
		evidence = append(evidence, fmt.Sprintf("VOLUME %s: a volume that outlives deployments", shorten.Typed(at)))
		volumes = append(volumes, map[string]string{"name": fmt.Sprintf("data%s", numbered(i)), "path": at})
	}
	named := ""
	if file != "Dockerfile" {
		named = l.at(file)
	}
	return &Candidate{Source: "dockerfile", Evidence: evidence, Config: propose(
		value("context", folderKey(l.folder)), value("dockerfile", named), value("port", facts.port),
		value("healthcheck", check), value("volumes", volumes))}
}

// numbered tells volumes apart: "", "2", "3".
func numbered(i int) string {
	if i == 0 {
		return ""
	}
	return strconv.Itoa(i + 1)
}

func readDockerfile(text string) (facts dockerfileFacts) {
	seen := map[string]bool{}
	for _, line := range strings.Split(strings.ReplaceAll(text, "\\\n", " "), "\n") {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		rest = strings.TrimSpace(rest)
		switch strings.ToUpper(word) {
		case "FROM":
			facts, seen = dockerfileFacts{}, map[string]bool{}
		case "EXPOSE":
			if facts.port == 0 {
				facts.port = exposed(rest)
			}
		case "HEALTHCHECK":
			facts.healthcheck = askedPath(rest)
		case "VOLUME":
			for _, at := range volumePaths(rest) {
				if at = path.Clean(at); isMountPath(at) && !seen[at] && len(facts.volumes) < 10 {
					facts.volumes, seen[at] = append(facts.volumes, at), true
				}
			}
		}
	}
	return facts
}

// exposed is the first port of an EXPOSE that a proxy can speak to.
func exposed(rest string) int {
	for _, word := range strings.Fields(rest) {
		text, protocol, _ := strings.Cut(word, "/")
		if n, err := strconv.Atoi(text); err == nil && validPort(n) > 0 && !strings.EqualFold(protocol, "udp") {
			return n
		}
	}
	return 0
}

// askedPath is the path of the address that a HEALTHCHECK asks on its own machine.
func askedPath(rest string) string {
	asked := regexp.MustCompile(`https?://(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\])(?::\d+)?(/[^\s"'|;&)\]\\$]*)?`).FindStringSubmatch(rest)
	if asked == nil {
		return ""
	}
	if asked[1] == "" {
		return "/"
	}
	if !isURLPath(asked[1]) || len(asked[1]) > 2048 {
		return ""
	}
	return asked[1]
}

// volumePaths reads both forms: VOLUME /a /b and VOLUME ["/a", "/b"].
func volumePaths(rest string) (paths []string) {
	if json.Unmarshal([]byte(rest), &paths) == nil {
		return paths
	}
	return strings.Fields(rest)
}
