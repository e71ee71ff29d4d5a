package compose

import (
	"maps"
	"regexp"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/docker/compose/v5/pkg/api"
	"github.com/moby/moby/api/types/container"

	"tinyforge/db"
)

// Labels of our containers and volumes. All but labelContent, and labelRelease of the routed service, are put on without a part in Compose's
// hash of a service, so that one that did not change is left running by another release; its labels then name the release
// that made it.
const (
	labelInstance   = "tinyforge.instance"
	labelWorkload   = "tinyforge.workload"
	labelDeployment = "tinyforge.deployment"
	labelRelease    = "tinyforge.release"
	labelPort       = "tinyforge.port"
	labelRouted     = "tinyforge.routed" // "true" for the service that stands for the stack
	labelJob        = "tinyforge.job"    // "true" for one that may end

	labelContent = "tinyforge.content" // hash of the configs and secrets that Compose puts into the container
)

// mark puts the labels of a release onto its project.
func mark(project *types.Project, r db.Release, instance string) {
	for name, s := range project.Services {
		s.CustomLabels = types.Labels{
			api.ProjectLabel:     project.Name,
			api.ServiceLabel:     name,
			api.VersionLabel:     api.ComposeVersion,
			api.WorkingDirLabel:  "/",
			api.ConfigFilesLabel: "",
			api.OneoffLabel:      "False",
			labelInstance:        instance,
			labelWorkload:        strconv.FormatInt(r.WorkloadID, 10),
			labelDeployment:      strconv.FormatInt(r.DeploymentID, 10),
			labelRelease:         string(r.ID),
			labelPort:            strconv.Itoa(r.Port),
			labelRouted:          strconv.FormatBool(name == r.Stack.Service),
			labelJob:             strconv.FormatBool(mayEnd(s)),
		}
		if name == r.Stack.Service { // it is made anew by each release, and says which one runs
			s.Labels = maps.Clone(s.Labels)
			s.Labels = s.Labels.Add(labelRelease, string(r.ID))
		}
		project.Services[name] = s
	}
	for key, v := range project.Volumes {
		v.CustomLabels = v.CustomLabels.Add(labelInstance, instance)
		project.Volumes[key] = v
	}
	for key, n := range project.Networks {
		n.CustomLabels = n.CustomLabels.Add(labelInstance, instance)
		project.Networks[key] = n
	}
}

// temporary is what Compose puts before the name of a container that replaces another one, until that is gone.
var temporary = regexp.MustCompile(`^[0-9a-f]{12}_`)

// owns tells whether a container is one of a stack of ours. Labels alone do not say so: containers inherit those of their
// image, which anybody may have made; no two containers have the same name.
func (r *Runtime) owns(c container.Summary) bool {
	project, service := c.Labels[api.ProjectLabel], c.Labels[api.ServiceLabel]
	if c.Labels[labelInstance] != r.cfg.Instance || !strings.HasPrefix(project, projectName("")) || c.Labels[labelRelease] == "" {
		return false
	}
	name := temporary.ReplaceAllString(nameOf(c), "")
	number, ok := strings.CutPrefix(name, project+"-"+service+"-")
	_, err := strconv.Atoi(number)
	return ok && err == nil
}

func number(c container.Summary, label string) int64 {
	n, err := strconv.ParseInt(c.Labels[label], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func nameOf(c container.Summary) string {
	for _, name := range c.Names {
		if strings.Count(name, "/") == 1 { // others are what linked containers call it
			return strings.TrimPrefix(name, "/")
		}
	}
	return ""
}
