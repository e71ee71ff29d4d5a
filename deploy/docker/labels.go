package docker

import (
	"strconv"

	"tinyforge/db"
)

// Labels of our containers, volumes and networks. A container is ours when labelInstance names us; all else that Instance
// tells without asking the database comes from the others.
const (
	labelInstance   = "tinyforge.instance"
	labelWorkload   = "tinyforge.workload"
	labelDeployment = "tinyforge.deployment"
	labelRelease    = "tinyforge.release"
	labelPort       = "tinyforge.port"
	labelConfig     = "tinyforge.config" // hash of what the container was created from
	labelVolume     = "tinyforge.volume" // "workload/volume"

	// labelBuiltBy marks images. It differs from labelInstance because containers inherit the labels of their image:
	// somebody who runs our image by hand must not get a container that looks like ours.
	labelBuiltBy = "tinyforge.built-by"
)

func (e *Engine) labels(r db.Release) map[string]string {
	return map[string]string{
		labelInstance:   e.cfg.Instance,
		labelWorkload:   strconv.FormatInt(r.WorkloadID, 10),
		labelDeployment: strconv.FormatInt(r.DeploymentID, 10),
		labelRelease:    string(r.ID),
		labelPort:       strconv.Itoa(r.Port),
		labelConfig:     configHash(r),
	}
}
