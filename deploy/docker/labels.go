package docker

import (
	"maps"
	"strconv"

	"tinyforge/db"
	"tinyforge/deploy"
)

// Labels of our containers, volumes and networks. A container is ours when labelInstance names us and labelRelease is its
// name; all else that Instance tells without asking the database comes from the others.
const (
	labelInstance   = "tinyforge.instance"
	labelWorkload   = "tinyforge.workload"
	labelDeployment = "tinyforge.deployment"
	labelRelease    = "tinyforge.release"
	labelPort       = "tinyforge.port"
	labelConfig     = "tinyforge.config" // hash of what the container was created from
	labelVolume     = "tinyforge.volume" // "workload/volume"
	labelEnded      = "tinyforge.ended"  // of a service: the tasks that had ended when it was changed, which say nothing of what it is now

	// labelBuiltBy marks images. It differs from labelInstance because containers inherit the labels of their image:
	// somebody who runs our image by hand must not get a container that looks like ours.
	labelBuiltBy = "tinyforge.built-by"

	// labelProject is Compose's. It is empty on our containers: one whose image carries it would be taken for a stack's.
	labelProject = "com.docker.compose.project"
)

// labels are all that are read of a container, so that none can be its image's.
func (e *Engine) labels(r db.Release) map[string]string {
	return map[string]string{
		labelInstance:   e.cfg.Instance,
		labelWorkload:   strconv.FormatInt(r.WorkloadID, 10),
		labelDeployment: strconv.FormatInt(r.DeploymentID, 10),
		labelRelease:    string(r.ID),
		labelPort:       strconv.Itoa(r.Port),
		labelConfig:     e.configHash(r),
		labelProject:    "",
	}
}

// imageLabels are spec's, the mark that the image is of this Tinyforge, and an empty one for each of our containers' that
// a Dockerfile or its base image could set.
func (e *Engine) imageLabels(spec deploy.BuildSpec) map[string]string {
	labels := map[string]string{labelVolume: ""}
	for name := range e.labels(db.Release{}) {
		labels[name] = ""
	}
	maps.Copy(labels, spec.Labels)
	labels[labelBuiltBy] = e.cfg.Instance
	return labels
}
